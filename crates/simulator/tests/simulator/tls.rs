use std::time::Duration;

use cognigy_simulator::{Certificate, Options, TlsOptions, TlsVersions};
use url::Url;

use crate::client::{Client, http_client, start, started};

/// What a client that trusts the simulator's authority meets at `url`.
async fn meets(client: &Client, url: Url) -> Result<u16, String> {
    let ca = reqwest::Certificate::from_pem(client.sim.ca_pem().as_bytes()).unwrap();
    let http = http_client().tls_certs_merge([ca]).build().unwrap();
    match http.get(url).send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                text = format!("{text}: {inner}");
                source = inner.source();
            }
            Err(text)
        }
    }
}

#[tokio::test]
async fn the_api_speaks_tls_with_its_own_authority() {
    let client = started().await;
    let url = client.sim.https_base_url().unwrap().join("/api/v1/integrations").unwrap();
    assert_eq!(meets(&client, url.clone()).await, Ok(401));
    assert!(client.sim.requests()[0].tls);
    assert!(client.http.get(url).send().await.is_err(), "nobody else trusts it");
    assert_eq!(std::fs::read_to_string(client.sim.ca_file()).unwrap(), client.sim.ca_pem());
}

#[tokio::test]
async fn each_bad_certificate_fails_for_its_own_reason() {
    let client = started().await;
    for (kind, reason) in [
        (Certificate::Expired, "expired"),
        (Certificate::WrongName, "not valid for name"),
        (Certificate::UnknownIssuer, "UnknownIssuer"),
    ] {
        let error = meets(&client, client.sim.callback_url_with(kind, "a")).await.unwrap_err();
        assert!(error.contains(reason), "{kind:?}: {error}");
    }
    let old = meets(&client, client.sim.old_tls_callback_url("a")).await.unwrap_err();
    assert!(old.to_lowercase().contains("protocolversion"), "{old}");
    for kind in [Certificate::Valid, Certificate::ExpiresSoon] {
        assert_eq!(meets(&client, client.sim.callback_url_with(kind, "a")).await, Ok(400), "{kind:?}");
    }
    assert_eq!(client.sim.callback("a").requests().len(), 2);
}

#[tokio::test]
async fn a_certificate_can_be_renewed_while_its_listener_runs() {
    let client = started().await;
    let url = client.sim.callback_url_with(Certificate::Expired, "a");
    assert!(meets(&client, url.clone()).await.unwrap_err().contains("expired"));
    client.sim.renew_certificate(Certificate::Expired, Duration::from_hours(24)).unwrap();
    assert_eq!(meets(&client, url).await, Ok(400));
}

#[tokio::test]
async fn versions_can_be_chosen() {
    for (versions, name) in [(TlsVersions::Only12, "TLSv1_2"), (TlsVersions::Only13, "TLSv1_3")] {
        let client =
            start(Options { tls: TlsOptions { versions, ..TlsOptions::default() }, ..Options::default() }).await;
        assert_eq!(meets(&client, client.sim.callback_url("a")).await, Ok(400));
        assert_eq!(client.sim.callback("a").requests()[0].tls_version.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn the_api_itself_can_get_tls_wrong_while_callbacks_do_not() {
    let tls = TlsOptions { certificate: Certificate::Expired, ..TlsOptions::default() };
    let client = start(Options { tls, ..Options::default() }).await;
    assert!(meets(&client, client.sim.https_base_url().unwrap()).await.unwrap_err().contains("expired"));
    assert_eq!(meets(&client, client.sim.callback_url("a")).await, Ok(400));
}

#[tokio::test]
async fn more_names_and_another_place_for_the_authority_can_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = Some(folder.path().join("authority.pem"));
    let tls = TlsOptions { extra_names: vec!["sim.test".into()], ca_file, http2: false, ..TlsOptions::default() };
    let client = start(Options { tls, ..Options::default() }).await;
    let pem = std::fs::read(folder.path().join("authority.pem")).unwrap();
    let address = ([127, 0, 0, 1], client.sim.https_base_url().unwrap().port().unwrap()).into();
    let http = http_client()
        .tls_certs_merge([reqwest::Certificate::from_pem(&pem).unwrap()])
        .resolve("sim.test", address)
        .build()
        .unwrap();
    let response = http.get(format!("https://sim.test:{}/", address.port())).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (404, reqwest::Version::HTTP_11));
}

#[tokio::test]
async fn without_tls_everything_is_plain() {
    let tls = TlsOptions { enabled: false, ..TlsOptions::default() };
    let client = start(Options { tls, ..Options::default() }).await;
    assert_eq!((client.sim.https_base_url(), client.sim.ca_pem()), (None, String::new()));
    assert_eq!(client.sim.callback_url("a").scheme(), "http");
}
