//! A replica of the operator: the program as a user of its own, so that the audit log tells who wrote.

use std::process::ExitStatus;

use control_plane::{User, gateway::Gateway};

use crate::{
    harness::World,
    program::{Program, free_address},
};

/// A replica that runs.
pub struct Replica {
    /// Its name; its user and its identity begin with it.
    pub name: String,
    pub program: Program,
}

/// The user that a replica is.
pub fn user(world: &World, name: &str) -> String {
    format!("{name}-of-{}", world.namespace)
}

/// Waits until this is a line of its metrics.
pub async fn shows(program: &Program, series: &str) {
    program.until("/metrics", |_, text| text.lines().any(|line| line == series)).await;
}

impl World {
    /// Starts a replica that takes care of this namespace.
    pub async fn replica(&self, name: &str) -> Replica {
        self.replica_under(name, &[]).await
    }

    /// The same with this in its environment.
    pub async fn replica_under(&self, name: &str, environment: &[(&str, &str)]) -> Replica {
        self.replica_with(name, &["--watch-namespaces", &self.namespace], environment).await
    }

    /// Starts a replica with this scope.
    pub async fn replica_with(&self, name: &str, scope: &[&str], environment: &[(&str, &str)]) -> Replica {
        let user = User::named(user(self, name)).group("system:masters");
        let kubeconfig = self.plane.write_kubeconfig(&user).unwrap();
        self.begin(name, &kubeconfig, scope, environment).await
    }

    /// Starts a replica whose way to the API server leads through this gateway.
    pub async fn replica_through(&self, gateway: &Gateway, name: &str) -> Replica {
        self.begin(name, gateway.kubeconfig_file(), &["--watch-namespaces", &self.namespace], &[]).await
    }

    /// A gateway for this replica.
    pub async fn gateway_of(&self, name: &str) -> Gateway {
        self.plane.gateway(&User::named(user(self, name)).group("system:masters")).await.unwrap()
    }

    async fn begin(
        &self,
        name: &str,
        kubeconfig: &std::path::Path,
        scope: &[&str],
        environment: &[(&str, &str)],
    ) -> Replica {
        let elected = ["--leader-elect", "--leader-election-namespace", &self.namespace];
        let environment = [&[("POD_NAME", name)], environment].concat();
        let arguments = [&elected, scope].concat();
        let program = Program::start_under(kubeconfig, &free_address(), &arguments, &environment);
        program.ready().await;
        Replica { name: name.to_owned(), program }
    }
}

impl Replica {
    /// Whether it has said so.
    pub fn said(&self, text: &str) -> bool {
        self.program.lines().iter().any(|line| line.contains(text))
    }

    /// Waits until it says that it leads.
    pub async fn leads(&self) {
        shows(&self.program, "cognigy_operator_leader 1").await;
    }

    /// Waits until it says that it stands by.
    pub async fn stands_by(&self, world: &World) {
        world.eventually("it stands by", async || self.said("standing by")).await;
        shows(&self.program, "cognigy_operator_leader 0").await;
    }

    /// SIGTERM, and the end that it should have.
    pub async fn retire(self) -> Vec<String> {
        self.program.terminate();
        let (status, lines) = self.program.end().await;
        assert_eq!(status.code(), Some(0), "{}", lines.join("\n"));
        lines
    }

    /// Waits for its end by itself.
    pub async fn ended(self) -> (ExitStatus, String) {
        let (status, lines) = self.program.end().await;
        (status, lines.join("\n"))
    }
}
