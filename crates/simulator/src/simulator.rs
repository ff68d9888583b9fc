//! Starting, ending and steering a simulator from Rust.

use std::{ops::Deref, path::PathBuf};

use serde_json::Value;
use url::Url;

use crate::{
    ActiveFault, Answer, BotWebhook, CallbackRequest, Certificate, Change, Credentials, Fault, FaultId, IntegrationRecord,
    Options, Request, Route, SinkMessage, State,
};

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address could not be taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A running simulator; dropping it ends everything.
#[derive(Debug)]
pub struct Simulator {
    handle: Handle,
}

impl Deref for Simulator {
    type Target = Handle;
    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Simulator {
    /// Starts all listeners.
    pub async fn start(_options: Options) -> Result<Self, Error> {
        todo!()
    }
    /// Closes all listeners and connections; the state stays.
    pub async fn stop(&self) {
        todo!()
    }
    /// Closes all connections and listens again on the same ports, with the same state.
    pub async fn restart(&self) -> Result<(), Error> {
        todo!()
    }
    /// A handle to move into tasks; it does not keep the simulator alive.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

/// Steers a running simulator; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {}

/// A callback target by name.
#[derive(Clone, Debug)]
pub struct Callback {}

impl Callback {
    /// From now on, always this answer.
    pub fn answer(&self, _answer: Answer) {
        todo!()
    }
    /// Each of these once, then the standing answer again.
    pub fn answers(&self, _answers: impl IntoIterator<Item = Answer>) {
        todo!()
    }
    /// What reached it.
    pub fn requests(&self) -> Vec<CallbackRequest> {
        todo!()
    }
}

/// A sink by name.
#[derive(Clone, Debug)]
pub struct Sink {}

impl Sink {
    /// From now on, always this answer.
    pub fn answer(&self, _answer: Answer) {
        todo!()
    }
    /// Each of these once, then the standing answer again.
    pub fn answers(&self, _answers: impl IntoIterator<Item = Answer>) {
        todo!()
    }
    /// What reached it, failed deliveries included.
    pub fn messages(&self) -> Vec<SinkMessage> {
        todo!()
    }
}

#[allow(clippy::unused_async, missing_docs)]
impl Handle {
    pub fn base_url(&self) -> Url {
        todo!()
    }
    pub fn https_base_url(&self) -> Option<Url> {
        todo!()
    }
    pub fn admin_url(&self) -> Url {
        todo!()
    }
    pub fn ca_pem(&self) -> String {
        todo!()
    }
    pub fn ca_file(&self) -> PathBuf {
        todo!()
    }
    pub fn credentials(&self) -> Credentials {
        todo!()
    }
    pub fn set_credentials(&self, _credentials: Credentials) {
        todo!()
    }
    pub fn expire_tokens(&self) {
        todo!()
    }
    pub fn set_granted_scopes<'a>(&self, _scopes: impl IntoIterator<Item = &'a str>) {
        todo!()
    }
    pub fn configure(&self, _change: impl FnOnce(&mut Options)) {
        todo!()
    }
    pub fn callback_url(&self, _name: &str) -> Url {
        todo!()
    }
    pub fn http_callback_url(&self, _name: &str) -> Url {
        todo!()
    }
    /// The callback on a listener with this certificate.
    pub fn callback_url_with(&self, _certificate: Certificate, _name: &str) -> Url {
        todo!()
    }
    /// A URL where every TLS handshake is refused with `protocol_version`.
    pub fn old_tls_callback_url(&self, _name: &str) -> Url {
        todo!()
    }
    pub fn callback(&self, _name: &str) -> Callback {
        todo!()
    }
    /// Plain HTTP.
    pub fn sink_url(&self, _name: &str) -> Url {
        todo!()
    }
    pub fn https_sink_url(&self, _name: &str) -> Url {
        todo!()
    }
    pub fn sink(&self, _name: &str) -> Sink {
        todo!()
    }
    pub fn fault(&self, _fault: Fault) -> FaultId {
        todo!()
    }
    pub fn remove_fault(&self, _id: FaultId) -> bool {
        todo!()
    }
    pub fn clear_faults(&self) {
        todo!()
    }
    pub fn faults(&self) -> Vec<ActiveFault> {
        todo!()
    }
    pub fn set_budget(&self, _requests: Option<u32>) {
        todo!()
    }
    pub fn requests(&self) -> Vec<Request> {
        todo!()
    }
    pub fn requests_to(&self, _route: Route) -> Vec<Request> {
        todo!()
    }
    pub fn count(&self, _route: Route) -> usize {
        todo!()
    }
    pub fn clear_log(&self) {
        todo!()
    }
    pub async fn wait_until(&self, _predicate: impl Fn(&State) -> bool) {
        todo!()
    }
    pub fn look<T>(&self, _read: impl FnOnce(&State) -> T) -> T {
        todo!()
    }
    pub fn integrations(&self) -> Vec<IntegrationRecord> {
        todo!()
    }
    pub fn integration(&self, _id: &str) -> Option<IntegrationRecord> {
        todo!()
    }
    /// The §4 view as GET answers it.
    pub fn webhook(&self, _id: &str) -> Option<Value> {
        todo!()
    }
    pub fn etag(&self, _id: &str) -> Option<String> {
        todo!()
    }
    pub fn active_versions(&self, _name: &str) -> Vec<i64> {
        todo!()
    }
    pub fn history(&self) -> Vec<Change> {
        todo!()
    }
    /// Merges `patch` (RFC 7386; fields of either view) into an object; false where it does not exist.
    pub fn change_behind(&self, _id: &str, _patch: Value) -> bool {
        todo!()
    }
    pub fn delete_behind(&self, _id: &str) -> bool {
        todo!()
    }
    /// Adds an integration (fields of either view; `name` and `url` at least) and gives its id.
    pub fn add_integration(&self, _fields: Value) -> String {
        todo!()
    }
    /// Adds a bot's webhook and gives its id.
    pub fn add_bot_webhook(&self, _webhook: BotWebhook) -> String {
        todo!()
    }
    pub fn bot_webhooks(&self) -> Vec<BotWebhook> {
        todo!()
    }
}
