//! The cluster that is talked to, as kubectl would find it.

use std::path::PathBuf;

use clap::Args;
use cognigy_operator::cognigy::install_crypto_provider;
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;

use crate::{
    candidates,
    exit::{Error, Result, Trying as _},
};

/// The flags of kubectl that say which cluster and which namespace is meant.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// The kubeconfig to use [default: $KUBECONFIG, then ~/.kube/config, then the pod's service account]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME", add = candidates::contexts())]
    pub context: Option<String>,
    /// The namespace to look into [default: the context's]
    #[arg(short, long, global = true, value_name = "NAMESPACE", add = candidates::namespaces())]
    pub namespace: Option<String>,
}

/// A cluster, and the namespace that is meant where none is named.
#[derive(Clone)]
pub struct Cluster {
    /// Its API server.
    pub client: Client,
    /// `--namespace`, or the context's.
    pub namespace: String,
}

impl Cluster {
    /// Finds the cluster; nothing is sent yet.
    pub async fn find(flags: &Flags) -> Result<Self> {
        install_crypto_provider();
        let options = KubeConfigOptions { context: flags.context.clone(), ..KubeConfigOptions::default() };
        let config = match &flags.kubeconfig {
            Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
            None if flags.context.is_some() => Config::from_kubeconfig(&options).await?,
            None => Config::infer().await.map_err(|error| Error::Told(format!("cannot find a cluster: {error}")))?,
        };
        let namespace = flags.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).while_trying(|| "cannot make a client for the cluster".into())?;
        Ok(Self { client, namespace })
    }

    /// Objects of a kind in the namespace that is meant.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The same, in all namespaces where `everywhere` is asked for.
    pub fn scope<K>(&self, everywhere: bool) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        if everywhere { Api::all(self.client.clone()) } else { self.api() }
    }

    /// One object by name.
    pub async fn get<K>(&self, name: &str) -> Result<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let what = || format!("cannot read {} {name} in namespace {}", K::kind(&()), self.namespace);
        self.api().get(name).await.while_trying(what)
    }

    /// All objects of a kind, in the namespace that is meant or in all of them, by namespace and name.
    pub async fn list<K>(&self, everywhere: bool) -> Result<Vec<K>>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = self.scope(everywhere);
        let place = if everywhere { "all namespaces".to_owned() } else { format!("namespace {}", self.namespace) };
        let listed = api.list(&ListParams::default()).await;
        let mut objects = listed.while_trying(|| format!("cannot list {} in {place}", K::plural(&())))?.items;
        objects.sort_by(|a, b| (&a.meta().namespace, &a.meta().name).cmp(&(&b.meta().namespace, &b.meta().name)));
        Ok(objects)
    }
}
