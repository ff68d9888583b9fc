//! What every call carries, and where it goes.

use cognigy_operator::cognigy::{ConfigError, Session, TraceContext};
use cognigy_simulator as simulator;
use url::Url;

use crate::fixture::{Fixture, registration};

#[tokio::test]
async fn every_call_says_who_it_is_and_which_trace_it_belongs_to() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let trace = TraceContext::fresh();
    session.traced(trace).probe().await.unwrap();
    session.probe().await.unwrap();
    let calls = fixture.sim.requests_to(simulator::Route::ListIntegrations);
    for call in &calls {
        assert_eq!(call.header("accept"), Some("application/json"));
        assert!(call.header("user-agent").unwrap().starts_with("cognigy-operator/"));
        assert!(!call.header("x-request-id").unwrap().is_empty());
        assert!(call.header("traceparent").unwrap().starts_with("00-"));
        assert_eq!(call.header("if-match"), None);
    }
    assert!(calls[0].header("traceparent").unwrap().contains(&trace.trace_id()));
    assert!(!calls[1].header("traceparent").unwrap().contains(&trace.trace_id()));
    assert_ne!(calls[0].header("x-request-id"), calls[1].header("x-request-id"));
}

#[tokio::test]
async fn a_path_prefix_is_kept_in_front_of_every_path() {
    let fixture = Fixture::with(|options| options.path_prefix = "/new".into());
    let with_slash = fixture.sim.base_url().to_string().trim_end_matches('/').to_owned() + "/";
    for base_url in [with_slash.trim_end_matches('/'), &with_slash] {
        let session = fixture.session_with(|config| config.base_url = Url::parse(base_url).unwrap());
        session.register(&registration("orders", 1)).await.unwrap();
    }
    assert!(fixture.sim.requests().iter().all(|request| request.path.starts_with("/new/")));
}

#[tokio::test]
async fn an_address_that_cannot_be_called_is_refused_at_once_without_its_password() {
    let fixture = Fixture::new();
    for base_url in [
        "ftp://a.example.com",
        "https://user:hunter2@a.example.com",
        "https://a.example.com/?key=hunter2",
        "https://a.example.com/#x",
    ] {
        let mut config = fixture.config();
        config.base_url = Url::parse(base_url).unwrap();
        let error = Session::new(config, &fixture.hosts, fixture.told.clone()).unwrap_err();
        assert!(matches!(error, ConfigError::Url { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_credential_that_breaks_a_header_is_refused_without_being_shown() {
    let fixture = Fixture::new();
    let mut config = fixture.config();
    config.auth = cognigy_operator::cognigy::Auth::Bearer("hunter2\n".into());
    let error = Session::new(config, &fixture.hosts, fixture.told.clone()).unwrap_err();
    assert!(matches!(error, ConfigError::Credential(_)));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn limits_of_zero_are_refused() {
    let fixture = Fixture::new();
    for field in 0..3 {
        let mut config = fixture.config();
        match field {
            0 => config.requests_per_minute = 0,
            1 => config.burst = 0,
            _ => config.max_concurrent_requests = 0,
        }
        let error = Session::new(config, &fixture.hosts, fixture.told.clone()).unwrap_err();
        assert!(matches!(error, ConfigError::Zero(_)), "{error}");
    }
}
