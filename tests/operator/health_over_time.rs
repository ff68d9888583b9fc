//! What is live is checked again and again (docs/health.md).

use std::time::Duration;

use cognigy_operator::api::{
    CognigyWebhook,
    webhook::{Health, HealthResult, State},
};
use cognigy_simulator::{Answer, Certificate, Fault, Options, Route, State as Cognigy};
use serde_json::{Value, json};

use crate::harness::{World, message, reasons, told, true_conditions, world};

/// A live webhook `orders` that is checked every two seconds; `change` is merged into its `healthCheck`. Nothing but its
/// checks makes passes over it.
async fn live(world: &World, change: Value) -> CognigyWebhook {
    let monitoring = json!({"monitoring": {"url": world.https_sink_url("monitoring")}});
    world.tenant("production", json!({"resyncPeriodSeconds": 86_400, "sinks": monitoring})).await;
    let mut check = json!({"periodSeconds": 2, "timeoutSeconds": 30});
    check.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    world.webhook("orders", json!({"healthCheck": check})).await;
    world.until_reason("orders", "Active").await
}

/// Waits for that many more checks that are answered.
async fn more_checks(world: &World, name: &str, count: usize) {
    let answered =
        |state: &Cognigy| state.callback_requests(name).iter().filter(|request| request.status.is_some()).count();
    let before = world.look(answered);
    world.until_sim(&format!("{count} more checks"), |state| answered(state) >= before + count).await;
}

fn health(webhook: &CognigyWebhook) -> Health {
    webhook.status.as_ref().unwrap().health.clone().unwrap()
}

/// Waits until what the status tells of the health is as described.
async fn until_health(world: &World, described: impl Fn(&Health) -> bool) -> CognigyWebhook {
    world
        .until("orders", |webhook: &CognigyWebhook| {
            let status = webhook.status.as_ref();
            status.and_then(|status| status.health.as_ref()).is_some_and(&described)
        })
        .await
}

async fn until_state(world: &World, state: State) -> CognigyWebhook {
    world
        .until("orders", |webhook: &CognigyWebhook| {
            webhook.status.as_ref().is_some_and(|status| status.state == Some(state))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_without_news_write_nothing_and_call_nothing_and_neither_does_a_restart() {
    world(Options::default(), async |world| {
        // Slow enough for what the machine does besides not to be another order of latency.
        world.callback("orders").answer(Answer::ok().delay(Duration::from_secs(1)));
        live(world, json!({})).await;
        world.webhook("others", json!({"healthCheck": {"periodSeconds": 86_400}})).await;
        world.until_reason("others", "Active").await;
        more_checks(world, "orders", 1).await;
        let (written, called) = (world.writes("orders").await.len(), world.requests().len());
        more_checks(world, "orders", 3).await;
        assert_eq!(world.requests().len(), called, "a check goes to the callback only");
        assert_eq!(world.writes("orders").await.len(), written);

        world.stop_operator().await;
        world.clear_log();
        world.start_operator().await;
        more_checks(world, "orders", 2).await;
        assert_eq!(world.writes("orders").await.len(), written);
        assert_eq!((world.count(Route::GetWebhook), world.count(Route::UpdateIntegration)), (0, 0));
        assert_eq!(reasons(&world.events("orders").await), ["Registered", "HealthCheckPassed", "Activated"]);
        assert!(world.callback("orders").requests().iter().all(|request| request.violations.is_empty()));
        assert_eq!(world.callback("others").requests().len(), 1, "a restart checks nothing before its time");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_below_the_threshold_are_seen_in_metrics_only() {
    world(Options::default(), async |world| {
        let before = live(world, json!({"failureThreshold": 100})).await;
        let written = world.writes("orders").await.len();
        world.callback("orders").answer(Answer::status(503));
        world
            .eventually("a failing check", async || world.metric("cognigy_operator_webhook_health{").await == 0.0)
            .await;
        more_checks(world, "orders", 1).await;
        assert_eq!(world.get("orders").await.status, before.status);
        assert_eq!(world.writes("orders").await.len(), written);
        assert_eq!(world.event_count("orders", "HealthCheckFailed").await, 0);
        assert!(world.metric("cognigy_operator_webhook_health_latency_seconds_count").await >= 3.0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_and_the_webhook_stays_active_until_it_is_over() {
    world(Options::default(), async |world| {
        live(world, json!({"failureThreshold": 2})).await;
        let called = world.requests().len();
        world.callback("orders").answer(Answer::status(503));
        let webhook = world.until_reason("orders", "HealthCheckFailed").await;
        let status = webhook.status.clone().unwrap();
        let sentence = told(&status.conditions, ("False", "HealthCheckFailed", Some("Reconciling")));
        assert!(sentence.contains("503") && sentence.contains("stays active"), "{sentence}");
        assert_eq!(true_conditions(&webhook), ["Registered", "Reconciling"]);
        assert_eq!((status.state, status.failure.is_none()), (Some(State::Active), true));
        let out = health(&webhook);
        assert_eq!((out.result, out.consecutive_failures), (HealthResult::Failing, 2));
        assert!(out.failing_since.is_some());
        let note = world.until_event("orders", "HealthCheckFailed").await;
        assert!(note.contains("503") && note.contains("2 times in a row"), "{note}");

        let written = world.writes("orders").await.len();
        more_checks(world, "orders", 1).await;
        assert_eq!(world.requests().len(), called, "Cognigy is not asked because of a check");
        world.stop_operator().await;
        world.start_operator().await;
        more_checks(world, "orders", 2).await;
        assert_eq!(world.writes("orders").await.len(), written, "neither an equal failure nor a restart is news");

        world.callback("orders").answer(Answer::status(404));
        let webhook = until_health(world, |health| health.http_status == Some(404)).await;
        assert!(message(&webhook).contains("404"), "{}", message(&webhook));
        assert_eq!(health(&webhook).failing_since, out.failing_since, "the same outage");
        assert_eq!(world.event_count("orders", "HealthCheckFailed").await, 1, "once in an outage");

        world.callback("orders").answer(Answer::ok());
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(true_conditions(&webhook), ["Ready", "Registered", "Healthy"]);
        assert_eq!((health(&webhook).failing_since, health(&webhook).consecutive_failures), (None, 0));
        world.eventually("its end", async || world.event_count("orders", "HealthCheckPassed").await == 2).await;
        let expected = ["Registered", "HealthCheckPassed", "Activated", "HealthCheckFailed", "HealthCheckPassed"];
        assert_eq!(reasons(&world.events("orders").await), expected);
        assert_eq!((world.interruptions("orders").len(), world.count(Route::UpdateIntegration)), (0, 1));
        world.until_sim("monitoring", |state| state.sink_messages("monitoring").len() >= 3).await;
        let told: Vec<_> =
            world.sink("monitoring").messages().iter().map(|one| one.body["health_status"].clone()).collect();
        assert_eq!(told, ["pass", "fail", "pass"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_deactivates_where_that_is_asked_for_and_the_first_passing_check_activates_again() {
    world(Options::default(), async |world| {
        live(world, json!({"failureThreshold": 2, "onFailure": "Deactivate"})).await;
        world.callback("orders").answer(Answer::status(503));
        let webhook = until_state(world, State::Inactive).await;
        assert!(world.active_versions("orders").is_empty());
        let conditions = webhook.status.clone().unwrap().conditions;
        let sentence = told(&conditions, ("False", "HealthCheckFailed", Some("Reconciling")));
        assert!(sentence.contains("inactive until a check passes"), "{sentence}");
        world.until_event("orders", "Deactivated").await;

        let (written, called) = (world.writes("orders").await.len(), world.requests().len());
        more_checks(world, "orders", 2).await;
        assert_eq!(world.requests().len(), called, "a failing check leads to no call");
        world.stop_operator().await;
        world.start_operator().await;
        more_checks(world, "orders", 1).await;
        assert_eq!(world.writes("orders").await.len(), written);
        assert!(world.active_versions("orders").is_empty());

        world.callback("orders").answer(Answer::ok());
        world.until_reason("orders", "Active").await;
        assert_eq!(world.active_versions("orders"), [1]);
        world.eventually("both activations", async || world.event_count("orders", "Activated").await == 2).await;
        let expected = [
            "Registered",
            "HealthCheckPassed",
            "Activated",
            "HealthCheckFailed",
            "Deactivated",
            "HealthCheckPassed",
            "Activated",
        ];
        assert_eq!(reasons(&world.events("orders").await), expected);
        assert_eq!(world.integrations().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_while_the_tenant_is_away_and_deactivates_when_it_is_back() {
    world(Options::default(), async |world| {
        live(world, json!({"failureThreshold": 1, "onFailure": "Deactivate"})).await;
        world.secret("cognigy-oauth", &[("client-id", "sim-client"), ("client-secret", "wrong")]).await;
        world.until_tenant("production", "Unauthorized").await;
        more_checks(world, "orders", 1).await;
        world.callback("orders").answer(Answer::status(503));
        let webhook = world.until_reason("orders", "HealthCheckFailed").await;
        assert!(message(&webhook).contains("to be deactivated"), "{}", message(&webhook));
        more_checks(world, "orders", 1).await;
        assert_eq!(world.active_versions("orders"), [1]);
        assert_eq!(world.get("orders").await.status.unwrap().state, Some(State::Active));

        world.credentials("cognigy-oauth").await;
        until_state(world, State::Inactive).await;
        assert!(world.active_versions("orders").is_empty());
        assert_eq!(world.event_count("orders", "HealthCheckFailed").await, 1);
        world.callback("orders").answer(Answer::ok());
        world.until_reason("orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_that_fails_is_tried_again() {
    world(Options::default(), async |world| {
        world.policy("quick", json!({"intervalsMs": [50, 100, 200]})).await;
        let check = json!({"periodSeconds": 2, "timeoutSeconds": 30, "failureThreshold": 1, "onFailure": "Deactivate"});
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "quick"}, "healthCheck": check})).await;
        world.until_reason("orders", "Active").await;
        world.fault(Fault::on(Route::UpdateIntegration).times(2).status(503));
        world.callback("orders").answer(Answer::status(500));
        let webhook = until_state(world, State::Inactive).await;
        assert!(message(&webhook).contains("500"), "{}", message(&webhook));
        assert!(world.active_versions("orders").is_empty());
        assert_eq!(world.event_count("orders", "Deactivated").await, 1);
        world.callback("orders").answer(Answer::ok());
        world.until_reason("orders", "Active").await;
        assert_eq!(world.active_versions("orders"), [1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_url_ends_an_outage_of_the_old_one() {
    world(Options::default(), async |world| {
        live(world, json!({"failureThreshold": 1})).await;
        world.callback("orders").answer(Answer::status(503));
        world.until_reason("orders", "HealthCheckFailed").await;
        // What does not touch the callback does not end it.
        let check = json!({"periodSeconds": 2, "timeoutSeconds": 30, "failureThreshold": 2});
        world.webhook("orders", json!({"healthCheck": check})).await;
        let webhook = world.until_reason("orders", "HealthCheckFailed").await;
        assert!(health(&webhook).failing_since.is_some());
        world.webhook("orders", json!({"url": world.callback_url("elsewhere"), "healthCheck": check})).await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!((health(&webhook).result, health(&webhook).failing_since), (HealthResult::Passing, None));
        // What was counted before does not count any more.
        world.callback("elsewhere").answers([Answer::status(503)]);
        more_checks(world, "elsewhere", 2).await;
        assert_eq!(world.event_count("orders", "HealthCheckFailed").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pass_that_is_asked_for_checks_what_is_out_at_once() {
    world(Options::default(), async |world| {
        live(world, json!({"failureThreshold": 1})).await;
        world.callback("orders").answer(Answer::status(503));
        world.until_reason("orders", "HealthCheckFailed").await;
        // From now on no check comes by itself.
        world.webhook("orders", json!({"healthCheck": {"periodSeconds": 86_400, "failureThreshold": 1}})).await;
        world.until_reason("orders", "HealthCheckFailed").await;
        let webhook = world.full_pass("orders", "while it fails").await;
        assert!(health(&webhook).failing_since.is_some());
        world.callback("orders").answer(Answer::ok());
        world.full_pass("orders", "when it is mended").await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(health(&webhook).failing_since, None);
        assert_eq!(world.event_count("orders", "HealthCheckFailed").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_where_nothing_may_go_is_an_outage() {
    world(Options::default(), async |world| {
        let mut url = world.callback_url("orders");
        url.set_host(Some("localhost")).unwrap();
        world.tenant("production", json!({})).await;
        let check = json!({"periodSeconds": 2, "timeoutSeconds": 30, "failureThreshold": 1});
        world.webhook("orders", json!({"url": url, "healthCheck": check})).await;
        world.until_reason("orders", "Active").await;
        world.tenant("production", json!({"callbacks": {"allowPrivateNetworks": false}})).await;
        let webhook = world.until_reason("orders", "HealthCheckFailed").await;
        assert!(message(&webhook).contains("allowPrivateNetworks"), "{}", message(&webhook));
        assert_eq!(world.active_versions("orders"), [1]);
        world.tenant("production", json!({})).await;
        world.until_reason("orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_becomes_slow_is_told_once() {
    world(Options::default(), async |world| {
        let before = live(world, json!({})).await;
        world.callback("orders").answer(Answer::ok().delay(Duration::from_secs(3)));
        let webhook = until_health(world, |health| health.latency_ms >= Some(1_400)).await;
        assert_eq!(health(&webhook).result, HealthResult::Passing);
        assert!(health(&webhook).last_checked_at > health(&before).last_checked_at);
        let written = world.writes("orders").await.len();
        more_checks(world, "orders", 1).await;
        assert_eq!(world.writes("orders").await.len(), written);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_to_be_live_is_checked() {
    world(Options::default(), async |world| {
        let quick = json!({"healthCheck": {"periodSeconds": 2, "timeoutSeconds": 30}});
        let with = |change: Value| {
            let mut spec = quick.clone();
            spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            spec
        };
        world.tenant("production", json!({})).await;
        world.tenant("paused", json!({})).await;
        let changes = [
            ("suspended", json!({"suspend": true}), "Suspended"),
            ("disabled", json!({"enabled": false}), "Disabled"),
            ("observed", json!({"mode": "Observe"}), "Observing"),
            ("once", json!({"healthCheck": {"periodSeconds": 0}}), "Active"),
            ("unchecked", json!({"healthCheck": {"disabled": true}}), "Active"),
        ];
        for (name, ..) in &changes {
            world.webhook(name, quick.clone()).await;
        }
        world.webhook("paused", with(json!({"tenantRef": {"name": "paused"}}))).await;
        for name in changes.iter().map(|(name, ..)| *name).chain(["paused"]) {
            world.until_reason(name, "Active").await;
        }
        for (name, change, reason) in &changes {
            world.webhook(name, with(change.clone())).await;
            world.until_reason(name, reason).await;
        }
        world.tenant("paused", json!({"suspend": true})).await;
        world.until_tenant("paused", "Suspended").await;
        // A check that was under way may still come.
        world.webhook("witness", quick.clone()).await;
        more_checks(world, "witness", 2).await;
        let count = |name: &str| world.callback(name).requests().len();
        let before: Vec<_> = changes.iter().map(|(name, ..)| count(name)).chain([count("paused")]).collect();
        more_checks(world, "witness", 3).await;
        let after: Vec<_> = changes.iter().map(|(name, ..)| count(name)).chain([count("paused")]).collect();
        assert_eq!(before, after);
        for name in ["observed", "unchecked"] {
            assert_eq!(
                world.get(name).await.status.unwrap().health,
                None,
                "{name}: what is not checked tells no result"
            );
            let series = format!("cognigy_operator_webhook_health{{name=\"{name}\"");
            assert!(!world.http("/metrics").await.1.contains(&series), "{name}");
        }

        world.webhook("suspended", quick.clone()).await;
        world.tenant("paused", json!({})).await;
        more_checks(world, "suspended", 1).await;
        more_checks(world, "paused", 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_is_told_once_for_each_step_and_a_renewed_one_has_steps_of_its_own() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let url = world.callback_url_with(Certificate::ExpiresSoon, "orders");
        let check = json!({"periodSeconds": 2, "timeoutSeconds": 30});
        world.webhook("orders", json!({"url": url, "healthCheck": check})).await;
        let webhook = world.until_reason("orders", "Active").await;
        let week = health(&webhook);
        let warning = week.last_certificate_warning.clone().unwrap();
        assert_eq!((warning.days, Some(&warning.expires_at)), (7, week.certificate_expires_at.as_ref()));
        let note = world.until_event("orders", "CertificateExpiring").await;
        assert!(note.contains("7 days") && note.contains("127.0.0.1"), "{note}");
        world.stop_operator().await;
        world.start_operator().await;
        more_checks(world, "orders", 2).await;
        assert_eq!(world.event_count("orders", "CertificateExpiring").await, 1, "a restart repeats nothing");

        let days = |days: u64| Duration::from_hours(24 * days - 1);
        world.renew_certificate(Certificate::ExpiresSoon, days(1)).unwrap();
        until_health(world, |health| health.last_certificate_warning.as_ref().is_some_and(|told| told.days == 1)).await;
        world.eventually("its event", async || world.event_count("orders", "CertificateExpiring").await == 2).await;
        world.renew_certificate(Certificate::ExpiresSoon, days(90)).unwrap();
        let webhook = until_health(world, |health| health.certificate_expires_at > week.certificate_expires_at).await;
        let expires = health(&webhook).certificate_expires_at.unwrap().0.as_second();
        assert_eq!(
            world.metric("cognigy_operator_webhook_certificate_expiry_timestamp_seconds{").await.to_string(),
            expires.to_string()
        );
        more_checks(world, "orders", 1).await;
        assert_eq!(world.event_count("orders", "CertificateExpiring").await, 2);
        world.renew_certificate(Certificate::ExpiresSoon, days(21)).unwrap();
        until_health(world, |health| health.last_certificate_warning.as_ref().is_some_and(|told| told.days == 21))
            .await;
        world.eventually("its event", async || world.event_count("orders", "CertificateExpiring").await == 3).await;
        assert_eq!(message(&world.get("orders").await), message(&webhook), "it is live all the time");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_is_an_outage_with_that_cause() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.renew_certificate(Certificate::Expired, Duration::from_hours(24 * 365)).unwrap();
        let url = world.callback_url_with(Certificate::Expired, "orders");
        let check = json!({"periodSeconds": 2, "timeoutSeconds": 30, "failureThreshold": 1});
        world.webhook("orders", json!({"url": url, "healthCheck": check})).await;
        world.until_reason("orders", "Active").await;
        world.renew_certificate(Certificate::Expired, Duration::ZERO).unwrap();
        let webhook = world.until_reason("orders", "HealthCheckFailed").await;
        assert!(message(&webhook).contains("certificate expired"), "{}", message(&webhook));
        assert_eq!(health(&webhook).tls_version.as_deref(), Some("TLSv1.3"), "as it was last");
        assert_eq!(world.active_versions("orders"), [1]);
        world.renew_certificate(Certificate::Expired, Duration::from_hours(24 * 365)).unwrap();
        world.until_reason("orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_hang_hold_up_nobody() {
    world(Options::default(), async |world| {
        // One more than there are places at work.
        let names: Vec<_> = (0..17).map(World::nth).collect();
        world.tenant("production", json!({"limits": {"maxConcurrentRequests": 64}})).await;
        world.tenant("elsewhere", json!({})).await;
        world.until_tenant("elsewhere", "Connected").await;
        world.webhooks(names.len(), json!({"healthCheck": {"periodSeconds": 2, "timeoutSeconds": 30}})).await;
        for name in &names {
            world.until_reason(name, "Active").await;
        }
        for name in &names {
            world.callback(name).answer(Answer::hang());
        }
        let hangs = |state: &Cognigy, name: &str| state.callback_requests(name).iter().any(|one| one.status.is_none());
        world.until_sim("hanging checks", |state| names.iter().all(|name| hangs(state, name))).await;
        world.webhook("orders", json!({"tenantRef": {"name": "elsewhere"}})).await;
        world.until_reason("orders", "Active").await;
        let all = || names.iter().map(String::as_str).chain(["orders"]);
        let answered = world.look(|state| {
            all().flat_map(|name| state.callback_requests(name)).filter(|request| request.status.is_some()).count()
        });
        let ended = world.metric("cognigy_operator_webhook_health_latency_seconds_count").await;
        assert_eq!(ended.to_string(), answered.to_string(), "none of those that hang has ended");

        world.delete::<CognigyWebhook>(&names[0]).await;
        world.until_gone::<CognigyWebhook>(&names[0]).await;
    })
    .await;
}
