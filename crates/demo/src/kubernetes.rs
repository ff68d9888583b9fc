//! The API server as seen by a program of this workspace, and the operator's definitions on it.

use cognigy_operator::{api, cluster::crds, server::Readiness};
use control_plane::{ControlPlane, User};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::Result;

/// A client of this user's, past any proxy of the reader's.
pub async fn client(plane: &ControlPlane, user: &User) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(&plane.kubeconfig(user)?)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

/// Installs the operator's definitions as `manager`, and waits until they are served.
pub async fn install(client: &Client, manager: &str) -> Result<()> {
    let all = Api::<CustomResourceDefinition>::all(client.clone());
    for crd in api::crds() {
        all.patch(&crd.name_any(), &PatchParams::apply(manager).force(), &Patch::Apply(&crd)).await?;
    }
    crds::wait_until_served(client, &Readiness::default()).await;
    Ok(())
}
