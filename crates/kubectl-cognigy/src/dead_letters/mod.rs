//! `dead-letters list|show`: what webhooks have to tell their tenants' sinks, and what became of it.

mod model;

use clap::{Args as ClapArgs, Subcommand};
use cognigy_operator::api::CognigyWebhook;
use jiff::Timestamp;

use self::model::Letter;
use crate::{
    candidates,
    cluster::Cluster,
    common::Common,
    exit::{Ending, Error, Result},
    output::{self, Format},
    style::{GOOD, WAITING, styled},
    target::{Kind, Target},
    when,
};

/// What to do with dead letters.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// List dead letters, and alerts and dead letters that their sinks have not accepted yet
    List {
        /// Look into all namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
    },
    /// Show those of one webhook in full, as they are sent
    Show {
        /// The webhook: NAME or cwh/NAME
        #[arg(value_name = "NAME", add = candidates::webhooks())]
        target: Target,
    },
}

/// Lists or shows them.
pub async fn run(args: Args, common: &Common) -> Result<Ending> {
    let cluster = Cluster::find(&common.cluster).await?;
    match args.command {
        Command::List { all_namespaces } => list(&cluster, all_namespaces, common.output).await,
        Command::Show { target } if target.kind == Kind::Tenant => {
            Err(Error::Told(format!("{target} has no dead letters: name a webhook")))
        }
        Command::Show { target } => show(&cluster, &target.name, common.output).await,
    }
}

async fn list(cluster: &Cluster, everywhere: bool, format: Format) -> Result<Ending> {
    let webhooks: Vec<CognigyWebhook> = cluster.list(everywhere).await?;
    let letters: Vec<Letter> = webhooks.iter().flat_map(model::of).collect();
    if let Some(text) = format.machine(&letters)? {
        output::print(&text)?;
    } else if letters.is_empty() {
        anstream::eprintln!("No dead letters found.");
    } else {
        let mut heading = vec!["WEBHOOK", "SINK", "ID", "MADE", "STATE", "ERROR"];
        if everywhere {
            heading.insert(0, "NAMESPACE");
        }
        let now = Timestamp::now();
        let rows: Vec<Vec<String>> = letters.iter().map(|letter| cells(letter, everywhere, now)).collect();
        output::print(&output::table(&heading, &rows)?)?;
    }
    Ok(Ending::Good)
}

async fn show(cluster: &Cluster, name: &str, format: Format) -> Result<Ending> {
    let webhook: CognigyWebhook = cluster.get(name).await?;
    let letters = model::of(&webhook);
    if let Some(text) = format.machine(&letters)? {
        output::print(&text)?;
        return Ok(Ending::Good);
    }
    if letters.is_empty() {
        anstream::eprintln!("cwh/{name} has no dead letters.");
    }
    let now = Timestamp::now();
    let told: Result<Vec<String>> = letters.iter().map(|letter| described(letter, now)).collect();
    output::print(&told?.join("\n"))?;
    Ok(Ending::Good)
}

fn cells(letter: &Letter, everywhere: bool, now: Timestamp) -> Vec<String> {
    let namespace = everywhere.then(|| letter.namespace.clone());
    let rest = [
        letter.webhook.clone(),
        letter.sink.to_string(),
        letter.id.clone(),
        letter.time.as_ref().map_or_else(|| "-".to_owned(), |time| when::relative(time, now)),
        state(letter),
        letter.error().unwrap_or("-").to_owned(),
    ];
    namespace.into_iter().chain(rest).collect()
}

fn state(letter: &Letter) -> String {
    if letter.delivered { styled(GOOD, "delivered") } else { styled(WAITING, "waiting") }
}

fn described(letter: &Letter, now: Timestamp) -> Result<String> {
    let mut fields = vec![
        ("Webhook", Some(format!("{}/{}", letter.namespace, letter.webhook))),
        ("Sink", Some(letter.sink.to_string())),
        ("Id", Some(letter.id.clone())),
        ("Type", letter.type_.clone()),
        ("Made", letter.time.as_ref().map(|time| when::both(time, now))),
        ("State", Some(state(letter))),
        ("Sink's error", letter.last_error.clone()),
        ("Attempts", letter.attempts.map(|attempts| attempts.to_string())),
        ("Final error", letter.final_error.clone()),
    ];
    fields.push(("Body", letter.body.clone()));
    let rows: Vec<Vec<String>> =
        fields.into_iter().filter_map(|(name, value)| Some(vec![format!("{name}:"), value?])).collect();
    output::columns(&rows)
}
