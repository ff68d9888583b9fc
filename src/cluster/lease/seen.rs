//! What was seen of a Lease that somebody else holds, and when it may be taken: pure.

use std::time::Duration;

use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};
use tokio::time::Instant;

/// When a Lease may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Free {
    /// Nobody holds it.
    Now,
    /// Its holder may still be at work until then, if nothing more is heard of it.
    At(Instant),
}

/// The last change of a record, by this process's own clock: what the record says about times is somebody else's clock, which
/// may be wrong by hours, and is not looked at.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<(LeaseSpec, Instant)>);

impl Seen {
    /// The record was like this `now`. `duration` is how long a holder counts that does not say it.
    pub fn see(&mut self, spec: Option<&LeaseSpec>, now: Instant, duration: Duration) -> Free {
        let spec = spec.cloned().unwrap_or_default();
        if self.0.as_ref().is_none_or(|(before, _)| *before != spec) {
            self.0 = Some((spec, now));
        }
        self.free(duration)
    }

    /// By what was seen last; a Lease that was never seen is free.
    pub fn free(&self, duration: Duration) -> Free {
        let held = self.0.as_ref().filter(|(spec, _)| holder(spec).is_some());
        held.map_or(Free::Now, |(spec, since)| {
            let told = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            Free::At(*since + told.map_or(duration, Duration::from_secs))
        })
    }
}

/// Who holds it.
pub(super) fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The record of a new holder. Its times are for those who look at it.
pub(super) fn taken(before: &LeaseSpec, identity: &str, duration: Duration) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(before.lease_transitions.map_or(0, |count| count.saturating_add(1))),
        ..before.clone()
    }
}

/// The record of a holder that is still there.
pub(super) fn renewed(before: &LeaseSpec) -> LeaseSpec {
    LeaseSpec { renew_time: Some(MicroTime(Timestamp::now())), ..before.clone() }
}

/// The record of a holder that has let go: nobody needs to wait.
pub(super) fn released(before: &LeaseSpec) -> LeaseSpec {
    LeaseSpec { holder_identity: None, ..renewed(before) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_record_is_waited_for_from_its_last_change_by_the_own_clock() {
        let start = Instant::now();
        let mut seen = Seen::default();
        assert_eq!(seen.free(DURATION), Free::Now);
        let mut spec = taken(&LeaseSpec::default(), "one", seconds(15));
        assert_eq!(seen.see(Some(&spec), start, DURATION), Free::At(start + seconds(15)));
        assert_eq!(seen.see(Some(&spec), start + seconds(9), DURATION), Free::At(start + seconds(15)));
        // Whatever the holder's clock says: it said something new.
        spec.renew_time = Some(MicroTime(Timestamp::UNIX_EPOCH));
        assert_eq!(seen.see(Some(&spec), start + seconds(10), DURATION), Free::At(start + seconds(25)));
        spec.lease_duration_seconds = Some(40);
        assert_eq!(seen.see(Some(&spec), start + seconds(10), DURATION), Free::At(start + seconds(50)));
        spec.lease_duration_seconds = None;
        assert_eq!(seen.see(Some(&spec), start + seconds(10), DURATION), Free::At(start + seconds(25)));
    }

    #[test]
    fn a_released_record_is_free_at_once_and_counts_its_next_holder() {
        let now = Instant::now();
        let mut seen = Seen::default();
        let held = taken(&LeaseSpec::default(), "one", seconds(15));
        assert_eq!(held.lease_transitions, Some(0));
        seen.see(Some(&held), now, DURATION);
        let let_go = released(&held);
        assert_eq!(seen.see(Some(&let_go), now, DURATION), Free::Now);
        assert_eq!(seen.see(None, now, DURATION), Free::Now);
        let next = taken(&let_go, "two", seconds(15));
        assert_eq!((holder(&next), next.lease_transitions), (Some("two"), Some(1)));
        assert_eq!(seen.see(Some(&next), now, DURATION), Free::At(now + seconds(15)));
        let empty = LeaseSpec { holder_identity: Some(String::new()), ..next };
        assert_eq!(seen.see(Some(&empty), now, DURATION), Free::Now);
    }
}
