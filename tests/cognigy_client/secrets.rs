//! No secret reaches a message, a `Debug` text or a log.

use std::io::Write;
use std::sync::{Arc, Mutex};

use cognigy_operator::{
    cognigy::{Auth, ClientAuthentication, HeaderValueText},
    probe::Check,
    redact::Redactor,
    traces,
};
use cognigy_simulator as simulator;
use cognigy_simulator::Fault;
use secrecy::SecretString;
use serde_json::json;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::fixture::{Fixture, registration};

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn recorder(log: &Log) -> impl tracing::Subscriber + Send + Sync + use<> {
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish()
}

#[tokio::test]
async fn secrets_that_cognigy_echoes_are_in_no_error_and_no_log() {
    let fixture = Fixture::new();
    let secrets = fixture.sim.credentials();
    let credentials = format!("{} {}", secrets.client_id, secrets.client_secret);
    // The token endpoint never hears of the header.
    let echo = |route| match route {
        simulator::Route::Token => credentials.clone(),
        _ => format!("{credentials} hunter2-header"),
    };
    let log = Log::default();
    async {
        for authentication in [ClientAuthentication::Basic, ClientAuthentication::RequestBody] {
            let session = fixture.session_with(|config| config.auth = fixture.oauth2(authentication));
            let mut secret = registration("orders", 1);
            secret.headers.insert("X-Key".into(), HeaderValueText::secret("hunter2-header").unwrap());
            for (route, status) in [
                (simulator::Route::Token, 500),
                (simulator::Route::CreateIntegration, 422),
                (simulator::Route::CreateIntegration, 500),
            ] {
                fixture.sim.fault(Fault::on(route).times(1).status(status).body(json!({ "detail": echo(route) })));
                let error = session.register(&secret).await.unwrap_err();
                let shown = format!("{error} {error:?} {session:?} {secret:?} {:?}", fixture.config());
                for hidden in [&secrets.client_secret, &secrets.client_id, "hunter2-header"] {
                    assert!(!shown.contains(hidden), "{shown}");
                }
                assert!(error.to_string().contains("***"), "{error}");
            }
            session.register(&secret).await.unwrap();
        }
    }
    .with_subscriber(recorder(&log))
    .await;
    let token = fixture.sim.requests_to(simulator::Route::CreateIntegration)[0]
        .header("authorization")
        .unwrap()
        .trim_start_matches("Bearer ")
        .to_owned();
    let logged = log.text();
    assert!(logged.contains("cognigy_call") && logged.contains("support ticket"), "{logged}");
    for hidden in [&secrets.client_secret, "hunter2-header", &token] {
        assert!(!logged.contains(hidden), "{hidden} in {logged}");
    }
}

#[tokio::test]
async fn a_call_is_one_span_with_tenant_route_status_and_trace() {
    let fixture = Fixture::new();
    let log = Log::default();
    fixture.session().probe().with_subscriber(recorder(&log)).await.unwrap();
    let logged = log.text();
    // Beside those that are for traces, which no log of the operator shows.
    let of_logs = |line: &&str| line.contains("close") && !line.contains(&format!(" {}: ", traces::TARGET));
    let closed: Vec<_> = logged.lines().filter(|line| line.contains("cognigy_call{")).filter(of_logs).collect();
    let [line] = closed[..] else { panic!("{logged}") };
    for field in ["tenant=\"cx/production\"", "route=\"list_integrations\"", "status=200", "latency_ms=", "trace_id="] {
        assert!(line.contains(field), "{field} not in {line}");
    }
}

#[test]
fn no_type_that_holds_a_secret_shows_it_when_printed() {
    let secret = || SecretString::from("hunter2-secret");
    let url: url::Url = "https://c.example.com/oauth/token".parse().unwrap();
    let oauth2 = Auth::OAuth2 {
        client_id: secret(),
        client_secret: secret(),
        token_url: url.clone(),
        client_authentication: ClientAuthentication::Basic,
        scopes: Vec::new(),
    };
    let api_key = Auth::ApiKey { header: http::HeaderName::from_static("x-api-key"), key: secret() };
    let mut secret_header = registration("orders", 1);
    secret_header.headers.insert("X-Key".into(), HeaderValueText::secret("hunter2-secret").unwrap());
    let check = Check {
        url,
        headers: vec![("X-Key".into(), secret())],
        version: 1,
        timeout: std::time::Duration::from_secs(1),
        ca_bundle: None,
    };
    let texts = [
        format!("{oauth2:#?}"),
        format!("{api_key:#?}"),
        format!("{:#?}", Auth::Bearer(secret())),
        format!("{secret_header:#?}"),
        format!("{check:#?}"),
        format!("{:#?}", Redactor::new([secret()])),
        format!("{:#?}", secret_header.secrets()),
    ];
    // What a panic writes is what `Debug` shows.
    let panic = std::panic::catch_unwind(|| panic!("{}", texts.join("\n"))).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("X-Key") && message.contains("OAuth2"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}
