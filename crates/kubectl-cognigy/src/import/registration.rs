//! A registration as a `CognigyWebhookSpec`, where one can say it exactly; pure.
//!
//! Applying a manifest repeats the registration's POST. That changes nothing only where it is answered with the very object:
//! the same idempotency key, and every field as the manifest can say it. Where anything of that is in doubt, no manifest of
//! a registration is made.

use std::collections::BTreeMap;

use cognigy_operator::{
    api::{
        HeaderFrom, SecretKeyRef,
        webhook::{AdoptionPolicy, CognigyWebhookSpec, DeletionPolicy, Method, Mode, TenantRef},
    },
    cognigy::{self, Integration, Status},
};
use serde_json::json;
use url::Url;

use super::{judge::Judge, secrets};

/// Stands for the Secret of a webhook while the webhook has no name.
const SECRET: &str = "headers";

/// What a manifest says of a registration; its name in Kubernetes is not known yet.
#[derive(Debug)]
pub struct Said {
    /// The name in Cognigy.
    pub name: String,
    /// Everything but the name and the headers from Secrets.
    pub spec: CognigyWebhookSpec,
    /// The names of headers that look like secrets.
    pub secret_headers: Vec<String>,
}

/// What a manifest says of this registration. The error says why none can; of what the API server would refuse, in its words.
pub fn said(integration: &Integration, tenant: &TenantRef, judge: &Judge) -> Result<Said, String> {
    let name = integration.name.clone().unwrap_or_default();
    let version = integration.version.ok_or("it shows no version")?;
    check_key(integration, &name, version)?;
    let url = integration.url.clone().unwrap_or_default();
    if secrets::in_url(&url) {
        return Err("its URL seems to hold a secret, which a manifest would show".into());
    }
    let method = match integration.method.ok_or("its method is none of POST, PUT and PATCH")? {
        cognigy::Method::Post => Method::Post,
        cognigy::Method::Put => Method::Put,
        cognigy::Method::Patch => Method::Patch,
    };
    let payload_format = integration.payload_format.clone().ok_or("it shows no payloadFormat")?;
    let enabled = integration.status.ok_or("it does not show whether it is active")? == Status::Active;
    let (headers, secret_headers) = headers(integration)?;
    let bare = bare(tenant);
    let spec = CognigyWebhookSpec {
        url: Some(url),
        method: (method != bare.method()).then_some(method),
        headers: (!headers.is_empty()).then_some(headers),
        payload_format: Some(payload_format).filter(|format| format != bare.payload_format()),
        version: i32::try_from(version).ok().filter(|&version| version != bare.version()),
        enabled: (enabled != bare.enabled()).then_some(enabled),
        ..bare
    };
    let whole = CognigyWebhookSpec {
        name: Some(name.clone()),
        headers_from: Some(headers_from(&secret_headers, SECRET)),
        ..spec.clone()
    };
    let mut whole = json!(whole);
    whole["version"] = version.into();
    judge.webhook(&whole)?;
    check_spelling(spec.url.as_deref().unwrap_or_default())?;
    Ok(Said { name, spec, secret_headers })
}

/// A spec with nothing in it but what it must have.
pub fn bare(tenant: &TenantRef) -> CognigyWebhookSpec {
    CognigyWebhookSpec {
        tenant_ref: tenant.clone(),
        name: None,
        url: None,
        method: None,
        headers: None,
        headers_from: None,
        payload_format: None,
        version: None,
        enabled: None,
        health_check: None,
        previous_versions: None,
        existing: None,
        retry_policy_ref: None,
        mode: Mode::default(),
        adoption_policy: AdoptionPolicy::default(),
        deletion_policy: DeletionPolicy::default(),
        suspend: false,
    }
}

/// The references to the headers that look like secrets, in a Secret of this name.
pub fn headers_from(names: &[String], secret: &str) -> Vec<HeaderFrom> {
    let reference = |header: &String| SecretKeyRef { name: secret.into(), key: data_key(header) };
    names.iter().map(|header| HeaderFrom { name: header.clone(), secret_key_ref: reference(header) }).collect()
}

/// A header's name as a key of a Secret. Two headers that differ have keys that differ: what is no letter, digit or hyphen is
/// written as a number.
fn data_key(header: &str) -> String {
    let escaped = header.bytes().map(|b| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(b).to_ascii_lowercase().to_string(),
        other => format!("_{other:02x}"),
    });
    escaped.collect()
}

/// The manifest's POST names this very object, and no new one.
fn check_key(integration: &Integration, name: &str, version: i64) -> Result<(), String> {
    match &integration.idempotency_key {
        None => Err("it shows no idempotency key: registering it might make a second one".into()),
        Some(_) if integration.is(name, version) => Ok(()),
        Some(_) => {
            Err(format!("its idempotency key is not {name:?}:{version}: registering it would make a second one"))
        }
    }
}

/// The operator sends a URL as it is parsed, which another spelling of it is not.
fn check_spelling(url: &str) -> Result<(), String> {
    let sent = Url::parse(url).map_err(|error| format!("its URL cannot be used: {error}"))?;
    if sent.as_str() == url {
        return Ok(());
    }
    Err("its URL is spelt otherwise than it would be sent (with a path, without the port 443, the host in lower case, other characters as %xx), which would be another registration".into())
}

/// Headers that everybody may read, and the names of those that look like secrets.
fn headers(integration: &Integration) -> Result<(BTreeMap<String, String>, Vec<String>), String> {
    let Some(all) = &integration.headers else {
        return if integration.shows_headers() {
            Err("its headers have another form than documented".into())
        } else {
            Ok(Default::default())
        };
    };
    let (mut plain, mut secret) = (BTreeMap::new(), Vec::new());
    for (name, value) in all {
        if !secrets::is_secret(name, value.expose()) {
            plain.insert(name.clone(), value.expose().to_owned());
        } else if value.expose().trim() != value.expose() || value.expose().is_empty() {
            // A Secret's value loses what is at its end, and an empty one is none.
            return Err("it has a secret header that is empty or ends in blanks, which no Secret can say".into());
        } else {
            secret.push(name.clone());
        }
    }
    Ok((plain, secret))
}

/// Only for messages: the version and whether it is active.
pub fn state(integration: &Integration) -> String {
    let version = integration.version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
    let active = match integration.status {
        Some(Status::Active) => "active",
        Some(Status::Inactive) => "inactive",
        None => "active or not",
    };
    format!("{version}, {active}")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn registration(change: &Value) -> Integration {
        let mut fields = json!({
            "id": "wh_1", "name": "orders", "version": 1, "status": "active", "method": "POST",
            "url": "https://api.example.com/orders", "payloadFormat": "application/json", "headers": {},
        });
        for (field, value) in change.as_object().unwrap() {
            fields[field] = value.clone();
        }
        fields["idempotencyKey"] = json!(format!("{}:{}", fields["name"].as_str().unwrap(), fields["version"]));
        Integration::read(&fields, None).unwrap()
    }

    fn told(change: &Value) -> String {
        let tenant = TenantRef { name: "production".into(), namespace: None };
        said(&registration(change), &tenant, &Judge::new()).map(|said| format!("{:?}", said.spec)).unwrap_err()
    }

    #[test]
    fn what_the_api_server_would_refuse_is_told_in_its_words() {
        let many: serde_json::Map<_, _> = (0..33).map(|nth| (format!("X-{nth}"), json!("x"))).collect();
        for (change, says) in [
            (json!({"name": " orders"}), "spec.name: must be at most 253 visible ASCII characters"),
            (json!({"version": 0}), "spec.version: should be greater than or equal to 1"),
            (json!({"version": 2_147_483_648_i64}), "spec.version: should be less than or equal to 2147483647"),
            (json!({"url": "http://api.example.com/orders"}), "spec.url: must start with https:// because"),
            (json!({"url": "https://api.example.com/orders#x"}), "spec.url: must not contain a fragment"),
            (json!({"url": "https://user@api.example.com/"}), "spec.url: must not contain user info"),
            (json!({"payloadFormat": "json"}), "spec.payloadFormat: must be a media type such as application/json"),
            (json!({"headers": {"Host": "a.example.com"}}), "are set by whoever sends the request"),
            (json!({"headers": {"X-A": "1", "x-a": "2"}}), "spec.headers: header names must be unique"),
            (json!({"headers": {"X-Key": "1", "x-key": "2"}}), "header names must be unique"),
            (json!({"headers": many}), "spec.headers: must have at most 32 items"),
        ] {
            let told = told(&change);
            assert!(told.contains(says), "{change}: {told}");
        }
    }

    #[test]
    fn a_url_that_would_be_sent_in_another_spelling_is_another_registration() {
        for url in [
            "https://api.example.com",
            "https://API.example.com/",
            "https://api.example.com:443/",
            "https://api.example.com/{a}",
        ] {
            let told = told(&json!({"url": url}));
            assert!(told.contains("spelt otherwise"), "{url}: {told}");
        }
    }

    #[test]
    fn what_can_be_said_is_said_without_what_is_a_default() {
        let tenant = TenantRef { name: "production".into(), namespace: None };
        let headers = json!({"X-Environment": "production", "X-Api-Key": "x"});
        let registration = registration(&json!({"version": 3, "headers": headers}));
        let said = said(&registration, &tenant, &Judge::new()).unwrap();
        assert_eq!((said.name.as_str(), said.secret_headers), ("orders", vec!["X-Api-Key".to_owned()]));
        let spec = json!({
            "tenantRef": {"name": "production"}, "url": "https://api.example.com/orders", "version": 3,
            "headers": {"X-Environment": "production"},
        });
        assert_eq!(json!(said.spec), json!(serde_json::from_value::<CognigyWebhookSpec>(spec).unwrap()));
    }
}
