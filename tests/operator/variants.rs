//! What real installations do besides (docs/cognigy-api.md §8), each through a webhook's whole life.

use std::panic::AssertUnwindSafe;

use cognigy_operator::api::{CognigyWebhook, webhook::State};
use cognigy_simulator::{
    CursorStyle, ErrorFormat, Fault, IdField, IdStyle, Locking, Options, Route, StaleStatus, Support,
};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};

use crate::harness::{World, message, true_conditions, world};

/// How many variants are lived through at the same time.
const AT_ONCE: usize = 4;
const INTERVALS: [i64; 3] = [50, 100, 200];
/// The calls of a new webhook where the registration already tells its tag.
const THREE_CALLS: [Route; 3] = [Route::CreateIntegration, Route::PutWebhook, Route::UpdateIntegration];
const FOUR_CALLS: [Route; 4] =
    [Route::CreateIntegration, Route::GetWebhook, Route::PutWebhook, Route::UpdateIntegration];

struct Variant {
    name: &'static str,
    options: Options,
    /// Merged into the tenant's spec.
    tenant: Value,
    /// The calls of a new webhook, where the variant says how many there are.
    calls: Option<&'static [Route]>,
    /// How many registrations somebody else made before.
    others: usize,
}

fn variant(name: &'static str, change: impl FnOnce(&mut Options)) -> Variant {
    let mut options = Options::default();
    change(&mut options);
    Variant { name, options, tenant: json!({}), calls: None, others: 3 }
}

impl Variant {
    fn tenant(self, tenant: Value) -> Self {
        Self { tenant, ..self }
    }

    fn calls(self, calls: &'static [Route]) -> Self {
        Self { calls: Some(calls), ..self }
    }

    fn others(self, others: usize) -> Self {
        Self { others, ..self }
    }
}

fn shapes() -> Vec<Variant> {
    vec![
        variant("as documented", |_| {}).calls(&FOUR_CALLS),
        variant("a path prefix", |o| o.path_prefix = "/new".into()).calls(&FOUR_CALLS),
        variant("_id", |o| o.id_field = IdField::UnderscoreId),
        variant("hexadecimal ids", |o| o.id_style = IdStyle::Hex),
        variant("all of these", |o| {
            o.path_prefix = "/a/b".into();
            o.id_field = IdField::UnderscoreId;
            o.id_style = IdStyle::Hex;
        }),
        variant("OAuth with the credentials in the body", |o| {
            o.client_authentication = cognigy_simulator::ClientAuthentication::RequestBody;
        })
        .tenant(json!({"auth": {"oauth2": {"clientAuthentication": "RequestBody", "tokenUrl": "/auth/oauth2/token"}}})),
        variant("an API key", |_| {})
            .tenant(json!({"auth": {"oauth2": null, "apiKey": {"secretRef": {"name": "cognigy-key"}}}})),
        variant("a bearer token", |_| {})
            .tenant(json!({"auth": {"oauth2": null, "bearerToken": {"secretRef": {"name": "cognigy-token"}}}})),
    ]
}

fn answers() -> Vec<Variant> {
    let bodyless = |name, status, style| {
        variant(name, |o| {
            o.bodyless_writes = Some(status);
            o.cursor_style = style;
        })
        .others(205)
    };
    vec![
        bodyless("202 without a body, pagination.nextCursor", 202, CursorStyle::Pagination),
        bodyless("204 without a body, nextCursor", 204, CursorStyle::TopLevel),
        bodyless("204 without a body, next", 204, CursorStyle::Next),
        variant("202 with a body", |o| o.create_status = 202),
        variant("no GET of an integration: 404", |o| o.get_integration = Support::NotFound),
        variant("no GET of an integration: 405", |o| o.get_integration = Support::MethodNotAllowed),
        variant("no GET of an integration: 501", |o| o.get_integration = Support::NotImplemented),
        variant("no DELETE: 405", |o| o.delete_integration = Support::MethodNotAllowed),
        variant("no DELETE: 501", |o| o.delete_integration = Support::NotImplemented),
        variant("neither GET nor DELETE", |o| {
            o.get_integration = Support::NotFound;
            o.delete_integration = Support::MethodNotAllowed;
        }),
    ]
}

fn locking() -> Vec<Variant> {
    vec![
        variant("POST with an ETag", |o| o.post_carries_etag = true).calls(&THREE_CALLS),
        variant("POST with _version", |o| o.post_carries_version = true).calls(&THREE_CALLS),
        variant("_version in every answer", |o| {
            o.post_carries_version = true;
            o.integrations_carry_version = true;
        })
        .calls(&THREE_CALLS),
        variant("no ETag, only _version", |o| o.locking = Locking::VersionOnly).calls(&FOUR_CALLS),
        variant("only ETag", |o| o.locking = Locking::EtagOnly).calls(&FOUR_CALLS),
        variant("PUT without an ETag", |o| o.put_carries_etag = false),
        variant("only lastChanged", |o| o.locking = Locking::LastChanged)
            .tenant(json!({"concurrency": "CompareAndWrite"})),
        variant("If-None-Match ignored", |o| o.ignore_if_none_match = true),
        variant("stale is 412", |o| o.stale_status = StaleStatus::PreconditionFailed),
    ]
}

/// Lives through the variants, some at the same time; tells by name which of them failed.
async fn live(variants: Vec<Variant>) {
    let lives = variants.into_iter().map(|variant| async {
        let name = variant.name;
        (name, AssertUnwindSafe(life(variant)).catch_unwind().await.is_err())
    });
    let failed: Vec<_> = futures::stream::iter(lives)
        .buffer_unordered(AT_ONCE)
        .filter_map(async |(name, failed)| failed.then_some(name))
        .collect()
        .await;
    assert!(failed.is_empty(), "variants that failed: {failed:?}");
}

async fn life(variant: Variant) {
    let Variant { name, options, tenant, calls, others } = variant;
    world(options.clone(), async |world| {
        let credentials = world.sim.credentials();
        world.secret("cognigy-key", &[("api-key", &credentials.api_key)]).await;
        world.secret("cognigy-token", &[("token", &credentials.bearer_token)]).await;
        for number in 0..others {
            world.add_integration(json!({"name": format!("somebody-elses-{number}")}));
        }
        world.tenant("production", tenant).await;
        world.policy("patient", json!({"intervalsMs": INTERVALS})).await;
        world.until_tenant("production", "Connected").await;
        created(world, name, calls).await;
        if options.bodyless_writes.is_some() {
            // The registration is found on the last of three pages.
            let cursors: Vec<_> = world.requests_to(Route::ListIntegrations).into_iter().map(|one| one.query).collect();
            assert_eq!(cursors.len(), 3, "{name}: {cursors:?}");
        }
        changed(world, name).await;
        switched(world, name).await;
        drifted(world, name, &options).await;
        deleted(world, name, &options).await;
    })
    .await;
}

fn spec(mut change: Value) -> Value {
    change["retryPolicyRef"] = json!({"name": "patient"});
    change
}

async fn created(world: &World, name: &str, calls: Option<&[Route]>) {
    world.clear_log();
    world.webhook("orders", spec(json!({}))).await;
    let webhook = world.until_reason("orders", "Active").await;
    let conditions = ["Ready", "Registered", "Healthy", "RetryPolicyApplied"];
    assert_eq!(true_conditions(&webhook), conditions, "{name}");
    let there = ours(world).remove(0);
    let status = webhook.status.unwrap();
    assert_eq!((status.webhook_id, status.state), (Some(there.id), Some(State::Active)), "{name}");
    assert!(there.active, "{name}");
    assert_eq!(there.retry_policy.unwrap()["intervalsMs"], json!(INTERVALS), "{name}");
    if let Some(calls) = calls {
        let made: Vec<_> = world.requests().into_iter().filter_map(|request| request.route).collect();
        assert_eq!(made, calls, "{name}");
    }
}

async fn changed(world: &World, name: &str) {
    world.webhook("orders", spec(json!({"headers": {"X-Stage": "live"}, "method": "PUT"}))).await;
    world.until_reason("orders", "Active").await;
    let there = ours(world).remove(0);
    assert_eq!((there.method.as_str(), &there.headers["X-Stage"]), ("PUT", &json!("live")), "{name}");
    assert!(there.active && there.retry_policy.is_some(), "{name}");
    assert_eq!(world.interruptions("orders"), [], "{name}");
}

/// A new version whose first answer is lost.
async fn switched(world: &World, name: &str) {
    world.fault(Fault::on(Route::CreateIntegration).times(1).lose_after());
    world.webhook("orders", spec(json!({"version": 2}))).await;
    world.until_reason("orders", "Active").await;
    let versions: Vec<_> = ours(world).iter().map(|one| (one.version, one.active)).collect();
    assert_eq!(versions, [(1, false), (2, true)], "{name}");
    assert!(ours(world)[1].retry_policy.is_some(), "{name}");
    assert_eq!(world.interruptions("orders"), [], "{name}");
}

async fn drifted(world: &World, name: &str, options: &Options) {
    let there = ours(world).remove(1);
    world.clear_log();
    world.full_pass("orders", "quiet").await;
    let writes = world.requests().iter().filter(|request| request.route.is_some_and(Route::is_write)).count();
    assert_eq!(writes, 0, "{name}: {:#?}", world.requests());

    let policy = json!({"webhookId": there.id, "maxRetries": 1, "backoffType": "exponential", "intervalsMs": [7000]});
    assert!(world.change_behind(&there.id, json!({"retryPolicy": policy, "url": "https://elsewhere.example.com/"})));
    // Headers are seen where the registration can be read.
    let readable = options.get_integration == Support::Yes;
    if readable {
        assert!(world.change_behind(&there.id, json!({"headers": {"X-Other": "theirs"}})));
    }
    world.full_pass("orders", "drifted").await;
    let after = ours(world).remove(1);
    assert_eq!(after.retry_policy.unwrap()["intervalsMs"], json!(INTERVALS), "{name}");
    assert_eq!((&after.url, &after.headers, after.active), (&there.url, &there.headers, true), "{name}");
    let note = world.until_event("orders", "DriftCorrected").await;
    assert!(note.contains("retryPolicy.intervalsMs") && note.contains("elsewhere.example.com"), "{name}: {note}");
    assert_eq!(note.contains("headers.X-Other"), readable, "{name}: {note}");
    assert_eq!(world.active_versions("orders"), [2], "{name}");
}

async fn deleted(world: &World, name: &str, options: &Options) {
    let others = world.integrations().len() - ours(world).len();
    world.delete::<CognigyWebhook>("orders").await;
    world.until_gone::<CognigyWebhook>("orders").await;
    if options.delete_integration == Support::Yes {
        assert_eq!(ours(world), [], "{name}");
    } else {
        assert_eq!(world.active_versions("orders"), [] as [i64; 0], "{name}");
        world.until_event("orders", "Orphaned").await;
    }
    assert_eq!(world.integrations().len() - ours(world).len(), others, "{name}: what is somebody else's stays");
}

fn ours(world: &World) -> Vec<cognigy_simulator::IntegrationRecord> {
    world.integrations().into_iter().filter(|one| one.name == "orders").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_addresses_ids_and_credentials_is_lived_with() {
    live(shapes()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_answer_or_to_refuse_a_route_is_lived_with() {
    live(answers()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_locking_is_lived_with() {
    live(locking()).await;
}

/// Refused with this status, the webhook tells this reason.
async fn refused(world: &World, webhook: &str, status: u16, reason: &str, words: &str) {
    world.fault(Fault::on(Route::CreateIntegration).status(status));
    world.webhook(webhook, json!({"retryPolicyRef": {"name": "once"}})).await;
    let message = message(&world.until_reason(webhook, reason).await);
    let note = world.until_event(webhook, reason).await;
    for told in [&message, &note] {
        assert!(told.contains(words) && told.contains("A fault that was asked for."), "{told}");
        assert!(told.contains("(trace id api--00000000-0000-4000-8000-"), "{told}");
        assert!(!told.contains(['{', '\n']), "the answer itself is not shown: {told}");
    }
    world.clear_faults();
    world.webhook(webhook, json!({"retryPolicyRef": {"name": "once"}, "method": "PUT"})).await;
    world.until_reason(webhook, "Active").await;
}

async fn told_in(format: ErrorFormat) {
    world(Options { error_format: format, ..Options::default() }, async |world| {
        world.tenant("production", json!({})).await;
        world.policy("once", json!({"intervalsMs": [50]})).await;
        refused(world, "orders", 422, "Rejected", "422").await;
        refused(
            world,
            "refunds",
            403,
            "Forbidden",
            "the scope integrations:write webhooks:manage or the role Integration Developer",
        )
        .await;
        refused(world, "tickets", 503, "RetriesExhausted", "503").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cognigys_words_and_trace_id_reach_condition_and_event_from_every_form_of_refusal() {
    for format in [ErrorFormat::Problem, ErrorFormat::ProblemTextCode, ErrorFormat::Oauth, ErrorFormat::Plain] {
        told_in(format).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tags_a_policy_is_written_only_where_the_tenant_allows_compare_and_write() {
    let options = Options { locking: Locking::LastChanged, ..Options::default() };
    world(options, async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": INTERVALS})).await;
        world.webhook("orders", spec(json!({}))).await;
        let stalled = world.until_reason("orders", "LockingUnsupported").await;
        assert_eq!(true_conditions(&stalled), ["Registered", "Stalled"]);
        assert_eq!(world.count(Route::PutWebhook), 0);

        // Somebody else is faster, between our read and our comparison.
        world.fault(Fault::on(Route::GetWebhook).skip(1).times(1).change_behind(json!({"note": "theirs"})));
        world.tenant("production", json!({"concurrency": "CompareAndWrite"})).await;
        world.until_reason("orders", "Active").await;
        let there = ours(world).remove(0);
        assert_eq!(there.unknown["note"], json!("theirs"));
        assert_eq!(there.retry_policy.unwrap()["intervalsMs"], json!(INTERVALS));
        world.until_event("orders", "Conflict").await;
        assert_eq!(world.count(Route::PutWebhook), 1, "nothing is written on a comparison that fails");
    })
    .await;
}
