//! The control plane's own certificate authority, and what it signs.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::{Error, Result, User};

/// The OID of the organisation name, under which the second group goes: rcgen keeps one value per type and takes this for another type.
const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];

/// A certificate and its private key, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Signs for one control plane; its key is nowhere but in memory.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "control-plane");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// The authority's certificate in PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// For a server on 127.0.0.1 under these names too.
    pub(crate) fn server(&self, names: &[&str]) -> Result<Identity> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "server");
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client: Kubernetes takes the user's name from `CN` and the groups from `O`.
    pub(crate) fn client(&self, user: &User) -> Result<Identity> {
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, user.name());
        match user.groups() {
            [] => {}
            [group] => name.push(DnType::OrganizationName, group),
            [first, second] => {
                name.push(DnType::OrganizationName, first);
                name.push(DnType::CustomDnType(ORGANIZATION.to_vec()), second);
            }
            groups => return Err(Error::TooManyGroups { user: user.name().to_owned(), groups: groups.len() }),
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Result<Identity> {
        let key = KeyPair::generate()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// The key pair that signs service account tokens: private and public half in PEM.
pub(crate) fn token_keys() -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_groups_are_refused_in_words() {
        let user = User::named("ann").group("a").group("b").group("c");
        let error = Authority::new().unwrap().client(&user).err().unwrap().to_string();
        assert_eq!(error, "user ann has 3 groups: a client certificate of this control plane carries at most two");
    }
}
