//! What a periodic check adds to what the status tells.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{certificate, shown};
use crate::{
    api::webhook::{Health, HealthResult},
    probe::Report,
};

/// Below this, latencies are all the same to a person.
const FLOOR: Duration = Duration::from_millis(250);

/// How the checks of what is live went lately; what is lost of it at a restart was not yet worth telling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    failures: u32,
    since: Option<Timestamp>,
    latency: Option<Duration>,
}

/// What a check says that a person would act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It failed `failureThreshold` times in a row.
    Out,
    /// It passes again, or for the first time.
    Passes,
    /// Another cause of the failure, another certificate or one that expires soon, another version of TLS, another order of
    /// latency.
    Differs,
}

impl Course {
    /// Goes on from what was told.
    pub fn of(told: Option<&Health>) -> Self {
        let Some(told) = told else { return Self::default() };
        let out = told.failing_since.as_ref();
        let passing = told.result == HealthResult::Passing;
        Self {
            failures: out.map_or(0, |_| u32::try_from(told.consecutive_failures).unwrap_or_default()),
            since: out.map(|since| since.0),
            latency: told
                .latency_ms
                .filter(|_| passing)
                .and_then(|ms| u64::try_from(ms).ok())
                .map(Duration::from_millis),
        }
    }

    /// Takes a check in. Gives what is to be told where that is news.
    pub fn take(
        &mut self,
        report: &Report,
        told: Option<&Health>,
        threshold: u32,
        now: Timestamp,
    ) -> Option<(News, Health)> {
        if report.passing {
            return self.passed(report, told, now);
        }
        self.latency = None;
        self.failures = self.failures.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        let now_shown = Health { failing_since: Some(Time(since)), ..shown(report, self.failures, told) };
        match told {
            Some(told) if told.failing_since.is_some() => {
                differs(&now_shown, told, now).then_some((News::Differs, now_shown))
            }
            _ => (self.failures >= threshold).then_some((News::Out, now_shown)),
        }
    }

    fn passed(&mut self, report: &Report, told: Option<&Health>, now: Timestamp) -> Option<(News, Health)> {
        let average = self.latency.map_or(report.latency, |before| (before + report.latency) / 2);
        *self = Self { failures: 0, since: None, latency: Some(average) };
        let latency_ms = i64::try_from(average.as_millis()).ok();
        let now_shown = Health { latency_ms, ..shown(report, 0, told) };
        match told {
            Some(told) if told.result == HealthResult::Passing => {
                let differs = differs(&now_shown, told, now) || another_order(now_shown.latency_ms, told.latency_ms);
                differs.then_some((News::Differs, now_shown))
            }
            _ => Some((News::Passes, now_shown)),
        }
    }
}

/// Whether a person would act on the difference between two results of one kind, or on what has become true meanwhile.
fn differs(shown: &Health, told: &Health, now: Timestamp) -> bool {
    cause(shown) != cause(told)
        || shown.tls_version != told.tls_version
        || shown.certificate_expires_at != told.certificate_expires_at
        || certificate::due(shown, now).is_some()
}

/// Why a check failed: all 5xx are one, since which one it is tells more of the moment than of the cause.
fn cause(health: &Health) -> Option<(Option<i32>, Option<&str>)> {
    match (health.result, health.http_status) {
        (HealthResult::Passing, _) => None,
        (HealthResult::Failing, Some(status)) => Some((Some(status.min(500)), None)),
        (HealthResult::Failing, None) => Some((None, health.message.as_deref())),
    }
}

/// Whether a latency is more than double, or less than half, of the other.
fn another_order(now_ms: Option<i64>, told_ms: Option<i64>) -> bool {
    let of = |ms: Option<i64>| ms.and_then(|ms| u64::try_from(ms).ok()).map_or(FLOOR, Duration::from_millis).max(FLOOR);
    let (now, told) = (of(now_ms), of(told_ms));
    now > told * 2 || now * 2 < told
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::{api::webhook::CertificateWarning, probe::TlsVersion};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const EXPIRES: Timestamp = Timestamp::constant(365 * 24 * 3600, 0);

    fn passing(ms: u64) -> Report {
        Report {
            passing: true,
            http_status: Some(200),
            latency: Duration::from_millis(ms),
            trace_id: "1".into(),
            tls_version: Some(TlsVersion::Tls13),
            certificate_expires_at: Some(EXPIRES),
            message: "answered 200 OK".into(),
        }
    }

    fn failing(status: u16) -> Report {
        Report { passing: false, http_status: Some(status), message: format!("answered {status}"), ..passing(5) }
    }

    fn unreachable(message: &str) -> Report {
        let message = message.to_owned();
        let (tls_version, certificate_expires_at) = (None, None);
        Report { http_status: None, tls_version, certificate_expires_at, message, ..failing(0) }
    }

    /// The news of these checks one after another, each told at once.
    fn news(told: &mut Option<Health>, threshold: u32, checks: &[Report]) -> Vec<Option<News>> {
        let mut course = Course::of(told.as_ref());
        let mut take = |check| {
            let (news, health) = course.take(check, told.as_ref(), threshold, NOW)?;
            *told = Some(health);
            Some(news)
        };
        checks.iter().map(&mut take).collect()
    }

    fn told() -> Health {
        shown(&passing(20), 0, None)
    }

    #[test]
    fn failures_are_told_once_when_they_reach_the_threshold_and_once_when_they_are_over() {
        let checks = [passing(20), failing(503), failing(503), passing(20), failing(503), failing(503), failing(503)];
        let mut status = Some(told());
        assert_eq!(news(&mut status, 3, &checks), [None, None, None, None, None, None, Some(News::Out)]);
        let out = status.clone().unwrap();
        assert_eq!(
            (out.result, out.consecutive_failures, out.failing_since),
            (HealthResult::Failing, 3, Some(Time(NOW)))
        );
        assert_eq!(news(&mut status, 3, &[failing(503), passing(20), passing(20)]), [None, Some(News::Passes), None]);
        assert_eq!(status.unwrap().failing_since, None);
    }

    #[test]
    fn a_restart_in_an_outage_repeats_nothing_and_one_before_it_counts_anew() {
        let mut status = Some(told());
        assert_eq!(news(&mut status, 2, &[failing(503)]), [None]);
        assert_eq!(news(&mut status, 2, &[failing(503), failing(503)]), [None, Some(News::Out)]);
        assert_eq!(news(&mut status, 2, &[failing(503), failing(503), failing(503)]), [None, None, None]);
        assert_eq!(news(&mut status, 2, &[passing(20)]), [Some(News::Passes)]);
    }

    #[test]
    fn in_an_outage_only_another_cause_is_news() {
        let mut status = Some(told());
        let checks = [failing(503), failing(500), failing(404), failing(401), failing(401)];
        let cause = Some(News::Differs);
        assert_eq!(news(&mut status, 1, &checks), [Some(News::Out), None, cause, cause, None]);
        let checks = [unreachable("cannot connect"), unreachable("cannot connect"), unreachable("cannot resolve")];
        assert_eq!(news(&mut status, 1, &checks), [cause, None, cause]);
        let out = status.unwrap();
        assert_eq!(out.tls_version.as_deref(), Some("TLSv1.3"), "what was seen last is kept");
        assert_eq!(out.certificate_expires_at, Some(Time(EXPIRES)));
    }

    #[test]
    fn the_first_check_of_what_was_adopted_is_news() {
        assert_eq!(news(&mut None, 3, &[passing(20), passing(20)]), [Some(News::Passes), None]);
        assert_eq!(news(&mut None, 2, &[failing(503), failing(503)]), [None, Some(News::Out)]);
    }

    #[test]
    fn another_certificate_or_version_of_tls_is_news() {
        let renewed = Report { certificate_expires_at: Some(Timestamp::MAX), ..passing(20) };
        let older = Report { tls_version: Some(TlsVersion::Tls12), ..renewed.clone() };
        let different = Some(News::Differs);
        assert_eq!(
            news(&mut Some(told()), 3, &[renewed.clone(), renewed, older.clone(), older]),
            [different, None, different, None]
        );
    }

    #[test]
    fn a_certificate_that_comes_near_its_end_is_news_though_nothing_else_is() {
        let hours_before = |hours: i64| EXPIRES - SignedDuration::from_hours(hours);
        let mut health = told();
        let mut course = Course::of(Some(&health));
        let mut news = |hours, check: &Report| {
            let (_, mut now) = course.take(check, Some(&health), 1, hours_before(hours))?;
            let days = certificate::due(&now, hours_before(hours))?;
            now.last_certificate_warning = Some(CertificateWarning { expires_at: Time(EXPIRES), days });
            health = now;
            Some(days)
        };
        let hours = [600, 500, 499, 160, 159, 20, 19, 1];
        assert_eq!(
            hours.map(|hours| news(hours, &passing(20))),
            [None, Some(21), None, Some(7), None, Some(1), None, None]
        );
    }

    #[test]
    fn a_latency_of_another_order_is_news_and_a_restless_one_is_not() {
        assert_eq!(news(&mut Some(told()), 3, &[passing(1), passing(240), passing(490)]), [None, None, None]);
        let mut status = Some(told());
        let slow = vec![passing(2_000); 20];
        assert_eq!(news(&mut status, 3, &slow).iter().flatten().count(), 1, "one step is one piece of news");
        let latency = status.as_ref().unwrap().latency_ms.unwrap();
        assert!((1_000..2_000).contains(&latency), "{latency}");
        assert_eq!(news(&mut status, 3, &vec![passing(20); 20]).iter().flatten().count(), 1);
        let restless: Vec<_> = [passing(600), passing(1_000)].into_iter().cycle().take(40).collect();
        assert!(news(&mut Some(told()), 3, &restless).iter().flatten().count() <= 1);
    }

    proptest! {
        #[test]
        fn an_outage_is_told_once_and_only_after_its_threshold(checks in prop::collection::vec(any::<bool>(), 0..60), threshold in 1u32..6) {
            let mut status = Some(told());
            let reports: Vec<_> = checks.iter().map(|pass| if *pass { passing(20) } else { failing(503) }).collect();
            let mut row = 0;
            for (pass, news) in checks.iter().zip(news(&mut status, threshold, &reports)) {
                let before = row;
                row = if *pass { 0 } else { row + 1 };
                let expected = match (*pass, row == threshold, before >= threshold) {
                    (false, true, _) => Some(News::Out),
                    (true, _, true) => Some(News::Passes),
                    _ => None,
                };
                prop_assert_eq!(news, expected);
            }
        }
    }
}
