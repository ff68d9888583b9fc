//! Rate limits, pauses after a 429, and the circuit breaker (cognigy-api.md §7).

use std::time::Duration;

use cognigy_operator::cognigy::{CircuitState, Code, ErrorKind, Route, Throttle};
use cognigy_simulator as simulator;
use cognigy_simulator::{Fault, RetryAfter};

use crate::fixture::Fixture;

#[tokio::test]
async fn a_429_in_either_form_holds_back_every_session_of_the_host() {
    for form in [RetryAfter::Seconds(300), RetryAfter::DateIn(300)] {
        let fixture = Fixture::new().await;
        let (one, other) = (fixture.session(), fixture.session());
        other.probe().await.unwrap();
        fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).times(1).retry_after(form));
        let refused = one.probe().await.unwrap_err();
        let ErrorKind::RateLimited { retry_after, by: Throttle::Answered } = refused.kind else {
            panic!("{refused}");
        };
        assert!((299..=301).contains(&retry_after.as_secs()), "{retry_after:?}");
        let sent = fixture.sim.requests().len();
        let held = other.probe().await.unwrap_err();
        assert!(matches!(held.kind, ErrorKind::RateLimited { by: Throttle::HostPaused, .. }), "{held}");
        assert_eq!(fixture.sim.requests().len(), sent, "a held call must not be sent");
        assert_eq!(fixture.told.throttled.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_call_waits_for_a_short_pause_and_then_passes() {
    let fixture = Fixture::new().await;
    let session = fixture.session();
    fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).times(1).retry_after(RetryAfter::Seconds(1)));
    session.probe().await.unwrap_err();
    session.probe().await.unwrap();
    assert_eq!(
        fixture.calls(),
        [(Route::ListIntegrations, Code::Status(429)), (Route::ListIntegrations, Code::Status(200))]
    );
}

#[tokio::test]
async fn a_429_of_the_token_endpoint_pauses_its_host_too() {
    let fixture = Fixture::new().await;
    fixture.sim.fault(Fault::on(simulator::Route::Token).retry_after(RetryAfter::Seconds(300)));
    let session = fixture.session();
    let error = session.probe().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::RateLimited { by: Throttle::Answered, .. }), "{error}");
    session.probe().await.unwrap_err();
    assert_eq!(fixture.sim.count(simulator::Route::Token), 1);
    assert_eq!(fixture.told.tokens.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_tenants_own_limit_holds_back_without_sending() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(|config| {
        config.requests_per_minute = 1;
        config.burst = 2;
    });
    session.probe().await.unwrap();
    session.probe().await.unwrap();
    let error = session.probe().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::RateLimited { by: Throttle::OwnLimit, .. }), "{error}");
    assert!(error.to_string().contains("requestsPerMinute"), "{error}");
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 2);
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_tenant_allows() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(|config| config.max_concurrent_requests = 2);
    session.probe().await.unwrap();
    let hang = fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).hang());
    fixture.sim.clear_log();
    let calls: Vec<_> = (0..6)
        .map(|_| {
            tokio::spawn({
                let session = session.clone();
                async move { session.probe().await }
            })
        })
        .collect();
    fixture.sim.wait_until(|state| state.count(simulator::Route::ListIntegrations) >= 2).await;
    // Were more allowed, they would have had the whole time of this other session's call.
    fixture.session().get_integration(&cognigy_operator::cognigy::WebhookId::new("x").unwrap()).await.unwrap_err();
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 2);
    fixture.sim.remove_fault(hang);
    for call in calls {
        let _ = call.await.unwrap();
    }
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 6);
}

#[tokio::test]
async fn failures_in_a_row_open_the_circuit_and_one_trial_closes_it() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(|config| {
        config.breaker.failure_threshold = 3;
        config.breaker.open = Duration::from_millis(200);
    });
    fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).times(3).status(500));
    for _ in 0..3 {
        assert_eq!(session.probe().await.unwrap_err().kind, ErrorKind::Server { status: 500 });
    }
    assert_eq!(session.circuit(), CircuitState::Open);
    let wait = session.probe().await.unwrap_err().retry_after().unwrap();
    assert!(wait <= Duration::from_millis(200), "{wait:?}");
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 3);
    tokio::time::timeout(Duration::from_secs(20), async {
        while session.probe().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 4);
    assert_eq!(
        *fixture.told.circuit.lock().unwrap(),
        [CircuitState::Open, CircuitState::HalfOpen, CircuitState::Closed]
    );
}

#[tokio::test]
async fn refusals_never_open_the_circuit() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(|config| config.breaker.failure_threshold = 1);
    for status in [400, 403, 404, 405, 409, 412, 422, 501] {
        fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).times(1).status(status));
        session.list_integrations().await.unwrap_err();
        assert_eq!(session.circuit(), CircuitState::Closed, "{status}");
    }
}
