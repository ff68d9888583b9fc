//! Tenants: connected, or exactly what is wrong; put right, they go on by themselves.

use std::time::Duration;

use cognigy_operator::api::{
    CognigyTenant, CognigyWebhook,
    tenant::{AuthKind, Circuit},
};
use cognigy_simulator::{Credentials, Fault, Options, Route};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::harness::{World, condition, told, world};

/// What Ready says of a tenant: as [`told`].
fn says(tenant: &CognigyTenant, expected: (&str, &str, Option<&str>)) -> String {
    told(&tenant.status.as_ref().unwrap().conditions, expected).to_owned()
}

/// What of a request carries the credentials.
type Sent = fn(&cognigy_simulator::Request) -> Option<&str>;

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_authenticate_connects_with_one_cheap_read_and_at_most_one_token() {
    world(Options::default(), async |world| {
        let credentials = world.credentials_of_the_simulator().await;
        let bearer = format!("Bearer {}", credentials.bearer_token);
        let authorization: Sent = |request| request.header("authorization");
        let key: Sent = |request| request.header("x-api-key");
        for (name, auth, kind, tokens, (sent, expected)) in [
            ("basic", json!({}), AuthKind::OAuth2, 1, (authorization, "Bearer sim-token")),
            (
                "body",
                json!({"oauth2": {"clientAuthentication": "RequestBody", "tokenUrl": "/auth/oauth2/token"}}),
                AuthKind::OAuth2,
                1,
                (authorization, "Bearer sim-token"),
            ),
            (
                "key",
                json!({"oauth2": null, "apiKey": {"secretRef": {"name": "cognigy-key"}}}),
                AuthKind::ApiKey,
                0,
                (key, credentials.api_key.as_str()),
            ),
            (
                "bearer",
                json!({"oauth2": null, "bearerToken": {"secretRef": {"name": "cognigy-token"}}}),
                AuthKind::BearerToken,
                0,
                (authorization, bearer.as_str()),
            ),
        ] {
            world.clear_log();
            world.tenant(name, json!({"auth": auth})).await;
            let tenant = world.until_tenant(name, "Connected").await;
            says(&tenant, ("True", "Connected", None));
            let status = tenant.status.unwrap();
            assert_eq!((status.auth, status.circuit), (Some(kind), Some(Circuit::Closed)), "{name}");
            let (token, read): (Vec<_>, Vec<_>) =
                world.requests().into_iter().partition(|request| request.route == Some(Route::Token));
            assert_eq!((token.len(), read.len()), (tokens, 1), "{name}: {read:?}");
            assert_eq!(read[0].route, Some(Route::ListIntegrations), "{name}");
            assert_eq!(read[0].query.as_deref(), Some("pageSize=1"), "{name}");
            assert!(sent(&read[0]).is_some_and(|value| value.starts_with(expected)), "{name}: {:?}", read[0]);
            if let Some(token) = token.first() {
                let basic = token.header("authorization").is_some_and(|value| value.starts_with("Basic "));
                assert_eq!((basic, token.body.contains("client_secret=")), (name == "basic", name == "body"));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_or_key_is_named_and_the_tenant_connects_when_it_appears() {
    world(Options::default(), async |world| {
        let auth = json!({"oauth2": {"credentialsSecretRef": {"name": "later"}}});
        world.tenant("production", json!({"auth": auth})).await;
        let tenant = world.until_tenant("production", "SecretNotFound").await;
        let message = says(&tenant, ("False", "SecretNotFound", Some("Reconciling")));
        assert!(message.contains(&format!("Secret {}/later does not exist", world.namespace)), "{message}");
        assert!(world.until_event("production", "SecretNotFound").await.contains("later"));
        world.secret("later", &[("client-id", &world.sim.credentials().client_id)]).await;
        let tenant = world
            .until("production", |tenant: &CognigyTenant| {
                ready_message(tenant).is_some_and(|message| message.contains("has no key"))
            })
            .await;
        let message = says(&tenant, ("False", "SecretNotFound", Some("Reconciling")));
        assert!(message.contains("/later has no key `client-secret` (it has: client-id)"), "{message}");
        assert_eq!(world.requests().len(), 0);
        world.credentials("later").await;
        world.until_tenant("production", "Connected").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_told_and_a_rotated_secret_takes_effect_at_once() {
    world(Options::default(), async |world| {
        world.secret("cognigy-oauth", &[("client-id", "sim-client"), ("client-secret", "wrong")]).await;
        world.tenant("production", json!({})).await;
        let tenant = world.until_tenant("production", "Unauthorized").await;
        let message = says(&tenant, ("False", "Unauthorized", Some("Reconciling")));
        assert!(message.contains("Cognigy refused the credentials") && message.contains("its Secret"), "{message}");
        world.until_event("production", "Unauthorized").await;
        // Refused credentials are tried again every minute: whoever waited for that would come too late.
        let rotated = async {
            world.credentials("cognigy-oauth").await;
            world.until_tenant("production", "Connected").await;
        };
        tokio::time::timeout(Duration::from_secs(45), rotated).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_change_on_both_sides_never_leave_the_tenant_with_the_old_ones() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        world.rotate_credentials();
        world.clear_log();
        world.credentials("cognigy-oauth").await;
        world.wait_until(|state| state.count(Route::Token) >= 1).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        world.until_tenant("production", "Connected").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_stalls_the_tenant_and_names_scope_and_role() {
    world(Options::default(), async |world| {
        world.set_granted_scopes(["webhook:manage", "integration:read"]);
        world.tenant("production", json!({})).await;
        let tenant = world.until_tenant("production", "Forbidden").await;
        let message = says(&tenant, ("False", "Forbidden", Some("Stalled")));
        assert!(message.contains("integrations:read"), "{message}");
        assert!(message.contains("Webhook Administrator") || message.contains("Integration Developer"), "{message}");
        world.until_event("production", "Forbidden").await;
        world.set_granted_scopes(cognigy_simulator::ALL_SCOPES);
        world.tenant("production", json!({"limits": {"requestTimeoutSeconds": 14}})).await;
        world.until_tenant("production", "Connected").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_nobody_answers_for_is_unreachable_until_the_url_is_corrected() {
    world(Options::default(), async |world| {
        // Bound and never listening: nobody else can be given it meanwhile.
        let held = TcpSocket::new_v4().unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed = held.local_addr().unwrap();
        world.tenant("production", json!({"baseUrl": format!("https://{closed}")})).await;
        let tenant = world.until_tenant("production", "Unreachable").await;
        let message = says(&tenant, ("False", "Unreachable", Some("Reconciling")));
        assert!(message.contains("no connection to the installation") && message.contains("baseUrl"), "{message}");
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_certificate_is_told_by_its_cause_and_a_corrected_bundle_takes_effect_at_once() {
    world(Options::default(), async |world| {
        let stranger = rcgen::generate_simple_self_signed(["somebody-else.example.com".to_owned()]).unwrap();
        world.config_map("simulator-ca", "ca.crt", &stranger.cert.pem()).await;
        world.tenant("production", json!({})).await;
        let tenant = world.until_tenant("production", "TlsFailed").await;
        let message = says(&tenant, ("False", "TlsFailed", Some("Reconciling")));
        assert!(message.contains("unknown issuer") && message.contains("caBundle"), "{message}");
        assert!(world.until_event("production", "TlsFailed").await.contains("unknown issuer"));
        let repaired = async {
            world.config_map("simulator-ca", "ca.crt", &world.ca_pem()).await;
            world.until_tenant("production", "Connected").await;
        };
        tokio::time::timeout(Duration::from_secs(45), repaired).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_http_base_url_is_an_invalid_spec_and_is_never_called() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"baseUrl": world.base_url()})).await;
        let tenant = world.until_tenant("production", "InvalidSpec").await;
        let message = says(&tenant, ("False", "InvalidSpec", Some("Stalled")));
        assert!(message.contains("spec.baseUrl") && message.contains("--allow-insecure-http"), "{message}");
        world.until_event("production", "InvalidSpec").await;
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        assert!(world.requests().iter().all(|request| request.tls));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_is_not_called_until_it_is_resumed() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"suspend": true})).await;
        let tenant = world.until_tenant("production", "Suspended").await;
        says(&tenant, ("False", "Suspended", None));
        world.webhook("orders", json!({})).await;
        let webhook = world.until_reason("orders", "TenantNotReady").await;
        let message =
            told(&webhook.status.as_ref().unwrap().conditions, ("False", "TenantNotReady", Some("Reconciling")));
        assert!(message.contains("suspend"), "{message}");
        assert_eq!(world.requests().len(), 0);
        world.tenant("production", json!({"suspend": false})).await;
        world.until_tenant("production", "Connected").await;
        world.until_reason("orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_stays_until_its_webhooks_are_gone() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        world.delete::<CognigyTenant>("production").await;
        let tenant = world
            .until("production", |tenant: &CognigyTenant| {
                tenant.status.as_ref().is_some_and(|s| s.conditions.iter().any(|c| c.reason == "InUse"))
            })
            .await;
        says(&tenant, ("False", "InUse", Some("Reconciling")));
        assert!(world.until_event("production", "DeletionBlocked").await.contains("webhooks"));
        assert_eq!(world.integrations().len(), 1);
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyTenant>("production").await;
        assert!(world.integrations().is_empty(), "the webhook could still be removed outside");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_deleted_together_with_its_webhooks_goes_last() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        for name in ["orders", "refunds"] {
            world.webhook(name, json!({})).await;
        }
        for name in ["orders", "refunds"] {
            world.until_reason(name, "Active").await;
        }
        world.delete::<CognigyTenant>("production").await;
        for name in ["orders", "refunds"] {
            world.delete::<CognigyWebhook>(name).await;
        }
        world.until_gone::<CognigyTenant>("production").await;
        for name in ["orders", "refunds"] {
            world.until_gone::<CognigyWebhook>(name).await;
        }
        assert!(world.integrations().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_is_shown_and_closes_again_by_itself() {
    world(Options::default(), async |world| {
        let breaker = json!({"failureThreshold": 1, "openSeconds": 1});
        world.fault(Fault::on(Route::ListIntegrations).status(503));
        world.tenant("production", json!({"circuitBreaker": breaker})).await;
        let open = world
            .until("production", |tenant: &CognigyTenant| {
                tenant.status.as_ref().and_then(|status| status.circuit) == Some(Circuit::Open)
            })
            .await;
        assert_eq!(condition(&open.status.unwrap().conditions, "Ready").unwrap().status, "False");
        world.until_event("production", "CircuitOpened").await;
        world.clear_faults();
        let tenant = world.until_tenant("production", "Connected").await;
        assert_eq!(tenant.status.unwrap().circuit, Some(Circuit::Closed));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_counts_its_webhooks_and_those_that_are_ready() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.callback("refunds").answer(cognigy_simulator::Answer::status(503));
        world.webhook("orders", json!({})).await;
        world.webhook("refunds", json!({})).await;
        world
            .until("production", |tenant: &CognigyTenant| {
                let counts = tenant.status.as_ref().and_then(|status| status.webhooks).unwrap_or_default();
                (counts.total, counts.ready) == (2, 1)
            })
            .await;
    })
    .await;
}

fn ready_message(tenant: &CognigyTenant) -> Option<String> {
    Some(condition(&tenant.status.as_ref()?.conditions, "Ready")?.message.clone())
}

impl World {
    /// The simulator's key and token as Secrets.
    async fn credentials_of_the_simulator(&self) -> Credentials {
        let credentials = self.sim.credentials();
        self.secret("cognigy-key", &[("api-key", &credentials.api_key)]).await;
        self.secret("cognigy-token", &[("token", &credentials.bearer_token)]).await;
        credentials
    }
}
