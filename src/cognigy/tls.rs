//! Why a TLS connection was not trusted, in words.

use std::error::Error;

use rustls::{AlertDescription, CertificateError};

/// The exact TLS cause within an error's chain of sources; `None` where the failure is not TLS's.
pub fn tls_cause(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref::<rustls::Error>() {
            return Some(words(cause));
        }
        // An I/O error's source skips the error that it wraps.
        if let Some(wrapped) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            return tls_cause(wrapped);
        }
        next = error.source();
    }
    None
}

fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(cause) => certificate(cause),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) | rustls::Error::PeerIncompatible(_) => {
            format!("protocol: no common TLS version or cipher (TLS 1.2 at least): {error}")
        }
        rustls::Error::InvalidMessage(_) => {
            format!("protocol: the server does not speak TLS on this port: {error}")
        }
        other => format!("protocol: {other}"),
    }
}

fn certificate(cause: &CertificateError) -> String {
    match cause {
        CertificateError::UnknownIssuer => {
            "unknown issuer: the certificate is signed by an authority that is not trusted".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("name mismatch: {cause}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("expired: {cause}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("not yet valid: {cause}")
        }
        other => format!("certificate refused: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_cause_is_found_under_io_errors() {
        let cause = |error: CertificateError| {
            let tls = rustls::Error::InvalidCertificate(error);
            tls_cause(&std::io::Error::other(std::io::Error::other(tls))).unwrap()
        };
        assert!(cause(CertificateError::UnknownIssuer).starts_with("unknown issuer"));
        assert!(cause(CertificateError::NotValidForName).starts_with("name mismatch"));
        assert!(cause(CertificateError::Expired).starts_with("expired"));
        assert!(cause(CertificateError::Revoked).starts_with("certificate refused"));
    }

    #[test]
    fn another_failure_is_not_taken_for_tls() {
        assert_eq!(tls_cause(&std::io::Error::other("refused")), None);
    }
}
