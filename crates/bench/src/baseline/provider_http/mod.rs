//! Crossplane's provider-http v1.0.14, an optional contender: whoever has it names its program and its definitions.
//!
//! Both come from its Go module; neither is part of this repository:
//!
//! ```text
//! go install github.com/crossplane-contrib/provider-http/cmd/provider@v1.0.14              # $(go env GOPATH)/bin/provider
//! go mod download -json github.com/crossplane-contrib/provider-http@v1.0.14                # its Dir has package/crds
//! ```
//!
//! Where the module proxy does not list the module's versions, `go install` refuses; then `go build ./cmd/provider` in a copy of
//! that folder makes the program.
//!
//! It only registers: it has no policy under lock, no health check, no OAuth, and no order of the three. So each webhook is one
//! `Request` as its examples show it, active from the first call on, with a static token. It works with its own defaults and
//! needs port 8080 for its metrics, which no flag moves.

mod requests;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use control_plane::{Process, Watchdog};
use demo::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use self::requests::{install, is_given_up, not_ready, prepare, requests, wish};
use crate::{
    chapters::{quiet::Quiet, rollout::Rollout},
    fleet::webhook_name,
    meter::Meter,
    objects::{self, Follow, is_ready},
    progress::Progress,
    stage::Stage,
};

const NAME: &str = "provider-http";
/// Its default.
const POLL: Duration = Duration::from_mins(1);
/// Of its 10 passes in a second, the default, as many can be polls without a queue.
const POLLS_PER_SECOND: usize = 8;
/// How many poll periods are measured.
const PERIODS: u32 = 2;
/// How long it may take until it works.
const READY_WITHIN: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(100);

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
    /// Its poll is its resync.
    pub(crate) quiet: Quiet,
    /// How many were never ready, not even after the polls.
    pub(crate) stuck: usize,
}

/// It brings so many webhooks up and keeps watch over them.
pub(crate) async fn run(stage: &Stage, provider: &Provider, webhooks: usize, within: Duration) -> Result<ProviderHttp> {
    take_connections()?;
    install(stage, &provider.crds).await?;
    prepare(stage).await?;
    let poll = poll(webhooks);
    let mut process = start(stage, &provider.program, poll)?;
    let id = process.id();
    let working = async {
        warm_up(stage).await?;
        stage.settle().await?;
        measure(stage, id, webhooks, poll, within).await
    };
    let outcome = tokio::select! {
        outcome = working => outcome?,
        error = end(&mut process) => return Err(error.into()),
    };
    process.stop().await?;
    Ok(outcome)
}

async fn measure(stage: &Stage, id: u32, webhooks: usize, poll: Duration, within: Duration) -> Result<ProviderHttp> {
    let progress = Progress::start(&format!("{NAME}, {webhooks} webhooks"), webhooks);
    let api = requests(stage);
    let follow = Follow::start(api.clone(), |object| is_ready(object) || is_given_up(object));
    let meter = Meter::start(stage, Some(id))?;
    let wishes = (0..webhooks).map(|nth| wish(stage, nth, &webhook_name(nth)));
    let (created, settled) =
        tokio::join!(objects::create(&api, wishes, |_| {}), follow.reach(webhooks, within, &progress));
    let (created, usage) = (created?, meter.read(stage)?);
    let missing = not_ready(&api).await?;
    let ready = settled.by_name().iter().filter(|(name, _)| !missing.contains(*name));
    let (at, took): (Vec<_>, Vec<_>) = ready
        .map(|(name, at)| (*at, at.saturating_sub(created.by_name().get(name).copied().unwrap_or_default())))
        .unzip();
    let rollout = Rollout::new(NAME, webhooks, &at, &took, usage);
    drop(progress);
    let quiet = quiet(stage, id, poll).await?;
    Ok(ProviderHttp { rollout, quiet, stuck: not_ready(&api).await?.len() })
}

/// Measures two periods once the roll-out is over. Polls come one period after the last look, so a small fleet's come together:
/// half a period later nothing is cut in two.
async fn quiet(stage: &Stage, id: u32, period: Duration) -> Result<Quiet> {
    let seconds = period.as_secs();
    let progress = Progress::start(&format!("{NAME}, {PERIODS} polls of {seconds} s"), 1 + PERIODS as usize);
    sleep(period + period / 2).await;
    let meter = Meter::start(stage, Some(id))?;
    for nth in 1..=PERIODS {
        progress.at(nth as usize);
        sleep(period).await;
    }
    Ok(Quiet { periods: PERIODS, period_seconds: seconds, usage: meter.read(stage)? })
}

/// It makes a connection for each call and never closes one; the other ends are the simulator's, in this process.
fn take_connections() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Its default, and longer where it could not look at all of them in that time: a period would else not be one.
fn poll(webhooks: usize) -> Duration {
    POLL.max(Duration::from_secs((webhooks / POLLS_PER_SECOND) as u64))
}

/// Starts it with nothing of the reader's environment: flags, proxies and clusters can be there too.
fn start(stage: &Stage, program: &Path, poll: Duration) -> Result<Process> {
    let mut command = Command::new(program);
    command.env_clear().env("KUBECONFIG", &stage.worker_file).arg(format!("--poll={}s", poll.as_secs()));
    let watchdog = Arc::new(Watchdog::start(None)?);
    Ok(Process::start(NAME, command, stage.files.path().join(format!("{NAME}.log")), &watchdog)?)
}

/// Returns when it has ended, which it should not.
async fn end(process: &mut Process) -> control_plane::Error {
    loop {
        if let Err(error) = process.check() {
            return error;
        }
        sleep(LOOK).await;
    }
}

/// Has it bring one webhook up and take it down again: only that tells that it is ready.
async fn warm_up(stage: &Stage) -> Result<()> {
    let progress = Progress::start(&format!("{NAME} starts"), 1);
    let (api, name) = (requests(stage), "first");
    let (ready, gone) = (Follow::start(api.clone(), is_ready), Follow::until_gone(api.clone()));
    objects::create(&api, [wish(stage, 0, name)], |_| {}).await?;
    if ready.reach(1, READY_WITHIN, &progress).await.sorted().is_empty() {
        let first = api.get(name).await?;
        let status = &first.data["status"];
        return Err(format!("{NAME} brought nothing up in {} s; it says: {status}", READY_WITHIN.as_secs()).into());
    }
    objects::delete(&api, [name.to_owned()]).await?;
    gone.reach(1, READY_WITHIN, &progress).await;
    Ok(())
}
