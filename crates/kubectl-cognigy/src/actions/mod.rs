//! `reconcile`, `suspend`, `resume`, `orphan`, and what `dead-letters` asks for: what can be asked of the operator, on one object
//! or many.
//!
//! ```text
//!  select.rs (which) ──► plan.rs, letters.rs (what, pure) ──► confirm.rs ──► a merge patch each ──► wait.rs
//! ```

mod confirm;
mod letters;
mod plan;
mod select;
mod sinks;
mod wait;

use std::{fmt::Debug, time::Duration};

use clap::Args as ClapArgs;
use cognigy_operator::api::{CognigyTenant, CognigyWebhook, DEAD_LETTER_REQUEST_ANNOTATION, LetterVerb};
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use self::{
    confirm::Answer,
    plan::{Object, Step},
    select::Selection,
};
pub use self::{letters::Asked, plan::Action};
use crate::{
    cluster::Cluster,
    common::Common,
    exit::{Ending, Result, Trying as _},
    output,
    target::Kind,
};

/// The field manager of what the plugin writes.
const FIELD_MANAGER: &str = "kubectl-cognigy";

/// How many objects are changed, or waited for, at the same time.
const AT_ONCE: usize = 64;

/// Which objects, and how carefully.
#[derive(Clone, Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 done; 1 answered with no, or nobody was there to ask; 2 some of it could not be done."
)]
pub struct Order {
    #[command(flatten)]
    selection: Selection,
    /// Say what would be done; the API server judges it and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// The same, of either kind.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    order: Order,
    /// With --selector or --all: tenants instead of webhooks
    #[arg(long, conflicts_with = "targets")]
    tenants: bool,
}

impl Args {
    fn kind(&self) -> Kind {
        if self.tenants { Kind::Tenant } else { Kind::Webhook }
    }
}

/// The same, and how long to wait.
#[derive(Clone, Debug, ClapArgs)]
pub struct ReconcileArgs {
    #[command(flatten)]
    args: Args,
    /// Wait until the operator has made the pass
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// How long to wait at most, for example 90s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
}

/// A length of time as people write it: `90s`, `5m`.
pub fn duration(text: &str) -> std::result::Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "it must not be negative".to_owned())
}

/// What became of one object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    kind: String,
    namespace: String,
    name: String,
    result: String,
    dry_run: bool,
    #[serde(skip)]
    line: String,
}

/// Asks for full passes.
pub async fn reconcile(args: ReconcileArgs, common: &Common) -> Result<Ending> {
    let action = Action::Reconcile(Timestamp::now().to_string());
    let ReconcileArgs { args, wait, timeout } = args;
    act(&action, (&args.order, args.kind()), wait.then_some(timeout), common).await
}

/// Suspends, resumes or orphans.
pub async fn run(action: Action, args: Args, common: &Common) -> Result<Ending> {
    act(&action, (&args.order, args.kind()), None, common).await
}

/// Asks for something about the messages of webhooks.
pub async fn letters(asked: Asked, order: &Order, wait: Option<Duration>, common: &Common) -> Result<Ending> {
    act(&Action::Letters(asked), (order, Kind::Webhook), wait.filter(|_| !order.dry_run), common).await
}

async fn act(
    action: &Action,
    (order, kind): (&Order, Kind),
    wait: Option<Duration>,
    common: &Common,
) -> Result<Ending> {
    let cluster = Cluster::find(&common.cluster).await?;
    let mut found = order.selection.find(&cluster, kind).await?;
    if let Action::Letters(asked) = action {
        // Who names no object means those that have something.
        found.retain(|object| order.selection.is_by_name() || !object.letters.is_empty());
        if asked.verb == LetterVerb::Replay {
            sinks::look(&cluster, &mut found).await;
        }
    }
    let steps: Vec<(Object, Step)> = found.into_iter().map(|one| (one.clone(), plan::step(action, &one))).collect();
    let refused = steps.iter().filter_map(|(_, step)| if let Step::Refused(why) = step { Some(why) } else { None });
    let mut ending = Ending::Good;
    for why in refused {
        // Who names an object means it; labels mean those where it makes sense.
        let by_name = order.selection.is_by_name();
        anstream::eprintln!("{}: {why}", if by_name { "error" } else { "passed over" });
        if by_name {
            ending = Ending::Failed;
        }
    }
    if ending == Ending::Failed {
        return Ok(ending);
    }
    let patches: Vec<&Object> =
        steps.iter().filter(|(_, step)| matches!(step, Step::Patch(_))).map(|(object, _)| object).collect();
    let is_much = patches.len() > 1 || (action.is_final() && !patches.is_empty());
    if is_much
        && !order.dry_run
        && !order.yes
        && let Some(ending) = refusal(action, &patches)?
    {
        return Ok(ending);
    }
    let work = steps.iter().map(|(object, step)| one(action, (object, step), order, wait, &cluster));
    let mut outcomes = Vec::new();
    let mut work = stream::iter(work).buffered(AT_ONCE);
    while let Some(outcome) = work.next().await {
        match outcome {
            Ok(outcome) => outcomes.extend(outcome),
            Err(error) => {
                anstream::eprintln!("error: {error}");
                ending = Ending::Failed;
            }
        }
    }
    if steps.is_empty() {
        match action {
            Action::Letters(_) => anstream::eprintln!("No dead letters found."),
            _ => anstream::eprintln!("No {}s found.", kind.noun()),
        }
    }
    match common.output.machine(&outcomes)? {
        Some(text) => output::print(&text)?,
        None => output::print(&outcomes.iter().flat_map(|outcome| [outcome.line.as_str(), "\n"]).collect::<String>())?,
    }
    Ok(ending)
}

/// How it ends where it is not to be done.
fn refusal(action: &Action, patches: &[&Object]) -> Result<Option<Ending>> {
    for object in patches {
        anstream::eprintln!("  {} in namespace {}", object.target, object.namespace);
        if let Action::Letters(asked) = action {
            asked.meant(object).iter().for_each(|letter| anstream::eprintln!("    {}", letters::described(letter)));
        }
    }
    let count = |kind| patches.iter().filter(|object| object.target.kind == kind).count();
    let kinds = [Kind::Webhook, Kind::Tenant].into_iter().filter(|kind| count(*kind) > 0);
    let what = kinds.map(|kind| kind.counted(count(kind))).collect::<Vec<_>>().join(" and ");
    let what = match action {
        Action::Letters(asked) => {
            let messages: usize = patches.iter().map(|object| asked.meant(object).len()).sum();
            format!("{messages} message{} of {what}", if messages == 1 { "" } else { "s" })
        }
        _ => what,
    };
    let verb = action.verb();
    let warning = match action {
        Action::Orphan => " What they registered stays in Cognigy for good, and nobody looks after it.",
        Action::Letters(Asked { verb: LetterVerb::Discard, .. }) => " Their sinks never get to know what they say.",
        _ => "",
    };
    Ok(match confirm::ask(&format!("{verb} {what}?{warning}"))? {
        Answer::Yes => None,
        Answer::No => {
            anstream::eprintln!("nothing was changed");
            Some(Ending::Findings)
        }
        Answer::Nobody => {
            anstream::eprintln!(
                "nothing was changed: to {verb} {what} without a terminal, add --yes; --dry-run shows it first"
            );
            Some(Ending::Findings)
        }
    })
}

async fn one(
    action: &Action,
    (object, step): (&Object, &Step),
    order: &Order,
    wait: Option<Duration>,
    cluster: &Cluster,
) -> Result<Option<Outcome>> {
    let result = match (step, action) {
        (Step::Refused(_), _) => return Ok(None),
        (Step::Unchanged, _) => format!("{} already", action.done()),
        (Step::Patch(change), _) => {
            match object.target.kind {
                Kind::Tenant => patch::<CognigyTenant>(cluster, object, change, order.dry_run).await?,
                Kind::Webhook => patch::<CognigyWebhook>(cluster, object, change, order.dry_run).await?,
            }
            match (action, wait) {
                (Action::Reconcile(asked), Some(limit)) => {
                    format!("reconciled: Ready is {}", wait::handled(cluster, object, asked, limit).await?)
                }
                (Action::Letters(asked), limit) => {
                    let ids = asked.of(object).map(|request| request.ids.join(", ")).unwrap_or_default();
                    match (limit, change["metadata"]["annotations"][DEAD_LETTER_REQUEST_ANNOTATION].as_str()) {
                        (Some(limit), Some(request)) => {
                            wait::obeyed(cluster, object, request, limit).await?;
                            format!("{}: {ids}", asked.past())
                        }
                        _ => format!("{}: {ids}", action.done()),
                    }
                }
                _ => action.done().to_owned(),
            }
        }
    };
    let place = if order.selection.all_namespaces { format!(" -n {}", object.namespace) } else { String::new() };
    let dry = if order.dry_run { " (server dry run)" } else { "" };
    Ok(Some(Outcome {
        kind: object.target.kind.name(),
        namespace: object.namespace.clone(),
        name: object.target.name.clone(),
        line: format!("{}{place} {result}{dry}", object.target),
        result,
        dry_run: order.dry_run,
    }))
}

async fn patch<K>(cluster: &Cluster, object: &Object, change: &Value, dry_run: bool) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let parameters = PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let api = Api::<K>::namespaced(cluster.client.clone(), &object.namespace);
    let patched = api.patch(&object.target.name, &parameters, &Patch::Merge(change)).await;
    patched.while_trying(|| format!("cannot change {} in namespace {}", object.target, object.namespace))?;
    Ok(())
}
