//! The calls that bring one webhook up, as anybody would send them: no limits, no retries, no judgement.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use cognigy_simulator::Handle;
use demo::Result;
use reqwest::{Certificate, Client, RequestBuilder, Response, header};
use serde_json::{Value, json};
use url::Url;

use crate::{
    fleet::{self, DELAYS, webhook_name},
    stage::Stage,
};

/// Any call may take so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the installation has.
pub(super) struct Registered {
    name: String,
    id: String,
}

/// A connection to an installation.
pub(super) struct Wire {
    http: Client,
    /// A new connection for each: whose callbacks they are would be other hosts each.
    checks: Client,
    installation: Handle,
    seed: u64,
    base: Url,
    token: String,
    checked: AtomicU64,
}

impl Wire {
    /// With the token that the installation always accepts: what a token costs is nothing beside a fleet.
    pub(super) fn new(stage: &Stage) -> Result<Self> {
        let installation = stage.installation(0);
        let authority = Certificate::from_pem(installation.ca_pem().as_bytes())?;
        let client = || Client::builder().no_proxy().tls_certs_merge([authority.clone()]).timeout(PATIENCE);
        let base = installation.https_base_url().ok_or("the simulator was started without TLS")?;
        Ok(Self {
            http: client().build()?,
            checks: client().pool_max_idle_per_host(0).user_agent("CognigyWebhookRegistrar/1").build()?,
            token: installation.credentials().bearer_token,
            checked: AtomicU64::new(0),
            installation,
            seed: stage.conditions.seed,
            base,
        })
    }

    /// What a registered webhook takes until it is live: its policy attached, checked, active.
    pub(super) async fn activate(&self, nth: usize, Registered { name, id }: Registered) -> Result<()> {
        let (mut body, tag) = self.read(&id).await?;
        body["retryPolicy"] = json!({
            "webhookId": id, "maxRetries": DELAYS.len(), "backoffType": "exponential", "intervalsMs": DELAYS,
            "failureThresholdPercent": 15.0,
        });
        let tag = self.write(&id, &body, &tag).await?;
        self.check(nth, &name).await?;
        body["enabled"] = true.into();
        self.write(&id, &body, &tag).await?;
        Ok(())
    }

    fn call(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token).header(header::ACCEPT, "application/json")
    }

    /// `POST /api/v1/integrations` (cognigy-api.md §2).
    pub(super) async fn register(&self, nth: usize) -> Result<Registered> {
        let name = webhook_name(nth);
        let body = json!({
            "name": name, "url": self.installation.callback_url(&name), "method": "POST",
            "headers": fleet::headers(self.seed, nth), "payloadFormat": "application/json",
            "version": 1, "status": "inactive", "idempotencyKey": format!("{name}:1"),
        });
        let request = self.http.post(self.base.join("api/v1/integrations")?).json(&body);
        let request = self.call(request).header("X-Request-Id", format!("webhook-reg-{name}-1"));
        let registered: Value = good(request.send().await?).await?.json().await?;
        let id = registered["id"].as_str().ok_or("a registration without an id")?.to_owned();
        Ok(Registered { name, id })
    }

    /// `GET /api/v2/webhooks/{id}` (§4).
    async fn read(&self, id: &str) -> Result<(Value, String)> {
        let answer = good(self.call(self.http.get(self.webhook(id)?)).send().await?).await?;
        let tag = tag(&answer)?;
        Ok((answer.json().await?, tag))
    }

    /// `PUT /api/v2/webhooks/{id}` (§4); the new tag.
    async fn write(&self, id: &str, body: &Value, if_match: &str) -> Result<String> {
        let request = self.call(self.http.put(self.webhook(id)?)).header(header::IF_MATCH, if_match).json(body);
        tag(&good(request.send().await?).await?)
    }

    /// The health check (§5).
    async fn check(&self, nth: usize, name: &str) -> Result<()> {
        let trace = self.checked.fetch_add(1, Ordering::Relaxed);
        let body = json!({
            "source": "cognigy-registrar", "event": "health_check", "timestamp": jiff::Timestamp::now().as_second(),
            "trace_id": format!("bench-{trace}"), "data": {"status": "ready", "version": 1},
        });
        let headers = fleet::headers(self.seed, nth);
        let request =
            headers.iter().fold(self.checks.post(self.installation.callback_url(name)), |request, (name, value)| {
                request.header(name, value)
            });
        good(request.json(&body).send().await?).await?;
        Ok(())
    }

    fn webhook(&self, id: &str) -> Result<Url> {
        Ok(self.base.join(&format!("api/v2/webhooks/{id}"))?)
    }
}

/// A success, or an error with what was answered.
async fn good(answer: Response) -> Result<Response> {
    let (status, url) = (answer.status(), answer.url().clone());
    if status.is_success() {
        return Ok(answer);
    }
    Err(format!("{url} was answered {status}: {}", answer.text().await?).into())
}

fn tag(answer: &Response) -> Result<String> {
    let tag = answer.headers().get(header::ETAG).ok_or("an answer without an ETag")?;
    Ok(tag.to_str()?.to_owned())
}
