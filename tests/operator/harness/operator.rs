//! The operator in this process: started, stopped, asked.

use std::{
    io::{self, Write},
    iter::Sum,
    net::SocketAddr,
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use cognigy_operator::{
    cluster::{audit::AuditSink, patience::Patience},
    controller::{Operator, Settings},
};
use control_plane::{User, gateway::Gateway};
use kube::Client;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{World, client_for, client_of};

pub(super) struct Running {
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
    http: SocketAddr,
}

/// The audit lines of all operators of a world.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl World {
    /// Starts an operator for this namespace (again).
    pub async fn start_operator(&self) {
        self.start_operator_as(&User::named(&self.user).group("system:masters"), &[&self.namespace]).await;
    }

    /// Starts an operator that is this user to the API server and watches these namespaces.
    pub async fn start_operator_as(&self, user: &User, namespaces: &[&str]) {
        let client = client_for(&self.plane, user).await;
        self.start_operator_with(client, namespaces, Patience::default()).await;
    }

    /// Starts an operator for this namespace whose way to the API server leads through a gateway: one of [`World::gateway`].
    pub async fn start_operator_through(&self, gateway: &Gateway) {
        self.start_operator_through_with(gateway, Patience::default()).await;
    }

    /// The same with another patience.
    pub async fn start_operator_through_with(&self, gateway: &Gateway, patience: Patience) {
        let client = client_of(&gateway.kubeconfig().unwrap(), patience).await;
        self.start_operator_with(client, &[&self.namespace], patience).await;
    }

    /// A gateway whose client is this world's operator to the API server.
    pub async fn gateway(&self) -> Gateway {
        self.plane.gateway(&User::named(&self.user).group("system:masters")).await.unwrap()
    }

    /// Starts an operator that speaks to the API server over this client and watches these namespaces.
    async fn start_operator_with(&self, client: Client, namespaces: &[&str], patience: Patience) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        let operator = Operator {
            election: None,
            client,
            patience,
            settings: Settings {
                private_callbacks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
                ..Settings::default()
            },
            namespaces: namespaces.iter().map(|namespace| (*namespace).to_owned()).collect(),
            label_selector: None,
            max_concurrent_reconciles: 16,
            shutdown_grace: Duration::from_secs(20),
            audit: AuditSink::new(self.audit.clone()),
            listener,
        };
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(async move {
            operator
                .run(async {
                    let _ = stopped.await;
                })
                .await
                .unwrap();
        });
        *self.operator.lock().unwrap() = Some(Running { stop, done, http });
    }

    /// Ends the operator as SIGTERM would.
    pub async fn stop_operator(&self) {
        let running = self.operator.lock().unwrap().take();
        if let Some(Running { stop, done, .. }) = running {
            let _ = stop.send(());
            done.await.unwrap();
        }
    }

    /// Ends the operator as a crash would: nothing is finished, nothing is written any more.
    pub async fn kill_operator(&self) {
        let running = self.operator.lock().unwrap().take();
        if let Some(Running { done, .. }) = running {
            done.abort();
            let _ = done.await;
        }
    }

    /// What `/metrics` (or another path) answers.
    pub async fn http(&self, path: &str) -> (u16, String) {
        let http = self.operator.lock().unwrap().as_ref().map(|running| running.http).unwrap();
        let answer = reqwest::get(format!("http://{http}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The value of a series of `/metrics`, by its beginning; the sum where several begin so.
    pub async fn metric(&self, beginning: &str) -> f64 {
        self.series(beginning).await
    }

    /// The same for what is counted.
    pub async fn counted(&self, beginning: &str) -> u64 {
        self.series(beginning).await
    }

    async fn series<T: FromStr + Sum>(&self, beginning: &str) -> T {
        let text = self.http("/metrics").await.1;
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<T>().ok()).sum()
    }
}
