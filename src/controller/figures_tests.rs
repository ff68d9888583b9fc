use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn told(rate: i32, latency: i64) -> ApiFigures {
    ApiFigures { success_rate_percent: Some(rate), average_latency_ms: Some(latency), requests_per_minute: Some(180) }
}

fn figures(success_rate_percent: f64, average_latency_ms: f64) -> CallFigures {
    CallFigures { success_rate_percent, average_latency_ms }
}

#[test]
fn there_are_no_figures_before_the_first_call() {
    assert_eq!(Window::default().figures(), None);
}

#[test]
fn what_is_older_than_the_window_no_longer_counts_and_silence_changes_nothing() {
    let mut window = Window::default();
    window.record(0, false, 10 * MS);
    window.record(14, true, 20 * MS);
    assert_eq!(window.figures(), Some(figures(50.0, 15.0)));
    window.record(15, true, 30 * MS);
    assert_eq!(window.figures(), Some(figures(100.0, 25.0)));
    window.record(0, false, MS);
    assert_eq!(window.figures(), Some(figures(100.0, 25.0)), "a call that was told too late");
    window.record(1_000_000_000_000, false, MS);
    assert_eq!(window.figures(), Some(figures(0.0, 1.0)));
}

#[test]
fn one_failure_among_many_calls_is_not_rounded_away() {
    let mut window = Window::default();
    for call in 0..100_000 {
        window.record(0, call != 7, MS);
    }
    assert_eq!(window.figures(), Some(figures(99.99, 1.0)));
    assert_eq!(window.figures().unwrap().in_status(), (99, 1));
}

#[test]
fn news_is_what_a_person_would_act_on() {
    for (now, told, news) in [
        (figures(100.0, 10.0), told(100, 10), false),
        (figures(96.0, 10.0), told(100, 10), false),
        (figures(95.99, 10.0), told(100, 10), true),
        (figures(45.0, 10.0), told(40, 10), true),
        (figures(100.0, 90.0), told(100, 10), false),
        (figures(100.0, 110.0), told(100, 10), true),
        (figures(100.0, 10.0), told(100, 110), true),
        (figures(100.0, 400.0), told(100, 200), false),
        (figures(100.0, 401.0), told(100, 200), true),
        (figures(100.0, 10.0), ApiFigures { requests_per_minute: Some(180), ..ApiFigures::default() }, true),
    ] {
        assert_eq!(now.is_news_to(&told), news, "{now:?} after {told:?}");
    }
}

#[test]
fn a_tenant_that_is_gone_leaves_nothing_behind_even_where_a_call_of_it_ends_later() {
    let metrics = Metrics::new().unwrap();
    let all = Figures::new(metrics.clone());
    let tenant = ObjectKey::new("cx", "production");
    all.record(&tenant, true, MS);
    assert_eq!(all.of(&tenant), None, "it is not watched");
    all.watched(&tenant, None);
    assert!(!all.record(&tenant, true, MS), "what was never told is told by the pass that makes the first call");
    assert_eq!(all.of(&tenant), Some(figures(100.0, 1.0)));
    all.watched(&tenant, Some(told(100, 1)));
    assert!(all.record(&tenant, false, MS), "half of the calls failed");
    assert!(metrics.render().unwrap().contains(r#"api_success_ratio{tenant="cx/production"} 0.5"#));
    all.forget(&tenant);
    all.record(&tenant, true, MS);
    assert_eq!(all.success_rate(&tenant), None);
    assert!(!metrics.render().unwrap().contains("api_success_ratio{"));
}

proptest! {
    #[test]
    fn the_window_is_the_sum_of_the_calls_of_its_minutes(
        calls in proptest::collection::vec((0u64..40, any::<bool>(), 0u64..10_000), 1..200)
    ) {
        let mut window = Window::default();
        for (minute, success, micros) in &calls {
            window.record(*minute, *success, Duration::from_micros(*micros));
        }
        let latest = calls.iter().map(|(minute, ..)| *minute).max().unwrap();
        // A call that came when it was already too old was never counted; one that grew too old is no longer.
        let within: Vec<_> = calls.iter().filter(|(minute, ..)| minute + (MINUTES as u64) > latest).collect();
        let successes = within.iter().filter(|(_, success, _)| *success).count();
        let micros: u64 = within.iter().map(|(.., micros)| micros).sum();
        let found = window.figures().unwrap();
        #[allow(clippy::cast_precision_loss)]
        let (rate, latency) =
            (successes as f64 * 100.0 / within.len() as f64, micros as f64 / 1000.0 / within.len() as f64);
        prop_assert!((found.success_rate_percent - rate).abs() < 0.011, "{found:?} {rate}");
        prop_assert!((found.average_latency_ms - latency).abs() < 0.001, "{found:?} {latency}");
        prop_assert!((0.0..=100.0).contains(&found.success_rate_percent));
        prop_assert_eq!(found.success_rate_percent >= 100.0, successes == within.len());
    }
}
