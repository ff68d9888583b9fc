//! The simulator's own certificate authority, and listeners that get TLS wrong on purpose.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use clap::ValueEnum;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer, version};
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

    /// A server with a certificate of this kind for `names`.
    pub(crate) fn server(
        &self,
        kind: Certificate,
        names: &[String],
        versions: TlsVersions,
        http2: bool,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let names = if kind == Certificate::WrongName { vec!["elsewhere.example".to_owned()] } else { names.to_vec() };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "cognigy-simulator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = match kind {
            Certificate::Expired => date_time_ymd(2001, 1, 1),
            Certificate::ExpiresSoon => (SystemTime::now() + SOON).into(),
            Certificate::Valid | Certificate::WrongName | Certificate::UnknownIssuer => date_time_ymd(2100, 1, 1),
        };
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let versions: &[_] = match versions {
            TlsVersions::Both | TlsVersions::Old => &[&version::TLS12, &version::TLS13],
            TlsVersions::Only12 => &[&version::TLS12],
            TlsVersions::Only13 => &[&version::TLS13],
        };
        let private_key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        // An explicit provider: a program that uses the library may not have installed one.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private_key)?;
        config.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        Ok(Arc::new(config))
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
