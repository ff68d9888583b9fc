//! Steering a running simulator from Rust.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use url::Url;

use crate::{
    ActiveFault, Answer, BotWebhook, CallbackRequest, Certificate, Change, Credentials, Fault, FaultId,
    IntegrationRecord, Options, Passage, Request, Route, SinkMessage, State, Verdict, callbacks,
    passage::Hook,
    shared::Shared,
    sinks,
    tls::{Renewals, TlsError},
};

/// The URLs of all listeners, paths left out.
#[derive(Debug)]
pub(crate) struct Endpoints {
    pub(crate) http: Url,
    pub(crate) https: Option<Url>,
    pub(crate) certificates: BTreeMap<Certificate, Url>,
    pub(crate) old_tls: Option<Url>,
    pub(crate) renewals: Option<Renewals>,
}

/// Steers a running simulator; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    endpoints: Endpoints,
    prefix: String,
    ca_pem: String,
    ca_file: PathBuf,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, endpoints: Endpoints, ca_pem: String, ca_file: PathBuf) -> Self {
        let prefix = shared.look(|state| state.options.path_prefix.trim_matches('/').to_owned());
        Self { shared, place: Arc::new(Place { endpoints, prefix, ca_pem, ca_file }) }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    // === Where it is ===

    /// Base URL of the API over plain HTTP, with the path prefix.
    pub fn base_url(&self) -> Url {
        at(&self.place.endpoints.http, &self.place.prefix)
    }

    /// Base URL of the API over HTTPS, with the path prefix; none where TLS is off.
    pub fn https_base_url(&self) -> Option<Url> {
        self.place.endpoints.https.as_ref().map(|url| at(url, &self.place.prefix))
    }

    /// Base URL of the admin API.
    pub fn admin_url(&self) -> Url {
        at(&self.place.endpoints.http, "_sim/")
    }

    /// The authority's certificate, PEM; empty where TLS is off.
    pub fn ca_pem(&self) -> String {
        self.place.ca_pem.clone()
    }

    /// The file with the authority's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.place.ca_file.clone()
    }

    /// URL of a callback: HTTPS with a valid certificate (plain HTTP only where TLS is off).
    pub fn callback_url(&self, name: &str) -> Url {
        self.callback_url_with(Certificate::Valid, name)
    }

    /// URL of a callback over plain HTTP.
    pub fn http_callback_url(&self, name: &str) -> Url {
        at(&self.place.endpoints.http, &format!("{}{name}", callbacks::PATH))
    }

    /// URL of a callback on a listener with such a certificate.
    pub fn callback_url_with(&self, certificate: Certificate, name: &str) -> Url {
        let endpoints = &self.place.endpoints;
        at(endpoints.certificates.get(&certificate).unwrap_or(&endpoints.http), &format!("{}{name}", callbacks::PATH))
    }

    /// From now on the listener that has such a certificate shows one by the simulator's authority for its names, valid for so
    /// much longer. Nothing happens where TLS is off.
    pub fn renew_certificate(&self, certificate: Certificate, valid_for: Duration) -> Result<(), TlsError> {
        let renewals = self.place.endpoints.renewals.as_ref();
        renewals.map_or(Ok(()), |renewals| renewals.renew(certificate, valid_for))
    }

    /// URL of a callback that nobody reaches: every handshake is refused with the alert `protocol_version`.
    pub fn old_tls_callback_url(&self, name: &str) -> Url {
        let endpoints = &self.place.endpoints;
        at(endpoints.old_tls.as_ref().unwrap_or(&endpoints.http), &format!("{}{name}", callbacks::PATH))
    }

    /// URL of a sink over plain HTTP.
    pub fn sink_url(&self, name: &str) -> Url {
        at(&self.place.endpoints.http, &format!("{}{name}", sinks::PATH))
    }

    /// URL of a sink over HTTPS with a valid certificate (plain HTTP only where TLS is off).
    pub fn https_sink_url(&self, name: &str) -> Url {
        let endpoints = &self.place.endpoints;
        let https = endpoints.certificates.get(&Certificate::Valid).unwrap_or(&endpoints.http);
        at(https, &format!("{}{name}", sinks::PATH))
    }

    // === Who may call ===

    /// What it accepts now.
    pub fn credentials(&self) -> Credentials {
        self.shared.look(|state| state.options.credentials.clone())
    }

    /// Accepts other credentials from now on; tokens handed out before are revoked.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.shared.change(|state| {
            state.options.credentials = credentials;
            state.tokens.expire_all();
        });
    }

    /// Ends all tokens: the next call with one is answered 401.
    pub fn expire_tokens(&self) {
        self.shared.change(|state| state.tokens.expire_all());
    }

    /// Gives the client these scopes; taken away ones count at once, for tokens handed out before as well.
    pub fn set_granted_scopes<'a>(&self, scopes: impl IntoIterator<Item = &'a str>) {
        let scopes = scopes.into_iter().map(str::to_owned).collect();
        self.shared.change(|state| state.options.granted_scopes = scopes);
    }

    /// Changes the installation's habits while it runs; addresses, ports, TLS and the path prefix stay as they were at the start.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        self.shared.change(|state| change(&mut state.options));
    }

    /// Lets in this many more API requests, then answers 429; none lifts the limit.
    pub fn set_budget(&self, requests: Option<u32>) {
        self.shared.change(|state| state.quotas.budget = requests);
    }

    // === Faults ===

    /// Adds a rule behind those that are there.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.shared.change(|state| state.faults.add(fault))
    }

    /// Removes a rule; requests that hang because of it lose their connection. False where there is none.
    pub fn remove_fault(&self, id: FaultId) -> bool {
        self.shared.change(|state| state.faults.remove(id))
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.shared.change(|state| state.faults.clear());
    }

    /// All rules with their hits, used up ones included.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.shared.look(|state| state.faults.all().to_vec())
    }

    /// Shows each request to `hook` just before and just after its work, in place of the hook before; see [`Passage`]. The hook
    /// must not wait, and must not steer the simulator.
    pub fn on_passage(&self, hook: impl Fn(&Passage) -> Verdict + Send + Sync + 'static) {
        self.shared.change(|state| state.hook = Some(Hook(Arc::new(hook))));
    }

    // === What happened ===

    /// All API requests in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.look(|state| state.requests().to_vec())
    }

    /// The requests to one route.
    pub fn requests_to(&self, route: Route) -> Vec<Request> {
        self.shared.look(|state| state.requests().iter().filter(|one| one.route == Some(route)).cloned().collect())
    }

    /// How many requests a route got, refused ones included.
    pub fn count(&self, route: Route) -> usize {
        self.shared.look(|state| state.count(route))
    }

    /// Forgets the API requests; callbacks, sinks and the history stay.
    pub fn clear_log(&self) {
        self.shared.change(|state| state.log.clear());
    }

    /// Waits until the predicate holds; it is asked after each change. Without end: put a time limit around it.
    ///
    /// The predicate looks at the state under its lock, so it must not call a `Handle`.
    pub async fn wait_until(&self, predicate: impl Fn(&State) -> bool) {
        self.shared.wait_until(predicate).await;
    }

    /// One look at everything at the same moment; must not call a `Handle` either.
    pub fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.shared.look(read)
    }

    // === Objects ===

    /// All integrations in the order of their creation.
    pub fn integrations(&self) -> Vec<IntegrationRecord> {
        self.shared.look(|state| state.integrations().iter().cloned().collect())
    }

    /// One integration.
    pub fn integration(&self, id: &str) -> Option<IntegrationRecord> {
        self.shared.look(|state| state.integration(id).cloned())
    }

    /// The §4 view as GET answers it.
    pub fn webhook(&self, id: &str) -> Option<Value> {
        self.shared.look(|state| state.integration(id).map(|one| one.webhook_view(&state.options)))
    }

    /// The entity tag of now, quotes included.
    pub fn etag(&self, id: &str) -> Option<String> {
        self.shared.look(|state| state.integration(id).map(IntegrationRecord::etag))
    }

    /// The versions of a name that are active, ascending.
    pub fn active_versions(&self, name: &str) -> Vec<i64> {
        self.shared.look(|state| state.active_versions(name))
    }

    /// All changes of integrations in order.
    pub fn history(&self) -> Vec<Change> {
        self.shared.look(|state| state.history().to_vec())
    }

    /// The changes that left no version of a name active although one was before: empty where service was never interrupted.
    pub fn interruptions(&self, name: &str) -> Vec<Change> {
        self.shared.look(|state| state.interruptions(name).into_iter().cloned().collect())
    }

    /// Merges `patch` (RFC 7386; fields of either view) into an integration or a bot's webhook, giving it a new version.
    /// False where it does not exist.
    #[allow(clippy::needless_pass_by_value, reason = "callers write a literal: `change_behind(id, json!({…}))`")]
    pub fn change_behind(&self, id: &str, patch: Value) -> bool {
        self.shared.change(|state| {
            let cause = state.behind();
            state.store.merge(id, &patch, cause)
        })
    }

    /// Deletes an integration or a bot's webhook. False where it does not exist.
    pub fn delete_behind(&self, id: &str) -> bool {
        self.shared.change(|state| {
            let cause = state.behind();
            state.store.remove(id, cause)
        })
    }

    /// Adds an integration (fields of either view, all with defaults; `id` too) and gives its id.
    #[allow(clippy::needless_pass_by_value, reason = "callers write a literal: `add_integration(json!({…}))`")]
    pub fn add_integration(&self, fields: Value) -> String {
        self.shared.change(|state| {
            let cause = state.behind();
            state.store.add(&fields, &state.options, cause)
        })
    }

    /// Adds a bot's webhook and gives its id.
    pub fn add_bot_webhook(&self, webhook: BotWebhook) -> String {
        self.shared.change(|state| state.store.add_bot_webhook(webhook, state.options.id_style))
    }

    /// All webhooks of bots.
    pub fn bot_webhooks(&self) -> Vec<BotWebhook> {
        self.shared.look(|state| state.bot_webhooks().iter().cloned().collect())
    }

    // === Callbacks and sinks ===

    /// The callback of this name; there are as many as are named.
    pub fn callback(&self, name: &str) -> Callback {
        Callback { shared: self.shared(), name: name.to_owned() }
    }

    /// The sink of this name; there are as many as are named.
    pub fn sink(&self, name: &str) -> Sink {
        Sink { shared: self.shared(), name: name.to_owned() }
    }
}

/// A callback target: answers 200 to health checks until told otherwise.
#[derive(Clone, Debug)]
pub struct Callback {
    shared: Arc<Shared>,
    name: String,
}

impl Callback {
    /// From now on, always this answer.
    pub fn answer(&self, answer: Answer) {
        self.shared.change(|state| state.callbacks.entry(self.name.clone()).or_default().stand(answer));
    }

    /// Each of these once, then the standing answer again.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.change(|state| state.callbacks.entry(self.name.clone()).or_default().queue(answers));
    }

    /// What reached it.
    pub fn requests(&self) -> Vec<CallbackRequest> {
        self.shared.look(|state| state.callback_requests(&self.name).to_vec())
    }
}

/// A sink: answers 200 until told otherwise.
#[derive(Clone, Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    name: String,
}

impl Sink {
    /// From now on, always this answer.
    pub fn answer(&self, answer: Answer) {
        self.shared.change(|state| state.sinks.entry(self.name.clone()).or_default().stand(answer));
    }

    /// Each of these once, then the standing answer again.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.change(|state| state.sinks.entry(self.name.clone()).or_default().queue(answers));
    }

    /// What reached it, failed deliveries included.
    pub fn messages(&self) -> Vec<SinkMessage> {
        self.shared.look(|state| state.sink_messages(&self.name).to_vec())
    }
}

fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}
