//! The small tools over `kube`, on a real API server.
#![allow(clippy::unwrap_used)]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use cognigy_operator::{
    api::{self, CognigyTenant, CognigyTenantStatus, event::EventReason, tenant::AuthKind},
    cluster::{
        audit::{AuditSink, Fact, Trail},
        crds, metadata,
        secret::{self, SecretError},
        status::{self, Written},
    },
    server::Readiness,
};
use control_plane::{Assets, ControlPlane, Options, User};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Namespace, Secret},
        events::v1::Event,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

const FINALIZER: &str = "cognigy.io/operator";
const ANNOTATION: (&str, &str) = ("cognigy.io/registration", "orders:1");

async fn client_of(plane: &ControlPlane, user: &User) -> Client {
    cognigy_operator::cognigy::install_crypto_provider();
    let kubeconfig = Kubeconfig::from_yaml(&plane.kubeconfig(user).unwrap()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.proxy_url = None;
    Client::try_from(config).unwrap()
}

async fn install(client: &Client, crds: Vec<CustomResourceDefinition>) {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for crd in crds {
        let parameters = PatchParams::apply("tests").force();
        api.patch(&crd.name_any(), &parameters, &Patch::Apply(&crd)).await.unwrap();
    }
}

/// The administrator and a namespace of the test's own, on a control plane with our kinds.
async fn cluster() -> (Client, String) {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let client = client_of(ControlPlane::shared().await.unwrap(), &User::admin()).await;
    INSTALLED
        .get_or_init(|| async {
            install(&client, api::crds()).await;
            crds::wait_until_served(&client, &Readiness::default()).await;
        })
        .await;
    let mut namespace = Namespace::default();
    namespace.metadata.generate_name = Some("test-".into());
    let namespace = Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    (client, namespace.name_any())
}

async fn tenant(api: &Api<CognigyTenant>, name: &str) -> CognigyTenant {
    let tenant = serde_json::from_value(json!({
        "apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyTenant", "metadata": {"name": name},
        "spec": {"baseUrl": "https://tenant.example.com", "auth": {"apiKey": {"secretRef": {"name": "s", "key": "k"}}}}
    }));
    api.create(&PostParams::default(), &tenant.unwrap()).await.unwrap()
}

fn fact(object: &CognigyTenant, note: &str) -> Fact {
    Fact::new(EventReason::Updated, object.object_ref(&()), note)
}

fn trail(client: &Client) -> Trail {
    let (trail, writer) = Trail::new(client.clone(), AuditSink::new(io::sink()), "pod-1");
    tokio::spawn(writer);
    trail
}

#[tokio::test]
async fn two_facts_with_equal_reasons_are_two_events_with_their_own_notes() {
    let (client, namespace) = cluster().await;
    let object = tenant(&Api::namespaced(client.clone(), &namespace), "production").await;
    let trail = trail(&client);
    trail.record(fact(&object, "v1 → v2"));
    trail.record(fact(&object, &format!("v2 → v3 {}", "ü".repeat(2000))));
    trail.flush().await;
    let mut events = Api::<Event>::namespaced(client, &namespace).list(&ListParams::default()).await.unwrap().items;
    events.sort_by_key(|event| event.event_time.clone());
    let notes: Vec<_> = events.iter().map(|event| event.note.clone().unwrap()).collect();
    assert_eq!((notes.len(), notes[0].as_str()), (2, "v1 → v2"), "{notes:?}");
    assert!(notes[1].starts_with("v2 → v3 ü") && notes[1].len() <= 1024, "{notes:?}");
    for event in events {
        assert_eq!((event.reason.as_deref(), event.type_.as_deref()), (Some("Updated"), Some("Normal")));
        assert_eq!(event.reporting_controller.as_deref(), Some("cognigy.io/operator"));
        assert_eq!(event.regarding.unwrap().uid, object.uid());
    }
}

#[tokio::test]
async fn events_that_a_terminating_namespace_or_missing_rights_refuse_fail_nothing() {
    let (client, namespace) = cluster().await;
    let api = Api::<CognigyTenant>::namespaced(client.clone(), &namespace);
    let object = tenant(&api, "production").await;
    let nobody = trail(&client_of(ControlPlane::shared().await.unwrap(), &User::named("nobody")).await);
    nobody.record(fact(&object, "refused"));
    nobody.flush().await;
    // Without a controller-manager a deleted namespace stays Terminating.
    Api::<Namespace>::all(client.clone()).delete(&namespace, &DeleteParams::default()).await.unwrap();
    let trail = trail(&client);
    trail.record(fact(&object, "too late"));
    trail.flush().await;
    let events = Api::<Event>::namespaced(client, &namespace).list(&ListParams::default()).await.unwrap();
    assert_eq!(events.items, []);
}

#[tokio::test]
async fn a_status_is_written_whole_and_only_when_something_changed() {
    let (client, namespace) = cluster().await;
    let api = Api::<CognigyTenant>::namespaced(client, &namespace);
    let object = tenant(&api, "production").await;
    let first = CognigyTenantStatus {
        observed_generation: object.metadata.generation,
        auth: Some(AuthKind::ApiKey),
        ..CognigyTenantStatus::default()
    };
    let written = status::write(&api, &object, &first, object.status.as_ref()).await.unwrap().applied().unwrap();
    assert_eq!(written.status.as_ref(), Some(&first));

    let again = status::write(&api, &written, &first, written.status.as_ref()).await.unwrap();
    assert!(matches!(again, Written::Unchanged));
    assert_eq!(api.get("production").await.unwrap().resource_version(), written.resource_version());

    let second = CognigyTenantStatus { auth: None, ..first };
    let written = status::write(&api, &written, &second, written.status.as_ref()).await.unwrap().applied().unwrap();
    assert_eq!(written.status.as_ref(), Some(&second), "what is left out is removed");
    assert_eq!(written.metadata.generation, object.metadata.generation);
}

#[tokio::test]
async fn a_status_never_lands_on_another_object_of_the_same_name() {
    let (client, namespace) = cluster().await;
    let api = Api::<CognigyTenant>::namespaced(client, &namespace);
    let gone = tenant(&api, "production").await;
    api.delete("production", &DeleteParams::default()).await.unwrap();
    let status = CognigyTenantStatus { observed_generation: Some(1), ..CognigyTenantStatus::default() };
    assert!(matches!(status::write(&api, &gone, &status, None).await.unwrap(), Written::Gone));

    let other = tenant(&api, "production").await;
    assert!(matches!(status::write(&api, &gone, &status, None).await.unwrap(), Written::Gone));
    assert_eq!(api.get("production").await.unwrap().resource_version(), other.resource_version());
}

#[tokio::test]
async fn a_status_is_written_although_the_object_was_edited_meanwhile() {
    let (client, namespace) = cluster().await;
    let api = Api::<CognigyTenant>::namespaced(client, &namespace);
    let read = tenant(&api, "production").await;
    let edit = json!({"metadata": {"labels": {"team": "cx"}}, "spec": {"suspend": true}});
    api.patch("production", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    let status = CognigyTenantStatus { observed_generation: Some(1), ..CognigyTenantStatus::default() };
    let written = status::write(&api, &read, &status, None).await.unwrap().applied().unwrap();
    assert_eq!((written.metadata.generation, written.spec.suspend), (Some(2), true));
    assert_eq!((written.status, written.metadata.labels.unwrap().len()), (Some(status), 1));
}

#[tokio::test]
async fn finalizer_and_annotation_come_in_one_write_and_only_on_what_was_read() {
    let (client, namespace) = cluster().await;
    let api = Api::<CognigyTenant>::namespaced(client, &namespace);
    let read = tenant(&api, "production").await;
    let written = metadata::add_finalizer_and_annotation(&api, &read, FINALIZER, ANNOTATION).await.unwrap().unwrap();
    assert_eq!(written.finalizers(), [FINALIZER]);
    assert_eq!(written.annotations()[ANNOTATION.0], ANNOTATION.1);
    assert_eq!(written.metadata.generation, read.metadata.generation);

    let again = metadata::add_finalizer_and_annotation(&api, &written, FINALIZER, ANNOTATION).await.unwrap();
    assert!(again.is_none());
    let stale = metadata::add_finalizer_and_annotation(&api, &read, FINALIZER, ("cognigy.io/registration", "other"));
    let error = stale.await.unwrap_err();
    assert!(metadata::is_stale(&error), "{error:?}");
    assert_eq!(api.get("production").await.unwrap().resource_version(), written.resource_version());
}

#[tokio::test]
async fn letting_go_keeps_the_finalizers_of_others_and_an_object_that_is_gone_is_let_go() {
    let (client, namespace) = cluster().await;
    let api = Api::<CognigyTenant>::namespaced(client, &namespace);
    let object = tenant(&api, "production").await;
    let object = metadata::add_finalizer(&api, &object, "example.com/other").await.unwrap().unwrap();
    let object = metadata::add_finalizer(&api, &object, FINALIZER).await.unwrap().unwrap();
    // Another finalizer stands in the place that was seen: nothing is taken by its place.
    let changed = json!({"metadata": {"finalizers": [FINALIZER, "example.com/other"]}});
    api.patch("production", &PatchParams::default(), &Patch::Merge(changed)).await.unwrap();
    metadata::remove_finalizer(&api, &object, FINALIZER).await.unwrap();
    metadata::remove_finalizer(&api, &object, FINALIZER).await.unwrap();
    let now = api.get("production").await.unwrap();
    assert_eq!(now.finalizers(), ["example.com/other"]);

    metadata::remove_finalizer(&api, &now, "example.com/other").await.unwrap();
    api.delete("production", &DeleteParams::default()).await.unwrap();
    metadata::remove_finalizer(&api, &object, FINALIZER).await.unwrap();
}

#[tokio::test]
async fn a_secret_is_read_on_use_and_what_is_wrong_with_it_is_told() {
    let (client, namespace) = cluster().await;
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    let error = secret::secret_key(&client, &namespace, "key", "api-key").await.unwrap_err();
    assert!(matches!(error, SecretError::NotFound(_)));
    assert!(error.to_string().starts_with(&format!("Secret {namespace}/key does not exist")), "{error}");

    let created: Secret =
        serde_json::from_value(json!({"metadata": {"name": "key"}, "stringData": {"api-key": "first\n"}})).unwrap();
    let created = secrets.create(&PostParams::default(), &created).await.unwrap();
    let (value, version) = secret::secret_key(&client, &namespace, "key", "api-key").await.unwrap();
    assert_eq!((value.expose_secret(), Some(version)), ("first", created.resource_version()));
    let error = secret::secret_key(&client, &namespace, "key", "token").await.unwrap_err();
    assert!(matches!(error, SecretError::KeyMissing { .. }), "{error}");

    let rotate = json!({"stringData": {"api-key": "second"}});
    secrets.patch("key", &PatchParams::default(), &Patch::Merge(rotate)).await.unwrap();
    let (value, _) = secret::secret_key(&client, &namespace, "key", "api-key").await.unwrap();
    assert_eq!(value.expose_secret(), "second");

    let nobody = client_of(ControlPlane::shared().await.unwrap(), &User::named("nobody")).await;
    let error = secret::secret_key(&nobody, &namespace, "key", "api-key").await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("the operator may not read Secret {namespace}/key")), "{error}");

    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "ca"}, "data": {"ca.crt": "PEM"}})).unwrap();
    Api::namespaced(client.clone(), &namespace).create(&PostParams::default(), &map).await.unwrap();
    let (value, _) = secret::config_map_key(&client, &namespace, "ca", "ca.crt").await.unwrap();
    assert_eq!(value.expose_secret(), "PEM");
}

/// The definitions of a version that knew no `spec.suspend` of tenants.
fn older() -> Vec<CustomResourceDefinition> {
    let without = |crd: CustomResourceDefinition| {
        let mut crd = serde_json::to_value(crd).unwrap();
        let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        spec.as_object_mut().unwrap().remove("suspend");
        serde_json::from_value(crd).unwrap()
    };
    api::crds().into_iter().map(|crd| if crd.spec.names.kind == "CognigyTenant" { without(crd) } else { crd }).collect()
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let poll = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_mins(1), poll).await.is_ok(), "never: {what}");
}

#[tokio::test]
async fn missing_and_old_definitions_are_waited_for_by_name_without_any_rights() {
    let assets = Assets::locate_or_build(|line| eprintln!("{line}")).unwrap();
    let plane = ControlPlane::start(Options::new(assets)).await.unwrap();
    let admin = client_of(&plane, &User::admin()).await;
    let nobody = client_of(&plane, &User::named("nobody")).await;
    let readiness = Readiness::default();
    let waiting_for = async |text: &str| {
        eventually(text, async || readiness.waiting().iter().any(|(_, why)| why.contains(text))).await;
    };
    let waits = crds::wait_until_served(&nobody, &readiness);
    let installs = async {
        waiting_for("cognigytenants.cognigy.io is not installed").await;
        install(&admin, older()).await;
        waiting_for("cognigytenants.cognigy.io is too old: it lacks spec.suspend").await;
        install(&admin, api::crds()).await;
    };
    let both = async { tokio::join!(waits, installs) };
    assert!(tokio::time::timeout(Duration::from_mins(2), both).await.is_ok(), "{:?}", readiness.waiting());
    assert!(readiness.is_ready());
}

#[tokio::test]
async fn audit_lines_are_whole_lines_of_json() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (client, namespace) = cluster().await;
    let object = tenant(&Api::namespaced(client.clone(), &namespace), "production").await;
    let lines = Lines::default();
    let (trail, writer) = Trail::new(client, AuditSink::new(lines.clone()), "pod-1");
    tokio::spawn(writer);
    trail.record(fact(&object, "one\n\"two\""));
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert_eq!((&line["namespace"], &line["name"]), (&json!(namespace), &json!("production")));
    assert_eq!((&line["details"], &line["target"]), (&json!("one \"two\""), &json!("audit")));
    trail.flush().await;
}
