//! Where the tenants' sinks are, and what is to be done when something was delivered.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture};
use kube::ResourceExt as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    context::{Cache, Context},
    tenant::{Bundles, config},
    triggers::Triggers,
};
use crate::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, SinkKind},
    cluster::secret::Source,
    cognigy::http_client,
    metrics::Metrics,
    net::JudgedNames,
    outbox::{self, Courier, Monitor, Outcome, Owner, OwnerKind, Sink, SinkError, message},
};

/// What goes out to the user's own systems.
pub struct Outbox {
    /// Alerts and dead letters, from the statuses that keep them.
    pub courier: Arc<Courier>,
    /// Best-effort messages.
    pub monitor: Arc<Monitor>,
    office: Arc<Office>,
}

impl Outbox {
    /// An outbox with nothing in it.
    pub fn new(office: Office) -> Self {
        for kind in SinkKind::ALL {
            office.metrics.outbox_sink(kind.as_str(), &Outcome::ALL.map(Outcome::as_str));
        }
        let office = Arc::new(office);
        let (courier, monitor) = (Courier::new(office.clone()), Monitor::new(office.clone()));
        Self { courier: Arc::new(courier), monitor: Arc::new(monitor), office }
    }

    /// A tenant is gone, and with it what was waiting for its monitoring.
    pub fn forget_tenant(&self, tenant: &ObjectKey) {
        self.monitor.forget(tenant);
        self.office.lock().remove(tenant);
    }
}

/// The tenants' sinks, as watched.
pub struct Office {
    /// The API server.
    pub client: kube::Client,
    /// The tenants.
    pub tenants: Cache<CognigyTenant>,
    /// Their CA bundles.
    pub bundles: Arc<Bundles>,
    /// How passes are asked for.
    pub triggers: Arc<Triggers>,
    /// The figures.
    pub metrics: Metrics,
    /// `--allow-insecure-http`.
    pub allow_insecure_http: bool,
    /// HTTP clients of the tenants, each with the name of the CA bundle that it trusts. Headers are not kept.
    pub clients: Mutex<HashMap<ObjectKey, (String, reqwest::Client)>>,
}

impl Office {
    async fn find(&self, key: &ObjectKey, kind: SinkKind) -> Result<Sink, SinkError> {
        let not_usable = |why: String| SinkError::NotUsable(why);
        let tenant = self.tenants.get(key);
        let tenant = tenant.ok_or_else(|| not_usable(format!("tenant {key} does not exist")))?;
        let sink = tenant.sink(kind).ok_or_else(|| {
            not_usable(format!("tenant {key} has no spec.sinks.{kind} any more; give it one, or let go of the message"))
        })?;
        let url = config::url(&format!("spec.sinks.{kind}.url"), &sink.url, self.allow_insecure_http)
            .map_err(|failure| not_usable(failure.message()))?;
        let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
        let mut headers: Vec<(String, SecretString)> = Vec::new();
        for header in &sink.headers_from {
            let reference = &header.secret_key_ref;
            if !sources.contains_key(&*reference.name) {
                let source = Source::secret(&self.client, &key.namespace, &reference.name).await;
                sources.insert(&reference.name, source.map_err(|error| not_usable(error.to_string()))?);
            }
            if let Some(source) = sources.get(&*reference.name) {
                let value = source.text(&reference.key).map_err(|error| not_usable(error.to_string()))?;
                headers.push((header.name.clone(), value));
            }
        }
        Sink::new(self.client_of(key, &tenant).await.map_err(not_usable)?, url, &headers)
    }

    /// The tenant's HTTP client, made anew when its CA bundle changed.
    async fn client_of(&self, key: &ObjectKey, tenant: &CognigyTenant) -> Result<reqwest::Client, String> {
        let bundle = self.bundles.name(tenant);
        if let Some((_, client)) = self.lock().get(key).filter(|(of, _)| *of == bundle) {
            return Ok(client.clone());
        }
        let pem = self.bundles.of(tenant).await.map_err(|failure| failure.message())?;
        let pem = pem.as_ref().map(|pem| pem.expose_secret().as_bytes());
        let limit = outbox::sink::time_limit(SinkKind::DeadLetter);
        let client = http_client(pem, limit, JudgedNames::default()).map_err(|error| error.to_string())?;
        self.lock().insert(key.clone(), (bundle, client.clone()));
        Ok(client)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectKey, (String, reqwest::Client)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl outbox::Office for Office {
    fn sink<'a>(&'a self, tenant: &'a ObjectKey, kind: SinkKind) -> BoxFuture<'a, Result<Sink, SinkError>> {
        self.find(tenant, kind).boxed()
    }

    fn told(&self, owner: &Owner) {
        match owner.kind {
            OwnerKind::Tenant => self.triggers.tenant(owner.key.clone()),
            OwnerKind::Webhook => self.triggers.webhooks([owner.key.clone()]),
        }
    }

    fn pending(&self, kind: SinkKind, count: usize) {
        self.metrics.outbox_pending(kind.as_str(), count);
    }

    fn tried(&self, kind: SinkKind, outcome: Outcome) {
        self.metrics.outbox_delivery(kind.as_str(), outcome.as_str());
    }

    fn dropped(&self, kind: SinkKind) {
        self.metrics.outbox_dropped(kind.as_str());
    }
}

/// The webhook as the owner of messages.
pub fn owner_of_webhook(webhook: &CognigyWebhook) -> Owner {
    Owner { kind: OwnerKind::Webhook, key: ObjectKey::of(webhook), uid: webhook.uid().unwrap_or_default() }
}

/// The tenant as the owner of messages.
pub fn owner_of_tenant(tenant: &CognigyTenant) -> Owner {
    Owner { kind: OwnerKind::Tenant, key: ObjectKey::of(tenant), uid: tenant.uid().unwrap_or_default() }
}

/// How the tenant's installation has answered lately, for messages.
pub fn figures(context: &Context, tenant: &ObjectKey) -> message::Figures {
    let figures = context.figures.of(tenant);
    message::Figures {
        success_rate: figures.map(|figures| figures.success_rate_percent),
        avg_latency_ms: figures.map(|figures| figures.average_latency_ms),
    }
}

/// Tells a tenant's monitoring about a webhook, where it has one; never waits.
pub fn monitor(context: &Context, webhook: &CognigyWebhook, message: &message::Monitoring) {
    let tenant = webhook.tenant_key();
    if context.tenants.get(&tenant).is_some_and(|tenant| tenant.sink(SinkKind::Monitoring).is_some()) {
        let event = message.event(owner_of_webhook(webhook).to_string(), jiff::Timestamp::now());
        context.outbox.monitor.send(&tenant, event);
    }
}
