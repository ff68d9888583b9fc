//! `--watch`: the picture again at each change. Three watches keep stores; nothing is polled.

use std::io::IsTerminal as _;

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Resource,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;

use super::{Look, gather, gather::Objects};
use crate::{
    exit::{Ending, Result},
    output::{self, Format},
    style::{QUIET, styled},
    when,
};

/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// What a watch told.
type News = std::result::Result<(), watcher::Error>;

/// The objects as the watches know them.
struct Stores {
    tenants: Store<CognigyTenant>,
    policies: Store<RetryPolicy>,
    webhooks: Store<CognigyWebhook>,
}

/// Shows the picture until Ctrl-C.
pub async fn run(look: &Look) -> Result<Ending> {
    let (tenants, told_tenants) = follow(look);
    let (policies, told_policies) = follow(look);
    let (webhooks, told_webhooks) = follow(look);
    let stores = Stores { tenants, policies, webhooks };
    // What changes together is shown together.
    let news = futures::stream::select_all([told_tenants, told_policies, told_webhooks]).ready_chunks(1024);
    let show = show(look, &stores, news);
    tokio::select! {
        shown = show => shown.map(|()| Ending::Good),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted.map(|()| Ending::Good)?),
    }
}

async fn show(look: &Look, stores: &Stores, news: impl Stream<Item = Vec<News>>) -> Result<()> {
    let (mut news, mut last, mut troubled) = (std::pin::pin!(news), None, false);
    while let Some(told) = news.next().await {
        let error = told.iter().find_map(|one| one.as_ref().err());
        if let Some(error) = error.filter(|_| !troubled) {
            anstream::eprintln!("the watch is interrupted and goes on by itself: {error}");
        }
        troubled = error.is_some();
        let Some(objects) = stores.objects() else { continue };
        match now(look, objects).await {
            Ok(text) if last.as_ref() == Some(&text) => {}
            Ok(text) => {
                draw(look, &text)?;
                last = Some(text);
            }
            // What is gone may come again, and so may the API server.
            Err(error) => anstream::eprintln!("error: {error}"),
        }
    }
    Ok(())
}

async fn now(look: &Look, mut objects: Objects) -> Result<String> {
    if !look.everywhere {
        gather::add_tenants_elsewhere(&look.cluster, &mut objects).await?;
    }
    Ok(look.picture(&objects).await?.text)
}

/// A store that a watch keeps, and what the watch tells.
fn follow<K>(look: &Look) -> (Store<K>, BoxStream<'static, News>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let told =
        watcher(look.cluster.scope::<K>(look.everywhere), watcher::Config::default()).default_backoff().reflect(writer);
    (store, told.map(|event| event.map(|_| ())).boxed())
}

impl Stores {
    /// What they hold; `None` before all of them are filled.
    fn objects(&self) -> Option<Objects> {
        fn all<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>) -> Vec<K> {
            store.state().iter().map(|object| (**object).clone()).collect()
        }
        let filled = [is_filled(&self.tenants), is_filled(&self.policies), is_filled(&self.webhooks)];
        filled.iter().all(|filled| *filled).then(|| Objects {
            tenants: all(&self.tenants),
            policies: all(&self.policies),
            webhooks: all(&self.webhooks),
            ..Objects::default()
        })
    }
}

fn is_filled<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>) -> bool {
    use futures::FutureExt as _;
    store.wait_until_ready().now_or_never().is_some()
}

fn draw(look: &Look, text: &str) -> Result<()> {
    let text =
        if text.is_empty() { format!("No tenants or webhooks found in {}.\n", look.place()) } else { text.to_owned() };
    match look.format {
        Format::Json => output::print(&text),
        Format::Yaml => output::print(&format!("---\n{text}")),
        Format::Table | Format::Wide if std::io::stdout().is_terminal() => {
            let now = styled(QUIET, format!("as of {}, until Ctrl-C", when::clock(Timestamp::now())));
            output::print(&format!("{CLEAR}{text}\n{now}\n"))
        }
        Format::Table | Format::Wide => output::print(&format!("{text}\n")),
    }
}
