//! How each tenant's installation has answered lately: success rate and average latency over a sliding window.
//!
//! The window has one bucket for each of 15 minutes and ends with the latest call, so that a tenant to which nothing is sent
//! keeps its last figures and changes nothing. Time is monotonic. Every request counts, those for tokens too; waiting for a
//! turn at the gate is not part of a call's duration.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    api::{ObjectKey, tenant::ApiFigures},
    metrics::Metrics,
};

/// Length of the window in minutes, with a bucket for each.
const MINUTES: usize = 15;
/// A success rate that differs by this much from what the status says is news, in percentage points.
const NEWS_POINTS: i32 = 5;
/// A latency that more than doubled or halved is news where it differs at least by this much, in milliseconds: below that,
/// nobody would act on it.
const NEWS_MS: i64 = 100;

/// How the calls within the window went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallFigures {
    /// Share of the calls that succeeded ([`crate::cognigy::Code::is_success`]), in percent, to the hundredth: 100 only where
    /// every call did.
    pub success_rate_percent: f64,
    /// Average duration of a call in milliseconds, to the thousandth; failed ones included.
    pub average_latency_ms: f64,
}

impl CallFigures {
    /// The same in whole numbers, as the status says it.
    pub fn in_status(self) -> (i32, i64) {
        #[allow(clippy::cast_possible_truncation, reason = "0 to 100, and milliseconds of calls that have time limits")]
        (self.success_rate_percent as i32, self.average_latency_ms.round() as i64)
    }

    /// Whether a person might act on the difference to what the status says.
    pub fn is_news_to(self, told: &ApiFigures) -> bool {
        let (Some(told_rate), Some(told_latency)) = (told.success_rate_percent, told.average_latency_ms) else {
            return true;
        };
        let (rate, latency) = self.in_status();
        let (least, most) = (latency.min(told_latency), latency.max(told_latency));
        (rate - told_rate).abs() >= NEWS_POINTS || (most > 2 * least && most - least >= NEWS_MS)
    }
}

/// The figures of all watched tenants; cheap to lock, never held across a wait.
#[derive(Debug)]
pub struct Figures {
    began: Instant,
    metrics: Metrics,
    tenants: Mutex<HashMap<ObjectKey, Kept>>,
}

/// What is kept for one tenant.
#[derive(Debug, Default)]
struct Kept {
    window: Window,
    /// What its status says.
    told: Option<ApiFigures>,
    /// When a call was last answered 429.
    throttled: Option<Instant>,
}

impl Figures {
    /// Figures of no tenant yet; the success ratio is shown in these metrics.
    pub fn new(metrics: Metrics) -> Self {
        Self { began: Instant::now(), metrics, tenants: Mutex::default() }
    }

    /// The figures of a tenant; `None` before its first call since the start.
    pub fn of(&self, tenant: &ObjectKey) -> Option<CallFigures> {
        self.lock().get(tenant)?.window.figures()
    }

    /// The success rate of a tenant in percent, for its audit lines.
    pub fn success_rate(&self, tenant: &ObjectKey) -> Option<f64> {
        self.of(tenant).map(|figures| figures.success_rate_percent)
    }

    /// A tenant is there, and its status says this. Calls for others are not counted, so that nothing is left of a tenant
    /// that is gone.
    pub fn watched(&self, tenant: &ObjectKey, told: Option<ApiFigures>) {
        self.lock().entry(tenant.clone()).or_default().told = told;
    }

    /// Counts a call. Says whether the tenant's status has become misleading.
    pub fn record(&self, tenant: &ObjectKey, success: bool, elapsed: Duration) -> bool {
        let mut tenants = self.lock();
        let Some(kept) = tenants.get_mut(tenant) else { return false };
        kept.window.record(self.began.elapsed().as_secs() / 60, success, elapsed);
        let Some(figures) = kept.window.figures() else { return false };
        // Under the lock: a tenant that goes meanwhile takes its metric along.
        self.metrics.success_ratio(&tenant.to_string(), Some(figures.success_rate_percent / 100.0));
        kept.told.is_some_and(|told| figures.is_news_to(&told))
    }

    /// A call was answered 429.
    pub fn throttled(&self, tenant: &ObjectKey) {
        if let Some(kept) = self.lock().get_mut(tenant) {
            kept.throttled = Some(Instant::now());
        }
    }

    /// How long ago a tenant's call was last answered 429; `None` where none was since the start.
    pub fn throttled_for(&self, tenant: &ObjectKey) -> Option<Duration> {
        self.lock().get(tenant)?.throttled.map(|at| at.elapsed())
    }

    /// The last 429 is told and over, where it was at least so long ago.
    pub fn calm(&self, tenant: &ObjectKey, quiet: Duration) {
        if let Some(kept) = self.lock().get_mut(tenant) {
            kept.throttled = kept.throttled.filter(|at| at.elapsed() < quiet);
        }
    }

    /// How long calls have been counted.
    pub fn running_for(&self) -> Duration {
        self.began.elapsed()
    }

    /// Forgets a tenant.
    pub fn forget(&self, tenant: &ObjectKey) {
        let mut tenants = self.lock();
        tenants.remove(tenant);
        self.metrics.success_ratio(&tenant.to_string(), None);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Kept>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The calls of the [`MINUTES`] up to the latest one.
#[derive(Clone, Debug, Default)]
struct Window {
    latest: u64,
    /// A ring: minute `m` is at `m % MINUTES`.
    buckets: [Bucket; MINUTES],
}

/// The calls of one minute.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    calls: u64,
    successes: u64,
    time: Duration,
}

impl Window {
    /// Counts a call that ended in this minute. One that is older than the window is no longer of interest.
    fn record(&mut self, minute: u64, success: bool, elapsed: Duration) {
        for passed in (self.latest + 1..=minute).rev().take(MINUTES) {
            *self.bucket(passed) = Bucket::default();
        }
        self.latest = self.latest.max(minute);
        if self.latest - minute < MINUTES as u64 {
            let bucket = self.bucket(minute);
            bucket.calls += 1;
            bucket.successes += u64::from(success);
            bucket.time = bucket.time.saturating_add(elapsed);
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a remainder of division by MINUTES")]
    fn bucket(&mut self, minute: u64) -> &mut Bucket {
        &mut self.buckets[(minute % MINUTES as u64) as usize]
    }

    #[allow(clippy::cast_precision_loss, reason = "counts of calls in 15 minutes")]
    fn figures(&self) -> Option<CallFigures> {
        let calls: u64 = self.buckets.iter().map(|bucket| bucket.calls).sum();
        let successes: u64 = self.buckets.iter().map(|bucket| bucket.successes).sum();
        let time = self.buckets.iter().fold(Duration::ZERO, |sum, bucket| sum.saturating_add(bucket.time));
        (calls > 0).then(|| CallFigures {
            // Cut, so that a failure is never rounded away.
            success_rate_percent: (successes * 10_000 / calls) as f64 / 100.0,
            average_latency_ms: (time.as_secs_f64() * 1e6 / calls as f64).round() / 1e3,
        })
    }
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
