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
use http::HeaderName;
use url::Url;

use super::secrets;

/// Bounds of a `CognigyWebhook` (docs/resources.md).
const MAX_NAME: usize = 253;
const MAX_URL: usize = 2048;
const MAX_HEADERS: usize = 32;
const MAX_SECRET_HEADERS: usize = 16;
const MAX_HEADER_NAME: usize = 128;
const MAX_HEADER_VALUE: usize = 4096;
const MAX_MEDIA_TYPE: usize = 127;
/// Headers that whoever sends a request sets.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

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

/// What a manifest says of this registration. The error says why none can.
pub fn said(integration: &Integration, tenant: &TenantRef) -> Result<Said, String> {
    let name = integration.name.clone().unwrap_or_default();
    check_name(&name)?;
    let version = integration.version.and_then(|version| i32::try_from(version).ok()).filter(|&version| version > 0);
    let version = version.ok_or("it shows no version from 1 to 2147483647")?;
    check_key(integration, &name, version)?;
    let url = integration.url.clone().unwrap_or_default();
    check_url(&url)?;
    let method = match integration.method.ok_or("its method is none of POST, PUT and PATCH")? {
        cognigy::Method::Post => Method::Post,
        cognigy::Method::Put => Method::Put,
        cognigy::Method::Patch => Method::Patch,
    };
    let payload_format = integration.payload_format.clone().ok_or("it shows no payloadFormat")?;
    check_media_type(&payload_format)?;
    let enabled = integration.status.ok_or("it does not show whether it is active")? == Status::Active;
    let (headers, secret_headers) = headers(integration)?;
    let bare = bare(tenant);
    let spec = CognigyWebhookSpec {
        url: Some(url),
        method: (method != bare.method()).then_some(method),
        headers: (!headers.is_empty()).then_some(headers),
        payload_format: Some(payload_format).filter(|format| format != bare.payload_format()),
        version: (version != bare.version()).then_some(version),
        enabled: (enabled != bare.enabled()).then_some(enabled),
        ..bare
    };
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

fn check_name(name: &str) -> Result<(), String> {
    let visible = name.bytes().all(|b| (b' '..=b'~').contains(&b)) && name.trim() == name;
    if name.is_empty() || name.len() > MAX_NAME || !visible {
        return Err("its name is not of 1 to 253 visible ASCII characters, as a registration's must be".into());
    }
    Ok(())
}

/// The manifest's POST names this very object, and no new one.
fn check_key(integration: &Integration, name: &str, version: i32) -> Result<(), String> {
    match &integration.idempotency_key {
        None => Err("it shows no idempotency key: registering it might make a second one".into()),
        Some(_) if integration.is(name, version.into()) => Ok(()),
        Some(_) => {
            Err(format!("its idempotency key is not {name:?}:{version}: registering it would make a second one"))
        }
    }
}

fn check_url(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("its URL is none ({error})"))?;
    if url.scheme() != "https" {
        return Err("its URL is not https".into());
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains(['#', '@']) && is_before_path(text, '@')
    {
        return Err("its URL holds user info".into());
    }
    if text.contains('#') {
        return Err("its URL has a fragment".into());
    }
    // As it stands in the spec: the host and what follows in characters of which none is rewritten.
    if text.len() > MAX_URL || !text.starts_with("https://") || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("its URL is longer than 2048 characters or not written in visible ASCII characters".into());
    }
    if bad_escape(text) || text.contains(['\\', '"', '<', '>', '`', '{', '}', '|', '^']) {
        return Err("its URL holds characters that must be encoded as %xx".into());
    }
    if secrets::in_url(text) {
        return Err("its URL seems to hold a secret, which a manifest would show".into());
    }
    Ok(())
}

fn is_before_path(text: &str, c: char) -> bool {
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains(c))
}

fn bad_escape(text: &str) -> bool {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.as_bytes().iter().take(2).all(u8::is_ascii_hexdigit);
    text.split('%').skip(1).any(|rest| !is_escape(rest))
}

fn check_media_type(text: &str) -> Result<(), String> {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, " "));
    let token = |part: &str| part.parse::<HeaderName>().is_ok();
    let is_type = essence.trim_end().split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    let visible = !parameters.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !is_type || !visible || text.len() > MAX_MEDIA_TYPE {
        return Err("its payloadFormat is no media type".into());
    }
    Ok(())
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
        let lower = name.to_ascii_lowercase();
        let twice = all.keys().filter(|other| other.eq_ignore_ascii_case(name)).count() > 1;
        let fits = name.len() <= MAX_HEADER_NAME && name.parse::<HeaderName>().is_ok();
        if !fits || twice || HOP_BY_HOP.contains(&&*lower) {
            return Err("it has headers that a CognigyWebhook cannot have".into());
        }
        if secrets::is_secret(name, value.expose()) {
            // A Secret's value loses what is at its end, and an empty one is none.
            if value.expose().trim() != value.expose() || value.expose().is_empty() {
                return Err("it has a secret header that is empty or ends in blanks, which no Secret can say".into());
            }
            secret.push(name.clone());
        } else if value.expose().len() > MAX_HEADER_VALUE {
            return Err("it has a header of more than 4096 characters".into());
        } else {
            plain.insert(name.clone(), value.expose().to_owned());
        }
    }
    if plain.len() > MAX_HEADERS || secret.len() > MAX_SECRET_HEADERS {
        return Err("it has more than 32 headers, or 16 that look like secrets".into());
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
