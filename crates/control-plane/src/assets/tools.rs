//! Tools beside the control plane, each from a Go module of its own in `tools/`: their dependencies must not disturb each other's.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{FOLDER_VARIABLE, build, cache_folder, key, lock, tools_folder};
use crate::error::{Error, IoContext, Result};

/// What such a module is made of.
const MODULE_FILES: [&str; 2] = ["go.mod", "go.sum"];

/// A tool that judges what the repository has for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Judges whether workloads are set up well.
    KubeScore,
    /// Judges and tests rules of Prometheus.
    Promtool,
    /// Judges workflows of GitHub Actions.
    Actionlint,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::KubeScore, Self::Promtool, Self::Actionlint];

    /// The binary's name, and that of its module's folder in `tools/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeScore => "kube-score",
            Self::Promtool => "promtool",
            Self::Actionlint => "actionlint",
        }
    }

    /// Build tags: promtool comes without the clouds in which Prometheus finds its targets, which are most of it.
    fn tags(self) -> &'static [&'static str] {
        match self {
            Self::KubeScore | Self::Actionlint => &[],
            Self::Promtool => &["remove_all_sd"],
        }
    }

    /// The binary: in `KUBEBUILDER_ASSETS`, or in the user's cache folder, where it is built if it is not there yet (a minute).
    /// `progress` gets a line whenever there is something to tell. Blocks until all is done.
    pub fn locate_or_build(self, mut progress: impl FnMut(&str)) -> Result<PathBuf> {
        let binary = self.name();
        let given = env::var_os(FOLDER_VARIABLE).map(|folder| Path::new(&folder).join(binary));
        if let Some(given) = given.filter(|path| path.is_file()) {
            return Ok(given);
        }
        let module = tools_folder().join(binary);
        let path = cache_folder()?.join("tools").join(format!("{binary}-{}", key(&module, &MODULE_FILES)?));
        if path.is_file() {
            return Ok(path);
        }
        let _lock = lock(&path, &mut progress)?;
        if !path.is_file() {
            build::build_tool(&module, binary, self.tags(), &path, &mut progress)?;
        }
        Ok(path)
    }
}

/// Definitions of other projects that the chart's objects can be of, as they publish them in their Go module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definitions {
    /// `ServiceMonitor`, `PodMonitor`, `PrometheusRule` and others.
    PrometheusOperator,
}

impl Definitions {
    /// The folder that holds them, one YAML file each; fetched into Go's module cache if it is not there yet.
    pub fn locate_or_fetch(self) -> Result<PathBuf> {
        let Self::PrometheusOperator = self;
        let (name, package) = ("prometheus-operator", "github.com/prometheus-operator/prometheus-operator");
        let mut go = Command::new("go");
        go.args(["mod", "download", "-json", package]).current_dir(tools_folder().join(name)).env("GOWORK", "off");
        let output = go.stdin(Stdio::null()).output().while_trying(|| "start `go mod download`".into())?;
        let module: Option<Downloaded> = serde_json::from_slice(&output.stdout).ok();
        let folder = module.map(|module| module.dir.join("example/prometheus-operator-crd"));
        folder.filter(|folder| output.status.success() && folder.is_dir()).ok_or_else(|| Error::Build {
            binary: name.into(),
            status: output.status,
            output: [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n"),
        })
    }
}

/// What `go mod download -json` says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
}
