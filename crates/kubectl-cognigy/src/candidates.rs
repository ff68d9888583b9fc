//! Names that complete a command line: those of the cluster that it means, and of kubeconfigs' contexts.
//!
//! A shell waits for them. So what takes long, or cannot be had, is left out without a word.

use std::{env, ffi::OsString, fmt::Debug, sync::mpsc, thread, time::Duration};

use clap::{CommandFactory as _, FromArgMatches as _};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Resource, ResourceExt, api::ListParams, config::Kubeconfig, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use crate::{
    cli::Cli,
    cluster::{Cluster, Flags},
    target::{Kind, Target},
};

/// How long a person waits for names.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nobody reads more.
const MOST: u32 = 500;

/// Webhooks by name, tenants as `ctenant/NAME`.
pub fn targets() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        of_cluster(async |cluster| {
            let (webhooks, tenants) = tokio::join!(of::<CognigyWebhook>(&cluster), of::<CognigyTenant>(&cluster));
            let target = |kind| move |name| Target { kind, name }.to_string();
            let whole = webhooks.iter().cloned().map(target(Kind::Webhook));
            // Who has begun to write the kind wants it.
            let whole = whole.map(|name| CompletionCandidate::new(name).hide(true)).collect();
            [shown(webhooks), shown(tenants.into_iter().map(target(Kind::Tenant))), whole]
                .into_iter()
                .flatten()
                .collect()
        })
    })
}

/// Webhooks by name.
pub fn webhooks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| of_cluster(async |cluster| shown(of::<CognigyWebhook>(&cluster).await)))
}

/// Tenants by name.
pub fn tenants() -> ArgValueCandidates {
    ArgValueCandidates::new(|| of_cluster(async |cluster| shown(of::<CognigyTenant>(&cluster).await)))
}

/// Retry policies by name.
pub fn policies() -> ArgValueCandidates {
    ArgValueCandidates::new(|| of_cluster(async |cluster| shown(of::<RetryPolicy>(&cluster).await)))
}

/// Namespaces.
pub fn namespaces() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        of_cluster(async |cluster| shown(listed(Api::<Namespace>::all(cluster.client.clone())).await))
    })
}

/// Contexts of the kubeconfig.
pub fn contexts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let config = match flags().and_then(|flags| flags.kubeconfig) {
            Some(file) => Kubeconfig::read_from(file),
            None => Kubeconfig::read(),
        };
        shown(config.unwrap_or_default().contexts.into_iter().map(|context| context.name))
    })
}

fn shown(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// What the cluster tells within the time that a person waits.
fn of_cluster(ask: impl AsyncFnOnce(Cluster) -> Vec<CompletionCandidate> + Send + 'static) -> Vec<CompletionCandidate> {
    let Some(flags) = flags() else { return Vec::new() };
    let (tell, told) = mpsc::channel();
    // A thread of its own: a kubeconfig may name a program to log in with, for which the client waits.
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let candidates = runtime.block_on(async {
            match Cluster::find(&flags).await {
                Ok(cluster) => ask(cluster).await,
                Err(_) => Vec::new(),
            }
        });
        // Nobody listens any more where it took too long.
        let _ = tell.send(candidates);
    });
    told.recv_timeout(PATIENCE).unwrap_or_default()
}

/// Which cluster the command line that is being completed means.
fn flags() -> Option<Flags> {
    let mut words: Vec<OsString> = env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "--") {
        // A shell's script has the command line behind it, kubectl has nothing else.
        words.drain(..=1);
    }
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    Flags::from_arg_matches(&matches).ok()
}

/// Those of a kind, in the namespace that is meant.
async fn of<K>(cluster: &Cluster) -> Vec<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    listed(cluster.api::<K>()).await
}

async fn listed<K>(api: Api<K>) -> Vec<String>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let listed = api.list_metadata(&ListParams::default().limit(MOST)).await;
    listed.map(|list| list.items.iter().map(ResourceExt::name_any).collect()).unwrap_or_default()
}
