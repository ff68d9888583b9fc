//! `CognigyWebhook`: registered by the operator, or existing.

use cognigy_operator::api::CognigyWebhook;

use crate::server::{Refused, assert_accepted, assert_refused, refused};

const REGISTERED: &str = "{tenantRef: {name: production}, url: 'https://api.example.com/hooks/orders'}";
const EXISTING: &str =
    "{tenantRef: {name: production}, existing: {webhookId: wh_abc123def}, retryPolicyRef: {name: patient}}";

const REFUSED: &[Refused] = &[
    refused("{tenantRef: null}", "spec.tenantRef", "Required value"),
    refused("{tenantRef: {name: Production}}", "spec.tenantRef.name", "lower-case letters"),
    refused("{tenantRef: {namespace: a.b}}", "spec.tenantRef.namespace", "must be the name of a namespace"),
    refused("{url: null}", "spec", "url is required: give the callback's https URL"),
    refused("{url: 'http://api.example.com'}", "spec.url", "must start with https://"),
    refused("{url: api.example.com}", "spec.url", "must start with https://"),
    refused("{url: 'https://me:pw@api.example.com'}", "spec.url", "must not contain user info"),
    refused("{url: 'https://api.example.com/#top'}", "spec.url", "must not contain a fragment"),
    refused("{url: 'https:///hooks'}", "spec.url", "with a host"),
    refused("{url: 'https://api.example.com:0/'}", "spec.url", "a port of 1 to 65535"),
    refused("{url: \"https://api.example.com/\\r\\nX: y\"}", "spec.url", "visible ASCII characters"),
    refused("{name: ''}", "spec.name", "at least 1 chars long"),
    refused("{name: \"a\\nb\"}", "spec.name", "visible ASCII characters"),
    refused("{name: ' a'}", "spec.name", "spaces only in between"),
    refused("{method: GET}", "spec.method", r#"supported values: "POST", "PUT", "PATCH""#),
    refused("{headers: {'X Y': a}}", "spec.headers", "each key must be the name of an HTTP header"),
    refused("{headers: {'': a}}", "spec.headers", "each key must be the name of an HTTP header"),
    refused("{headers: {X-A: \"a\\r\\nX-B: b\"}}", "spec.headers[X-A]", "remove line breaks and control characters"),
    refused("{headers: {Content-Length: '5'}}", "spec.headers", "remove this header"),
    refused("{headers: {transfer-encoding: chunked}}", "spec.headers", "remove this header"),
    refused("{headers: {X-A: a, x-a: b}}", "spec.headers", "must be unique whatever their case"),
    refused(
        "{headers: {X-A: a}, headersFrom: [{name: x-a, secretKeyRef: {name: s, key: k}}]}",
        "spec",
        "in headers or in headersFrom, not in both",
    ),
    refused(
        "{headersFrom: [{name: X-A, secretKeyRef: {name: s, key: k}}, {name: X-A, secretKeyRef: {name: s, key: l}}]}",
        "spec.headersFrom[1]",
        "Duplicate value",
    ),
    refused(
        "{headersFrom: [{name: X-A, secretKeyRef: {name: s, key: k}}, {name: x-a, secretKeyRef: {name: s, key: l}}]}",
        "spec.headersFrom",
        "must be unique whatever their case",
    ),
    refused(
        "{headersFrom: [{name: Host, secretKeyRef: {name: s, key: k}}]}",
        "spec.headersFrom[0].name",
        "remove this",
    ),
    refused(
        "{headersFrom: [{name: X-A, secretKeyRef: {name: s}}]}",
        "spec.headersFrom[0].secretKeyRef.key",
        "Required",
    ),
    refused("{payloadFormat: json}", "spec.payloadFormat", "such as application/json"),
    refused("{version: 0}", "spec.version", "greater than or equal to 1"),
    refused("{version: 2147483648}", "spec.version", "less than or equal to 2147483647"),
    refused("{version: '2'}", "spec.version", "must be of type integer"),
    refused("{previousVersions: -1}", "spec.previousVersions", "greater than or equal to 0"),
    refused("{previousVersions: 11}", "spec.previousVersions", "less than or equal to 10"),
    refused("{healthCheck: {timeoutSeconds: 0}}", "spec.healthCheck.timeoutSeconds", "greater than or equal to 1"),
    refused("{healthCheck: {timeoutSeconds: 31}}", "spec.healthCheck.timeoutSeconds", "less than or equal to 30"),
    refused("{healthCheck: {periodSeconds: 1}}", "spec.healthCheck.periodSeconds", "or 2 to 86400"),
    refused("{healthCheck: {periodSeconds: -1}}", "spec.healthCheck.periodSeconds", "greater than or equal to 0"),
    refused("{healthCheck: {periodSeconds: 86401}}", "spec.healthCheck.periodSeconds", "less than or equal to 86400"),
    refused("{healthCheck: {failureThreshold: 0}}", "spec.healthCheck.failureThreshold", "greater than or equal to 1"),
    refused("{healthCheck: {failureThreshold: 101}}", "spec.healthCheck.failureThreshold", "less than or equal to 100"),
    refused("{healthCheck: {onFailure: Ignore}}", "spec.healthCheck.onFailure", r#""Report", "Deactivate""#),
    refused("{mode: Watch}", "spec.mode", r#"supported values: "Enforce", "Observe""#),
    refused("{adoptionPolicy: Sometimes}", "spec.adoptionPolicy", r#""IfIdentical", "Always", "Never""#),
    refused("{deletionPolicy: Retain}", "spec.deletionPolicy", r#""Delete", "Deactivate", "Orphan""#),
    refused("{retryPolicyRef: {name: Patient}}", "spec.retryPolicyRef.name", "lower-case letters"),
];

#[tokio::test]
async fn a_registered_webhook_beyond_a_limit_is_refused_with_field_limit_and_advice() {
    assert_refused::<CognigyWebhook>(REGISTERED, REFUSED).await;
}

const ACCEPTED: &[&str] = &[
    "{}",
    "{tenantRef: {namespace: cx}}",
    "{url: 'https://api.example.com:65535/hooks?a=b%20c'}",
    "{url: 'https://127.0.0.1:8443/@me'}",
    "{url: 'https://[2001:db8::1]/'}",
    "{name: Order fulfillment_2}",
    "{method: PUT}",
    "{method: PATCH}",
    "{headers: {X-Environment: production, X-Empty: ''}}",
    "{headers: {Content-Type: 'application/json; charset=utf-8', User-Agent: orders/1}}",
    "{headers: {X-A: a}, headersFrom: [{name: X-B, secretKeyRef: {name: s, key: k}}, {name: X-C, secretKeyRef: {name: s, key: k}}]}",
    "{payloadFormat: 'application/json; charset=utf-8'}",
    "{version: 1}",
    "{version: 2147483647}",
    "{previousVersions: 0}",
    "{previousVersions: 10}",
    "{healthCheck: {timeoutSeconds: 1, periodSeconds: 0, failureThreshold: 1, onFailure: Report}}",
    "{healthCheck: {timeoutSeconds: 30, periodSeconds: 86400, failureThreshold: 100, onFailure: Deactivate}}",
    "{healthCheck: {periodSeconds: 2}}",
    "{healthCheck: {disabled: true}}",
    "{enabled: false, mode: Observe, adoptionPolicy: Never, deletionPolicy: Orphan, suspend: true}",
];

#[tokio::test]
async fn a_registered_webhook_at_each_limit_is_accepted() {
    assert_accepted::<CognigyWebhook>(REGISTERED, ACCEPTED).await;
}

const FIELDS: &str = "existing excludes name, url, method, headers, headersFrom, payloadFormat, version, enabled, \
                      healthCheck and previousVersions: remove these";
const REFUSED_WITH_EXISTING: &[Refused] = &[
    refused("{name: a}", "spec", FIELDS),
    refused("{url: 'https://api.example.com'}", "spec", FIELDS),
    refused("{method: POST}", "spec", FIELDS),
    refused("{headers: {}}", "spec", FIELDS),
    refused("{headersFrom: []}", "spec", FIELDS),
    refused("{payloadFormat: application/json}", "spec", FIELDS),
    refused("{version: 1}", "spec", FIELDS),
    refused("{enabled: true}", "spec", FIELDS),
    refused("{healthCheck: {}}", "spec", FIELDS),
    refused("{previousVersions: 1}", "spec", FIELDS),
    refused("{retryPolicyRef: null}", "spec", "retryPolicyRef is required with existing: name the RetryPolicy"),
    refused("{existing: {webhookId: null}}", "spec.existing", "exactly one of webhookId and name"),
    refused("{existing: {webhookId: null, botId: b}}", "spec.existing", "exactly one of webhookId and name"),
    refused("{existing: {webhookId: null, name: payments}}", "spec.existing", "existing.name needs botId"),
    refused("{existing: {botId: b, name: payments}}", "spec.existing", "exactly one of webhookId and name"),
    refused("{existing: {webhookId: 'a/../b'}}", "spec.existing.webhookId", "without spaces, '/'"),
    refused("{existing: {webhookId: '..'}}", "spec.existing.webhookId", "must be an id as Cognigy shows it"),
];

#[tokio::test]
async fn an_existing_webhook_takes_a_policy_and_nothing_of_a_registration() {
    assert_refused::<CognigyWebhook>(EXISTING, REFUSED_WITH_EXISTING).await;
}

const ACCEPTED_EXISTING: &[&str] = &[
    "{}",
    "{existing: {botId: 5f1e2d3c4b5a69788796a5b4}}",
    "{existing: {webhookId: null, botId: 5f1e2d3c4b5a69788796a5b4, name: Zahlungen}}",
    "{mode: Observe, deletionPolicy: Orphan, suspend: true}",
];

#[tokio::test]
async fn an_existing_webhook_is_named_in_each_of_the_three_forms() {
    assert_accepted::<CognigyWebhook>(EXISTING, ACCEPTED_EXISTING).await;
}
