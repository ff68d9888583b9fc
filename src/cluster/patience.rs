//! How long the operator waits for an API server that says nothing.

use std::time::Duration;

use kube::{Client, Config, client::ClientBuilder, runtime::watcher};

/// How long the API server may be silent before a connection counts as dead. Left to themselves, kube's client waits for an answer
/// without end, and its watches for five minutes: a load balancer that forgot a connection would so stop an object for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long an answer may take, and the pauses in it. The API server itself ends every request but a watch after a
    /// minute; shorter than this, a watch would be taken for a dead connection.
    pub answer: Duration,
    /// How long a watch is asked to last, in seconds; then it goes on where it was. A silent one is given up 5 s later.
    pub watch_seconds: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer: Duration::from_secs(75), watch_seconds: 60 }
    }
}

/// Objects in one answer to a list: a page is in memory as a whole, with all that is not kept of it.
const PAGE: u32 = 100;

impl Patience {
    /// A client that waits no longer than this.
    pub fn client(self, config: Config) -> kube::Result<Client> {
        let mut config = config;
        config.read_timeout = Some(self.answer);
        // Counted from the request on: an idle connection may wait for it for long.
        config.reset_reader_on_write = true;
        Ok(ClientBuilder::try_from(config)?.build())
    }

    /// A watch that lasts no longer than this.
    pub fn watch(self) -> watcher::Config {
        watcher::Config::default().timeout(self.watch_seconds).page_size(PAGE)
    }
}
