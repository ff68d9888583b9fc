//! `doctor`: whether the installation is sound, and what to do where it is not.
//!
//! ```text
//! gather.rs      what is there: definitions, clocks, Deployments, Leases, rights, objects
//! installed.rs   a Deployment of the operator and its command line
//! judge/         what is wrong with it: operator.rs (the installation), objects.rs (tenants and webhooks)
//! model.rs       what is said about it     render.rs   how it is written
//! ```

mod gather;
mod installed;
mod judge;
mod model;
mod render;

use crate::{
    candidates,
    cluster::Cluster,
    common::Common,
    exit::{Ending, Result},
    output,
};

/// Exit codes: 0 sound; 1 findings; 2 it could not be looked.
///
/// Without -n all namespaces are looked into; where you may not, the context's.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Namespace of the operator's Deployment and Lease [default: that of -n, else all]
    #[arg(long, value_name = "NAMESPACE", add = candidates::namespaces())]
    operator_namespace: Option<String>,
}

/// Looks, judges, tells.
pub async fn run(args: Args, common: &Common) -> Result<Ending> {
    let cluster = Cluster::find(&common.cluster).await?;
    let objects = common.cluster.namespace.as_deref();
    let operators = args.operator_namespace.as_deref().or(objects);
    let report = judge::judge(&gather::scene(&cluster, operators, objects).await?);
    output::print(&render::render(&report, common.output)?)?;
    Ok(if report.is_sound() { Ending::Good } else { Ending::Findings })
}
