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
use tokio::sync::{Semaphore, mpsc};

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
/// Webhooks that are under way at the same time: as many as the operator has behind the door of one namespace.
const AT_ONCE: usize = 256;
/// Calls to Cognigy at the same time: as many as the operator's tenant allows.
const CALLS_AT_ONCE: usize = fleet::CALLS_AT_ONCE as usize;
/// Writes to objects at the same time: as many passes as the operator has at work.
const WRITES_AT_ONCE: usize = 16;
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

/// Sends the same for so many webhooks.
pub(crate) async fn run(stage: &Stage, webhooks: usize, recipe: &Recipe, within: Duration) -> Result<Rollout> {
    let kind = fleet::resource("CognigyWebhook");
    let wire = Arc::new(Wire::new(stage)?);
    warm_up(stage, &wire, webhooks, recipe).await?;
    stage.settle().await?;
    let progress = Progress::start(&format!("the physical limit, {webhooks} webhooks"), webhooks);
    let follow = Follow::start(objects::api(&stage.owner, &kind), is_ready);
    let meter = Meter::start(stage, None)?;
    let (created, ready) = tokio::try_join!(work(stage, &wire, 0..webhooks, recipe), async {
        Ok(follow.reach(webhooks, within, &progress).await)
    })?;
    Ok(Rollout::of_objects("limit", webhooks, &created, &ready, meter.read(stage)?))
}

/// The same as for the operator: connections are made, and the API server learns how to write these kinds.
async fn warm_up(stage: &Stage, wire: &Arc<Wire>, webhooks: usize, recipe: &Recipe) -> Result<()> {
    let progress = Progress::start("warming up", WARM);
    let api = objects::api(&stage.owner, &fleet::resource("CognigyWebhook"));
    let gone = Follow::until_gone(api.clone());
    let warm = webhooks..webhooks + WARM;
    work(stage, wire, warm.clone(), recipe).await?;
    for nth in warm.clone() {
        objects::change(&api, &webhook_name(nth), &json!({"metadata": {"finalizers": null}})).await?;
    }
    objects::delete(&api, warm.map(webhook_name)).await?;
    gone.reach(WARM, WARM_WITHIN, &progress).await;
    Ok(())
}

/// Creates these webhooks and brings each up once it is created; when each was created.
async fn work(stage: &Stage, wire: &Arc<Wire>, webhooks: Range<usize>, recipe: &Recipe) -> Result<Times> {
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
        let way =
            Way { wire, objects: worker, writes: Semaphore::new(WRITES_AT_ONCE), calls: Semaphore::new(CALLS_AT_ONCE) };
        let (way, told) = (&way, &told);
        let bring_up = |name: String| async move { way.bring_up(recipe, &name, told).await };
        received(wished).map(Ok).try_for_each_concurrent(AT_ONCE, bring_up).await
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

/// How one webhook after the other is brought up.
struct Way<'a> {
    wire: &'a Wire,
    objects: Api<DynamicObject>,
    writes: Semaphore,
    calls: Semaphore,
}

impl Way<'_> {
    /// In the operator's order: the mark, the registration, what is known then, all other calls, the verdict; the events beside.
    async fn bring_up(&self, recipe: &Recipe, name: &str, told: &mpsc::UnboundedSender<Event>) -> Result<()> {
        let nth: usize = name.rsplit('-').next().unwrap_or_default().parse()?;
        self.mark(name).await?;
        let registered = {
            let _call = self.calls.acquire().await?;
            self.wire.register(nth).await?
        };
        for write in 1..recipe.status_writes {
            self.tell(name, &recipe.status(write - 1)).await?;
        }
        {
            // One call after another: as many webhooks as there may be calls.
            let _call = self.calls.acquire().await?;
            self.wire.activate(nth, registered).await?;
        }
        self.tell(name, &recipe.status(recipe.status_writes - 1)).await?;
        for event in recipe.events(name) {
            // Nobody listens any more where telling has failed, which is told.
            let _ = told.send(event);
        }
        Ok(())
    }

    /// Finalizer and annotation.
    async fn mark(&self, name: &str) -> Result<()> {
        let _write = self.writes.acquire().await?;
        let changes = json!([
            {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]},
            {"op": "add", "path": "/metadata/annotations", "value": {"cognigy.io/registration": format!("{name}:1")}},
        ]);
        let patch = Patch::Json::<()>(serde_json::from_value(changes)?);
        self.objects.patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn tell(&self, name: &str, status: &Value) -> Result<()> {
        let _write = self.writes.acquire().await?;
        let kind: ApiResource = fleet::resource("CognigyWebhook");
        let body =
            json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "status": status});
        self.objects.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await?;
        Ok(())
    }
}
