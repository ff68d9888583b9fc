//! Kubeconfig files: everything inline, so that a copy works anywhere on this machine.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{Error, Result, pki::Identity};

/// The only cluster, user and context in it.
const NAME: &str = "control-plane";

pub(crate) fn kubeconfig(url: &str, ca: &str, identity: &Identity) -> Result<String> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "clusters": [{"name": NAME, "cluster": {"server": url, "certificate-authority-data": BASE64_STANDARD.encode(ca)}}],
        "users": [{"name": NAME, "user": {
            "client-certificate-data": BASE64_STANDARD.encode(&identity.certificate),
            "client-key-data": BASE64_STANDARD.encode(&identity.key),
        }}],
    });
    serde_saphyr::to_string(&config).map_err(|error| Error::Kubeconfig(error.to_string()))
}
