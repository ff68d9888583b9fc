//! Each row of cognigy-api.md §7, and each way in which an answer can fail to come.

use cognigy_operator::cognigy::{Code, ErrorKind, Route};
use cognigy_simulator as simulator;
use cognigy_simulator::{ErrorFormat, Fault};
use serde_json::json;

use crate::fixture::{Fixture, policy, registration};

#[tokio::test]
async fn a_403_names_the_scope_and_the_role() {
    let fixture = Fixture::with(|options| options.granted_scopes = vec!["integrations:read".into()]);
    let error = fixture.session().register(&registration("orders", 1)).await.unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::Forbidden { scope: "integrations:write webhooks:manage", role: "Integration Developer" }
    );
    let text = error.to_string();
    assert!(text.contains("integrations:write") && text.contains("Integration Developer"), "{text}");
}

#[tokio::test]
async fn a_422_shows_cognigys_own_words_in_every_format() {
    for format in [ErrorFormat::Problem, ErrorFormat::ProblemTextCode, ErrorFormat::Oauth, ErrorFormat::Plain] {
        let fixture = Fixture::with(|options| options.error_format = format);
        let session = fixture.session();
        let (id, webhook) = fixture.webhook(&session).await;
        let mut bad = policy(&id);
        bad.intervals_ms = vec![1000, 1000, 1000, 1000];
        let precondition = session.precondition(&webhook).unwrap();
        let error = session.put_webhook(&id, &webhook.with_policy(&bad), &precondition).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Rejected { status: 422 }, "{format:?}");
        let detail = error.detail.clone().unwrap();
        assert!(detail.contains("intervalsMs"), "{format:?}: {detail}");
        assert!(error.to_string().contains(&detail), "{error}");
    }
}

#[tokio::test]
async fn the_trace_id_of_a_problem_is_told() {
    let fixture = Fixture::new();
    fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).status(500).body(json!({
        "title": "Internal", "detail": "database is down\nline two", "traceId": "api--42"
    })));
    let error = fixture.session().list_integrations().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Server { status: 500 });
    assert_eq!(error.trace_id.as_deref(), Some("api--42"));
    let text = error.to_string();
    assert!(text.contains("database is down line two") && text.contains("api--42"), "{text}");
}

#[tokio::test]
async fn every_trouble_of_the_server_is_typed_and_told_with_its_code() {
    let on = || Fault::on(simulator::Route::ListIntegrations);
    for (fault, kind, code) in [
        (on().status(500), ErrorKind::Server { status: 500 }, Code::Status(500)),
        (on().status(503), ErrorKind::Server { status: 503 }, Code::Status(503)),
        (on().hang(), ErrorKind::Timeout, Code::Timeout),
        (on().cut_body(), ErrorKind::Unreachable, Code::Unreachable),
        (on().lose_before(), ErrorKind::Unreachable, Code::Unreachable),
        (on().lose_after(), ErrorKind::Unreachable, Code::Unreachable),
        (on().malformed_json(), ErrorKind::Malformed, Code::Malformed),
        (on().huge_body(2_000_000), ErrorKind::Malformed, Code::Malformed),
        (on().status(302), ErrorKind::Unreachable, Code::Status(302)),
    ] {
        let fixture = Fixture::new();
        fixture.session().probe().await.unwrap();
        fixture.told.calls.lock().unwrap().clear();
        fixture.sim.fault(fault);
        let error = fixture.hasty_session().list_integrations().await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.kind.is_passing());
        assert_eq!(fixture.calls(), [(Route::ListIntegrations, code)]);
    }
}

#[tokio::test]
async fn an_error_with_a_huge_body_is_still_told_by_its_status() {
    let fixture = Fixture::new();
    let words = "no ".repeat(500_000);
    fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).status(422).body(words));
    let error = fixture.session().list_integrations().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected { status: 422 });
    assert!(error.to_string().len() < 1500);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let fixture = Fixture::new();
    let session = fixture.session();
    session.probe().await.unwrap();
    fixture.sim.stop().await;
    let error = session.probe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.to_string().contains("check the tenant's baseUrl"), "{error}");
}

#[tokio::test]
async fn a_body_over_60_kb_is_refused_before_it_is_sent() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let mut registration = registration("orders", 1);
    registration.payload_format = "x".repeat(60_000);
    let error = session.register(&registration).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TooLarge { bytes } if bytes > 60_000), "{error}");
    assert!(fixture.sim.requests().is_empty());
}
