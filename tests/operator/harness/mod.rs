//! A namespace on a real API server, a simulator and an operator for each test; what users see is what is asserted.

mod conditions;
mod judge;
mod objects;
mod operator;
mod waits;

use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};

use cognigy_operator::{
    api,
    cluster::{crds, patience::Patience},
    cognigy::install_crypto_provider,
    server::Readiness,
};
use cognigy_simulator::{Handle, Options, Simulator};
use control_plane::{AuditLevel, ControlPlane, User};
use k8s_openapi::{
    NamespaceResourceScope, api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{sync::OnceCell, task::JoinSet};

pub use conditions::{condition, message, reasons, told, true_conditions};
use operator::{Lines, Running};

/// What one test has to itself.
pub struct World {
    pub client: Client,
    pub namespace: String,
    pub sim: Simulator,
    /// The user that the operator is to the API server.
    pub user: String,
    pub plane: Plane,
    operator: Mutex<Option<Running>>,
    audit: Lines,
    violations: Arc<Mutex<Vec<String>>>,
    watches: Mutex<JoinSet<()>>,
}

/// The control plane of a world: that of all tests, or one that the test may harm.
pub enum Plane {
    Shared(&'static ControlPlane),
    Own(Box<ControlPlane>),
}

impl Deref for Plane {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        match self {
            Self::Shared(plane) => plane,
            Self::Own(plane) => plane,
        }
    }
}

/// Runs a test in a world of its own. At the end the rules of kstatus must have held on every version of every object that
/// a watcher saw (docs/resources.md, *Status rules*).
pub async fn world(options: Options, test: impl AsyncFnOnce(&World)) {
    world_without_operator(options, async |world| {
        world.start_operator().await;
        test(world).await;
    })
    .await;
}

/// The same for a test that starts the operator itself.
pub async fn world_without_operator(options: Options, test: impl AsyncFnOnce(&World)) {
    let shared = ControlPlane::shared().await.unwrap();
    run(Plane::Shared(shared), options, test).await;
}

/// The same on a control plane of its own, for a test that stops it or takes definitions away.
pub async fn world_on_its_own_plane(options: Options, test: impl AsyncFnOnce(&World)) {
    run(own_plane(AuditLevel::Metadata).await, options, test).await;
}

/// The same on a control plane of its own whose audit log has the bodies of all requests and answers.
pub async fn world_with_bodies_in_the_audit_log(options: Options, test: impl AsyncFnOnce(&World)) {
    run(own_plane(AuditLevel::RequestResponse).await, options, test).await;
}

/// A control plane for one world.
pub async fn own_plane(level: AuditLevel) -> Plane {
    let assets = ControlPlane::shared().await.unwrap().assets().clone();
    let plane = ControlPlane::start(control_plane::Options::new(assets).audit(level)).await.unwrap();
    Plane::Own(Box::new(plane))
}

async fn run(plane: Plane, options: Options, test: impl AsyncFnOnce(&World)) {
    run_in(None, plane, options, test).await;
}

/// Runs a test in a world whose namespace has this name, if it has to have one.
pub async fn run_in(namespace: Option<&str>, plane: Plane, options: Options, test: impl AsyncFnOnce(&World)) {
    let world = World::start(plane, options, namespace).await;
    test(&world).await;
    world.stop_operator().await;
    let violations = world.violations.lock().unwrap().clone();
    assert!(violations.is_empty(), "rules of kstatus were broken:\n{}", violations.join("\n"));
}

/// A client for this user.
pub async fn client_for(plane: &ControlPlane, user: &User) -> Client {
    client_of(&plane.kubeconfig(user).unwrap(), Patience::default()).await
}

/// A client as this kubeconfig says.
pub async fn client_of(kubeconfig: &str, patience: Patience) -> Client {
    install_crypto_provider();
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.proxy_url = None;
    patience.client(config).unwrap()
}

impl Plane {
    /// The definitions are there from now on.
    async fn install(&self, client: &Client) {
        static SHARED: OnceCell<()> = OnceCell::const_new();
        match self {
            Self::Shared(_) => *SHARED.get_or_init(|| install_definitions(client)).await,
            Self::Own(_) => install_definitions(client).await,
        }
    }
}

/// Installs the definitions and waits until they are served.
pub async fn install_definitions(client: &Client) {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for crd in api::crds() {
        let parameters = PatchParams::apply("tests").force();
        api.patch(&crd.name_any(), &parameters, &Patch::Apply(&crd)).await.unwrap();
    }
    crds::wait_until_served(client, &Readiness::default()).await;
}

impl World {
    async fn start(plane: Plane, options: Options, namespace: Option<&str>) -> Self {
        let client = client_for(&plane, &User::admin()).await;
        plane.install(&client).await;
        let namespace = new_namespace(&client, namespace, &[]).await;
        let sim = Simulator::start(options).unwrap();
        let user = format!("operator-of-{namespace}");
        let world = Self {
            client,
            namespace,
            sim,
            user,
            plane,
            operator: Mutex::default(),
            audit: Lines::default(),
            violations: Arc::default(),
            watches: Mutex::default(),
        };
        world.judge_objects_of(&world.namespace);
        world.credentials("cognigy-oauth").await;
        world.config_map("simulator-ca", "ca.crt", &world.sim.ca_pem()).await;
        world
    }

    /// One more namespace with these labels, judged like the first.
    pub async fn another_namespace(&self, labels: &[(&str, &str)]) -> String {
        let namespace = new_namespace(&self.client, None, labels).await;
        self.judge_objects_of(&namespace);
        namespace
    }
}

impl Deref for World {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.sim
    }
}

async fn new_namespace(client: &Client, name: Option<&str>, labels: &[(&str, &str)]) -> String {
    let mut namespace = Namespace::default();
    namespace.metadata.name = name.map(str::to_owned);
    namespace.metadata.generate_name = Some("test-".into());
    namespace.metadata.labels = Some(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect());
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap().name_any()
}

fn api_of<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(client.clone(), namespace)
}
