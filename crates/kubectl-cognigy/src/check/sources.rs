//! The Secrets and `ConfigMap`s that objects refer to.

use cognigy_operator::{
    api::{CognigyTenant, CognigyWebhook, HeaderFrom, ObjectKey, SinkKind, tenant::AuthMethod},
    cluster::secret::{SourceKind, SourceRef},
};

/// One value that is referred to.
pub struct Wanted {
    /// The field that refers to it.
    pub field: String,
    /// The object.
    pub source: SourceRef,
    /// The key within its data.
    pub key: String,
}

fn wanted(field: &str, kind: SourceKind, namespace: &str, name: &str, key: &str) -> Wanted {
    let source = SourceRef { kind, namespace: namespace.to_owned(), name: name.to_owned() };
    Wanted { field: field.to_owned(), source, key: key.to_owned() }
}

/// Credentials, CA bundle and the headers of sinks.
pub fn of_tenant(tenant: &CognigyTenant) -> Vec<Wanted> {
    let namespace = ObjectKey::of(tenant).namespace;
    let secret = |field: &str, name: &str, key: &str| wanted(field, SourceKind::Secret, &namespace, name, key);
    let mut all = match tenant.spec.auth.method() {
        Some(AuthMethod::OAuth2(oauth2)) => {
            let (field, reference) = ("spec.auth.oauth2.credentialsSecretRef", &oauth2.credentials_secret_ref);
            [&reference.client_id_key, &reference.client_secret_key]
                .map(|key| secret(field, &reference.name, key))
                .into()
        }
        Some(AuthMethod::ApiKey(key)) => {
            vec![secret("spec.auth.apiKey.secretRef", &key.secret_ref.name, &key.secret_ref.key)]
        }
        Some(AuthMethod::BearerToken(token)) => {
            vec![secret("spec.auth.bearerToken.secretRef", &token.secret_ref.name, &token.secret_ref.key)]
        }
        None => Vec::new(),
    };
    if let Some(bundle) = &tenant.spec.ca_bundle {
        let maps = bundle.config_map_ref.iter().map(|map| ("spec.caBundle.configMapRef", SourceKind::ConfigMap, map));
        let secrets = bundle.secret_ref.iter().map(|secret| ("spec.caBundle.secretRef", SourceKind::Secret, secret));
        all.extend(maps.chain(secrets).map(|(field, kind, of)| wanted(field, kind, &namespace, &of.name, &of.key)));
    }
    for kind in SinkKind::ALL {
        let headers = tenant.sink(kind).map(|sink| &*sink.headers_from).unwrap_or_default();
        all.extend(of_headers(&format!("spec.sinks.{kind}.headersFrom"), &namespace, headers));
    }
    all
}

/// The headers of a registration.
pub fn of_webhook(webhook: &CognigyWebhook) -> Vec<Wanted> {
    of_headers("spec.headersFrom", &ObjectKey::of(webhook).namespace, webhook.spec.headers_from()).collect()
}

fn of_headers(field: &str, namespace: &str, headers: &[HeaderFrom]) -> impl Iterator<Item = Wanted> {
    headers.iter().enumerate().map(move |(nth, header)| {
        let reference = &header.secret_key_ref;
        let field = format!("{field}[{nth}].secretKeyRef");
        wanted(&field, SourceKind::Secret, namespace, &reference.name, &reference.key)
    })
}
