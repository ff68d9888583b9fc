//! A Deployment of the operator, and what it was told on its command line. Pure.

use clap::{CommandFactory as _, FromArgMatches as _, builder::Resettable};
use cognigy_operator::{
    args::{self, Cli, Run},
    cluster::lease::lease_name,
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Container};

use super::model::Object;

/// The container's name in the chart.
const CONTAINER: &str = "operator";

/// One installation.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The Deployment.
    pub object: Object,
    /// Pods that are asked for.
    pub replicas: i32,
    /// Pods that serve.
    pub available: i32,
    /// Why it is not available, in the words of its condition.
    pub why: Option<String>,
    /// Name of its service account, in its own namespace.
    pub account: String,
    /// The image of the operator's container.
    pub image: String,
    /// Its command line as the operator reads it, or what is wrong with it.
    pub run: Result<Run, String>,
}

impl Installed {
    /// What a Deployment runs.
    pub fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.clone().unwrap_or_default();
        let status = deployment.status.clone().unwrap_or_default();
        let pod = spec.template.spec.unwrap_or_default();
        let is_named = |container: &&Container| container.name == CONTAINER;
        let container = pod.containers.iter().find(is_named).or(pod.containers.first()).cloned().unwrap_or_default();
        let mut conditions = status.conditions.unwrap_or_default().into_iter();
        let unavailable = conditions.find(|one| one.type_ == "Available" && one.status != "True");
        Self {
            object: Object::of(deployment),
            replicas: spec.replicas.unwrap_or(1),
            available: status.available_replicas.unwrap_or_default(),
            why: unavailable.and_then(|condition| condition.message),
            account: pod.service_account_name.unwrap_or_else(|| "default".to_owned()),
            image: container.image.unwrap_or_default(),
            run: parsed(&container.args.unwrap_or_default()),
        }
    }

    /// The version that its image's tag names.
    pub fn version(&self) -> Option<&str> {
        let tagged = self.image.split('@').next()?.rsplit('/').next()?;
        let tag = tagged.split_once(':')?.1.trim_start_matches('v');
        (tag.starts_with(|c: char| c.is_ascii_digit()) && tag.contains('.')).then_some(tag)
    }

    /// The namespaces that it watches; none: all of them.
    pub fn watched(&self) -> &[String] {
        self.run.as_ref().map_or(&[], |run| &run.watch_namespaces)
    }

    /// Namespace and name of the Lease that its pods elect their leader with.
    pub fn lease(&self) -> Option<(String, String)> {
        let run = self.run.as_ref().ok().filter(|run| run.leader_elect)?;
        let namespace = run.leader_election_namespace.clone().unwrap_or_else(|| self.object.namespace.clone());
        Some((namespace, lease_name(&run.watch_namespaces, run.watch_label_selector.as_deref())))
    }
}

/// As the operator would read them, without what is in this program's own environment.
fn parsed(arguments: &[String]) -> Result<Run, String> {
    let line = std::iter::once("cognigy-operator").chain(arguments.iter().map(String::as_str));
    let command = Cli::command().mut_subcommand("run", |run| run.mut_args(|arg| arg.env(Resettable::Reset)));
    let read = command.try_get_matches_from(line).and_then(|matches| Cli::from_arg_matches(&matches));
    match read {
        Ok(Cli { command: args::Command::Run(run) }) => Ok(*run),
        Ok(_) => Err("they do not begin with `run`".to_owned()),
        Err(error) => {
            let told = error.to_string();
            Err(told.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
        }
    }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "so that `json!` can stand where a value is asked for")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn installed(image: &str, args: Value) -> Installed {
        let pod = json!({"containers": [{"name": "sidecar"}, {"name": "operator", "image": image, "args": args}]});
        let spec = json!({"selector": {}, "template": {"spec": pod}});
        let deployment = json!({"metadata": {"namespace": "cognigy-system", "name": "hooks"}, "spec": spec});
        Installed::of(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn the_version_is_the_images_tag() {
        let version = |image: &str| installed(image, json!(["run"])).version().map(str::to_owned);
        assert_eq!(version("registry.example.com:5000/cognigy-operator:0.1.0").as_deref(), Some("0.1.0"));
        assert_eq!(version("cognigy-operator:v0.2.0-rc.1@sha256:00").as_deref(), Some("0.2.0-rc.1"));
        for other in ["cognigy-operator", "registry.example.com:5000/cognigy-operator", "cognigy-operator:latest"] {
            assert_eq!(version(other), None, "{other}");
        }
    }

    #[test]
    fn scope_and_lease_come_from_the_arguments() {
        let plain = installed("i", json!(["run"]));
        assert_eq!((plain.watched().len(), plain.lease()), (0, None));
        let elects = installed("i", json!(["run", "--watch-namespaces=cx,billing", "--leader-elect"]));
        assert_eq!(elects.watched(), ["cx", "billing"]);
        let (namespace, name) = elects.lease().unwrap();
        assert_eq!(namespace, "cognigy-system");
        assert_eq!(name, lease_name(&["billing".into(), "cx".into()], None));
        assert!(installed("i", json!(["run", "--later"])).run.unwrap_err().contains("--later"));
    }
}
