//! A world whose operator is the real program, with a trap at every call that it makes.

use cognigy_simulator::{Destination, Moment, Passage, Verdict};
use control_plane::gateway::{self, Gateway};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;

use crate::{harness::World, points::Trap, program::Program};

/// Where a scenario is played.
pub struct Stage<'a> {
    pub world: &'a World,
    pub trap: Trap,
    gateway: Gateway,
    program: Option<Program>,
}

impl<'a> Stage<'a> {
    /// A stage in this world; the program does not run yet. Calls that `counts` refuses are no points.
    pub async fn open(world: &'a World, counts: fn(&str) -> bool) -> Self {
        let trap = Trap::default();
        let passes = {
            let trap = trap.clone();
            move |call: String, after| !counts(&call) || trap.passes(call, after)
        };
        let goes_on = passes.clone();
        world.on_passage(move |passage| {
            if goes_on(to_cognigy(passage), passage.moment == Moment::After) { Verdict::Pass } else { Verdict::Lose }
        });
        let gateway = world.gateway().await;
        for (stage, after) in [(gateway::Stage::BeforeForward, false), (gateway::Stage::AfterAnswer, true)] {
            let goes_on = passes.clone();
            let hold =
                gateway.hold(stage, move |request| request.is_write() && !goes_on(to_kubernetes(request), after));
            tokio::spawn(async move {
                // Where it was never reached, the gateway is gone.
                if let Ok(held) = hold.reached().await {
                    held.cut();
                }
            });
        }
        Self { world, trap, gateway, program: None }
    }

    /// Starts the program (again).
    pub fn start(&mut self) {
        let arguments = ["--watch-namespaces", &self.world.namespace];
        let program = Program::start(self.gateway.kubeconfig_file(), "127.0.0.1:0", &arguments);
        self.trap.aim(program.id());
        self.program = Some(program);
    }

    /// Waits until every audit line that the program wrote has its event: then nothing is left of what is over.
    pub async fn quiet(&self) {
        let told = || self.lines().iter().filter(|line| line.contains(r#""target":"audit""#)).count();
        self.world
            .eventually("an event for each audit line", async || {
                self.world.api::<Event>().list(&ListParams::default()).await.unwrap().items.len() >= told()
            })
            .await;
    }

    /// Waits for the end of the program that was killed.
    pub async fn bury(&mut self) {
        if let Some(program) = self.program.take() {
            let (status, lines) = program.end().await;
            assert_eq!(status.code(), None, "it was killed:\n{}", lines.join("\n"));
        }
    }

    /// Ends the program as Kubernetes does: what is under way is ended, events are written. The trap may strike meanwhile.
    pub async fn end(&mut self) {
        if let Some(program) = self.program.take() {
            // Before that, it does not listen to signals yet.
            let running = async || program.lines().iter().any(|line| line.contains("all watches are in sync"));
            self.world.eventually("the program runs", running).await;
            program.terminate();
            let (status, lines) = program.end().await;
            let expected = if self.trap.is_sprung() {
                status.code().is_none_or(|code| code == 0)
            } else {
                status.code() == Some(0)
            };
            assert!(expected, "{status}:\n{}", lines.join("\n"));
        }
    }

    /// Whether the program was started and not ended.
    pub fn runs(&self) -> bool {
        self.program.is_some()
    }

    /// What the program that runs has written.
    pub fn lines(&self) -> Vec<String> {
        self.program.as_ref().map(Program::lines).unwrap_or_default()
    }
}

/// A call to Cognigy, or to what belongs to its users, by its name.
fn to_cognigy(passage: &Passage) -> String {
    match &passage.destination {
        Destination::Api(Some(route)) => format!("cognigy {route:?}"),
        Destination::Api(None) => format!("cognigy {}", passage.path),
        Destination::Callback(name) => format!("callback {name}"),
        Destination::Sink(name) => format!("sink {name}"),
    }
}

/// A write to Kubernetes by its name; that of an event, which is made up, is its reason and its object.
fn to_kubernetes(request: &gateway::Request) -> String {
    let gateway::Request { verb, resource, subresource, name, .. } = request;
    let event = request.json().filter(|_| resource == "events").map(|event| {
        let text = |path| event.pointer(path).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
        format!("{} {}", text("/reason"), text("/regarding/name"))
    });
    let subresource = subresource.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
    format!("kubernetes {verb} {resource}{subresource} {}", event.or(name.clone()).unwrap_or_default())
}
