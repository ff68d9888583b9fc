//! The simulator's own certificate authority, and listeners that get TLS wrong on purpose.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use clap::ValueEnum;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::PrivateKeyDer,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The fatal alert `protocol_version` as a TLS 1.1 record.
const PROTOCOL_VERSION_ALERT: [u8; 7] = [21, 3, 2, 0, 2, 2, 70];
/// How much longer [`Certificate::ExpiresSoon`] is valid.
const SOON: Duration = Duration::from_hours(7 * 24);

/// Protocol versions that a listener offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// Only 1.2.
    Only12,
    /// Only 1.3.
    Only13,
    /// Neither: every handshake is refused with the alert `protocol_version`, as an old server refuses a modern client.
    Old,
}

/// What a listener's certificate is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// Signed by the simulator's authority for its names, valid for years.
    #[default]
    Valid,
    /// The same, valid for a week more.
    ExpiresSoon,
    /// Ended in 2001.
    Expired,
    /// For `elsewhere.example` only.
    WrongName,
    /// Signed by an authority that nobody has heard of.
    UnknownIssuer,
}

impl Certificate {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Valid, Self::ExpiresSoon, Self::Expired, Self::WrongName, Self::UnknownIssuer];
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate could not be made, such as for an extra name that is no DNS name.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refused what was made.
    #[error("cannot set up TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Signs certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The certificate that a listener shows, which may be replaced while it runs.
#[derive(Debug)]
pub(crate) struct Shown(Mutex<Arc<CertifiedKey>>);

impl Shown {
    pub(crate) fn replace(&self, certificate: CertifiedKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What it takes to renew the certificates of the listeners.
#[derive(Debug)]
pub(crate) struct Renewals {
    pub(crate) authority: Authority,
    pub(crate) names: Vec<String>,
    pub(crate) shown: BTreeMap<Certificate, Arc<Shown>>,
}

impl Renewals {
    pub(crate) fn renew(&self, kind: Certificate, valid_for: Duration) -> Result<(), TlsError> {
        let certificate = self.authority.certificate(&self.names, SystemTime::now() + valid_for)?;
        if let Some(shown) = self.shown.get(&kind) {
            shown.replace(certificate);
        }
        Ok(())
    }
}

/// The end of a certificate of this kind.
fn end_of(kind: Certificate) -> SystemTime {
    match kind {
        Certificate::Expired => date_time_ymd(2001, 1, 1).into(),
        Certificate::ExpiresSoon => SystemTime::now() + SOON,
        Certificate::Valid | Certificate::WrongName | Certificate::UnknownIssuer => date_time_ymd(2100, 1, 1).into(),
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    pub(crate) fn new(common_name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `names` that ends then.
    pub(crate) fn certificate(&self, names: &[String], end: SystemTime) -> Result<CertifiedKey, TlsError> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "cognigy-simulator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = end.into();
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private_key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(CertifiedKey::new(vec![certificate.der().clone()], ring::sign::any_supported_type(&private_key)?))
    }

    /// A server with a certificate of this kind for `names`, and how to replace it.
    pub(crate) fn server(
        &self,
        kind: Certificate,
        names: &[String],
        versions: TlsVersions,
        http2: bool,
    ) -> Result<(Arc<ServerConfig>, Arc<Shown>), TlsError> {
        let elsewhere = ["elsewhere.example".to_owned()];
        let names = if kind == Certificate::WrongName { &elsewhere } else { names };
        let shown = Arc::new(Shown(Mutex::new(Arc::new(self.certificate(names, end_of(kind))?))));
        let versions: &[_] = match versions {
            TlsVersions::Both | TlsVersions::Old => &[&version::TLS12, &version::TLS13],
            TlsVersions::Only12 => &[&version::TLS12],
            TlsVersions::Only13 => &[&version::TLS13],
        };
        // An explicit provider: a program that uses the library may not have installed one.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        config.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        Ok((Arc::new(config), shown))
    }
}

/// Answers a handshake as a server that knows no version that the client offers.
pub(crate) async fn refuse_protocol(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    if stream.read(&mut buffer).await? > 0 {
        stream.write_all(&PROTOCOL_VERSION_ALERT).await?;
        stream.shutdown().await?;
        // What is not read would reset the connection before the alert is seen.
        while stream.read(&mut buffer).await? > 0 {}
    }
    Ok(())
}
