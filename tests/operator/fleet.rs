//! What a fleet costs, by counts: calls to Cognigy and requests to the API server for each object, in each part of its
//! life. A change that costs one more of any fails here, on every machine.

mod spent;

use std::collections::BTreeMap;

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{ALL_SCOPES, BotWebhook, Options, Request, Route, State};
use control_plane::AuditEvent;
use futures::StreamExt as _;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use self::spent::{Cost, METADATA, STATUS, Spent};
use crate::harness::{World, world};

/// So many of each kind.
const EACH: usize = 40;
/// Seconds after which something comes due: never in a test.
const NEVER: i64 = 86_400;
/// A period within which each object of a fleet has its turn, however slow the machine.
const PERIOD: i64 = 8;
/// The calls that connect a tenant.
const CONNECTED: [(Route, usize); 2] = [(Route::Token, 1), (Route::ListIntegrations, 1)];

/// Webhooks that are registered with everything that a registration can have, and webhooks of one bot; all have one policy.
struct Fleet<'a> {
    world: &'a World,
    registered: Vec<String>,
    of_a_bot: Vec<String>,
    /// The objects' names by the ids that Cognigy gave them.
    names: BTreeMap<String, String>,
    /// How many requests to the API server were looked at.
    looked_at: usize,
}

impl<'a> Fleet<'a> {
    /// All are live, the operator has ended, and this is what it cost.
    async fn live(world: &'a World) -> (Self, Spent) {
        let named = |kind: &str| (0..EACH).map(|nth| format!("{kind}-{nth}")).collect::<Vec<_>>();
        let (registered, of_a_bot) = (named("registered"), named("bot"));
        let mut fleet = Self { world, registered, of_a_bot, names: BTreeMap::new(), looked_at: 0 };
        fleet.resync_every(NEVER).await;
        world.policy("patient", json!({"intervalsMs": [100, 200, 400]})).await;
        world.secret("header", &[("value", "s3cret-of-the-fleet")]).await;
        world.until_tenant("production", "Connected").await;
        world.clear_log();
        fleet.looked_at = fleet.requests().await.len();
        fleet.apply().await;
        fleet.until_all("are live", is_ready).await;
        fleet.names.extend(world.integrations().into_iter().map(|one| (one.id, one.name)));
        let spent = fleet.ended().await;
        (fleet, spent)
    }

    /// The tenant; with all scopes from the beginning, as another session would interrupt passes under way.
    async fn resync_every(&self, seconds: i64) {
        let auth = json!({"oauth2": {"scopes": ALL_SCOPES}});
        self.world.tenant("production", json!({"resyncPeriodSeconds": seconds, "auth": auth})).await;
    }

    async fn apply(&mut self) {
        let registered = json!({
            "retryPolicyRef": {"name": "patient"},
            "headersFrom": [{"name": "X-Api-Key", "secretKeyRef": {"name": "header", "key": "value"}}],
            "healthCheck": {"periodSeconds": NEVER, "timeoutSeconds": 30},
        });
        let mut specs: Vec<(String, Value)> =
            self.registered.iter().map(|name| (name.clone(), registered.clone())).collect();
        for name in &self.of_a_bot {
            let id = self.world.add_bot_webhook(BotWebhook::new("support", name, "https://h.example.com/x"));
            let existing = json!({"botId": "support", "webhookId": id});
            let spec = json!({"url": null, "existing": existing, "retryPolicyRef": {"name": "patient"}});
            self.names.insert(id, name.clone());
            specs.push((name.clone(), spec));
        }
        let world = self.world;
        let applied = specs.into_iter().map(|(name, spec)| async move { world.webhook(&name, spec).await });
        futures::stream::iter(applied).buffer_unordered(16).collect::<()>().await;
    }

    async fn all(&self) -> Vec<CognigyWebhook> {
        self.world.api::<CognigyWebhook>().list(&ListParams::default()).await.unwrap().items
    }

    async fn until_all(&self, what: &str, described: impl Fn(&CognigyWebhook) -> bool) {
        let all = async || self.all().await.iter().filter(|webhook| described(webhook)).count() == 2 * EACH;
        self.world.eventually(what, all).await;
    }

    /// A new operator, whose tenant is connected.
    async fn started(&self) {
        self.world.start_operator().await;
        let probed = |state: &State| {
            state.requests().iter().any(|one| one.route == Some(Route::ListIntegrations) && one.status.is_some())
        };
        self.world.until_sim("the tenant's probe", probed).await;
    }

    /// Whoever was asked for until now had a pass: one that came later had one, and no more are made.
    async fn until_passed(&self) {
        self.world.webhook("last", json!({"suspend": true})).await;
        self.world.until_reason("last", "Suspended").await;
        let mut before = None;
        let all_made = async || {
            let now = Some(self.world.counted("cognigy_operator_reconciles_total{kind=\"CognigyWebhook\"").await);
            std::mem::replace(&mut before, now) == now
        };
        self.world.eventually("no more passes", all_made).await;
    }

    /// Ends the operator, so that nothing is under way, and says what was spent since the last look.
    async fn ended(&mut self) -> Spent {
        self.world.stop_operator().await;
        let calls = self.world.requests();
        self.world.clear_log();
        let requests = self.requests().await.split_off(self.looked_at);
        self.looked_at += requests.len();
        Spent::of(&calls, &requests, &self.names)
    }

    /// What the operator asked the API server for, in its order; not what each start asks for.
    async fn requests(&self) -> Vec<AuditEvent> {
        // The API server writes its log after its answer: when this request is in it, what came before is too.
        let mark = format!("looked-at-{}", self.looked_at);
        self.world.config_map(&mark, "a", "mark").await;
        let here = |request: &AuditEvent| request.namespace.as_deref() == Some(&*self.world.namespace);
        let mut requests = Vec::new();
        self.world
            .eventually("the mark in the audit log", async || {
                requests = self.world.plane.audit_events().unwrap();
                requests.iter().any(|request| here(request) && request.name.as_ref() == Some(&mark))
            })
            .await;
        let of_the_start = |request: &AuditEvent| request.resource.is_empty() || request.name.is_none();
        requests.retain(|request| request.user == self.world.user && !of_the_start(request));
        requests
    }

    /// What has no number of its own stays far below one for each webhook: tenant and policy are told about at most every ten
    /// seconds, and a watch lags behind the operator's own writes now and then.
    fn assert_little_besides(&self, spent: &Spent) {
        for (write, times) in &spent.other_writes {
            assert!(["patch cognigytenants", "patch retrypolicies"].contains(&&**write), "{write}");
            assert!(*times <= EACH / 4, "{write}: {times} times");
        }
        let webhooks = self.registered.len() + self.of_a_bot.len();
        assert!(spent.read_again <= webhooks, "{} reads for {webhooks} webhooks", spent.read_again);
    }
}

fn is_ready(webhook: &CognigyWebhook) -> bool {
    let conditions = webhook.status.as_ref().map(|status| &status.conditions);
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// The reads of each registered webhook, by its path.
fn reads_by_object(requests: &[Request]) -> BTreeMap<&str, Vec<&Request>> {
    let mut reads = BTreeMap::<_, Vec<_>>::new();
    for read in requests.iter().filter(|one| one.route == Some(Route::GetWebhook)) {
        reads.entry(&*read.path).or_default().push(read);
    }
    reads
}

fn cost(calls: &[Route], writes: &[&'static str], events: usize) -> Cost {
    Cost { calls: calls.to_vec(), writes: writes.to_vec(), events }
}

/// What each start reads for the tenant's session, and `more`.
fn reads(more: Option<(&str, usize)>) -> BTreeMap<String, usize> {
    let session = [("secrets cognigy-oauth", 1), ("configmaps simulator-ca", 1)];
    session.into_iter().chain(more).map(|(what, times)| (what.to_owned(), times)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_new_webhook_of_a_fleet_costs_four_calls_and_three_writes_and_each_of_a_bot_one_of_both() {
    world(Options::default(), async |world| {
        let (fleet, spent) = Fleet::live(world).await;
        let calls = [Route::CreateIntegration, Route::GetWebhook, Route::PutWebhook, Route::UpdateIntegration];
        assert_eq!(*spent.by_each(&fleet.registered), cost(&calls, &[METADATA, STATUS, STATUS], 4));
        assert_eq!(*spent.by_each(&fleet.of_a_bot), cost(&[Route::PatchBotWebhook], &[STATUS], 1));
        // One listing serves all who ask within some seconds.
        assert!(spent.shared.keys().eq([&Route::ListBotWebhooks]), "{:?}", spent.shared);
        assert!(spent.shared[&Route::ListBotWebhooks] <= EACH / 2, "{:?}", spent.shared);
        let namespace = format!("namespaces {}", world.namespace);
        // The CA bundle, which every check needs, is that of the tenant's session.
        let own = [(&*namespace, EACH), ("secrets header", EACH)];
        assert_eq!(spent.reads, own.map(|(what, times)| (what.to_owned(), times)).into());
        fleet.assert_little_besides(&spent);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_a_full_fleet_calls_for_nothing_that_is_not_due_and_writes_about_no_webhook() {
    world(Options::default(), async |world| {
        let (mut fleet, _) = Fleet::live(world).await;
        fleet.started().await;
        fleet.until_passed().await;
        let spent = fleet.ended().await;
        for kind in [&fleet.registered, &fleet.of_a_bot] {
            assert_eq!(*spent.by_each(kind), Cost::default());
        }
        assert_eq!(spent.shared, CONNECTED.into());
        assert_eq!(spent.reads, reads(None));
        fleet.assert_little_besides(&spent);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_first_look_a_quiet_fleet_costs_a_conditional_call_each_and_a_listing_a_bot_per_period_and_no_write() {
    world(Options::default(), async |world| {
        let (mut fleet, _) = Fleet::live(world).await;
        fleet.resync_every(PERIOD).await;
        fleet.started().await;
        world
            .until_sim("each was compared twice", |state| {
                let compared = reads_by_object(state.requests());
                compared.len() == EACH
                    && compared.values().all(|reads| reads.len() >= 2)
                    && state.count(Route::ListBotWebhooks) > 0
            })
            .await;
        for (path, reads) in reads_by_object(&world.requests()) {
            let conditional = |read: &&Request| {
                read.header("if-none-match").is_some() && read.status.is_none_or(|status| status == 304)
            };
            assert!(reads[1..].iter().all(conditional), "{path}: {reads:?}");
        }
        let spent = fleet.ended().await;
        for name in &fleet.registered {
            // What activates a webhook tells no entity tag: the first look is at all of it. When the last one has its second
            // turn, the first one may have had its third.
            let Cost { calls, writes, events } = spent.by(name);
            let expected = [Route::GetWebhook, Route::GetIntegration, Route::GetWebhook, Route::GetWebhook];
            assert!(calls.len() >= 3 && expected.starts_with(calls), "{name}: {calls:?}");
            assert_eq!((writes.len(), *events), (0, 0), "{name}");
        }
        assert_eq!(*spent.by_each(&fleet.of_a_bot), Cost::default());
        assert!(spent.shared[&Route::ListBotWebhooks] <= 3, "{:?}", spent.shared);
        // Beside the tenant's probe one look whether the listing could serve: here it says no versions.
        assert_eq!(spent.shared[&Route::ListIntegrations], 2);
        assert_eq!(spent.reads, reads(Some(("secrets header", EACH))));
        fleet.assert_little_besides(&spent);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_costs_each_of_its_webhooks_three_calls_later_two_and_one_write_and_those_of_a_bot_one_of_both()
 {
    world(Options::default(), async |world| {
        let (mut fleet, _) = Fleet::live(world).await;
        // What activates a webhook tells no entity tag: the registration is read too. The write of the policy tells one, by which
        // the next operator knows that it stands.
        let looked = [Route::GetWebhook, Route::GetIntegration, Route::PutWebhook];
        let tagged = [Route::GetWebhook, Route::PutWebhook];
        for (generation, intervals, calls) in [(2, [100, 200], &looked[..]), (3, [200, 400], &tagged[..])] {
            fleet.started().await;
            world.policy("patient", json!({"intervalsMs": intervals})).await;
            let has_it = |webhook: &CognigyWebhook| {
                let applied = webhook.status.as_ref().and_then(|status| status.retry_policy.as_ref());
                applied.is_some_and(|applied| applied.generation == generation)
            };
            fleet.until_all("have the changed policy", has_it).await;
            let spent = fleet.ended().await;
            assert_eq!(*spent.by_each(&fleet.registered), cost(calls, &[STATUS], 1));
            assert_eq!(*spent.by_each(&fleet.of_a_bot), cost(&[Route::PatchBotWebhook], &[STATUS], 1));
            assert!(spent.shared[&Route::ListBotWebhooks] <= EACH / 2, "{:?}", spent.shared);
            // The headers of a registration are compared with what the Secret says, and hidden in what Cognigy says.
            assert_eq!(spent.reads, reads(Some(("secrets header", EACH))));
            fleet.assert_little_besides(&spent);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_fleet_costs_each_webhook_one_call_and_one_write_and_those_of_a_bot_none() {
    world(Options::default(), async |world| {
        let (mut fleet, _) = Fleet::live(world).await;
        fleet.started().await;
        let all = ListParams::default();
        world.api::<CognigyWebhook>().delete_collection(&DeleteParams::background(), &all).await.unwrap();
        world.eventually("all are gone", async || fleet.all().await.is_empty()).await;
        assert_eq!(world.integrations(), []);
        let spent = fleet.ended().await;
        assert_eq!(*spent.by_each(&fleet.registered), cost(&[Route::DeleteIntegration], &[METADATA], 1));
        assert_eq!(*spent.by_each(&fleet.of_a_bot), Cost::default());
        assert_eq!(spent.shared, CONNECTED.into());
        assert_eq!(spent.reads, reads(None));
        fleet.assert_little_besides(&spent);
    })
    .await;
}
