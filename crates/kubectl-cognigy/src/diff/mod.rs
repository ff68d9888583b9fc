//! `diff`: manifests, or what is in the cluster, against what Cognigy holds now.
//!
//! ```text
//! manifests.rs   files into objects       scene.rs   the objects, and those that they refer to, as they would stand
//! report.rs      what is told of them
//! ```
//!
//! What is told is the operator's own plan ([`cognigy_operator::controller::rehearsal`]): nothing is decided here.

mod manifests;
mod report;
mod scene;

use std::path::PathBuf;

use clap::Args as Arguments;
use cognigy_operator::{
    api::ObjectKey,
    args::network,
    controller::{Settings, rehearsal::Rehearsal},
};
use futures::{StreamExt as _, stream};
use ipnet::IpNet;

use self::{manifests::Manifests, report::Report};
use crate::{
    candidates,
    cluster::Cluster,
    common::Common,
    exit::{Error, Result},
    files::Depth,
    output, session,
};

/// How many webhooks are looked at at the same time; the tenants' own limits hold besides.
const AT_ONCE: usize = 16;

/// What is compared.
#[derive(Clone, Debug, Arguments)]
#[group(id = "what", required = true, multiple = true, args = ["names", "files", "all", "all_namespaces"])]
pub struct Args {
    /// Webhooks of the cluster
    #[arg(value_name = "NAME", add = candidates::webhooks(), conflicts_with = "tenant_file")]
    names: Vec<String>,
    /// Manifests: files, directories or - for standard input; what they refer to and do not hold is taken from the cluster
    #[arg(short, long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How deep folders are looked into.
    #[command(flatten)]
    depth: Depth,
    /// All webhooks of the namespace
    #[arg(long, conflicts_with_all = ["names", "tenant_file"])]
    all: bool,
    /// All webhooks of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["names", "tenant_file"])]
    all_namespaces: bool,
    /// How Cognigy is reached.
    #[command(flatten)]
    connection: session::Flags,
    /// Networks where callbacks may be although they are private, as the operator's flag of this name says
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    allow_private_callbacks: Vec<IpNet>,
}

/// Tells what the operator would do.
pub async fn run(args: Args, common: &Common) -> Result {
    let manifests = Manifests::read(&args.files, args.depth)?;
    let settings = Settings {
        allow_insecure_http: args.connection.allow_insecure_http,
        private_callbacks: args.allow_private_callbacks.clone(),
        never: Vec::new(),
    };
    let (scene, asked) = if args.connection.tenant_file.is_some() {
        scene::of_files(manifests, &args.connection, common.cluster.namespace.as_deref())?
    } else {
        let cluster = Cluster::find(&common.cluster).await?;
        let asked = scene::Asked { names: args.names, all: args.all, everywhere: args.all_namespaces };
        scene::of_cluster(manifests, &asked, &cluster).await?
    };
    let webhooks: Vec<_> = asked.iter().map(ObjectKey::of).collect();
    let rehearsal = Rehearsal::new(scene, &webhooks, settings)
        .await
        .map_err(|error| Error::Told(format!("cannot rehearse: {error}; please report this")))?;
    let told = stream::iter(&asked)
        .map(async |webhook| Some(Report::new(webhook, rehearsal.of(&ObjectKey::of(webhook)).await?)))
        .buffered(AT_ONCE);
    let told: Vec<Report> = told.filter_map(std::future::ready).collect().await;
    output::print(&report::text(&told, common.output)?)?;
    Ok(report::ending(&told))
}
