//! A namespace on a real API server, a simulator and an operator for each test; what users see is what is asserted.

use std::{
    fmt::Debug,
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use cognigy_operator::{
    api::{self, CognigyTenant, CognigyWebhook, RECONCILE_REQUESTED_ANNOTATION, RetryPolicy, kstatus_violations},
    cluster::{audit::AuditSink, crds},
    cognigy::install_crypto_provider,
    controller::{Operator, Settings},
    server::Readiness,
};
use cognigy_simulator::{Handle, Options, Simulator, State};
use control_plane::{AuditEvent, ControlPlane, User};
use futures::StreamExt as _;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{core::v1::Namespace, events::v1::Event},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{OnceCell, oneshot},
    task::{JoinHandle, JoinSet},
};

/// No condition takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(90);

/// What one test has to itself.
pub struct World {
    pub client: Client,
    pub namespace: String,
    pub sim: Simulator,
    /// The user that the operator is to the API server.
    pub user: String,
    operator: Mutex<Option<Running>>,
    audit: Lines,
    violations: Arc<Mutex<Vec<String>>>,
    watches: Mutex<JoinSet<()>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
    http: SocketAddr,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    let world = World::start(options).await;
    test(&world).await;
    world.stop_operator().await;
    let violations = world.violations.lock().unwrap().clone();
    assert!(violations.is_empty(), "rules of kstatus were broken:\n{}", violations.join("\n"));
}

pub async fn client_for(user: &User) -> Client {
    install_crypto_provider();
    let plane = ControlPlane::shared().await.unwrap();
    let kubeconfig = Kubeconfig::from_yaml(&plane.kubeconfig(user).unwrap()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.proxy_url = None;
    Client::try_from(config).unwrap()
}

async fn install(client: &Client) {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            let api = Api::<CustomResourceDefinition>::all(client.clone());
            for crd in api::crds() {
                let parameters = PatchParams::apply("tests").force();
                api.patch(&crd.name_any(), &parameters, &Patch::Apply(&crd)).await.unwrap();
            }
            crds::wait_until_served(client, &Readiness::default()).await;
        })
        .await;
}

impl World {
    async fn start(options: Options) -> Self {
        let client = client_for(&User::admin()).await;
        install(&client).await;
        let namespace = new_namespace(&client, &[]).await;
        let sim = Simulator::start(options).await.unwrap();
        let user = format!("operator-of-{namespace}");
        let world = Self {
            client,
            namespace,
            sim,
            user,
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

    fn judge_objects_of(&self, namespace: &str) {
        let (client, violations) = (&self.client, &self.violations);
        let mut watches = self.watches.lock().unwrap();
        watches.spawn(judge(api_of::<CognigyTenant>(client, namespace), Arc::clone(violations), |tenant| {
            tenant.status.as_ref().map(|status| (status.conditions.clone(), status.observed_generation))
        }));
        watches.spawn(judge(api_of::<RetryPolicy>(client, namespace), Arc::clone(violations), |policy| {
            policy.status.as_ref().map(|status| (status.conditions.clone(), status.observed_generation))
        }));
        watches.spawn(judge(api_of::<CognigyWebhook>(client, namespace), Arc::clone(violations), |webhook| {
            webhook.status.as_ref().map(|status| (status.conditions.clone(), status.observed_generation))
        }));
    }

    /// One more namespace with these labels, judged like the first.
    pub async fn another_namespace(&self, labels: &[(&str, &str)]) -> String {
        let namespace = new_namespace(&self.client, labels).await;
        self.judge_objects_of(&namespace);
        namespace
    }

    /// Starts an operator for this namespace (again).
    pub async fn start_operator(&self) {
        self.start_operator_as(&User::named(&self.user).group("system:masters"), &[&self.namespace]).await;
    }

    /// Starts an operator that is this user to the API server and watches these namespaces.
    pub async fn start_operator_as(&self, user: &User, namespaces: &[&str]) {
        let client = client_for(user).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        let operator = Operator {
            client,
            settings: Settings {
                private_callbacks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
                ..Settings::default()
            },
            namespaces: namespaces.iter().map(|namespace| (*namespace).to_owned()).collect(),
            label_selector: None,
            max_concurrent_reconciles: 16,
            shutdown_grace: Duration::from_secs(20),
            audit: AuditSink::new(self.audit.clone()),
            listener,
        };
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(async move {
            operator
                .run(async {
                    let _ = stopped.await;
                })
                .await
                .unwrap();
        });
        *self.operator.lock().unwrap() = Some(Running { stop, done, http });
    }

    /// Ends the operator as SIGTERM would.
    pub async fn stop_operator(&self) {
        let running = self.operator.lock().unwrap().take();
        if let Some(Running { stop, done, .. }) = running {
            let _ = stop.send(());
            done.await.unwrap();
        }
    }

    /// What `/metrics` (or another path) answers.
    pub async fn http(&self, path: &str) -> (u16, String) {
        let http = self.operator.lock().unwrap().as_ref().map(|running| running.http).unwrap();
        let answer = reqwest::get(format!("http://{http}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The value of a series of `/metrics`, by its beginning; the sum where several begin so.
    pub async fn metric(&self, beginning: &str) -> f64 {
        let text = self.http("/metrics").await.1;
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Applies manifests as a user does; the namespace is added.
    pub async fn apply(&self, manifest: Value) -> Value {
        self.apply_in(&self.namespace, manifest).await
    }

    /// The same in another namespace.
    pub async fn apply_in(&self, namespace: &str, manifest: Value) -> Value {
        let mut manifest = manifest;
        manifest["metadata"]["namespace"] = json!(namespace);
        let kind = manifest["kind"].as_str().unwrap();
        let api_version = manifest["apiVersion"].as_str().unwrap();
        let resource = kube::core::ApiResource::from_gvk(
            &kube::core::GroupVersionKind::try_from(kube::core::TypeMeta {
                api_version: api_version.into(),
                kind: kind.into(),
            })
            .unwrap(),
        );
        let api: Api<kube::core::DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let parameters = PatchParams::apply("a-user").force();
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let applied = api.patch(&name, &parameters, &Patch::Apply(&manifest)).await.unwrap();
        serde_json::to_value(applied).unwrap()
    }

    /// Creates or replaces a Secret.
    pub async fn secret(&self, name: &str, values: &[(&str, &str)]) {
        let data: serde_json::Map<String, Value> =
            values.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})).await;
    }

    /// The simulator's credentials as a Secret.
    pub async fn credentials(&self, name: &str) {
        let credentials = self.sim.credentials();
        self.secret(name, &[("client-id", &credentials.client_id), ("client-secret", &credentials.client_secret)])
            .await;
    }

    pub async fn config_map(&self, name: &str, key: &str, value: &str) {
        let data = json!({key: value});
        self.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})).await;
    }

    /// A tenant at the simulator; `change` is merged into its spec.
    pub async fn tenant(&self, name: &str, change: Value) {
        let mut spec = json!({
            "baseUrl": self.sim.https_base_url().unwrap(),
            "auth": {"oauth2": {"credentialsSecretRef": {"name": "cognigy-oauth"}}},
            "caBundle": {"configMapRef": {"name": "simulator-ca", "key": "ca.crt"}},
            "limits": {"requestsPerMinute": 60000, "burst": 1000},
            "callbacks": {"allowPrivateNetworks": true},
        });
        merge(&mut spec, change);
        self.apply(json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyTenant", "metadata": {"name": name}, "spec": spec}))
            .await;
    }

    /// The worked example of cognigy-api.md §4, or another policy.
    pub async fn policy(&self, name: &str, spec: Value) {
        self.apply(json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "RetryPolicy", "metadata": {"name": name}, "spec": spec}))
            .await;
    }

    /// A webhook at the tenant `production` whose callback is the simulator's of the same name; `change` is merged into its
    /// spec.
    pub async fn webhook(&self, name: &str, change: Value) {
        self.webhook_in(&self.namespace, name, change).await;
    }

    /// The same in another namespace.
    pub async fn webhook_in(&self, namespace: &str, name: &str, change: Value) {
        let mut spec = json!({"tenantRef": {"name": "production"}, "url": self.sim.callback_url(name)});
        merge(&mut spec, change);
        let manifest = json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook", "metadata": {"name": name}, "spec": spec});
        self.apply_in(namespace, manifest).await;
    }

    /// That many webhooks, made at the same time; their names are [`nth`](Self::nth).
    pub async fn webhooks(&self, count: usize, change: Value) {
        let made = futures::stream::iter(0..count).map(|nth| {
            let change = change.clone();
            async move { self.webhook(&Self::nth(nth), change).await }
        });
        made.buffer_unordered(16).collect::<()>().await;
    }

    /// The name of one of many webhooks.
    pub fn nth(nth: usize) -> String {
        format!("hook-{nth:03}")
    }

    /// An API for objects of this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        api_of(&self.client, &self.namespace)
    }

    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {annotation: value}}});
        self.api::<CognigyWebhook>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Asks for a full pass and waits until it is made.
    pub async fn full_pass(&self, name: &str, asked: &str) -> CognigyWebhook {
        self.annotate(name, RECONCILE_REQUESTED_ANNOTATION, asked).await;
        self.until(name, |webhook: &CognigyWebhook| {
            webhook.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(asked)
        })
        .await
    }

    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        self.api::<K>().delete(name, &DeleteParams::background()).await.unwrap();
    }

    /// Waits until an object is as described, and returns it.
    pub async fn until<K>(&self, name: &str, described: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + serde::Serialize
            + Send
            + 'static,
        K::DynamicType: Default,
    {
        self.until_in(&self.namespace, name, described).await
    }

    /// The same in another namespace.
    pub async fn until_in<K>(&self, namespace: &str, name: &str, described: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + serde::Serialize
            + Send
            + 'static,
        K::DynamicType: Default,
    {
        let last = Mutex::new(None);
        let found = async {
            let mut objects = watcher::watch_object(api_of::<K>(&self.client, namespace), name).boxed();
            while let Some(object) = objects.next().await {
                if let Ok(Some(object)) = object {
                    if described(&object) {
                        return object;
                    }
                    *last.lock().unwrap() = Some(object);
                }
            }
            unreachable!("a watch has no end")
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| {
            let last = last.lock().unwrap();
            let last = last.as_ref().map(|last| serde_json::to_string_pretty(last).unwrap());
            panic!("{name} did not become as described; it is {}", last.unwrap_or_else(|| "not there".into()))
        })
    }

    /// Waits until a webhook's Ready has this reason (and observedGeneration is current).
    pub async fn until_reason(&self, name: &str, reason: &str) -> CognigyWebhook {
        self.until_reason_in(&self.namespace, name, reason).await
    }

    /// The same in another namespace.
    pub async fn until_reason_in(&self, namespace: &str, name: &str, reason: &str) -> CognigyWebhook {
        self.until_in(namespace, name, |webhook: &CognigyWebhook| {
            let status = webhook.status.clone().unwrap_or_default();
            status.observed_generation == webhook.metadata.generation
                && status.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == reason)
        })
        .await
    }

    /// Waits until a tenant's Ready has this reason (and observedGeneration is current).
    pub async fn until_tenant(&self, name: &str, reason: &str) -> CognigyTenant {
        self.until(name, |tenant: &CognigyTenant| {
            let status = tenant.status.clone().unwrap_or_default();
            status.observed_generation == tenant.metadata.generation
                && status.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == reason)
        })
        .await
    }

    /// Waits until the object is gone.
    pub async fn until_gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
        K::DynamicType: Default,
    {
        let gone = async {
            let mut objects = watcher::watch_object(self.api::<K>(), name).boxed();
            while let Some(object) = objects.next().await {
                if matches!(object, Ok(None)) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("{name} is still there"));
    }

    /// The events about an object, in their order: reason and note.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let mut events = self.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        events.sort_by_key(|event| event.event_time.clone().map(|time| time.0));
        events
            .into_iter()
            .filter(|event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(name))
            .map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default()))
            .collect()
    }

    /// Waits until an event with this reason is there about the object; its note.
    pub async fn until_event(&self, name: &str, reason: &str) -> String {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some((_, note)) = self.events(name).await.into_iter().find(|(r, _)| r == reason) {
                return note;
            }
            assert!(tokio::time::Instant::now() < deadline, "no event {reason}; {:?}", self.events(name).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the simulator is as described.
    pub async fn until_sim(&self, what: &str, described: impl Fn(&State) -> bool) {
        let seen = tokio::time::timeout(PATIENCE, self.sim.wait_until(described)).await;
        seen.unwrap_or_else(|_| panic!("never: {what}; the requests were {:#?}", self.sim.requests()));
    }

    /// How many events with this reason are there about an object.
    pub async fn event_count(&self, name: &str, reason: &str) -> usize {
        self.events(name).await.iter().filter(|(r, _)| r == reason).count()
    }

    /// The webhook as it is now.
    pub async fn get(&self, name: &str) -> CognigyWebhook {
        self.api::<CognigyWebhook>().get(name).await.unwrap()
    }

    /// The audit lines so far.
    pub fn audit_lines(&self) -> Vec<Value> {
        let bytes = self.audit.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the operator wrote to Kubernetes about an object, events apart, from the API server's own audit log.
    pub async fn writes(&self, name: &str) -> Vec<AuditEvent> {
        let plane = ControlPlane::shared().await.unwrap();
        let events = plane.audit_events().unwrap();
        events
            .into_iter()
            .filter(|event| event.user == self.user && event.is_write() && event.resource != "events")
            .filter(|event| event.namespace.as_deref() == Some(&self.namespace) && event.name.as_deref() == Some(name))
            .collect()
    }

    /// Waits until whatever is created next is younger than this: creation times have whole seconds.
    pub async fn until_older(&self, webhook: &CognigyWebhook) {
        let created = webhook.metadata.creation_timestamp.as_ref().unwrap().0.as_second();
        self.eventually("the next second", async || jiff::Timestamp::now().as_second() > created).await;
    }

    /// Waits until `true`; for what has no watch.
    pub async fn eventually(&self, what: &str, mut check: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !check().await {
            assert!(tokio::time::Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl std::ops::Deref for World {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.sim
    }
}

async fn new_namespace(client: &Client, labels: &[(&str, &str)]) -> String {
    let mut namespace = Namespace::default();
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

async fn judge<K>(
    api: Api<K>,
    violations: Arc<Mutex<Vec<String>>>,
    status: impl Fn(&K) -> Option<(Vec<Condition>, Option<i64>)>,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let mut versions = watcher(api, watcher::Config::default()).touched_objects().boxed();
    while let Some(Ok(object)) = versions.next().await {
        let Some((conditions, observed)) = status(&object) else { continue };
        let generation = object.meta().generation.unwrap_or_default();
        for violation in kstatus_violations(&conditions, observed, generation) {
            let mut violations = violations.lock().unwrap();
            violations.push(format!("{} {}: {violation}", K::kind(&()), object.name_any()));
        }
    }
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, change) => *into = change,
    }
}

/// The condition of a type.
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Asserts what Ready says: its status, its reason, the abnormal condition with it, and returns its message.
pub fn told<'a>(conditions: &'a [Condition], (status, reason, with): (&str, &str, Option<&str>)) -> &'a str {
    let ready = condition(conditions, "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), (status, reason), "{}", ready.message);
    for abnormal in ["Reconciling", "Stalled"] {
        assert_eq!(condition(conditions, abnormal).is_some(), with == Some(abnormal), "{abnormal}: {conditions:?}");
    }
    &ready.message
}

/// The message of a webhook's Ready.
pub fn message(webhook: &CognigyWebhook) -> String {
    let conditions = &webhook.status.as_ref().unwrap().conditions;
    condition(conditions, "Ready").unwrap().message.clone()
}

/// The conditions of a webhook that are True.
pub fn true_conditions(webhook: &CognigyWebhook) -> Vec<&str> {
    let conditions = &webhook.status.as_ref().unwrap().conditions;
    conditions.iter().filter(|condition| condition.status == "True").map(|condition| condition.type_.as_str()).collect()
}

/// The reasons of events.
pub fn reasons(events: &[(String, String)]) -> Vec<&str> {
    events.iter().map(|(reason, _)| reason.as_str()).collect()
}
