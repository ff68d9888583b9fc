//! When a certificate that expires is told.

use jiff::{SignedDuration, Timestamp};

use crate::api::webhook::{CertificateWarning, Health};

/// So many days before a certificate expires it is told.
const DAYS: [i32; 3] = [1, 7, 21];

/// The warning that is due about the certificate that was last shown, in days.
pub fn due(health: &Health, now: Timestamp) -> Option<i32> {
    warning(health.certificate_expires_at.as_ref()?.0, health.last_certificate_warning.as_ref(), now)
}

/// The warning that is due now, in days: once each for a certificate, and the most urgent one where several are. An expired
/// certificate is a failing check.
fn warning(expires: Timestamp, last: Option<&CertificateWarning>, now: Timestamp) -> Option<i32> {
    let left = expires.duration_since(now);
    let due = DAYS.into_iter().find(|days| left <= SignedDuration::from_hours(24 * i64::from(*days)))?;
    let told = last.filter(|last| last.expires_at.0 == expires).map(|last| last.days);
    (left.is_positive() && told.is_none_or(|told| due < told)).then_some(due)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use proptest::prelude::*;

    use super::*;

    const EXPIRES: Timestamp = Timestamp::constant(1_800_000_000, 0);

    /// The warnings that checks at these hours before the end of a certificate give.
    fn told(hours_left: impl IntoIterator<Item = i64>) -> Vec<i32> {
        let mut last = None;
        hours_left
            .into_iter()
            .filter_map(|left| {
                let now = EXPIRES - SignedDuration::from_hours(left);
                let days = warning(EXPIRES, last.as_ref(), now)?;
                last = Some(CertificateWarning { expires_at: Time(EXPIRES), days });
                Some(days)
            })
            .collect()
    }

    #[test]
    fn each_warning_is_given_once_however_often_the_certificate_is_seen() {
        assert_eq!(told((-48..1_000).rev()), [21, 7, 1]);
        assert_eq!(told([505]), Vec::<i32>::new());
        assert_eq!(told([504, 504, 503]), [21]);
    }

    #[test]
    fn of_several_warnings_that_are_due_the_most_urgent_one_is_given() {
        assert_eq!(told([100, 99]), [7]);
        assert_eq!(told([5, 4]), [1]);
        assert_eq!(told([0, -1]), Vec::<i32>::new(), "it is over: the check says so");
    }

    #[test]
    fn another_certificate_has_warnings_of_its_own_and_the_old_ones_are_remembered_meanwhile() {
        let now = EXPIRES - SignedDuration::from_hours(100);
        let last = CertificateWarning { expires_at: Time(EXPIRES), days: 7 };
        let renewed = now + SignedDuration::from_hours(24 * 90);
        assert_eq!(warning(renewed, Some(&last), now), None);
        assert_eq!(warning(EXPIRES, Some(&last), now), None, "an endpoint of several servers shows both in turn");
        let other = now + SignedDuration::from_hours(24 * 10);
        assert_eq!(warning(other, Some(&last), now), Some(21));
    }

    proptest! {
        #[test]
        fn warnings_of_a_certificate_only_become_more_urgent(mut hours in prop::collection::vec(-100i64..1_000, 0..50)) {
            hours.sort_unstable_by(|a, b| b.cmp(a));
            let told = told(hours);
            prop_assert!(told.len() <= 3 && told.is_sorted_by(|before, after| before > after), "{told:?}");
        }
    }
}
