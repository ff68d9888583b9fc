//! Where the demo takes place: a control plane of its own, or the reader's cluster.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use control_plane::{Assets, ControlPlane, Options, User};

use crate::{Result, kubectl::Kubectl, screen::Screen};

/// The namespace of everything that the demo creates.
pub(crate) const NAMESPACE: &str = "cognigy-demo";
/// How long deleting may take in a reader's cluster, for kubectl.
const DELETE_WITHIN: &str = "--timeout=60s";

/// A cluster with its kubectl.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Kept for its end, which ends the processes; none in a cluster of the reader.
    plane: Option<ControlPlane>,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    /// Files with definitions that were not there before.
    new_definitions: Vec<PathBuf>,
    namespace_is_new: bool,
}

impl Cluster {
    /// Starts a control plane, or takes the reader's cluster.
    pub(crate) async fn open(kubeconfig: Option<&Path>, screen: &mut Screen) -> Result<Self> {
        match kubeconfig {
            Some(file) => Self::of_reader(file, screen).await,
            None => Self::own(screen).await,
        }
    }

    async fn own(screen: &mut Screen) -> Result<Self> {
        screen.doing("starting etcd and kube-apiserver");
        let begin = Instant::now();
        let assets = tokio::task::spawn_blocking(|| Assets::locate_or_build(|line| eprintln!("{line}"))).await??;
        let kubectl = assets.kubectl();
        let plane = ControlPlane::start(Options::new(assets)).await?;
        let kubeconfig = plane.write_kubeconfig(&User::admin())?;
        let url = plane.url().to_owned();
        let cluster =
            Self { plane: Some(plane), kubectl, kubeconfig, new_definitions: Vec::new(), namespace_is_new: false };
        let version = cluster.server_version().await?;
        let seconds = begin.elapsed().as_secs_f64();
        screen.done("control plane", format_args!("etcd and kube-apiserver {version} at {url} ({seconds:.1} s)"));
        Ok(cluster)
    }

    async fn of_reader(file: &Path, screen: &mut Screen) -> Result<Self> {
        screen.doing("asking your cluster for its version");
        // The reader's own kubectl fits the cluster and finds its plugins; else it is one that was built here.
        let kubectl = match kubectl_on_path() {
            Some(kubectl) => kubectl,
            None => Assets::locate_or_build(|line| eprintln!("{line}"))?.kubectl(),
        };
        let cluster = Self {
            plane: None,
            kubectl,
            kubeconfig: std::path::absolute(file)?,
            new_definitions: Vec::new(),
            namespace_is_new: false,
        };
        let version = cluster.server_version().await?;
        let server = cluster
            .kubectl(["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"])
            .run()
            .await?;
        screen.done("your cluster", format_args!("Kubernetes {version} at {server}"));
        Ok(cluster)
    }

    /// Whether it is the reader's, and has to look afterwards as it did before.
    pub(crate) fn is_of_reader(&self) -> bool {
        self.plane.is_none()
    }

    /// The file that kubectl and the operator use.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder of kubectl, if the reader's shell would not find one.
    pub(crate) fn kubectl_folder(&self) -> Option<&Path> {
        if kubectl_on_path().is_some() { None } else { self.kubectl.parent() }
    }

    /// kubectl for this cluster.
    pub(crate) fn kubectl<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Kubectl {
        let mut command = match &self.plane {
            Some(plane) => plane.kubectl(),
            // With the reader's environment: the kubeconfig may name a helper that needs it.
            None => Command::new(&self.kubectl),
        };
        command.env("KUBECONFIG", &self.kubeconfig);
        Kubectl::new(command, args)
    }

    async fn server_version(&self) -> Result<String> {
        let version = self.kubectl(["version", "--request-timeout=10s"]).json().await?;
        Ok(version["serverVersion"]["gitVersion"].as_str().unwrap_or("of unknown version").to_owned())
    }

    /// Installs the definitions that are missing; those that are there stay as they are. Says which those were.
    pub(crate) async fn install(&mut self, files: &[PathBuf]) -> Result<Vec<String>> {
        let mut kept = Vec::new();
        for file in files {
            // deploy/crds/<plural>.<group>.yaml
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let path = file.display().to_string();
            if self.exists("crd", &name).await? {
                kept.push(name);
                continue;
            }
            self.kubectl(["create", "-f", &path]).run().await?;
            self.new_definitions.push(file.clone());
            let crd = format!("crd/{name}");
            self.kubectl(["wait", "--for=condition=Established", "--timeout=60s", &crd]).run().await?;
        }
        Ok(kept)
    }

    /// Creates the demo's namespace, which must not be there yet.
    pub(crate) async fn create_namespace(&mut self) -> Result<()> {
        if self.exists("namespace", NAMESPACE).await? {
            return Err(format!(
                "this cluster already has a namespace {NAMESPACE}, and the demo would mix with what is in it: \
                 delete it (kubectl delete namespace {NAMESPACE}), then start the demo again"
            )
            .into());
        }
        self.kubectl(["create", "namespace", NAMESPACE]).run().await?;
        self.namespace_is_new = true;
        Ok(())
    }

    async fn exists(&self, kind: &str, name: &str) -> Result<bool> {
        let found = self.kubectl(["get", kind, name, "--ignore-not-found", "-o", "name"]).run().await?;
        Ok(!found.trim().is_empty())
    }

    /// Removes from a reader's cluster what was created there; the operator must still run, because it has finalizers.
    pub(crate) async fn clean_up(&mut self, screen: &mut Screen) {
        if !self.is_of_reader() || !self.namespace_is_new && self.new_definitions.is_empty() {
            return;
        }
        screen.line("\nRemoving what the demo created in your cluster …");
        let mut failures = Vec::new();
        if self.namespace_is_new {
            failures.extend(self.remove_namespace().await.err());
        }
        for file in &self.new_definitions {
            let path = file.display().to_string();
            failures.extend(self.kubectl(["delete", "-f", &path, DELETE_WITHIN]).run().await.err());
        }
        for failure in &failures {
            screen.line(format_args!("  {failure}"));
        }
        if failures.is_empty() {
            screen.line("  done: your cluster is as it was, or will be once it has let go of the namespace.");
        } else {
            let file = self.kubeconfig.display();
            screen.line(format_args!(
                "  Something is left; look for it with: kubectl --kubeconfig {file} get cognigy --all-namespaces"
            ));
        }
    }

    async fn remove_namespace(&self) -> Result<()> {
        for kind in ["cognigywebhooks", "cognigytenants", "retrypolicies"] {
            let delete = ["delete", kind, "--all", "-n", NAMESPACE, DELETE_WITHIN];
            if self.kubectl(delete).run().await.is_err() {
                // The operator cannot: Cognigy was a simulator that is about to end, so nothing outside is left behind.
                self.drop_finalizers(kind).await?;
                self.kubectl(delete).run().await?;
            }
        }
        // Whoever waits for the end of a namespace waits for a controller of the cluster.
        self.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]).run().await?;
        Ok(())
    }

    async fn drop_finalizers(&self, kind: &str) -> Result<()> {
        let names = self.kubectl(["get", kind, "-n", NAMESPACE, "-o", "name"]).run().await?;
        for name in names.lines() {
            let patch = r#"{"metadata":{"finalizers":null}}"#;
            self.kubectl(["patch", name, "-n", NAMESPACE, "--type=merge", "-p", patch]).run().await?;
        }
        Ok(())
    }
}

/// The reader's own kubectl.
fn kubectl_on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file())
}
