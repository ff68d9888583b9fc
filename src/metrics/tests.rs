use std::{collections::BTreeSet, sync::atomic::AtomicUsize};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn condition(type_: &str, status: &str) -> Condition {
    Condition {
        type_: type_.into(),
        status: status.into(),
        reason: "Because".into(),
        message: String::new(),
        observed_generation: Some(1),
        last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
    }
}

fn all_used() -> Metrics {
    let metrics = Metrics::new().unwrap();
    let second = Duration::from_secs(1);
    metrics.call("cx/production", Route::CreateIntegration, Code::Status(201), second);
    metrics.token("cx/production", TokenOutcome::Fetched, second);
    metrics.success_ratio("cx/production", Some(0.5));
    metrics.throttled("api.example.com:443");
    metrics.rate_limit("api.example.com:443", Some(180.0));
    metrics.requests_waiting("api.example.com:443", Some(3));
    metrics.circuit("cx/production", CircuitState::HalfOpen);
    metrics.conflict("cx/production");
    metrics.drift("cx/production");
    metrics.reconcile("CognigyWebhook", true, second);
    metrics.time_to_ready("CognigyWebhook", second);
    metrics.conditions("CognigyWebhook", "cx", "orders", &[condition("Ready", "True")]);
    metrics.webhook("cx", "orders", "cx/production", Some("Active"));
    metrics.health("cx", "orders", true, Some(second));
    metrics.certificate("cx", "orders", jiff::Timestamp::UNIX_EPOCH);
    metrics.outbox_pending("alerts", 2);
    metrics.outbox_delivery("deadLetter", "failed");
    metrics.outbox_dropped("monitoring");
    metrics.retries_exhausted("cx/production");
    metrics.leader(true);
    metrics.runtime_tasks(7);
    metrics.events_pending(8);
    metrics.objects_remembered(9);
    metrics
}

#[test]
fn what_only_the_process_knows_is_looked_at_whenever_somebody_asks() {
    let metrics = Metrics::new().unwrap();
    let waiting = Arc::new(AtomicUsize::new(1));
    let now = waiting.clone();
    metrics.before_each_look(move |metrics| metrics.events_pending(now.load(Ordering::Relaxed)));
    assert!(metrics.render().unwrap().contains("events_pending 1\n"));
    waiting.store(5, Ordering::Relaxed);
    assert!(metrics.render().unwrap().contains("events_pending 5\n"));
}

#[test]
fn all_documented_names_and_labels_exist() {
    let text = all_used().render().unwrap();
    for series in [
        r#"api_requests_total{code="201",route="create_integration",tenant="cx/production"} 1"#,
        r#"api_request_duration_seconds_count{route="create_integration"} 1"#,
        r#"api_throttled_total{host="api.example.com:443"} 1"#,
        r#"api_rate_limit_per_minute{host="api.example.com:443"} 180"#,
        r#"api_requests_waiting{host="api.example.com:443"} 3"#,
        r#"api_circuit_state{tenant="cx/production"} 1"#,
        r#"api_success_ratio{tenant="cx/production"} 0.5"#,
        r#"token_requests_total{outcome="fetched",tenant="cx/production"} 1"#,
        r#"reconciles_total{kind="CognigyWebhook",outcome="ok"} 1"#,
        r#"reconcile_duration_seconds_count{kind="CognigyWebhook"} 1"#,
        r#"time_to_ready_seconds_count{kind="CognigyWebhook"} 1"#,
        r#"resource_condition{kind="CognigyWebhook",name="orders",namespace="cx",status="True",type="Ready"} 1"#,
        r#"webhooks{state="Active",tenant="cx/production"} 1"#,
        r#"webhook_health{name="orders",namespace="cx"} 1"#,
        "webhook_health_latency_seconds_count 1",
        r#"webhook_certificate_expiry_timestamp_seconds{name="orders",namespace="cx"} 0"#,
        r#"conflicts_total{tenant="cx/production"} 1"#,
        r#"drift_total{tenant="cx/production"} 1"#,
        r#"outbox_pending{sink="alerts"} 2"#,
        r#"outbox_deliveries_total{outcome="failed",sink="deadLetter"} 1"#,
        r#"outbox_dropped_total{sink="monitoring"} 1"#,
        r#"retries_exhausted_total{tenant="cx/production"} 1"#,
        "leader 1",
        "runtime_tasks 7",
        "events_pending 8",
        "objects_remembered 9",
        concat!(r#"build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        assert!(text.lines().any(|line| line == format!("cognigy_operator_{series}")), "{series}\n{text}");
    }
}

#[test]
fn what_can_be_counted_stands_at_zero_before_the_first_time() {
    let metrics = Metrics::new().unwrap();
    metrics.tenant("cx/production");
    metrics.rate_limit("api.example.com:443", Some(180.0));
    metrics.outbox_sink("alerts", &["delivered", "failed"]);
    metrics.reconcile("CognigyTenant", true, Duration::ZERO);
    let text = metrics.render().unwrap();
    for series in [
        r#"retries_exhausted_total{tenant="cx/production"} 0"#,
        r#"conflicts_total{tenant="cx/production"} 0"#,
        r#"drift_total{tenant="cx/production"} 0"#,
        r#"api_throttled_total{host="api.example.com:443"} 0"#,
        r#"outbox_pending{sink="alerts"} 0"#,
        r#"outbox_deliveries_total{outcome="failed",sink="alerts"} 0"#,
        r#"outbox_dropped_total{sink="alerts"} 0"#,
        r#"reconciles_total{kind="CognigyTenant",outcome="error"} 0"#,
    ] {
        assert!(text.lines().any(|line| line == format!("cognigy_operator_{series}")), "{series}\n{text}");
    }
}

#[test]
fn every_family_is_described_as_it_is_exposed() {
    let metrics = all_used();
    let text = metrics.render().unwrap();
    let mut described: Vec<_> = metrics.families().to_vec();
    for family in &mut described {
        family.labels.sort();
    }
    let exposed = metrics.registry.gather().into_iter().map(|family| Family {
        name: family.name().to_owned(),
        kind: match format!("{:?}", family.get_field_type()).to_lowercase().as_str() {
            "counter" => "counter",
            "gauge" => "gauge",
            _ => "histogram",
        },
        labels: family.get_metric()[0].get_label().iter().map(|label| label.name().to_owned()).collect(),
        help: family.help().to_owned(),
    });
    let mut exposed: Vec<_> = exposed.collect();
    for mut family in objects::families() {
        family.labels.sort();
        let Family { name, kind, help, labels } = &family;
        assert!(text.contains(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{")), "{text}");
        let series = text.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
        let told: Vec<_> = series.split(['{', ',']).skip(1).map(|label| label.split('=').next().unwrap()).collect();
        assert_eq!(told, labels.iter().map(String::as_str).collect::<Vec<_>>());
        exposed.push(family);
    }
    for families in [&mut described, &mut exposed] {
        families.sort_by(|a, b| a.name.cmp(&b.name));
    }
    assert_eq!(described, exposed);
}

#[test]
fn a_standby_tells_of_its_process_only() {
    let metrics = all_used();
    metrics.leader(false);
    let text = metrics.render().unwrap();
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let names: BTreeSet<_> = series.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let process = ["build_info", "events_pending", "leader", "objects_remembered", "runtime_tasks"];
    let process = process.map(|name| format!("{PREFIX}_{name}"));
    assert_eq!(names, process.iter().map(String::as_str).collect());
    metrics.leader(true);
    assert!(metrics.render().unwrap().contains("resource_condition{"));
}

#[test]
fn counters_end_with_total_histograms_with_their_unit_and_every_family_explains_itself() {
    for family in all_used().registry.gather() {
        let (name, type_) = (family.name(), format!("{:?}", family.get_field_type()));
        assert!(family.help().len() > 20, "{name}: {}", family.help());
        match type_.to_lowercase().as_str() {
            "counter" => assert!(name.ends_with("_total"), "{name}"),
            "histogram" => assert!(name.ends_with("_seconds"), "{name}"),
            "gauge" => assert!(!name.ends_with("_total"), "{name}"),
            other => panic!("{name} is a {other}"),
        }
    }
}

#[test]
fn a_condition_that_changed_is_shown_once_with_its_new_status() {
    let metrics = all_used();
    metrics.conditions("CognigyWebhook", "cx", "orders", &[condition("Ready", "False"), condition("Stalled", "True")]);
    metrics.conditions("CognigyWebhook", "cx", "orders", &[condition("Ready", "False")]);
    let text = metrics.render().unwrap();
    let shown: Vec<_> = text.lines().filter(|l| l.starts_with("cognigy_operator_resource_condition{")).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].contains(r#"status="False",type="Ready""#), "{shown:?}");
}

#[test]
fn state_metrics_vanish_with_their_object_and_leave_others_alone() {
    let metrics = all_used();
    metrics.webhook("cx", "refunds", "cx/production", Some("Active"));
    metrics.conditions("CognigyTenant", "cx", "orders", &[condition("Ready", "True")]);
    metrics.forget("CognigyWebhook", "cx", "orders");
    metrics.forget("CognigyWebhook", "cx", "never-seen");
    let text = metrics.render().unwrap();
    assert!(!text.contains(r#"name="orders",namespace="cx"} "#), "{text}");
    assert!(text.contains(r#"webhooks{state="Active",tenant="cx/production"} 1"#), "{text}");
    assert!(text.contains(r#"resource_condition{kind="CognigyTenant""#), "{text}");
    assert!(!text.contains(r#"resource_condition{kind="CognigyWebhook""#), "{text}");
}

#[test]
fn a_status_does_not_hide_the_last_check_and_takes_back_what_it_no_longer_tells() {
    let metrics = Metrics::new().unwrap();
    let health = |metrics: &Metrics| {
        let text = metrics.render().unwrap();
        let line = text.lines().find(|line| line.starts_with("cognigy_operator_webhook_health{"));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.to_owned())
    };
    metrics.health_as_told("cx", "orders", Some(true), None);
    assert_eq!(health(&metrics).as_deref(), Some("1"), "a restart shows what was told");
    metrics.health("cx", "orders", false, None);
    metrics.health_as_told("cx", "orders", Some(true), None);
    assert_eq!(health(&metrics).as_deref(), Some("0"));
    metrics.health_as_told("cx", "orders", None, None);
    assert_eq!(health(&metrics), None);
}

#[test]
fn webhooks_are_counted_by_the_state_they_have_now() {
    let metrics = Metrics::new().unwrap();
    metrics.webhook("cx", "orders", "cx/production", None);
    assert!(metrics.render().unwrap().contains(r#"webhooks{state="Unregistered",tenant="cx/production"} 1"#));
    metrics.webhook("cx", "orders", "cx/production", Some("Inactive"));
    metrics.webhook("cx", "orders", "cx/production", Some("Inactive"));
    let text = metrics.render().unwrap();
    assert!(text.contains(r#"webhooks{state="Inactive",tenant="cx/production"} 1"#), "{text}");
    assert!(!text.contains("Unregistered\""), "{text}");
}
