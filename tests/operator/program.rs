//! The program itself, as a process.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

/// Ends a test whose program does not, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(90);

/// The program as it runs; killed when it is dropped.
pub struct Program {
    child: Child,
    http: String,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    /// Starts it with this kubeconfig; `http` is where its probes and metrics listen.
    pub fn start(kubeconfig: &Path, http: &str, arguments: &[&str]) -> Self {
        Self::start_under(kubeconfig, http, arguments, &[])
    }

    /// The same with something in its environment.
    pub fn start_under(kubeconfig: &Path, http: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let fixed = ["run", "--http-listen", http, "--allow-private-callbacks", "127.0.0.0/8"];
        Self::start_exactly(kubeconfig, http, &[&fixed, arguments].concat(), environment)
    }

    /// Starts it with this whole command line; `http` is the address that stands in it.
    pub fn start_exactly(kubeconfig: &Path, http: &str, command_line: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"));
        command.args(command_line).env_clear().env("KUBECONFIG", kubeconfig).envs(environment.iter().copied());
        Self::spawn(command, http)
    }

    /// Starts it by this command; `http` is the address that the command tells it.
    pub fn spawn(mut command: Command, http: &str) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = Arc::default();
        let readers = vec![
            tokio::spawn(collect(child.stdout.take().unwrap(), Arc::clone(&lines))),
            tokio::spawn(collect(child.stderr.take().unwrap(), Arc::clone(&lines))),
        ];
        Self { child, http: http.to_owned(), lines, readers }
    }

    /// What it wrote so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(format!("http://{}{path}", self.http));
        let answer = answer.send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.unwrap()))
    }

    /// Waits for an answer as described.
    pub async fn until(&self, path: &str, described: impl Fn(u16, &str) -> bool) -> String {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if let Some((status, body)) = answer.as_ref().filter(|(status, body)| described(*status, body)) {
                assert!(*status > 0);
                return body.clone();
            }
            assert!(tokio::time::Instant::now() < deadline, "{path} answers {answer:?}\n{}", self.lines().join("\n"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn ready(&self) {
        self.until("/readyz", |status, _| status == 200).await;
    }

    /// Its process id.
    pub fn id(&self) -> Pid {
        self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).unwrap()
    }

    /// SIGTERM, as Kubernetes sends it.
    pub fn terminate(&self) {
        kill_process(self.id(), Signal::TERM).unwrap();
    }

    /// Waits for its end; its status and all that it wrote.
    pub async fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        for reader in self.readers {
            reader.await.unwrap();
        }
        let lines = self.lines.lock().unwrap().clone();
        (status, lines)
    }
}

async fn collect(output: impl AsyncRead + Unpin, into: Arc<Mutex<Vec<String>>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        into.lock().unwrap().push(line);
    }
}

/// An address for probes and metrics.
pub fn free_address() -> String {
    control_plane::free_address().unwrap().to_string()
}
