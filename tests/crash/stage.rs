//! A world whose operator is the real program, with a trap at every call that it makes.

use std::path::PathBuf;

use cognigy_simulator::{Destination, Moment, Verdict};
use control_plane::User;

use crate::{harness::World, points::Trap, program::Program};

/// Where a scenario is played.
pub struct Stage<'a> {
    pub world: &'a World,
    pub trap: Trap,
    kubeconfig: PathBuf,
    program: Option<Program>,
}

impl<'a> Stage<'a> {
    /// A stage in this world; the program does not run yet. Calls that `counts` refuses are no points.
    pub async fn open(world: &'a World, counts: fn(&str) -> bool) -> Self {
        let trap = Trap::default();
        let cognigy = trap.clone();
        world.on_passage(move |passage| {
            let call = match &passage.destination {
                Destination::Api(Some(route)) => format!("cognigy {route:?}"),
                Destination::Api(None) => format!("cognigy {}", passage.path),
                Destination::Callback(name) => format!("callback {name}"),
                Destination::Sink(name) => format!("sink {name}"),
            };
            let passes = !counts(&call) || cognigy.passes(call, passage.moment == Moment::After);
            if passes { Verdict::Pass } else { Verdict::Lose }
        });
        let kubeconfig = world.plane.write_kubeconfig(&User::admin()).unwrap();
        Self { world, trap, kubeconfig, program: None }
    }

    /// Starts the program (again).
    pub fn start(&mut self) {
        let arguments = ["--watch-namespaces", &self.world.namespace];
        let program = Program::start(&self.kubeconfig, "127.0.0.1:0", &arguments);
        self.trap.aim(program.id());
        self.program = Some(program);
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
