//! `CognigyTenant`: where it is, how one gets in, how fast, and who may.

use cognigy_operator::api::CognigyTenant;

use crate::server::{Refused, assert_accepted, assert_refused, refused};

const BASE: &str = "{baseUrl: 'https://cognigy.example.com', auth: {apiKey: {secretRef: {name: key}}}}";

const REFUSED: &[Refused] = &[
    refused("{baseUrl: null}", "spec.baseUrl", "Required value"),
    refused("{baseUrl: cognigy.example.com}", "spec.baseUrl", "must start with https://"),
    refused("{baseUrl: 'ftp://cognigy.example.com'}", "spec.baseUrl", "must start with https://"),
    refused("{baseUrl: 'https://me:pw@cognigy.example.com'}", "spec.baseUrl", "must not contain user info"),
    refused("{baseUrl: 'https://cognigy.example.com/#top'}", "spec.baseUrl", "must not contain a fragment"),
    refused("{baseUrl: 'https://cognigy.example.com/new?x=1'}", "spec.baseUrl", "must not contain a query"),
    refused("{baseUrl: 'https://'}", "spec.baseUrl", "with a host, and a port of 1 to 65535"),
    refused("{baseUrl: 'https://cognigy.example.com:65536'}", "spec.baseUrl", "a port of 1 to 65535"),
    refused("{baseUrl: 'https://cognigy.example.com/a b'}", "spec.baseUrl", "encode other characters as %xx"),
    refused("{auth: null}", "spec.auth", "Required value"),
    refused("{auth: {apiKey: null}}", "spec.auth", "exactly one of oauth2, apiKey and bearerToken: add one"),
    refused(
        "{auth: {bearerToken: {secretRef: {name: t}}}}",
        "spec.auth",
        "exactly one of oauth2, apiKey and bearerToken",
    ),
    refused("{auth: {apiKey: {secretRef: {name: My_Key}}}}", "spec.auth.apiKey.secretRef.name", "lower-case letters"),
    refused(
        "{auth: {apiKey: {secretRef: {key: 'a/b'}}}}",
        "spec.auth.apiKey.secretRef.key",
        "letters, digits, '-', '_'",
    ),
    refused("{auth: {apiKey: {header: 'X API Key'}}}", "spec.auth.apiKey.header", "must be the name of an HTTP header"),
    refused("{auth: {apiKey: {header: Host}}}", "spec.auth.apiKey.header", "remove this header"),
    refused(
        "{auth: {apiKey: null, oauth2: {credentialsSecretRef: {name: o}, tokenUrl: oauth/token}}}",
        "spec.auth.oauth2.tokenUrl",
        "a path that starts with one /",
    ),
    refused(
        "{auth: {apiKey: null, oauth2: {credentialsSecretRef: {name: o}, tokenUrl: //evil.example.com/token}}}",
        "spec.auth.oauth2.tokenUrl",
        "a path that starts with one /",
    ),
    refused(
        "{auth: {apiKey: null, oauth2: {credentialsSecretRef: {name: o}, clientAuthentication: Digest}}}",
        "spec.auth.oauth2.clientAuthentication",
        r#"supported values: "Basic", "RequestBody""#,
    ),
    refused(
        "{auth: {apiKey: null, oauth2: {credentialsSecretRef: {name: o}, scopes: ['a b']}}}",
        "spec.auth.oauth2.scopes[0]",
        "list several scopes one by one",
    ),
    refused("{caBundle: {}}", "spec.caBundle", "exactly one of configMapRef and secretRef: add one"),
    refused("{caBundle: {configMapRef: {name: a}, secretRef: {name: b}}}", "spec.caBundle", "exactly one of"),
    refused("{limits: {requestsPerMinute: 0}}", "spec.limits.requestsPerMinute", "greater than or equal to 1"),
    refused("{limits: {requestsPerMinute: 600001}}", "spec.limits.requestsPerMinute", "less than or equal to 600000"),
    refused("{limits: {burst: 100001}}", "spec.limits.burst", "less than or equal to 100000"),
    refused(
        "{limits: {maxConcurrentRequests: 1025}}",
        "spec.limits.maxConcurrentRequests",
        "less than or equal to 1024",
    ),
    refused("{limits: {requestTimeoutSeconds: 121}}", "spec.limits.requestTimeoutSeconds", "less than or equal to 120"),
    refused("{circuitBreaker: {failureThreshold: 101}}", "spec.circuitBreaker.failureThreshold", "equal to 100"),
    refused("{circuitBreaker: {openSeconds: 3601}}", "spec.circuitBreaker.openSeconds", "less than or equal to 3600"),
    refused("{resyncPeriodSeconds: 4}", "spec.resyncPeriodSeconds", "greater than or equal to 5"),
    refused("{resyncPeriodSeconds: 86401}", "spec.resyncPeriodSeconds", "less than or equal to 86400"),
    refused("{concurrency: None}", "spec.concurrency", r#"supported values: "IfMatch", "CompareAndWrite""#),
    refused(
        "{callbacks: {allowedHosts: ['https://a.example.com']}}",
        "spec.callbacks.allowedHosts[0]",
        "no scheme, port",
    ),
    refused(
        "{callbacks: {allowedHosts: ['a.*.com']}}",
        "spec.callbacks.allowedHosts[0]",
        "*.example.com for all names",
    ),
    refused("{sinks: {alerts: {url: 'alerts.example.com'}}}", "spec.sinks.alerts.url", "must start with https://"),
    refused(
        "{sinks: {alerts: {url: 'https://a.example.com', headersFrom: [{name: 'a:b', secretKeyRef: {name: s, key: k}}]}}}",
        "spec.sinks.alerts.headersFrom[0].name",
        "must be the name of an HTTP header",
    ),
    refused("{allowedNamespaces: {from: Selector}}", "spec.allowedNamespaces", "selector belongs to from Selector"),
    refused("{allowedNamespaces: {selector: {}}}", "spec.allowedNamespaces", "remove the selector"),
    refused("{allowedNamespaces: {from: Some}}", "spec.allowedNamespaces.from", r#""Same", "All", "Selector""#),
];

#[tokio::test]
async fn a_tenant_beyond_a_limit_is_refused_with_field_limit_and_advice() {
    assert_refused::<CognigyTenant>(BASE, REFUSED).await;
}

const ACCEPTED: &[&str] = &[
    "{}",
    "{baseUrl: 'https://cognigy.example.com/new'}",
    "{baseUrl: 'https://cognigy.example.com/new/'}",
    "{baseUrl: 'http://127.0.0.1:65535'}",
    "{baseUrl: 'https://[::1]:1/@new'}",
    "{auth: {apiKey: null, bearerToken: {secretRef: {name: t, key: token}}}}",
    "{auth: {apiKey: null, oauth2: {credentialsSecretRef: {name: o}}}}",
    "{auth: {apiKey: null, oauth2: {credentialsSecretRef: {name: o}, tokenUrl: /api/v2/auth/token}}}",
    "{auth: {apiKey: null, oauth2: {credentialsSecretRef: {name: o}, tokenUrl: 'https://id.example.com/token?tenant=1'}}}",
    "{auth: {apiKey: null, oauth2: {credentialsSecretRef: {name: o}, scopes: ['webhooks:manage', 'bot:webhooks:read']}}}",
    "{caBundle: {configMapRef: {name: a, key: ca.crt}}}",
    "{caBundle: {secretRef: {name: b}}}",
    "{limits: {requestsPerMinute: 1, burst: 1, maxConcurrentRequests: 1, requestTimeoutSeconds: 1}}",
    "{limits: {requestsPerMinute: 600000, burst: 100000, maxConcurrentRequests: 1024, requestTimeoutSeconds: 120}}",
    "{circuitBreaker: {failureThreshold: 1, openSeconds: 1}}",
    "{circuitBreaker: {failureThreshold: 100, openSeconds: 3600}}",
    "{resyncPeriodSeconds: 5}",
    "{resyncPeriodSeconds: 86400}",
    "{callbacks: {allowedHosts: ['*.example.com', 'api', '192.0.2.7', '2001:db8::7']}}",
    "{sinks: {alerts: {url: 'https://a.example.com:8443/x?y=z', headersFrom: [{name: Authorization, secretKeyRef: {name: s, key: k}}]}}}",
    "{allowedNamespaces: {from: All}}",
    "{allowedNamespaces: {from: Selector, selector: {matchLabels: {team: cx}}}}",
    "{suspend: true}",
];

#[tokio::test]
async fn a_tenant_at_each_limit_is_accepted() {
    assert_accepted::<CognigyTenant>(BASE, ACCEPTED).await;
}
