//! Rate limits, pauses after a 429, and the circuit breaker (cognigy-api.md §7).

use std::sync::Arc;
use std::time::Duration;

use cognigy_operator::cognigy::{Auth, Caller, CircuitState, Code, ErrorKind, Route, Session, Throttle, WebhookId};
use cognigy_simulator as simulator;
use cognigy_simulator::{Fault, RetryAfter, Simulator};
use futures::StreamExt as _;

use crate::fixture::Fixture;

#[tokio::test]
async fn a_429_in_either_form_holds_back_every_session_of_the_host() {
    for form in [RetryAfter::Seconds(300), RetryAfter::DateIn(300)] {
        let fixture = Fixture::new();
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
    let fixture = Fixture::new();
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
    let fixture = Fixture::new();
    fixture.sim.fault(Fault::on(simulator::Route::Token).retry_after(RetryAfter::Seconds(300)));
    let session = fixture.session();
    let error = session.probe().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::RateLimited { by: Throttle::Answered, .. }), "{error}");
    session.probe().await.unwrap_err();
    assert_eq!(fixture.sim.count(simulator::Route::Token), 1);
    assert_eq!(fixture.told.tokens.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_call_beyond_the_rate_waits_unsent_and_is_abandoned_when_nobody_wants_it_any_more() {
    let fixture = Fixture::new();
    let session = fixture.session_with(|config| {
        config.requests_per_minute = 1;
        config.burst = 2;
    });
    session.probe().await.unwrap();
    session.probe().await.unwrap();
    {
        let mut waiting = std::pin::pin!(session.probe());
        assert!(futures::poll!(waiting.as_mut()).is_pending());
    }
    let unwanted = Caller { wanted: Arc::new(|| false), ..Caller::default() };
    let error = session.on_behalf_of(unwanted).probe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Abandoned);
    assert!(!error.kind.is_passing());
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 2);
}

#[tokio::test]
async fn a_429_slows_every_session_of_the_host_down_and_no_other_host() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.session(), fixture.session());
    let elsewhere = Simulator::start(simulator::Options::default()).unwrap();
    let apart = fixture.session_with(|config| {
        config.base_url = elsewhere.base_url();
        config.auth = Auth::Bearer(elsewhere.credentials().bearer_token.into());
    });
    fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).times(1).retry_after(RetryAfter::Seconds(300)));
    one.probe().await.unwrap_err();
    assert_eq!([&one, &other, &apart].map(Session::requests_per_minute), [300_000, 300_000, 600_000]);
    let name = |url: &url::Url| format!("127.0.0.1:{}", url.port().unwrap());
    let mut limits = vec![(name(&fixture.sim.base_url()), 300_000), (name(&elsewhere.base_url()), 600_000)];
    limits.sort();
    assert_eq!(fixture.hosts.limits(), limits);
    apart.get_integration(&WebhookId::new("x").unwrap()).await.unwrap_err();
    assert_eq!(elsewhere.count(simulator::Route::GetIntegration), 1);
}

#[tokio::test]
async fn the_end_of_a_pause_lets_calls_through_one_at_a_time() {
    let fixture = Fixture::new();
    // One call a minute once the burst is spent: whatever passes besides is a stampede.
    let slow = |config: &mut cognigy_operator::cognigy::SessionConfig| {
        config.requests_per_minute = 1;
        config.burst = 50;
    };
    let sessions = [fixture.session_with(slow), fixture.session_with(slow)];
    fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).times(1).retry_after(RetryAfter::Seconds(1)));
    sessions[0].probe().await.unwrap_err();
    fixture.sim.clear_log();
    let mut calls = futures::stream::FuturesUnordered::new();
    sessions.iter().cycle().take(20).for_each(|session| calls.push(session.probe()));
    calls.next().await.unwrap().unwrap();
    assert!(futures::poll!(calls.next()).is_pending());
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 1);
}

#[tokio::test]
async fn an_open_circuit_sends_away_the_calls_that_wait_for_their_turn() {
    let fixture = Fixture::new();
    let session = fixture.session_with(|config| {
        config.max_concurrent_requests = 1;
        config.breaker.failure_threshold = 1;
    });
    session.probe().await.unwrap();
    fixture.sim.clear_log();
    let hang = fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).hang());
    let failing = tokio::spawn({
        let session = session.clone();
        async move { session.probe().await }
    });
    fixture.sim.wait_until(|state| state.count(simulator::Route::ListIntegrations) == 1).await;
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(session.probe())).collect();
    for call in &mut waiting {
        assert!(futures::poll!(call).is_pending());
    }
    fixture.sim.remove_fault(hang);
    failing.await.unwrap().unwrap_err();
    for call in waiting {
        assert!(matches!(call.await.unwrap_err().kind, ErrorKind::CircuitOpen { .. }));
    }
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 1);
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_tenant_allows() {
    let fixture = Fixture::new();
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
    let fixture = Fixture::new();
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
    let fixture = Fixture::new();
    let session = fixture.session_with(|config| config.breaker.failure_threshold = 1);
    for status in [400, 403, 404, 405, 409, 412, 422, 501] {
        fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).times(1).status(status));
        session.list_integrations().await.unwrap_err();
        assert_eq!(session.circuit(), CircuitState::Closed, "{status}");
    }
}
