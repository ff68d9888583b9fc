//! cognigy-api.md §1.

use cognigy_operator::cognigy::{Auth, ClientAuthentication, ErrorKind, Route, TokenOutcome};
use cognigy_simulator as simulator;
use cognigy_simulator::Fault;
use futures::future::join_all;
use http::HeaderName;

use crate::fixture::Fixture;

#[tokio::test]
async fn both_client_authentications_connect() {
    for (offered, used) in [
        (simulator::ClientAuthentication::Basic, ClientAuthentication::Basic),
        (simulator::ClientAuthentication::RequestBody, ClientAuthentication::RequestBody),
    ] {
        let fixture = Fixture::with(|options| options.client_authentication = offered);
        let session = fixture.session_with(|config| config.auth = fixture.oauth2(used));
        session.probe().await.unwrap();
        assert_eq!(fixture.tokens(), [TokenOutcome::Fetched]);
    }
}

#[tokio::test]
async fn an_api_key_and_a_bearer_token_need_no_token_request() {
    let fixture = Fixture::with(|options| options.api_key_header = "X-Cognigy-Key".into());
    let credentials = fixture.sim.credentials();
    let key = Auth::ApiKey { header: HeaderName::from_static("x-cognigy-key"), key: credentials.api_key.into() };
    for auth in [key, Auth::Bearer(credentials.bearer_token.into())] {
        fixture.session_with(|config| config.auth = auth).probe().await.unwrap();
    }
    assert_eq!(fixture.sim.count(simulator::Route::Token), 0);
}

#[tokio::test]
async fn fifty_calls_at_once_share_one_token_request() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let calls = join_all((0..50).map(|_| session.probe())).await;
    assert!(calls.into_iter().all(|call| call.is_ok()));
    assert_eq!(fixture.sim.count(simulator::Route::Token), 1);
}

#[tokio::test]
async fn fifty_calls_with_an_expired_token_share_one_refresh_and_are_each_repeated_once() {
    let fixture = Fixture::new();
    let session = fixture.session();
    session.probe().await.unwrap();
    fixture.sim.expire_tokens();
    fixture.sim.clear_log();
    let calls = join_all((0..50).map(|_| session.probe())).await;
    assert!(calls.into_iter().all(|call| call.is_ok()));
    assert_eq!(fixture.sim.count(simulator::Route::Token), 1);
    assert!(fixture.sim.count(simulator::Route::ListIntegrations) <= 100);
}

#[tokio::test]
async fn a_second_401_is_a_credentials_error_after_exactly_one_refresh() {
    let fixture = Fixture::new();
    fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).status(401));
    let error = fixture.session().probe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert_eq!(error.route, Route::ListIntegrations);
    assert_eq!(fixture.sim.count(simulator::Route::Token), 2);
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 2);
    assert!(error.to_string().contains("check the tenant's auth settings"), "{error}");
}

#[tokio::test]
async fn a_refused_api_key_is_not_tried_twice() {
    let fixture = Fixture::new();
    let session = fixture.session_with(|config| config.auth = Auth::Bearer("wrong-token".into()));
    assert_eq!(session.probe().await.unwrap_err().kind, ErrorKind::Unauthorized);
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 1);
}

#[tokio::test]
async fn refused_client_credentials_are_told_once_to_all_who_wait() {
    let fixture = Fixture::new();
    let mut credentials = fixture.sim.credentials();
    let session = fixture.session();
    credentials.client_secret = "rotated".into();
    fixture.sim.set_credentials(credentials);
    let calls = join_all((0..20).map(|_| session.probe())).await;
    for call in calls {
        let error = call.unwrap_err();
        assert_eq!((error.kind, error.route), (ErrorKind::Unauthorized, Route::Token));
    }
    assert_eq!(fixture.tokens(), [TokenOutcome::Refused]);
}

#[tokio::test]
async fn refused_credentials_are_not_sent_again_however_many_calls_come() {
    let fixture = Fixture::new();
    let credentials = fixture.sim.credentials();
    let session = fixture.session();
    fixture.sim.set_credentials(simulator::Credentials { client_secret: "rotated".into(), ..credentials.clone() });
    for _ in 0..200 {
        let error = session.probe().await.unwrap_err();
        assert_eq!((error.kind, error.route), (ErrorKind::Unauthorized, Route::Token));
    }
    assert_eq!(fixture.sim.count(simulator::Route::Token), 1);
    // A changed Secret makes another session, which tries at once.
    fixture.sim.set_credentials(credentials);
    fixture.session().probe().await.unwrap();
}

#[tokio::test]
async fn two_hundred_calls_whose_tokens_are_refused_cost_two_token_requests() {
    let fixture = Fixture::new();
    fixture.sim.fault(Fault::on(simulator::Route::ListIntegrations).status(401));
    let session = fixture.session();
    let calls = join_all((0..100).map(|_| session.probe())).await;
    assert!(calls.into_iter().all(|call| call.unwrap_err().kind == ErrorKind::Unauthorized));
    for _ in 0..100 {
        assert_eq!(session.probe().await.unwrap_err().kind, ErrorKind::Unauthorized);
    }
    assert_eq!(fixture.sim.count(simulator::Route::Token), 2);
}

#[tokio::test]
async fn two_hundred_calls_that_lack_a_scope_cost_one_token() {
    let fixture = Fixture::new();
    let session = fixture.session();
    fixture.sim.set_granted_scopes(["webhook:manage"]);
    for _ in 0..200 {
        let error = session.list_integrations().await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Forbidden { .. }), "{error}");
    }
    assert_eq!(fixture.sim.count(simulator::Route::Token), 1);
}

#[tokio::test]
async fn a_wrong_token_url_is_said_to_be_the_token_url() {
    let fixture = Fixture::new();
    let session = fixture.session_with(|config| {
        if let Auth::OAuth2 { token_url, .. } = &mut config.auth {
            token_url.set_path("/nowhere");
        }
    });
    let error = session.probe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert!(error.to_string().contains("spec.auth.oauth2.tokenUrl"), "{error}");
}

#[tokio::test]
async fn refused_scopes_are_named() {
    let fixture = Fixture::with(|options| {
        options.granted_scopes = vec!["integrations:read".into()];
        options.refuse_excess_scopes = true;
    });
    let error = fixture.session().probe().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Forbidden { .. }), "{error}");
    assert!(error.to_string().contains("webhook:manage"), "{error}");
}

#[tokio::test]
async fn a_token_without_expires_in_is_kept() {
    let fixture = Fixture::with(|options| options.expires_in = false);
    let session = fixture.session();
    session.probe().await.unwrap();
    session.probe().await.unwrap();
    assert_eq!(fixture.sim.count(simulator::Route::Token), 1);
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_is_told_as_trouble_and_counts_for_the_circuit() {
    let fixture = Fixture::new();
    fixture.sim.fault(Fault::on(simulator::Route::Token).status(503));
    let session = fixture.session_with(|config| config.breaker.failure_threshold = 2);
    for _ in 0..2 {
        let error = session.probe().await.unwrap_err();
        assert_eq!((error.kind, error.route), (ErrorKind::Server { status: 503 }, Route::Token));
    }
    assert!(matches!(session.probe().await.unwrap_err().kind, ErrorKind::CircuitOpen { .. }));
    assert_eq!(fixture.sim.count(simulator::Route::Token), 2);
    assert_eq!(fixture.tokens(), [TokenOutcome::Failed; 2]);
}

#[tokio::test]
async fn a_malformed_token_answer_is_trouble_and_never_quoted() {
    let fixture = Fixture::new();
    fixture.sim.fault(Fault::on(simulator::Route::Token).malformed_json());
    let error = fixture.session().probe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Malformed);
}
