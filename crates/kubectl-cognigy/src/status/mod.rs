//! `status`: tenants with their webhooks as a tree, or one object in full.
//!
//! ```text
//!  gather.rs ──► model.rs ──► tree.rs, detail.rs (words.rs) ──► the terminal
//!  watch.rs, again at each change
//! ```

mod detail;
mod gather;
mod model;
mod tree;
mod watch;
mod words;

use clap::Args as ClapArgs;
use jiff::Timestamp;

use self::{gather::Objects, model::Tree, tree::View};
use crate::{
    candidates,
    cluster::Cluster,
    common::Common,
    exit::{Ending, Result},
    output::{self, Format},
    target::Target,
};

/// What `status` is to show.
#[derive(Clone, Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 everything is Ready; 1 something is not; 2 it could not be looked at. With --watch 0 on Ctrl-C."
)]
pub struct Args {
    /// One object: NAME or cwh/NAME (a webhook), ctenant/NAME (a tenant)
    #[arg(value_name = "NAME", add = candidates::targets())]
    target: Option<Target>,
    /// Look into all namespaces
    #[arg(short = 'A', long, conflicts_with = "target")]
    all_namespaces: bool,
    /// Show it again at each change, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

/// What is looked at, and how it is shown.
#[derive(Clone)]
struct Look {
    cluster: Cluster,
    target: Option<Target>,
    everywhere: bool,
    format: Format,
}

/// One picture.
struct Picture {
    text: String,
    ready: bool,
}

/// Shows it.
pub async fn run(args: Args, common: &Common) -> Result<Ending> {
    let cluster = Cluster::find(&common.cluster).await?;
    let look = Look { cluster, target: args.target, everywhere: args.all_namespaces, format: common.output };
    let objects = gather::objects(&look.cluster, look.everywhere).await?;
    let picture = look.picture(&objects).await?;
    if args.watch {
        return watch::run(&look).await;
    }
    if picture.text.is_empty() {
        anstream::eprintln!("No tenants or webhooks found in {}.", look.place());
    }
    output::print(&picture.text)?;
    Ok(if picture.ready { Ending::Good } else { Ending::Findings })
}

impl Look {
    fn place(&self) -> String {
        if self.everywhere { "all namespaces".to_owned() } else { format!("namespace {}", self.cluster.namespace) }
    }

    /// What there is to see of these objects now.
    async fn picture(&self, objects: &Objects) -> Result<Picture> {
        let now = Timestamp::now();
        if let Some(target) = &self.target {
            let detail = detail::of(&self.cluster, target, objects).await?;
            let text = match self.format.machine(&detail)? {
                Some(text) => text,
                None => detail.describe(now)?,
            };
            return Ok(Picture { text, ready: detail.is_ready() });
        }
        let tree = Tree::of(objects);
        // Tenants elsewhere would be taken for the namespace's own.
        let elsewhere = tree.tenants.iter().any(|tenant| tenant.namespace != self.cluster.namespace);
        let view = View { wide: self.format == Format::Wide, namespaces: self.everywhere || elsewhere, now };
        let text = match self.format.machine(&tree)? {
            Some(text) => text,
            None if tree.tenants.is_empty() => String::new(),
            None => tree::draw(&tree, view)?,
        };
        Ok(Picture { text, ready: tree.is_ready() })
    }
}
