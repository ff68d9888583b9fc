//! A session's configuration: the spec, and the values that it refers to. It needs no operator, so that the same connection
//! can be made elsewhere.

use std::{collections::BTreeSet, time::Duration};

use http::HeaderName;
use kube::Client;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    api::{
        CognigyTenant, CognigyWebhook, ObjectKey, SinkKind,
        tenant::{AuthMethod, CaBundle, ClientAuthentication, Concurrency},
    },
    cluster::secret::{self, Source},
    cognigy::{self, Auth, BreakerConfig, SessionConfig, Surface},
    controller::error::Failure,
    net::judge_literal,
};

/// What a tenant's references lead to.
#[derive(Debug)]
pub struct Values {
    /// What calls are authenticated with.
    pub credentials: Credentials,
    /// Certificates (PEM) that are trusted besides the system's roots.
    pub ca_bundle: Option<SecretString>,
}

/// What calls are authenticated with, in the way that `spec.auth` has chosen.
#[derive(Debug)]
pub enum Credentials {
    /// OAuth2 client credentials.
    OAuth2 {
        /// The client's id.
        client_id: SecretString,
        /// The client's secret.
        client_secret: SecretString,
    },
    /// A static key.
    ApiKey(SecretString),
    /// A static bearer token.
    BearerToken(SecretString),
}

/// Reads the tenant's Secrets and `ConfigMap`, once each, and makes the configuration of them. `surfaces`: what the session
/// is for; the token is asked for their scopes where the tenant names none.
pub async fn read(
    tenant: &CognigyTenant,
    client: &Client,
    surfaces: &BTreeSet<Surface>,
    allow_http: bool,
) -> Result<SessionConfig, Failure> {
    // A URL that is wrong is told before a Secret that is missing.
    urls(tenant, allow_http)?;
    let credentials = credentials(tenant, client).await?;
    let ca_bundle = match &tenant.spec.ca_bundle {
        Some(reference) => Some(ca_bundle(reference, &ObjectKey::of(tenant).namespace, client).await?.0),
        None => None,
    };
    config(tenant, Values { credentials, ca_bundle }, surfaces, allow_http)
}

/// The way to authenticate.
pub fn method(tenant: &CognigyTenant) -> Result<AuthMethod<'_>, Failure> {
    tenant
        .spec
        .auth
        .method()
        .ok_or_else(|| Failure::InvalidSpec("spec.auth must have exactly one of oauth2, apiKey and bearerToken".into()))
}

/// Reads what the tenant's calls are authenticated with.
pub async fn credentials(tenant: &CognigyTenant, client: &Client) -> Result<Credentials, Failure> {
    let namespace = ObjectKey::of(tenant).namespace;
    let secret = async |name: &str| Source::secret(client, &namespace, name).await;
    Ok(match method(tenant)? {
        AuthMethod::OAuth2(oauth2) => {
            let reference = &oauth2.credentials_secret_ref;
            let source = secret(&reference.name).await?;
            Credentials::OAuth2 {
                client_id: source.text(&reference.client_id_key)?,
                client_secret: source.text(&reference.client_secret_key)?,
            }
        }
        AuthMethod::ApiKey(api_key) => {
            Credentials::ApiKey(secret(&api_key.secret_ref.name).await?.text(&api_key.secret_ref.key)?)
        }
        AuthMethod::BearerToken(token) => {
            Credentials::BearerToken(secret(&token.secret_ref.name).await?.text(&token.secret_ref.key)?)
        }
    })
}

/// Judges the URLs that credentials and messages are sent to, as far as that needs no name server; gives the base URL.
pub fn urls(tenant: &CognigyTenant, allow_http: bool) -> Result<Url, Failure> {
    let base_url = url("spec.baseUrl", &tenant.spec.base_url, allow_http)?;
    for kind in SinkKind::ALL {
        if let Some(sink) = tenant.sink(kind) {
            url(&format!("spec.sinks.{kind}.url"), &sink.url, allow_http)?;
        }
    }
    if let AuthMethod::OAuth2(oauth2) = method(tenant)? {
        token_url(&base_url, &oauth2.token_url, allow_http)?;
    }
    Ok(base_url)
}

/// The configuration of a tenant's session, from values that were read already.
pub fn config(
    tenant: &CognigyTenant,
    values: Values,
    surfaces: &BTreeSet<Surface>,
    allow_http: bool,
) -> Result<SessionConfig, Failure> {
    let spec = &tenant.spec;
    let base_url = urls(tenant, allow_http)?;
    let auth = match (method(tenant)?, values.credentials) {
        (AuthMethod::OAuth2(oauth2), Credentials::OAuth2 { client_id, client_secret }) => Auth::OAuth2 {
            client_id,
            client_secret,
            token_url: token_url(&base_url, &oauth2.token_url, allow_http)?,
            client_authentication: match oauth2.client_authentication {
                ClientAuthentication::Basic => cognigy::ClientAuthentication::Basic,
                ClientAuthentication::RequestBody => cognigy::ClientAuthentication::RequestBody,
            },
            scopes: scopes(tenant, surfaces),
        },
        (AuthMethod::ApiKey(api_key), Credentials::ApiKey(key)) => {
            let header = HeaderName::try_from(&api_key.header).map_err(|_| {
                Failure::InvalidSpec(format!(
                    "spec.auth.apiKey.header {:?} is not the name of an HTTP header",
                    api_key.header
                ))
            })?;
            Auth::ApiKey { header, key }
        }
        (AuthMethod::BearerToken(_), Credentials::BearerToken(token)) => Auth::Bearer(token),
        _ => {
            return Err(Failure::InvalidSpec("spec.auth asks for other credentials than those that were given".into()));
        }
    };
    let limits = &spec.limits;
    Ok(SessionConfig {
        tenant: ObjectKey::of(tenant).to_string(),
        base_url,
        auth,
        ca_pem: values.ca_bundle.map(|pem| pem.expose_secret().as_bytes().to_vec()),
        requests_per_minute: positive(limits.requests_per_minute),
        burst: positive(limits.burst),
        max_concurrent_requests: positive(limits.max_concurrent_requests) as usize,
        request_timeout: Duration::from_secs(positive(limits.request_timeout_seconds).into()),
        breaker: BreakerConfig {
            failure_threshold: positive(spec.circuit_breaker.failure_threshold),
            open: Duration::from_secs(positive(spec.circuit_breaker.open_seconds).into()),
        },
        concurrency: match spec.concurrency {
            Concurrency::IfMatch => cognigy::Concurrency::IfMatch,
            Concurrency::CompareAndWrite => cognigy::Concurrency::CompareAndWrite,
        },
    })
}

/// The parts of the API that a webhook needs.
pub fn surfaces(webhook: &CognigyWebhook) -> &'static [Surface] {
    match &webhook.spec.existing {
        None => &[Surface::Integrations, Surface::Webhooks],
        Some(existing) if existing.bot_id.is_some() => &[Surface::BotWebhooks],
        Some(_) => &[Surface::Webhooks],
    }
}

/// The scopes to ask for: the tenant's own list, or what these surfaces need.
pub fn scopes(tenant: &CognigyTenant, surfaces: &BTreeSet<Surface>) -> Vec<String> {
    match tenant.spec.auth.method() {
        Some(AuthMethod::OAuth2(oauth2)) if !oauth2.scopes.is_empty() => oauth2.scopes.clone(),
        _ => surfaces.iter().flat_map(|surface| surface.scopes()).map(|&scope| scope.to_owned()).collect(),
    }
}

/// Reads a CA bundle (PEM), with the resourceVersion of the object that it is in.
pub async fn ca_bundle(
    reference: &CaBundle,
    namespace: &str,
    client: &Client,
) -> Result<(SecretString, String), Failure> {
    Ok(match (&reference.config_map_ref, &reference.secret_ref) {
        (Some(map), None) => secret::config_map_key(client, namespace, &map.name, &map.key).await?,
        (None, Some(secret)) => secret::secret_key(client, namespace, &secret.name, &secret.key).await?,
        _ => {
            let message = "spec.caBundle must have exactly one of configMapRef and secretRef";
            return Err(Failure::InvalidSpec(message.into()));
        }
    })
}

/// The schema's bounds start at 1.
fn positive(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(1).max(1)
}

/// A URL that credentials may be sent to: https (http only where the operator allows it), and never link-local or
/// metadata addresses (resources.md, `CognigyTenant`).
pub fn url(field: &str, text: &str, allow_http: bool) -> Result<Url, Failure> {
    // A query may hold a token.
    let shown = text.split('?').next().unwrap_or_default();
    let invalid = |why: String| Failure::InvalidSpec(format!("{field} {shown} cannot be used: {why}"));
    let url = Url::parse(text).map_err(|error| invalid(format!("{error}; give an absolute https URL")))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => {
            return Err(invalid(
                "it is http, which would send credentials unencrypted; use https, or run the operator with --allow-insecure-http for a rehearsal".into(),
            ));
        }
        scheme => return Err(invalid(format!("its scheme is {scheme}; give an https URL"))),
    }
    judge_literal(&url).map_err(|never| invalid(never.to_string()))?;
    Ok(url)
}

/// Absolute, or a path that is appended to the base URL (cognigy-api.md §1).
fn token_url(base: &Url, text: &str, allow_http: bool) -> Result<Url, Failure> {
    if text.contains("://") {
        return url("spec.auth.oauth2.tokenUrl", text, allow_http);
    }
    let joined = format!("{}/{}", base.as_str().trim_end_matches('/'), text.trim_start_matches('/'));
    url("spec.auth.oauth2.tokenUrl", &joined, allow_http)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_relative_token_url_keeps_the_base_urls_path_prefix() {
        let base = Url::parse("https://api.example.com/new").unwrap();
        for (text, expected) in [
            ("/oauth/token", "https://api.example.com/new/oauth/token"),
            ("api/v2/auth/token", "https://api.example.com/new/api/v2/auth/token"),
            ("https://login.example.com/token", "https://login.example.com/token"),
        ] {
            assert_eq!(token_url(&base, text, false).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn plain_http_needs_the_operators_flag() {
        let refused = url("spec.baseUrl", "http://api.example.com", false).unwrap_err().to_string();
        assert!(refused.contains("--allow-insecure-http"), "{refused}");
        assert!(url("spec.baseUrl", "http://api.example.com", true).is_ok());
    }

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_spelling() {
        for text in
            ["https://169.254.169.254/", "https://0xA9FEA9FE/", "https://[fe80::1]/", "https://[::ffff:169.254.0.1]/"]
        {
            let refused = url("spec.baseUrl", text, true).unwrap_err().to_string();
            assert!(refused.contains("never called"), "{text}: {refused}");
        }
        assert!(url("spec.baseUrl", "https://10.0.0.8/", false).is_ok());
    }

    proptest! {
        #[test]
        fn no_base_url_that_is_taken_sends_credentials_unencrypted_or_to_metadata(
            text in "(https?|ftp)://(\\PC{1,20}|[0-9a-fx.]{1,20}|\\[[0-9a-f:.]{2,20}\\])(/\\PC{0,9})?"
        ) {
            if let Ok(url) = url("spec.baseUrl", &text, false) {
                prop_assert_eq!(url.scheme(), "https");
                prop_assert!(judge_literal(&url).is_ok());
            }
        }

        #[test]
        fn a_relative_token_url_stays_at_the_installation(text in "[/\\\\@:?#.a-z%]{0,12}|\\PC{0,12}") {
            prop_assume!(!text.contains("://"));
            let base = Url::parse("https://api.example.com/new").unwrap();
            if let Ok(url) = token_url(&base, &text, false) {
                prop_assert_eq!(url.origin(), base.origin(), "{}", url);
                prop_assert!(url.username().is_empty() && url.password().is_none());
            }
        }
    }
}
