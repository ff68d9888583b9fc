//! Reads what a connection needs: the spec, its Secrets and its CA bundle.

use std::{collections::BTreeSet, time::Duration};

use http::HeaderName;
use kube::ResourceExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    api::{
        CognigyTenant, ObjectKey, SinkKind,
        tenant::{AuthMethod, ClientAuthentication, Concurrency},
    },
    cluster::secret::Source,
    cognigy::{self, Auth, BreakerConfig, SessionConfig, Surface},
    controller::{context::Context, error::Failure},
    net::judge_literal,
};

/// The objects that hold a tenant's credentials and certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Its Secrets.
    pub secrets: BTreeSet<ObjectKey>,
    /// Its `ConfigMap`s.
    pub config_maps: BTreeSet<ObjectKey>,
}

impl Sources {
    /// The sources that a tenant names.
    pub fn of(tenant: &CognigyTenant) -> Self {
        let namespace = ObjectKey::of(tenant).namespace;
        let within = |name: &str| ObjectKey::new(&*namespace, name);
        let credentials = tenant.spec.auth.method().map(|method| match method {
            AuthMethod::OAuth2(oauth2) => &oauth2.credentials_secret_ref.name,
            AuthMethod::ApiKey(api_key) => &api_key.secret_ref.name,
            AuthMethod::BearerToken(token) => &token.secret_ref.name,
        });
        let bundle = tenant.spec.ca_bundle.as_ref();
        let bundle_secret = bundle.and_then(|bundle| bundle.secret_ref.as_ref()).map(|reference| &reference.name);
        let bundle_map = bundle.and_then(|bundle| bundle.config_map_ref.as_ref()).map(|reference| &reference.name);
        Self {
            secrets: credentials.into_iter().chain(bundle_secret).map(|name| within(name)).collect(),
            config_maps: bundle_map.into_iter().map(|name| within(name)).collect(),
        }
    }
}

/// What a session is made from: it changes whenever the session has to be made anew. Known from the watches, so that
/// nothing is read as long as nothing changes.
pub fn fingerprint(tenant: &CognigyTenant, context: &Context) -> String {
    let versions = source_versions(tenant, context).into_iter();
    // The spec itself and not its generation, which the wish to be deleted moves too.
    let spec = serde_json::to_string(&tenant.spec).unwrap_or_default();
    std::iter::once(spec).chain(versions).chain(scopes(tenant, context)).collect::<Vec<_>>().join("/")
}

/// The resourceVersions of a tenant's Secrets and `ConfigMap`s, as watched; empty for what is not there.
pub fn source_versions(tenant: &CognigyTenant, context: &Context) -> Vec<String> {
    let sources = Sources::of(tenant);
    let secrets = sources.secrets.iter().map(|key| context.secrets.get(key).and_then(|found| found.resource_version()));
    let maps =
        sources.config_maps.iter().map(|key| context.config_maps.get(key).and_then(|found| found.resource_version()));
    secrets.chain(maps).map(Option::unwrap_or_default).collect()
}

/// Whether the tenant is still the installation at this URL.
pub fn is_at(tenant: &CognigyTenant, base_url: &Url) -> bool {
    Url::parse(&tenant.spec.base_url).is_ok_and(|url| url == *base_url)
}

/// The scopes to ask for: the tenant's own list, or what its webhooks need; without any webhook yet, what a registered
/// one needs.
fn scopes(tenant: &CognigyTenant, context: &Context) -> Vec<String> {
    if let Some(AuthMethod::OAuth2(oauth2)) = tenant.spec.auth.method()
        && !oauth2.scopes.is_empty()
    {
        return oauth2.scopes.clone();
    }
    let used = context.index.surfaces_of_tenant(&ObjectKey::of(tenant));
    let surfaces = if used.is_empty() { BTreeSet::from([Surface::Integrations, Surface::Webhooks]) } else { used };
    surfaces.iter().flat_map(|surface| surface.scopes()).map(|&scope| scope.to_owned()).collect()
}

/// Reads the tenant's Secrets and `ConfigMap`, once each.
pub async fn read(tenant: &CognigyTenant, context: &Context) -> Result<SessionConfig, Failure> {
    let key = ObjectKey::of(tenant);
    let spec = &tenant.spec;
    let base_url = url("spec.baseUrl", &spec.base_url, context.settings.allow_insecure_http)?;
    for kind in SinkKind::ALL {
        if let Some(sink) = tenant.sink(kind) {
            url(&format!("spec.sinks.{kind}.url"), &sink.url, context.settings.allow_insecure_http)?;
        }
    }
    let secret = async |name: &str| Source::secret(&context.client, &key.namespace, name).await;
    let method = spec.auth.method().ok_or_else(|| {
        Failure::InvalidSpec("spec.auth must have exactly one of oauth2, apiKey and bearerToken".into())
    })?;
    let auth = match method {
        AuthMethod::OAuth2(oauth2) => {
            let reference = &oauth2.credentials_secret_ref;
            let source = secret(&reference.name).await?;
            Auth::OAuth2 {
                client_id: source.text(&reference.client_id_key)?,
                client_secret: source.text(&reference.client_secret_key)?,
                token_url: token_url(&base_url, &oauth2.token_url, context.settings.allow_insecure_http)?,
                client_authentication: match oauth2.client_authentication {
                    ClientAuthentication::Basic => cognigy::ClientAuthentication::Basic,
                    ClientAuthentication::RequestBody => cognigy::ClientAuthentication::RequestBody,
                },
                scopes: scopes(tenant, context),
            }
        }
        AuthMethod::ApiKey(api_key) => {
            let source = secret(&api_key.secret_ref.name).await?;
            let header = HeaderName::try_from(&api_key.header).map_err(|_| {
                Failure::InvalidSpec(format!(
                    "spec.auth.apiKey.header {:?} is not the name of an HTTP header",
                    api_key.header
                ))
            })?;
            Auth::ApiKey { header, key: source.text(&api_key.secret_ref.key)? }
        }
        AuthMethod::BearerToken(token) => {
            let source = secret(&token.secret_ref.name).await?;
            Auth::Bearer(source.text(&token.secret_ref.key)?)
        }
    };
    let bundle = ca_bundle(tenant, context).await?;
    let limits = &spec.limits;
    Ok(SessionConfig {
        tenant: key.to_string(),
        base_url,
        auth,
        ca_pem: bundle.map(|pem| pem.expose_secret().as_bytes().to_vec()),
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

/// The tenant's CA bundle (PEM); also for callback health checks.
pub async fn ca_bundle(tenant: &CognigyTenant, context: &Context) -> Result<Option<SecretString>, Failure> {
    bundle(tenant, &context.client).await
}

/// The same where there is no context.
pub async fn bundle(tenant: &CognigyTenant, client: &kube::Client) -> Result<Option<SecretString>, Failure> {
    let Some(bundle) = &tenant.spec.ca_bundle else { return Ok(None) };
    let namespace = ObjectKey::of(tenant).namespace;
    let (source, key) = match (&bundle.config_map_ref, &bundle.secret_ref) {
        (Some(reference), None) => (Source::config_map(client, &namespace, &reference.name).await?, &reference.key),
        (None, Some(reference)) => (Source::secret(client, &namespace, &reference.name).await?, &reference.key),
        _ => {
            let message = "spec.caBundle must have exactly one of configMapRef and secretRef";
            return Err(Failure::InvalidSpec(message.into()));
        }
    };
    Ok(Some(source.text(key)?))
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
