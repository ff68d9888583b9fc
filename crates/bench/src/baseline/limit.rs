//! The physical limit: the calls and writes that the operator made, sent bare, as fast as the control plane and the simulator
//! take them. It judges nothing, waits for nothing but answers, and knows beforehand what to write.

use std::{ops::Range, sync::Arc, time::Duration};

use cognigy_operator::api::FINALIZER;
use demo::Result;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::wire::Wire;
use crate::{
    chapters::rollout::{Rollout, WARM, WARM_WITHIN, wish},
    fleet::{self, NAMESPACE, webhook_name},
    meter::{Meter, Usage},
    objects::{self, Follow, Times, is_ready},
    progress::Progress,
    stage::Stage,
};

/// Who writes the status, as the operator names itself.
const MANAGER: &str = "bench";
/// Events that are written at the same time: as many as the operator writes.
const EVENTS_AT_ONCE: usize = 16;

/// What the operator wrote to Kubernetes for one webhook.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    status_writes: usize,
    status: Value,
    events: Vec<Event>,
}

impl Recipe {
    /// As it is seen when the operator is through: the status and the events of one webhook, and how often it wrote for each.
    pub(crate) async fn read(stage: &Stage, webhooks: usize, usage: &Usage) -> Result<Self> {
        let name = webhook_name(webhooks / 2);
        let object = objects::api(&stage.owner, &fleet::resource("CognigyWebhook")).get(&name).await?;
        let events = Api::<Event>::namespaced(stage.owner.clone(), NAMESPACE);
        let all = events.list(&ListParams::default().fields(&format!("regarding.name={name}"))).await?;
        Ok(Self {
            status_writes: (usage.kubernetes.status / webhooks).max(1),
            status: object.data["status"].clone(),
            events: all.items,
        })
    }

    /// The nth status of a webhook; only the last one says that it is ready.
    fn status(&self, nth: usize) -> Value {
        let mut status = self.status.clone();
        if nth + 1 < self.status_writes {
            for condition in status["conditions"].as_array_mut().into_iter().flatten() {
                condition["status"] = "Unknown".into();
            }
        }
        status
    }

    fn events(&self, name: &str) -> impl Iterator<Item = Event> {
        self.events.iter().enumerate().map(move |(nth, event)| {
            let mut event = event.clone();
            let metadata = ObjectMeta { namespace: event.metadata.namespace.take(), ..ObjectMeta::default() };
            event.metadata = ObjectMeta { name: Some(format!("{name}.{nth}")), ..metadata };
            if let Some(object) = &mut event.regarding {
                object.name = Some(name.to_owned());
            }
            event
        })
    }
}

/// Sends the same for so many webhooks, `at_once` of them at the same time.
pub(crate) async fn run(
    stage: &Stage,
    webhooks: usize,
    recipe: &Recipe,
    at_once: usize,
    within: Duration,
) -> Result<Rollout> {
    let kind = fleet::resource("CognigyWebhook");
    let wire = Arc::new(Wire::new(stage)?);
    warm_up(stage, &wire, webhooks, recipe, at_once).await?;
    stage.settle().await?;
    let progress = Progress::start(&format!("the physical limit, {webhooks} webhooks"), webhooks);
    let follow = Follow::start(objects::api(&stage.owner, &kind), is_ready);
    let meter = Meter::start(stage, None)?;
    let (created, ready) = tokio::try_join!(work(stage, &wire, 0..webhooks, recipe, at_once), async {
        Ok(follow.reach(webhooks, within, &progress).await)
    })?;
    Ok(Rollout::of_objects("limit", webhooks, &created, &ready, meter.read(stage)?))
}

/// The same as for the operator: connections are made, and the API server learns how to write these kinds.
async fn warm_up(stage: &Stage, wire: &Arc<Wire>, webhooks: usize, recipe: &Recipe, at_once: usize) -> Result<()> {
    let progress = Progress::start("warming up", WARM);
    let api = objects::api(&stage.owner, &fleet::resource("CognigyWebhook"));
    let gone = Follow::until_gone(api.clone());
    let warm = webhooks..webhooks + WARM;
    work(stage, wire, warm.clone(), recipe, at_once).await?;
    for nth in warm.clone() {
        objects::change(&api, &webhook_name(nth), &json!({"metadata": {"finalizers": null}})).await?;
    }
    objects::delete(&api, warm.map(webhook_name)).await?;
    gone.reach(WARM, WARM_WITHIN, &progress).await;
    Ok(())
}

/// Creates these webhooks and brings each up once it is created; when each was created.
async fn work(
    stage: &Stage,
    wire: &Arc<Wire>,
    webhooks: Range<usize>,
    recipe: &Recipe,
    at_once: usize,
) -> Result<Times> {
    let kind = fleet::resource("CognigyWebhook");
    let (owner, worker) = (objects::api(&stage.owner, &kind), objects::api(&stage.worker, &kind));
    let events = Api::<Event>::namespaced(stage.worker.clone(), NAMESPACE);
    let (made, wished) = mpsc::unbounded_channel();
    let (told, tell) = mpsc::unbounded_channel::<Event>();
    let creating = async move {
        // Nobody listens any more where the work has failed, which is told.
        let each = |name: &str| drop(made.send(name.to_owned()));
        objects::create(&owner, webhooks.map(|nth| wish(stage, nth)), each).await
    };
    let bringing_up = async move {
        let told = &told;
        let bring_up = |name: String| {
            let worker = &worker;
            async move { bring_up(wire, worker, recipe, &name, told).await }
        };
        received(wished).map(Ok).try_for_each_concurrent(at_once, bring_up).await
    };
    // As the operator does: beside the work.
    let telling = received(tell).map(Ok).try_for_each_concurrent(EVENTS_AT_ONCE, |event| {
        let events = &events;
        async move {
            events.create(&PostParams::default(), &event).await?;
            Result::Ok(())
        }
    });
    let (created, (), ()) = tokio::try_join!(creating, bringing_up, telling)?;
    Ok(created)
}

/// Whatever comes, until nobody can send any more.
fn received<T>(queue: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::unfold(queue, |mut queue| async { Some((queue.recv().await?, queue)) })
}

async fn bring_up(
    wire: &Wire,
    api: &Api<DynamicObject>,
    recipe: &Recipe,
    name: &str,
    told: &mpsc::UnboundedSender<Event>,
) -> Result<()> {
    let nth: usize = name.rsplit('-').next().unwrap_or_default().parse()?;
    let mark = json!({"metadata": {"finalizers": [FINALIZER], "annotations": {"cognigy.io/registration": format!("{name}:1")}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(&mark)).await?;
    for write in 0..recipe.status_writes {
        if write + 1 == recipe.status_writes {
            wire.bring_up(nth).await?;
        }
        let kind: ApiResource = fleet::resource("CognigyWebhook");
        let status = json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name},
                            "status": recipe.status(write)});
        api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&status)).await?;
    }
    for event in recipe.events(name) {
        // Nobody listens any more where telling has failed, which is told.
        let _ = told.send(event);
    }
    Ok(())
}
