//! Schemas that several fields share. Where a pattern would only show a regular expression to the user, a CEL rule says
//! what is wrong and what to do; the API server puts the field's path and value in front of the message.

use kube::core::{Message, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::HeaderFrom;

/// The characters of an RFC 9110 token, as the inside of a CEL raw string's character class.
const TOKEN: &str = "[!#$%&'*+.^_`|~0-9A-Za-z-]";

/// Headers that belong to one connection or to the message's framing, in lower case: whoever sends sets them.
const HOP_BY_HOP: &str = "['connection','content-length','host','keep-alive','proxy-connection','te','trailer','transfer-encoding','upgrade']";

const HOP_BY_HOP_MESSAGE: &str = "Connection, Content-Length, Host, Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding and Upgrade \
                                  are set by whoever sends the request: remove this header";

/// A host: a name, an IPv4 address, or an IPv6 address in brackets.
const HOST: &str = r"([A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])";

/// A port from 1 to 65535.
const PORT: &str = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// A rule whose message, a CEL expression, shows the numbers that broke it.
pub(super) fn rule(field: &str, rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(Message::Expression(message.into())).field_path(field)
}

/// A string of at most `max` bytes that keeps the given rules: pairs of CEL and message.
fn text(max: u32, rules: &[(String, &str)]) -> Schema {
    let validations: Vec<_> =
        rules.iter().map(|(rule, message)| serde_json::json!({"rule": rule, "message": message})).collect();
    let mut schema = json_schema!({"type": "string", "minLength": 1, "maxLength": max});
    if !validations.is_empty() {
        schema.insert("x-kubernetes-validations".into(), validations.into());
    }
    schema
}

/// A list of at most `max` such items.
fn list(max: u32, items: &Schema) -> Schema {
    json_schema!({"type": "array", "maxItems": max, "items": items})
}

/// Name of a Kubernetes object (a DNS subdomain).
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        &[(
            "!format.dns1123Subdomain().validate(self).hasValue()".into(),
            "must be the name of a Kubernetes object: at most 253 lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
        )],
    )
}

/// Name of a namespace (a DNS label).
pub(super) fn namespace_name(_: &mut SchemaGenerator) -> Schema {
    text(
        63,
        &[(
            "!format.dns1123Label().validate(self).hasValue()".into(),
            "must be the name of a namespace: at most 63 lower-case letters, digits and '-', with a letter or digit at both ends",
        )],
    )
}

/// Key within the data of a Secret or `ConfigMap`.
pub(super) fn data_key(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        &[(
            "self.matches('^[-._a-zA-Z0-9]+$')".into(),
            "must be a key of a Secret or ConfigMap: at most 253 letters, digits, '-', '_' and '.'",
        )],
    )
}

/// Name of an HTTP header that a sender may set.
pub(super) fn header_name(_: &mut SchemaGenerator) -> Schema {
    text(
        128,
        &[
            (
                format!(r#"self.matches(r"^{TOKEN}+$")"#),
                "must be the name of an HTTP header: letters, digits and !#$%&'*+-.^_`|~ only",
            ),
            (format!("!(self.lowerAscii() in {HOP_BY_HOP})"), HOP_BY_HOP_MESSAGE),
        ],
    )
}

/// Plain HTTP headers by name.
pub(super) fn headers(_: &mut SchemaGenerator) -> Schema {
    let mut value = text(
        4096,
        &[(
            r#"self.matches(r"^[\t -~]*$")"#.into(),
            "a header value may hold visible ASCII characters, spaces and tabs only: remove line breaks and control characters",
        )],
    );
    value.remove("minLength");
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": value,
        "x-kubernetes-validations": [
            {
                "rule": format!(r#"self.all(name, name.matches(r"^{TOKEN}{{1,128}}$"))"#),
                "message": "each key must be the name of an HTTP header: 1 to 128 letters, digits and !#$%&'*+-.^_`|~",
            },
            {"rule": format!("self.all(name, !(name.lowerAscii() in {HOP_BY_HOP}))"), "message": HOP_BY_HOP_MESSAGE},
            {
                "rule": "self.all(one, self.exists_one(other, other.lowerAscii() == one.lowerAscii()))",
                "message": "header names must be unique whatever their case: remove the second one",
            },
        ],
    })
}

/// HTTP headers from Secrets, each name once.
pub(super) fn headers_from(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = list(16, &generator.subschema_for::<HeaderFrom>());
    schema.insert("x-kubernetes-list-type".into(), "map".into());
    schema.insert("x-kubernetes-list-map-keys".into(), serde_json::json!(["name"]));
    schema.insert(
        "x-kubernetes-validations".into(),
        serde_json::json!([{
            "rule": "self.all(one, self.exists_one(other, other.name.lowerAscii() == one.name.lowerAscii()))",
            "message": "header names must be unique whatever their case: remove the second one",
        }]),
    );
    schema
}

/// What every URL must keep: something that has a host, and nothing that HTTP does not send.
fn url_rules() -> Vec<(String, &'static str)> {
    vec![
        (
            r#"!self.matches(r"^[A-Za-z]+://[^/?#]*@")"#.into(),
            "must not contain user info (user:password@): remove it, and give credentials by a Secret",
        ),
        ("!self.contains('#')".into(), "must not contain a fragment (#…): remove it, it never reaches the server"),
        (
            format!(
                r#"!self.matches(r"^https?://") || isURL(self) && self.matches(r"^https?://[^@/?#]*@|^https?://{HOST}(:{PORT})?([/?#][!-~]*)?$")"#
            ),
            "must be a URL of visible ASCII characters with a host, and a port of 1 to 65535 if any: encode other characters as %xx, in a host as xn--",
        ),
    ]
}

/// The URL of a callback: https only.
pub(super) fn callback_url(_: &mut SchemaGenerator) -> Schema {
    let mut rules = url_rules();
    rules.push((
        "self.startsWith('https://')".into(),
        "must start with https:// because deliveries and health checks need TLS: change the scheme",
    ));
    text(2048, &rules)
}

/// The URL of one of the user's own systems: https, or http where the operator allows that.
pub(super) fn service_url(_: &mut SchemaGenerator) -> Schema {
    let mut rules = url_rules();
    rules.push((
        r#"self.matches(r"^https?://")"#.into(),
        "must start with https:// (or with http:// where the operator runs with --allow-insecure-http)",
    ));
    text(2048, &rules)
}

/// The address of an installation: what [`service_url`] says, and no query.
pub(super) fn base_url(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = service_url(generator);
    add_rule(&mut schema, "!self.contains('?')", "must not contain a query (?…): remove it, a path prefix is kept");
    schema
}

/// Where tokens are fetched: a URL or a path.
pub(super) fn token_url(_: &mut SchemaGenerator) -> Schema {
    let mut rules = url_rules();
    rules.push((
        r#"self.matches(r"^https?://") || self.matches(r"^/([!-.0-~][!-~]*)?$")"#.into(),
        "must be an absolute URL (https://…) or a path that starts with one / and is appended to baseUrl, such as /oauth/token",
    ));
    text(2048, &rules)
}

fn add_rule(schema: &mut Schema, rule: &str, message: &str) {
    if let Some(rules) = schema.get_mut("x-kubernetes-validations").and_then(serde_json::Value::as_array_mut) {
        rules.push(serde_json::json!({"rule": rule, "message": message}));
    }
}

/// OAuth2 scopes.
pub(super) fn scopes(_: &mut SchemaGenerator) -> Schema {
    let scope = text(
        128,
        &[(
            r"self.matches(r'^[!#-\[\]-~]+$')".into(),
            "must be one OAuth2 scope of at most 128 visible ASCII characters without spaces and quotes: list several scopes one by one",
        )],
    );
    list(32, &scope)
}

/// Host names that callbacks may have.
pub(super) fn allowed_hosts(_: &mut SchemaGenerator) -> Schema {
    let host = text(
        253,
        &[(
            r#"isIP(self) || self.matches(r"^([*][.])?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$")"#.into(),
            "must be a host name such as api.example.com, or *.example.com for all names below it: no scheme, port or path",
        )],
    );
    list(64, &host)
}

/// Name of a registration: it travels in a header (`X-Request-Id`) and in an idempotency key.
pub(super) fn registered_name(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        &[(
            r#"self.matches(r"^[!-~]([ -~]*[!-~])?$")"#.into(),
            "must be at most 253 visible ASCII characters, with spaces only in between: Cognigy's API carries it in a header",
        )],
    )
}

/// An id that Cognigy gave out: opaque, but it stands in a path.
pub(super) fn cognigy_id(_: &mut SchemaGenerator) -> Schema {
    text(
        128,
        &[(
            r#"self.matches(r"^[!-~]+$") && !self.matches(r"^[.]+$") && !self.matches(r"[/?#]")"#.into(),
            "must be an id as Cognigy shows it, such as wh_abc123def: at most 128 visible ASCII characters without spaces, '/', '?' and '#'",
        )],
    )
}

/// Name of an existing webhook.
pub(super) fn existing_name(_: &mut SchemaGenerator) -> Schema {
    text(253, &[])
}

/// Media type of deliveries.
pub(super) fn media_type(_: &mut SchemaGenerator) -> Schema {
    text(
        127,
        &[(
            format!(r#"self.matches(r"^{TOKEN}+/{TOKEN}+( *;[ -~]+)?$")"#),
            "must be a media type such as application/json",
        )],
    )
}
