//! Certificates: own authorities, and the exact cause of a refusal.

use cognigy_operator::cognigy::{ConfigError, ErrorKind, Session};
use cognigy_simulator::{Certificate, TlsVersions};

use crate::fixture::Fixture;

async fn refused(certificate: Certificate) -> String {
    let fixture = Fixture::with(|options| options.tls.certificate = certificate);
    let error = session(&fixture).probe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    error.to_string()
}

fn session(fixture: &Fixture) -> Session {
    fixture.session_with(|config| {
        config.base_url = fixture.sim.https_base_url().unwrap();
        config.auth = cognigy_operator::cognigy::Auth::Bearer(fixture.sim.credentials().bearer_token.into());
        config.ca_pem = Some(fixture.sim.ca_pem().into_bytes());
    })
}

#[tokio::test]
async fn an_authority_of_the_tenants_own_is_trusted_besides_the_systems() {
    let fixture = Fixture::new();
    session(&fixture).probe().await.unwrap();
    assert!(fixture.sim.requests().iter().all(|request| request.tls));
}

#[tokio::test]
async fn each_refusal_tells_its_exact_cause() {
    for (certificate, cause) in [
        (Certificate::UnknownIssuer, "unknown issuer"),
        (Certificate::Expired, "expired"),
        (Certificate::WrongName, "name mismatch"),
    ] {
        let text = refused(certificate).await;
        assert!(text.contains(cause), "{text}");
        assert!(text.contains("caBundle"), "{text}");
    }
}

#[tokio::test]
async fn without_the_bundle_the_same_server_is_not_trusted() {
    let fixture = Fixture::new();
    let session = fixture.session_with(|config| config.base_url = fixture.sim.https_base_url().unwrap());
    // The token is fetched over plain HTTP; it is the API call that is refused.
    assert_eq!(session.probe().await.unwrap_err().kind, ErrorKind::Tls);
}

#[tokio::test]
async fn an_old_protocol_is_named_as_the_cause() {
    let fixture = Fixture::with(|options| options.tls.versions = TlsVersions::Old);
    let error = session(&fixture).probe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("protocol"), "{error}");
}

#[tokio::test]
async fn a_bundle_without_certificates_is_refused() {
    let fixture = Fixture::new();
    for bundle in ["", "no certificate"] {
        let mut config = fixture.config();
        config.ca_pem = Some(bundle.into());
        let error = Session::new(config, &fixture.hosts, fixture.told.clone()).unwrap_err();
        assert!(matches!(error, ConfigError::CaBundle(_)), "{error}");
    }
}
