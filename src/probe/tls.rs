//! TLS of a health check: trusted roots, what was negotiated, and why a handshake failed.

use std::{collections::HashMap, fmt, io, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ProtocolVersion,
    client::{ClientConnection, Resumption},
    crypto::ring,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    version::{TLS12, TLS13},
};
use rustls_platform_verifier::Verifier;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use x509_parser::parse_x509_certificate;

/// How many CA bundles are kept ready; far more than an operator has tenants.
const MAX_BUNDLES: usize = 256;

/// How many names of a certificate a message shows.
const SHOWN_NAMES: usize = 5;

/// The TLS version of a connection; older ones are refused (cognigy-api.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// As `status.health.tlsVersion` shows it: `TLSv1.2`, `TLSv1.3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The TLS settings for each CA bundle: reading the system's roots is too dear to be done for each check.
#[derive(Default)]
pub(super) struct Settings(Mutex<HashMap<Option<[u8; 32]>, Arc<ClientConfig>>>);

impl Settings {
    /// The settings that trust the system's roots and those of `ca_bundle` (PEM).
    pub(super) async fn of(&self, ca_bundle: Option<Arc<[u8]>>) -> Result<Arc<ClientConfig>, InvalidRoots> {
        let key = ca_bundle.as_deref().map(|pem| Sha256::digest(pem).into());
        let mut settings = self.0.lock().await;
        if let Some(known) = settings.get(&key) {
            return Ok(known.clone());
        }
        let build = move || client_config(ca_bundle.as_deref());
        let config =
            tokio::task::spawn_blocking(build).await.map_err(|error| InvalidRoots::Unusable(error.to_string()))??;
        if settings.len() >= MAX_BUNDLES {
            settings.clear();
        }
        settings.insert(key, config.clone());
        Ok(config)
    }
}

/// Why no certificate can be verified.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidRoots {
    // The library's words would quote the line, and what stands there by mistake may be a key.
    #[error("the tenant's CA bundle is no PEM: a section does not begin, end or decode as it should")]
    NoPem,
    #[error("the tenant's CA bundle holds no certificate")]
    Empty,
    #[error("no trusted roots: {0}")]
    Unusable(String),
}

fn client_config(ca_bundle: Option<&[u8]>) -> Result<Arc<ClientConfig>, InvalidRoots> {
    let unusable = |error: rustls::Error| InvalidRoots::Unusable(error.to_string());
    let extra_roots = ca_bundle.map_or(Ok(Vec::new()), certificates)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra_roots, provider.clone()).map_err(unusable)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // a resumed session would not show a certificate that has expired or been replaced since
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidRoots> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(InvalidRoots::Empty),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(InvalidRoots::NoPem),
    }
}

/// What a handshake negotiated.
pub(super) fn version(connection: &ClientConnection) -> Option<TlsVersion> {
    match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => Some(TlsVersion::Tls12),
        ProtocolVersion::TLSv1_3 => Some(TlsVersion::Tls13),
        _ => None,
    }
}

/// When the server's own certificate expires.
pub(super) fn expiry(connection: &ClientConnection) -> Option<Timestamp> {
    not_after(connection.peer_certificates()?.first()?)
}

fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

/// Why a handshake failed (cognigy-api.md §5: by its exact cause).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TlsFailure {
    #[error("its certificate comes from an unknown issuer: add the issuing CA to the tenant's spec.caBundle")]
    UnknownIssuer,
    #[error(
        "a signature does not verify, as when its certificate comes from another CA of that name: put its present CA into the \
         tenant's spec.caBundle"
    )]
    BadSignature,
    #[error("its certificate is not for this host but for {0}")]
    NameMismatch(String),
    #[error("its certificate expired{}", at(.0.as_ref()))]
    Expired(Option<Timestamp>),
    #[error("its certificate is not valid yet{}", at(.0.as_ref()))]
    NotValidYet(Option<Timestamp>),
    #[error("it speaks neither TLS 1.2 nor TLS 1.3")]
    ProtocolVersion,
    #[error("it does not speak TLS")]
    NoTls,
    #[error("its certificate is not accepted: {0}")]
    Certificate(String),
    #[error("it closed the connection")]
    Closed,
    #[error("{0}")]
    Other(String),
}

impl TlsFailure {
    /// The end of the certificate's validity, where the failure tells it.
    pub(super) fn expired_at(&self) -> Option<Timestamp> {
        match self {
            Self::Expired(not_after) => *not_after,
            _ => None,
        }
    }
}

impl From<&io::Error> for TlsFailure {
    fn from(error: &io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(cause)) => cause.into(),
            Some(rustls::Error::InvalidMessage(_)) => Self::NoTls,
            Some(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)) => Self::ProtocolVersion,
            Some(rustls::Error::PeerIncompatible(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13)) => {
                Self::ProtocolVersion
            }
            None if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Self::Closed
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<&CertificateError> for TlsFailure {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::NotValidForName => Self::NameMismatch("others".to_owned()),
            CertificateError::NotValidForNameContext { presented, .. } => Self::NameMismatch(names(presented)),
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired(timestamp(*not_after)),
            CertificateError::NotValidYet => Self::NotValidYet(None),
            CertificateError::NotValidYetContext { not_before, .. } => Self::NotValidYet(timestamp(*not_before)),
            other => Self::Certificate(other.to_string()),
        }
    }
}

/// The names of a certificate, which are the server's to choose: few, and without control characters.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "none".to_owned();
    }
    let shown = presented.iter().take(SHOWN_NAMES).map(|name| {
        let name: String = name.chars().filter(char::is_ascii_graphic).take(253).collect();
        name.trim_start_matches("DnsName(").trim_matches(['"', ')']).to_owned()
    });
    let more = if presented.len() > SHOWN_NAMES { ", …" } else { "" };
    shown.collect::<Vec<_>>().join(", ") + more
}

fn timestamp(time: UnixTime) -> Option<Timestamp> {
    Timestamp::UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs())).ok()
}

fn at(time: Option<&Timestamp>) -> String {
    time.map(|time| format!(" ({time})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{mutated::mutated_bytes, text};

    fn ca_bundle() -> Arc<[u8]> {
        rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap().cert.pem().into_bytes().into()
    }

    #[tokio::test]
    async fn the_settings_of_a_bundle_are_built_once() {
        let (settings, bundle) = (Settings::default(), ca_bundle());
        let first = settings.of(Some(bundle.clone())).await.unwrap();
        let copy: Arc<[u8]> = bundle.to_vec().into();
        assert!(Arc::ptr_eq(&first, &settings.of(Some(copy)).await.unwrap()));
        assert!(!Arc::ptr_eq(&first, &settings.of(Some(ca_bundle())).await.unwrap()));
    }

    #[tokio::test]
    async fn the_number_of_bundles_that_are_kept_is_bounded() {
        let (settings, config) = (Settings::default(), client_config(Some(&ca_bundle())).unwrap());
        for number in 0..MAX_BUNDLES {
            let key = Sha256::digest(number.to_be_bytes()).into();
            settings.0.lock().await.insert(Some(key), config.clone());
        }
        settings.of(Some(ca_bundle())).await.unwrap();
        assert_eq!(settings.0.lock().await.len(), 1);
    }

    #[tokio::test]
    async fn a_bundle_without_certificates_is_told_from_a_broken_one() {
        let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        for (bundle, words) in [("", "no certificate"), ("hello", "no certificate"), (broken, "no PEM")] {
            let error = Settings::default().of(Some(bundle.as_bytes().into())).await.unwrap_err().to_string();
            assert!(error.contains(words), "{bundle:?}: {error}");
        }
    }

    #[test]
    fn each_certificate_error_has_its_own_words() {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_766_400_001));
        for (error, words) in [
            (CertificateError::UnknownIssuer, "unknown issuer"),
            (CertificateError::Expired, "certificate expired"),
            (CertificateError::ExpiredContext { time, not_after: time }, "expired (2025-12-22T10:40:01Z)"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::NotValidYetContext { time, not_before: time }, "not valid yet (2025-12-22T10:40:01Z)"),
            (CertificateError::NotValidForName, "not for this host"),
            (CertificateError::Revoked, "not accepted"),
        ] {
            let failure = TlsFailure::from(&error).to_string();
            assert!(failure.contains(words), "{error:?}: {failure}");
        }
    }

    /// A certificate that expires at the end of 2099.
    fn certificate() -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["api.example.com".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2099, 12, 31);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        assert_eq!(not_after(&certificate()), Some("2099-12-31T00:00:00Z".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn no_certificate_breaks_the_reader(
            certificate in prop_oneof![mutated_bytes(certificate()), prop::collection::vec(any::<u8>(), 0..600)]
        ) {
            if let Some(expires) = not_after(&certificate) {
                prop_assert!(expires.to_string().len() < 40);
            }
        }

        #[test]
        fn no_ca_bundle_breaks_the_reader_or_is_quoted(
            bundle in mutated_bytes(ca_bundle().to_vec()), text in "-----BEGIN CERTIFICATE-----\\PC{0,200}"
        ) {
            for bundle in [&bundle[..], text.as_bytes()] {
                if let Err(why) = certificates(bundle) {
                    let why = why.to_string();
                    prop_assert!(why.len() < 300 && !why.contains("MII"), "{}", why);
                }
            }
        }

        #[test]
        fn no_names_of_a_certificate_are_shown_long_or_unclean(presented in prop::collection::vec(any::<String>(), 0..9)) {
            let shown = names(&presented);
            prop_assert!(shown.len() < 1_500 && !shown.chars().any(text::is_unfit), "{}", shown);
        }
    }

    #[test]
    fn the_names_of_a_certificate_are_cleaned_and_cut() {
        let hostile = format!("DnsName(\"a\u{1b}[31m\n{}\")", "x".repeat(9_000));
        let shown = names(&vec![hostile; 100]);
        assert!(shown.len() < 1_500 && shown.chars().all(|letter| !letter.is_control()), "{shown}");
        assert_eq!(names(&["DnsName(\"api.example.com\")".to_owned()]), "api.example.com");
        assert_eq!(names(&[]), "none");
    }
}
