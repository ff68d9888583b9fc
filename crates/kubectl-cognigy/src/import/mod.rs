//! `import`: what Cognigy holds, as manifests that change nothing when they are applied.
//!
//! ```text
//! gather.rs   what there is, by GET alone ─► model.rs   what becomes of each, pure ─► render.rs   YAML ─► files.rs   written
//!                                             policies.rs  registration.rs  secrets.rs  names.rs  judge.rs
//! ```

mod files;
mod gather;
mod judge;
mod model;
mod names;
mod policies;
mod registration;
mod render;
mod secrets;
mod summary;

use std::{collections::BTreeSet, path::PathBuf};

use clap::Args as ClapArgs;
use cognigy_operator::{
    api::{CognigyTenant, ObjectKey, webhook::TenantRef},
    cognigy::{BotId, Session, Surface},
};
use kube::ResourceExt as _;
use regex::Regex;

use self::model::Place;
use crate::{
    candidates,
    cluster::Cluster,
    common::Common,
    exit::{Ending, Error, Result},
    output::{self, Format},
    session::{self, Connector},
};

/// Write what Cognigy holds as manifests that change nothing when they are applied
///
/// Registrations and bots' webhooks become CognigyWebhooks, equal retry policies one RetryPolicy, headers that look like
/// secrets a Secret without its value. Only GETs are sent. Exit code 1: something cannot be said in a manifest.
#[derive(Clone, Debug, ClapArgs)]
#[allow(clippy::doc_markdown, reason = "the help shows plain text")]
pub struct Args {
    /// The CognigyTenant, in the namespace or as NAMESPACE/NAME
    #[arg(long, value_name = "NAME", add = candidates::tenants(), required_unless_present = "tenant_file", conflicts_with = "tenant_file")]
    pub tenant: Option<String>,
    /// How Cognigy is connected to.
    #[command(flatten)]
    pub connection: session::Flags,
    /// A bot whose webhooks are imported too; can be given several times
    #[arg(long, value_name = "ID", value_parser = bot)]
    pub bot: Vec<BotId>,
    /// Import only webhooks whose name in Cognigy matches
    #[arg(long, value_name = "REGEX")]
    pub r#match: Option<Regex>,
    /// The folder to write files to [default: all to standard output]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Overwrite files that are there already; Secrets, which may have been filled in, are kept
    #[arg(long, requires = "out")]
    pub force: bool,
}

fn bot(text: &str) -> std::result::Result<BotId, String> {
    BotId::new(text).map_err(|error| error.to_string())
}

/// Runs the command.
pub async fn run(args: Args, common: &Common) -> Result<Ending> {
    let (place, session) = connect(&args, common).await?;
    let holdings = gather::gather(&session, &args.bot, args.r#match.as_ref()).await?;
    let import = model::import(&holdings, &place);
    match &args.out {
        None => {
            let text = match common.output {
                Format::Json => render::json(&import)?,
                _ => render::stream(&import)?,
            };
            output::print(&text)?;
            anstream::eprint!("{}", summary::table(&import, None)?);
        }
        Some(folder) => {
            let written = files::write(&import, folder, args.force)?;
            let summary = summary::Summary::of(&import, &written);
            let text = match common.output.machine(&summary)? {
                Some(text) => text,
                None => summary::table(&import, Some((folder, &written)))?,
            };
            output::print(&text)?;
        }
    }
    Ok(if import.findings.is_empty() { Ending::Good } else { Ending::Findings })
}

/// The tenant's session, and where the manifests are to stand.
async fn connect(args: &Args, common: &Common) -> Result<(Place, Session)> {
    let connector = Connector::new(&args.connection);
    let mut surfaces = BTreeSet::from([Surface::Integrations, Surface::Webhooks]);
    if !args.bot.is_empty() {
        surfaces.insert(Surface::BotWebhooks);
    }
    if let Some(tenant) = connector.tenant_of_file()? {
        awake(&tenant)?;
        let namespace = common.cluster.namespace.clone().or_else(|| tenant.namespace());
        return Ok((place(namespace, &tenant), connector.of_environment(&tenant, &surfaces)?));
    }
    let cluster = Cluster::find(&common.cluster).await?;
    let named = args.tenant.as_deref().unwrap_or_default();
    let key = match named.split_once('/') {
        Some((namespace, name)) => ObjectKey::new(namespace, name),
        None => ObjectKey::new(&*cluster.namespace, named),
    };
    let tenant = session::tenant(&cluster.client, &key).await?;
    awake(&tenant)?;
    let session = connector.of_cluster(&tenant, &cluster.client, &surfaces).await?;
    Ok((place(Some(cluster.namespace), &tenant), session))
}

/// Nothing is sent to an installation whose tenant is suspended.
fn awake(tenant: &CognigyTenant) -> Result<()> {
    if tenant.spec.suspend {
        let key = ObjectKey::of(tenant);
        return Err(Error::Told(format!("CognigyTenant {key}: spec.suspend is true: no calls are sent")));
    }
    Ok(())
}

fn place(namespace: Option<String>, tenant: &CognigyTenant) -> Place {
    let elsewhere = tenant.namespace().filter(|of_tenant| namespace.as_ref().is_some_and(|own| own != of_tenant));
    Place { namespace, tenant: TenantRef { name: tenant.name_any(), namespace: elsewhere } }
}
