//! Kubeconfig files: everything inline, so that a copy works anywhere on this machine.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{Error, Result, pki::Identity};

/// The only cluster, user and context in it.
const NAME: &str = "control-plane";

pub(crate) fn kubeconfig(url: &str, ca: &str, identity: &Identity) -> Result<String> {
    let cluster = json!({"server": url, "certificate-authority-data": BASE64_STANDARD.encode(ca)});
    let user = json!({
        "client-certificate-data": BASE64_STANDARD.encode(&identity.certificate),
        "client-key-data": BASE64_STANDARD.encode(&identity.key),
    });
    write(&cluster, &user)
}

/// For a server without TLS that asks for no credentials.
#[cfg(feature = "gateway")]
pub(crate) fn plain_kubeconfig(url: &str) -> Result<String> {
    write(&json!({"server": url}), &json!({}))
}

fn write(cluster: &Value, user: &Value) -> Result<String> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
    });
    serde_saphyr::to_string(&config).map_err(|error| Error::Kubeconfig(error.to_string()))
}
