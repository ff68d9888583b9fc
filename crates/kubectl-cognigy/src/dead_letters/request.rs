//! `dead-letters replay|discard`: asked of the operator by an annotation, like every action.

use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs};
use cognigy_operator::api::LetterVerb;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, api::PostParams};

use crate::{
    actions::{self, Asked, Order},
    cluster::Cluster,
    common::Common,
    exit::{Ending, Result},
};

/// How much of a user's name is told, in characters.
const USER: usize = 128;

/// Which messages of which webhooks, how carefully, and how long to wait.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    order: Order,
    /// This message only; can be given several times
    #[arg(long = "id", value_name = "ID", conflicts_with_all = ["selector", "all"])]
    ids: Vec<String>,
    /// Wait until the operator has done it
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    wait: bool,
    /// How long to wait at most, for example 90s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = actions::duration)]
    timeout: Duration,
}

/// The same, and whether alerts are meant.
#[derive(Clone, Debug, ClapArgs)]
pub struct DiscardArgs {
    #[command(flatten)]
    args: Args,
    /// The alerts that wait, too
    #[arg(long, conflicts_with = "ids")]
    alerts: bool,
}

/// Has dead letters sent again.
pub async fn replay(args: Args, common: &Common) -> Result<Ending> {
    ask(LetterVerb::Replay, args, false, common).await
}

/// Has messages thrown away.
pub async fn discard(args: DiscardArgs, common: &Common) -> Result<Ending> {
    ask(LetterVerb::Discard, args.args, args.alerts, common).await
}

async fn ask(verb: LetterVerb, args: Args, alerts: bool, common: &Common) -> Result<Ending> {
    let Args { order, ids, wait, timeout } = args;
    let who = who(&Cluster::find(&common.cluster).await?).await.unwrap_or_default();
    let remark = format!("{} {who}", Timestamp::now()).trim_end().to_owned();
    let asked = Asked { verb, ids, alerts, remark };
    actions::letters(asked, &order, wait.then_some(timeout), common).await
}

/// Who asks, as the API server knows them. Whoever may write the annotation may write another name into it: the API server's
/// audit log is what counts.
async fn who(cluster: &Cluster) -> Option<String> {
    let api: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
    Some(review.status?.user_info?.username?.chars().take(USER).collect())
}
