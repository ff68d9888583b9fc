//! The token endpoint (cognigy-api.md §1, RFC 6749 §4.4).

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, json};

use super::Call;
use crate::{
    options::{ALL_SCOPES, ClientAuthentication, ErrorFormat, Options},
    problem::{Refusal, Reply},
    state::State,
};

/// Hands out a token; errors are those of RFC 6749 §5.2, whatever the other routes' errors look like.
pub(super) fn issue(state: &mut State, call: &Call<'_>) -> Reply {
    let reply = match grant(call, &state.options) {
        Err(refusal) => refusal.reply(ErrorFormat::Oauth, call.seq),
        Ok(scopes) => {
            let mut body = Map::new();
            body.insert("scope".into(), json!(scopes.join(" ")));
            body.insert("access_token".into(), json!(state.tokens.issue(scopes, &state.options)));
            body.insert("token_type".into(), json!("Bearer"));
            if state.options.expires_in {
                body.insert("expires_in".into(), json!(state.options.token_lifetime.as_secs()));
            }
            Reply::json(200, &body.into())
        }
    };
    reply.with("cache-control", "no-store")
}

/// The scopes that the client gets.
fn grant(call: &Call<'_>, options: &Options) -> Result<Vec<String>, Refusal> {
    let form = form(call)?;
    authenticate(call, &form, options)?;
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        Some(_) => return Err(Refusal::oauth(400, "unsupported_grant_type", "Only client_credentials is supported.")),
        None => return Err(invalid("grant_type is missing.")),
    }
    let scope = |detail: String| Refusal::oauth(400, "invalid_scope", detail);
    let Some(requested) = form.get("scope").filter(|text| !text.is_empty()) else {
        return Err(scope("scope is missing.".into()));
    };
    let requested: Vec<&str> = requested.split(' ').collect();
    if let Some(unknown) = requested.iter().find(|one| !ALL_SCOPES.contains(one)) {
        return Err(scope(format!("The scope {unknown:?} is unknown.")));
    }
    let (granted, excess): (Vec<&str>, Vec<&str>) =
        requested.into_iter().partition(|one| options.granted_scopes.iter().any(|granted| granted == one));
    match excess.first() {
        Some(excess) if options.refuse_excess_scopes => Err(scope(format!("The client may not have {excess}."))),
        _ => Ok(granted.into_iter().map(str::to_owned).collect()),
    }
}

fn form(call: &Call<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let media_type = call.header("content-type").and_then(|value| value.split(';').next()).unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::oauth(
            415,
            "invalid_request",
            "The content type is not application/x-www-form-urlencoded.",
        ));
    }
    if !is_form_encoded(call.body) {
        return Err(invalid("The body is not form-encoded."));
    }
    let mut form = BTreeMap::new();
    for (key, value) in form_urlencoded::parse(call.body) {
        if !["grant_type", "scope", "client_id", "client_secret"].contains(&&*key) {
            return Err(invalid(format!("The parameter {key:?} is unknown.")));
        }
        if form.insert(key.clone().into_owned(), value.into_owned()).is_some() {
            return Err(invalid(format!("The parameter {key} is there twice.")));
        }
    }
    Ok(form)
}

/// Whether only characters of the form encoding occur, and each `%` begins an escape.
fn is_form_encoded(body: &[u8]) -> bool {
    let escape = |at: usize| body.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    body.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => escape(at),
        b'&' | b'=' | b'+' | b'*' | b'-' | b'.' | b'_' | b'~' => true,
        other => other.is_ascii_alphanumeric(),
    })
}

fn authenticate(call: &Call<'_>, form: &BTreeMap<String, String>, options: &Options) -> Result<(), Refusal> {
    let in_form = form.contains_key("client_id") || form.contains_key("client_secret");
    let accepts = options.client_authentication;
    let known = &options.credentials;
    let good = match call.header("authorization") {
        Some(_) if in_form => return Err(invalid("The client authenticates in two ways.")),
        Some(value) => {
            let pair = value.strip_prefix("Basic ").and_then(|text| BASE64_STANDARD.decode(text).ok());
            let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
            accepts != ClientAuthentication::RequestBody
                && pair.is_some_and(|pair| is_pair(&pair, &known.client_id, &known.client_secret))
        }
        None => {
            accepts != ClientAuthentication::Basic
                && form.get("client_id") == Some(&known.client_id)
                && form.get("client_secret") == Some(&known.client_secret)
        }
    };
    if good {
        return Ok(());
    }
    Err(Refusal::oauth(401, "invalid_client", "The client's credentials are wrong.").with("www-authenticate", "Basic"))
}

/// Whether a Basic user-pass is this client: plain, as §1 writes it, or each part form-encoded, as RFC 6749 §2.3.1 wants it.
fn is_pair(pair: &str, id: &str, secret: &str) -> bool {
    let is_encoded = |text: &str, plain: &str| {
        let mut decoded = form_urlencoded::parse(text.as_bytes());
        is_form_encoded(text.as_bytes()) && decoded.next().is_some_and(|(key, rest)| key == plain && rest.is_empty())
    };
    pair == format!("{id}:{secret}")
        || pair.split_once(':').is_some_and(|(one, two)| is_encoded(one, id) && is_encoded(two, secret))
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::oauth(400, "invalid_request", detail)
}
