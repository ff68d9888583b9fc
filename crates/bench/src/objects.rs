//! Objects on their way to the API server, and what becomes of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use demo::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    runtime::watcher::{self, watcher},
};
use serde_json::Value;
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

use crate::{fleet::NAMESPACE, progress::Progress};

/// How many objects their owner writes at the same time.
const AT_ONCE: usize = 32;

/// The objects of a kind.
pub(crate) fn api(client: &Client, resource: &ApiResource) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), NAMESPACE, resource)
}

/// Creates them all, in this order as far as the API server lets it; when each was created, from the beginning.
pub(crate) async fn create(
    api: &Api<DynamicObject>,
    objects: impl IntoIterator<Item = Result<DynamicObject>>,
    each: impl Fn(&str),
) -> Result<Times> {
    let begin = Instant::now();
    let times = Mutex::<Times>::default();
    stream::iter(objects)
        .try_for_each_concurrent(AT_ONCE, async |object| {
            let name = object.name_any();
            api.create(&PostParams::default(), &object).await?;
            each(&name);
            times.lock().unwrap_or_else(PoisonError::into_inner).0.insert(name, begin.elapsed());
            Result::Ok(())
        })
        .await?;
    Ok(times.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Deletes them all.
pub(crate) async fn delete(api: &Api<DynamicObject>, names: impl IntoIterator<Item = String>) -> Result<()> {
    stream::iter(names.into_iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, async |name| {
            api.delete(&name, &DeleteParams::background()).await?;
            Ok(())
        })
        .await
}

/// Changes one.
pub(crate) async fn change(api: &Api<DynamicObject>, name: &str, patch: &Value) -> Result<()> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Whether its condition `Ready` is true, for the spec as it is now where it says for which.
pub(crate) fn is_ready(object: &DynamicObject) -> bool {
    let conditions = object.data["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|one| one["type"] == "Ready");
    ready.is_some_and(|one| one["status"] == "True")
}

/// When each object of a kind came to be as it was waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(BTreeMap<String, Duration>);

impl Times {
    /// All of them, in order.
    pub(crate) fn sorted(&self) -> Vec<Duration> {
        let mut times: Vec<_> = self.0.values().copied().collect();
        times.sort();
        times
    }

    /// By the objects' names.
    pub(crate) fn by_name(&self) -> &BTreeMap<String, Duration> {
        &self.0
    }
}

/// Looks at the objects of a kind for as long as this is there.
pub(crate) struct Follow {
    begin: Instant,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    times: Mutex<Times>,
    more: Notify,
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follow {
    /// Begins to look; time counts from here. An object counts from the first moment at which it `is_so`.
    pub(crate) fn start(api: Api<DynamicObject>, is_so: impl Fn(&DynamicObject) -> bool + Send + 'static) -> Self {
        Self::look(api, move |event, seen| match event {
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) if is_so(&object) => {
                seen(object.name_any());
            }
            _ => {}
        })
    }

    /// Begins to look; an object counts when it is gone.
    pub(crate) fn until_gone(api: Api<DynamicObject>) -> Self {
        Self::look(api, |event, seen| {
            if let watcher::Event::Delete(object) = event {
                seen(object.name_any());
            }
        })
    }

    fn look(
        api: Api<DynamicObject>,
        judge: impl Fn(watcher::Event<DynamicObject>, &mut dyn FnMut(String)) + Send + 'static,
    ) -> Self {
        let begin = Instant::now();
        let seen = Arc::<Seen>::default();
        let told = seen.clone();
        let task = tokio::spawn(async move {
            let mut events = watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                // A watch that breaks begins again with a list.
                let Ok(event) = event else { continue };
                judge(event, &mut |name| {
                    let mut times = told.times.lock().unwrap_or_else(PoisonError::into_inner);
                    times.0.entry(name).or_insert_with(|| begin.elapsed());
                });
                told.more.notify_one();
            }
        });
        Self { begin, seen, task }
    }

    /// How many there are so far.
    pub(crate) fn count(&self) -> usize {
        self.seen.times.lock().unwrap_or_else(PoisonError::into_inner).0.len()
    }

    /// Waits until there are so many; the times of those that there are when `within` is over.
    pub(crate) async fn reach(&self, count: usize, within: Duration, progress: &Progress) -> Times {
        let all = async {
            loop {
                let now = self.count();
                progress.at(now);
                if now >= count {
                    return;
                }
                self.seen.more.notified().await;
            }
        };
        // What is missing then is seen in the number of times.
        let _ = timeout(within.saturating_sub(self.begin.elapsed()), all).await;
        self.seen.times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
