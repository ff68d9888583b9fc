//! Crossplane's provider-http.

use std::{path::PathBuf, time::Duration};

use demo::Result;
use serde::{Deserialize, Serialize};

use crate::{
    chapters::{quiet::Quiet, rollout::Rollout},
    stage::Stage,
};

/// Where it is: its program and the folder of its definitions.
pub(crate) struct Provider {
    pub(crate) program: PathBuf,
    pub(crate) crds: PathBuf,
}

/// What it costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProviderHttp {
    pub(crate) rollout: Rollout,
    pub(crate) quiet: Quiet,
}

pub(crate) async fn run(_: &Stage, _: &Provider, _: usize, _: Duration) -> Result<ProviderHttp> {
    Err("not yet".into())
}
