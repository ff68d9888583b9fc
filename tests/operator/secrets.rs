//! No secret is ever told: whole life cycles with marked values, through every failure of cognigy-api.md §7, against a Cognigy and
//! callbacks that repeat whatever they were sent.

mod marks;

use std::collections::{BTreeMap, BTreeSet};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RECONCILE_REQUESTED_ANNOTATION};
use cognigy_simulator::{Answer, Credentials, Effect, Fault, Options, Route, SinkMessage};
use control_plane::User;
use serde_json::{Value, json};

use crate::{
    collector::Collector,
    harness::{World, world_with_bodies_in_the_audit_log},
    program::{Program, free_address},
    secrets::marks::{Mark, Places, line},
};

const CLIENT_ID: &str = "xq-client-id-4471";
const CLIENT_SECRET: &str = "xq1c&lient \"secret\"+/%5F-8e02";
const WRONG_SECRET: &str = "xq2w&rong secret-77d1";
const API_KEY: &str = "xq3k\"ey+/%20-c3a9";
const BEARER: &str = "xq4b-earer.token_~-51fe";
const HEADER: &str = "xq5h\\eader \"value\"+&-1f0c";
const ROTATED: &str = "xq6r-otated-header-2a7d";
const FOREIGN: &str = "xq7f-oreign-header-3b9e";
const SINK: &str = "xq8s\\ink \"header\"+%-9c2d";
const SINKS: [&str; 3] = ["monitoring", "alerts", "deadLetter"];

/// The tenants, one for each way of cognigy-api.md §1; each has a webhook of its name.
const WAYS: [&str; 4] = ["basic", "in-body", "api-key", "bearer"];

fn credentials() -> Credentials {
    Credentials {
        client_id: CLIENT_ID.into(),
        client_secret: CLIENT_SECRET.into(),
        api_key: API_KEY.into(),
        bearer_token: BEARER.into(),
    }
}

fn auth(way: &str) -> Value {
    match way {
        "basic" => json!({"oauth2": {"credentialsSecretRef": {"name": "credentials"}}}),
        "in-body" => {
            json!({"oauth2": {"credentialsSecretRef": {"name": "credentials"}, "clientAuthentication": "RequestBody"}})
        }
        "api-key" => json!({"oauth2": null, "apiKey": {"secretRef": {"name": "credentials", "key": "api-key"}}}),
        _ => json!({"oauth2": null, "bearerToken": {"secretRef": {"name": "credentials", "key": "bearer"}}}),
    }
}

/// Every failure of §7, told by somebody who repeats the request; then every way not to answer as one should. What is committed
/// all the same comes last, and no more often than there are webhooks: nobody would try again.
fn failures(route: Route) -> Vec<Fault> {
    let statuses = [401, 302, 400, 403, 404, 405, 409, 412, 422, 500, 503];
    let on = || Fault::on(route).times(1);
    let mut faults: Vec<Fault> = statuses.into_iter().map(|status| on().echo(status)).collect();
    faults.extend([on().lose_before(), on().hang(), on().echo(200), on().malformed_json(), on().lose_after()]);
    if matches!(route, Route::Token | Route::GetWebhook | Route::GetIntegration | Route::ListIntegrations) {
        faults.extend([on().cut_body(), on().huge_body(2 * 1024 * 1024)]);
    }
    faults
}

impl World {
    async fn tenant_by(&self, way: &str, touched: usize) {
        let limits = json!({"requestsPerMinute": 600_000, "burst": 1000 + touched, "requestTimeoutSeconds": 1});
        let breaker = json!({"failureThreshold": 100, "openSeconds": 1});
        let header = json!([{"name": "X-Sink-Key", "secretKeyRef": {"name": "sink", "key": "value"}}]);
        let sink = |name| (name, json!({"url": self.https_sink_url(name), "headersFrom": header}));
        let sinks: BTreeMap<_, _> = SINKS.into_iter().map(sink).collect();
        let spec = json!({
            "auth": auth(way), "limits": limits, "circuitBreaker": breaker, "resyncPeriodSeconds": 5, "sinks": sinks,
        });
        self.tenant(way, spec).await;
    }

    async fn hook(&self, way: &str, change: Value) {
        let header = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "header", "key": "value"}}]);
        let mut spec = json!({
            "tenantRef": {"name": way}, "retryPolicyRef": {"name": "quick"}, "headersFrom": header,
            "healthCheck": {"timeoutSeconds": 1},
        });
        for (field, value) in change.as_object().unwrap() {
            spec[field] = value.clone();
        }
        self.webhook(way, spec).await;
    }

    async fn refuses(&self, way: &str) -> bool {
        let tenant = self.api::<CognigyTenant>().get(way).await.unwrap();
        let status = tenant.status.unwrap_or_default();
        status.observed_generation == tenant.metadata.generation
            && status.conditions.iter().any(|one| one.type_ == "Ready" && one.reason == "Unauthorized")
    }

    /// Puts these faults in the way and asks for full passes until each has struck and everybody is as wished again.
    async fn suffer(&self, faults: Vec<Fault>, reason: &str) {
        self.clear_faults();
        let count = faults.len();
        for fault in faults {
            self.fault(fault);
        }
        let (mut asked, mut touched) = (0, 1000);
        self.eventually("every fault strikes and is overcome", async || {
            let mut well = true;
            for way in WAYS {
                // Refused credentials are not tried again before long, unless the tenant changes.
                if self.refuses(way).await {
                    touched += 1;
                    self.tenant_by(way, touched).await;
                }
                let webhook = self.get(way).await;
                let status = webhook.status.unwrap_or_default();
                well &= status.conditions.iter().any(|one| one.type_ == "Ready" && one.reason == reason);
                let wish = webhook.metadata.annotations.unwrap_or_default().remove(RECONCILE_REQUESTED_ANNOTATION);
                if status.last_handled_reconcile_at == wish {
                    asked += 1;
                    self.annotate(way, RECONCILE_REQUESTED_ANNOTATION, &format!("{asked}")).await;
                }
            }
            self.faults().iter().filter(|fault| fault.hits > 0).count() == count && well
        })
        .await;
    }

    /// The same for what tenants call.
    async fn suffer_as_tenants(&self, faults: Vec<Fault>) {
        self.clear_faults();
        let count = faults.len();
        for fault in faults {
            self.fault(fault);
        }
        let mut touched = 0;
        self.eventually("every fault strikes a tenant and is overcome", async || {
            let struck = self.faults().iter().filter(|fault| fault.hits > 0).count();
            let mut well = true;
            for way in WAYS {
                let tenant = self.api::<CognigyTenant>().get(way).await.unwrap();
                let status = tenant.status.unwrap_or_default();
                let told = status.observed_generation == tenant.metadata.generation;
                well &= told && status.conditions.iter().any(|one| one.type_ == "Ready" && one.reason == "Connected");
                if told && (struck < count || !well) {
                    touched += 1;
                    self.tenant_by(way, touched).await;
                }
            }
            struck == count && well
        })
        .await;
    }
}

#[allow(clippy::too_many_lines, reason = "a life is one story")]
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_through_whole_lives_whatever_fails_and_whoever_repeats_it() {
    let options = Options { credentials: credentials(), ..Options::default() };
    world_with_bodies_in_the_audit_log(options, async |world| {
        let kubeconfig = world.plane.write_kubeconfig(&User::named(&world.user).group("system:masters")).unwrap();
        let collector = Collector::start().await;
        let scope = ["--watch-namespaces", &world.namespace];
        let arguments = [&scope[..], &["--log-level", "trace", "--otlp-endpoint", &collector.url]].concat();
        let program = Program::start(&kubeconfig, &free_address(), &arguments);
        program.ready().await;
        let values = [("client-id", CLIENT_ID), ("client-secret", CLIENT_SECRET), ("api-key", API_KEY), ("bearer", BEARER)];
        world.secret("credentials", &values).await;
        world.secret("header", &[("value", HEADER)]).await;
        world.secret("sink", &[("value", SINK)]).await;
        for sink in SINKS {
            let repeats = Answer::status(503).body(SINK).header("x-trace-id", "xq8sink");
            let leads_away = Answer::redirect(&format!("https://{ROTATED}.example.com/"));
            world.sink(sink).answers([repeats, leads_away, Answer::lose_connection()]);
        }
        world.policy("quick", json!({"intervalsMs": [10, 20, 40, 80, 160]})).await;
        for way in WAYS {
            world.tenant_by(way, 0).await;
        }
        world.suffer_as_tenants([Route::Token, Route::ListIntegrations].into_iter().flat_map(failures).collect()).await;

        // Registration, policy, check and activation.
        for way in WAYS {
            let repeats = Answer::status(503).body(HEADER).header("x-trace-id", HEADER);
            let leads_away = Answer::redirect(&format!("https://{ROTATED}.example.com/"));
            world.callback(way).answers([repeats, leads_away, Answer::hang(), Answer::lose_connection()]);
            world.hook(way, json!({})).await;
        }
        let routes = [Route::CreateIntegration, Route::GetWebhook, Route::PutWebhook, Route::UpdateIntegration];
        world.suffer(routes.into_iter().flat_map(failures).collect(), "Active").await;

        // A rotated header, an expired token, and somebody who writes secrets where none belongs.
        world.secret("header", &[("value", ROTATED)]).await;
        world.expire_tokens();
        let changed = failures(Route::GetIntegration).into_iter().chain(failures(Route::UpdateIntegration));
        world.suffer(changed.collect(), "Active").await;
        let somebody = |way| {
            let own = match way {
                "api-key" => API_KEY,
                "bearer" => BEARER,
                _ => CLIENT_SECRET,
            };
            json!({
                "name": format!("orders {ROTATED}"), "url": format!("https://{ROTATED}.example.com/{own}"), "payloadFormat": ROTATED,
                "headers": {"X-Api-Key": FOREIGN, "X-More": FOREIGN}, "retryPolicy": {"why": own},
            })
        };
        for (mode, event) in [("Enforce", "DriftCorrected"), ("Observe", "DriftDetected")] {
            for way in WAYS {
                world.hook(way, json!({"mode": mode})).await;
                world.full_pass(way, mode).await;
                let id = world.get(way).await.status.unwrap().webhook_id.unwrap();
                world.change_behind(&id, somebody(way));
                world.full_pass(way, &format!("{mode}-changed")).await;
                world.until_event(way, event).await;
            }
        }
        for way in WAYS {
            world.hook(way, json!({})).await;
            world.until_reason(way, "Active").await;
        }

        // A pause for the whole host, and attempts that are used up.
        world.clear_faults();
        world.fault(Fault::on(Route::PutWebhook).times(1).echo(429));
        let trouble = world.fault(Fault::on(Route::PutWebhook).echo(503));
        world.policy("quick", json!({"intervalsMs": [10, 20]})).await;
        for way in WAYS {
            world.until_event(way, "RetriesExhausted").await;
        }
        for sink in ["alerts", "deadLetter"] {
            world.until_sim("a delivered message", |state| state.sink_messages(sink).iter().any(SinkMessage::is_delivered)).await;
        }
        world.remove_fault(trouble);

        // Deletion, and credentials that are refused.
        world.clear_faults();
        for way in WAYS {
            world.until_reason(way, "Active").await;
        }
        // Not those after which nothing is left to delete.
        let is_refusal = |fault: &Fault| !matches!(fault.effect, Effect::Echo(200 | 404 | 405));
        failures(Route::DeleteIntegration).into_iter().filter(is_refusal).for_each(|fault| _ = world.fault(fault));
        for way in &WAYS[1..] {
            world.delete::<CognigyWebhook>(way).await;
        }
        for way in &WAYS[1..] {
            world.until_gone::<CognigyWebhook>(way).await;
        }
        world.fault(Fault::on(Route::Token).echo(401));
        world.secret("credentials", &[("client-id", CLIENT_ID), ("client-secret", WRONG_SECRET)]).await;
        world.until_tenant("basic", "Unauthorized").await;

        let metrics = program.until("/metrics", |status, _| status == 200).await;
        program.terminate();
        let (_, lines) = program.end().await;
        let mut places = Places::default();
        places.add("metrics", [metrics]);
        places.add("traces", collector.texts());
        places.add("standard output and error", lines);
        for event in world.plane.audit_events().unwrap().into_iter().filter(|event| event.user == world.user) {
            if event.is_write() {
                places.add("what the operator wrote to Kubernetes", event.request.iter().map(line));
                places.add("what Kubernetes kept of it", event.response.iter().map(line));
            }
            places.add("URLs of the API server", [event.request_uri]);
        }

        let mut secrets = vec![
            Mark::new("the client's secret", CLIENT_SECRET),
            Mark::basic("the client's pair", CLIENT_ID, CLIENT_SECRET),
            Mark::new("the wrong secret", WRONG_SECRET),
            Mark::basic("the wrong pair", CLIENT_ID, WRONG_SECRET),
            Mark::new("the API key", API_KEY),
            Mark::new("the bearer token", BEARER),
            Mark::new("a header", HEADER),
            Mark::new("the rotated header", ROTATED),
            Mark::new("a sink's header", SINK),
        ];
        let sent = world.requests();
        let messages = || SINKS.into_iter().flat_map(|sink| world.sink(sink).messages());
        for mut message in messages() {
            message.headers.retain(|(name, _)| name != "x-sink-key");
            places.add("messages to sinks", [line(message)]);
        }
        let requests: Vec<String> = sent.iter().map(line).chain(messages().map(line)).collect();
        let bearers = sent.iter().filter_map(|request| request.header("authorization")?.strip_prefix("Bearer "));
        let tokens: BTreeSet<&str> = bearers.filter(|token| token.starts_with("sim-token-")).collect();
        secrets.extend(tokens.iter().map(|token| Mark::new("an access token", token)));
        // The search finds what is there: the simulator was sent each of them, and repeated each of them.
        for secret in &secrets {
            assert!(requests.iter().any(|request| secret.found_in(request).is_some()), "{} was never used", secret.name());
        }
        assert!(tokens.len() > 4, "{tokens:?}");
        secrets.push(Mark::new("somebody else's header", FOREIGN));
        places.show_none_of(&secrets);
        for place in ["standard output and error", "what the operator wrote to Kubernetes", "traces"] {
            assert!(places.count(place, "***") > 20, "{place}: nothing was repeated");
        }
        assert!(places.count("standard output and error", "\"TRACE\"") > 0);
    })
    .await;
}
