//! Traces: the real program, and a collector that takes OTLP (docs/tracing.md).

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Answer, Fault, Options, Request, Route};
use control_plane::User;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

use crate::{
    collector::{Collector, Told},
    harness::{World, world_without_operator},
    program::{Program, free_address},
};

impl World {
    async fn traced(&self, endpoint: &str, environment: &[(&str, &str)]) -> Program {
        let kubeconfig = self.plane.write_kubeconfig(&User::admin()).unwrap();
        let flags = ["--watch-namespaces", &self.namespace, "--otlp-endpoint", endpoint];
        let program = Program::start_under(&kubeconfig, &free_address(), &flags, environment);
        program.ready().await;
        program
    }

    async fn goes_live(&self) {
        self.tenant("production", json!({})).await;
        self.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        self.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        self.until_reason("orders", "Active").await;
    }
}

/// Waits until the passes that told these reasons have arrived, and with them all that they did.
async fn arrived(world: &World, collector: &Collector, told: &[(&str, &str, &str)]) -> Vec<Told> {
    world
        .eventually("traces arrive", async || {
            let spans = collector.spans();
            told.iter().all(|told| !passes(&spans, *told).is_empty())
        })
        .await;
    collector.spans()
}

impl Program {
    /// Ends it as Kubernetes does; what it logged.
    async fn stopped(self) -> String {
        self.terminate();
        let (status, lines) = self.end().await;
        assert_eq!(status.code(), Some(0), "{lines:?}");
        lines.join("\n")
    }
}

/// The passes over an object that told this reason.
fn passes<'a>(spans: &'a [Told], (kind, name, reason): (&str, &str, &str)) -> Vec<&'a Told> {
    let of = |span: &&Told| span.get("cognigy.object.kind") == kind && span.get("cognigy.object.name") == name;
    spans.iter().filter(of).filter(|span| span.get("cognigy.reason") == reason).collect()
}

fn below<'a>(spans: &'a [Told], parent: &Told) -> Vec<&'a Told> {
    spans.iter().filter(|span| span.is_below(parent)).collect()
}

fn names<'a>(spans: &[&'a Told]) -> Vec<&'a str> {
    spans.iter().map(|span| span.name()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_goes_live_is_one_trace_with_each_of_its_calls_in_order() {
    world_without_operator(Options::default(), async |world| {
        let collector = Collector::start().await;
        let environment = [
            ("POD_NAME", "operator-0"),
            ("POD_NAMESPACE", "cognigy-system"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ];
        let program = world.traced(&collector.url, &environment).await;
        world.goes_live().await;
        let webhook = world.get("orders").await;
        let spans = arrived(
            world,
            &collector,
            &[("CognigyWebhook", "orders", "Active"), ("CognigyTenant", "production", "Connected")],
        )
        .await;
        program.stopped().await;
        let [pass] = passes(&spans, ("CognigyWebhook", "orders", "Active"))[..] else { panic!("{spans:#?}") };
        let calls = below(&spans, pass);
        assert_eq!(
            names(&calls),
            [
                "POST /api/v1/integrations",
                "GET /api/v2/webhooks/{id}",
                "PUT /api/v2/webhooks/{id}",
                "health check",
                "PUT /api/v1/integrations/{id}",
            ],
            "{spans:#?}"
        );
        assert!(pass.is_root() && pass.name() == "reconcile CognigyWebhook");
        let tenant = format!("{}/production", world.namespace);
        for (attribute, value) in [
            ("cognigy.object.namespace", world.namespace.as_str()),
            ("cognigy.object.generation", "1"),
            ("cognigy.tenant", &tenant),
            ("cognigy.outcome", "ok"),
        ] {
            assert_eq!(pass.get(attribute), value, "{pass:#?}");
        }
        let server = world.https_base_url().unwrap();
        for (call, status) in calls.iter().zip(["201", "200", "200", "200", "200"]) {
            assert!(call.is_client() && call.failure().is_none(), "{call:#?}");
            assert_eq!(call.get("http.response.status_code"), status, "{call:#?}");
            assert_eq!(call.get("server.address"), server.host_str().unwrap(), "{call:#?}");
        }
        assert_eq!(calls[0].get("url.template"), "/api/v1/integrations");
        assert_eq!(calls[0].get("cognigy.route"), "create_integration");
        assert_eq!(calls[0].get("http.request.method"), "POST");
        assert_eq!(calls[0].get("server.port"), server.port().unwrap().to_string());
        assert!(calls[0].get("cognigy.wait_ms").parse::<f64>().is_ok(), "{:#?}", calls[0]);

        // Who was called can find the trace, and so can who reads the status.
        let parent = |request: &Request| request.header("traceparent").map(str::to_owned);
        for (route, call) in [(Route::CreateIntegration, calls[0]), (Route::PutWebhook, calls[2])] {
            assert_eq!(world.requests_to(route).iter().filter_map(parent).collect::<Vec<_>>(), [call.traceparent()]);
        }
        assert_eq!(webhook.status.unwrap().health.unwrap().trace_id, Some(pass.trace_id()));

        // The tenant's first pass fetched the token for all.
        let tokens: Vec<_> = spans.iter().filter(|span| span.name() == "POST /oauth/token").collect();
        let probe = spans.iter().find(|span| span.name() == "GET /api/v1/integrations").unwrap();
        assert!(tokens.len() == 1 && tokens[0].is_below(probe), "{spans:#?}");
        assert!(passes(&spans, ("CognigyTenant", "production", "Connected")).iter().any(|pass| probe.is_below(pass)));

        let resource = collector.resource();
        for (attribute, value) in [
            ("service.name", "cognigy-operator"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", "operator-0"),
            ("k8s.pod.name", "operator-0"),
            ("k8s.namespace.name", "cognigy-system"),
            ("deployment.environment.name", "test"),
        ] {
            assert_eq!(resource.get(attribute).map(String::as_str), Some(value), "{resource:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_marked_and_says_why() {
    world_without_operator(Options::default(), async |world| {
        let collector = Collector::start().await;
        let program = world.traced(&collector.url, &[]).await;
        world.fault(Fault::on(Route::PutWebhook).times(1).status(401));
        world.fault(Fault::on(Route::CreateIntegration).times(1).status(503));
        world.webhook("lost", json!({"tenantRef": {"name": "nobody"}})).await;
        world.until_reason("lost", "TenantNotFound").await;
        world.goes_live().await;
        let last = [("CognigyWebhook", "orders", "Active"), ("CognigyWebhook", "lost", "TenantNotFound")];
        let spans = arrived(world, &collector, &last).await;
        program.stopped().await;
        let named = |name: &str| spans.iter().filter(|span| span.name() == name).collect::<Vec<_>>();
        let created = named("POST /api/v1/integrations");
        assert_eq!(created.len(), 2, "{spans:#?}");
        assert_eq!(
            (created[0].get("error.type"), created[1].get("error.type")),
            ("server_error".into(), String::new())
        );
        assert_eq!(created[0].get("http.response.status_code"), "503");
        let trace_id = created[0].get("cognigy.trace_id");
        let why = created[0].failure().unwrap();
        assert!(!trace_id.is_empty() && why.contains("status 503") && why.contains(&trace_id), "{:#?}", created[0]);
        let [failed] = passes(&spans, ("CognigyWebhook", "orders", "ServerError"))[..] else { panic!("{spans:#?}") };
        assert!(created[0].is_below(failed) && failed.failure() == Some(why), "{failed:#?}");
        assert_eq!(failed.get("error.type"), "ServerError");

        // A refused token is fetched again, within the call.
        let [put] = named("PUT /api/v2/webhooks/{id}")[..] else { panic!("{spans:#?}") };
        assert_eq!((put.get("http.request.resend_count"), put.failure()), ("1".into(), None));
        assert_eq!(names(&below(&spans, put)), ["POST /oauth/token"]);

        let waiting = passes(&spans, ("CognigyWebhook", "lost", "TenantNotFound"));
        assert!(waiting[0].failure().unwrap().contains("nobody does not exist"), "{waiting:#?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_try_to_deliver_a_message_is_a_trace_that_does_not_say_where_it_goes() {
    world_without_operator(Options::default(), async |world| {
        let collector = Collector::start().await;
        let program = world.traced(&collector.url, &[]).await;
        let sink = json!({"url": world.https_sink_url("alerts")});
        world.sink("alerts").answers([Answer::status(500), Answer::ok()]);
        world.tenant("production", json!({"sinks": {"alerts": sink}})).await;
        world.policy("quick", json!({"intervalsMs": [10]})).await;
        world.fault(Fault::on(Route::CreateIntegration).status(503));
        world.webhook("orders", json!({"retryPolicyRef": {"name": "quick"}})).await;
        world.until_reason("orders", "RetriesExhausted").await;
        let told = |webhook: &CognigyWebhook| {
            let failure = webhook.status.as_ref().and_then(|status| status.failure.as_ref());
            failure.is_some_and(|failure| failure.undelivered.is_empty())
        };
        world.until("orders", told).await;
        let tries = || collector.spans().into_iter().filter(|span| span.name() == "deliver alerts").collect::<Vec<_>>();
        world.eventually("both tries arrive", async || tries().len() >= 2).await;
        program.stopped().await;
        let (spans, tries) = (collector.spans(), tries());
        assert!(tries.iter().all(|span| span.is_root() && span.is_client()), "{spans:#?}");
        assert_eq!((tries[0].get("error.type"), tries[0].failure()), ("refused".into(), Some("the sink answered 500")));
        assert_eq!((tries[1].get("http.response.status_code"), tries[1].failure()), ("200".into(), None));
        let message = &world.sink("alerts").messages()[0];
        for (attribute, header) in [
            ("cloudevents.event_id", "ce-id"),
            ("cloudevents.event_source", "ce-source"),
            ("cloudevents.event_type", "ce-type"),
        ] {
            assert_eq!(Some(tries[1].get(attribute).as_str()), message.header(header));
        }
        assert_eq!(tries[1].get("server.address"), "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_refuses_for_now_is_sent_again_and_its_trouble_is_told_once() {
    world_without_operator(Options::default(), async |world| {
        let collector = Collector::start().await;
        collector.refuse(Some(503));
        let program = world.traced(&collector.url, &[]).await;
        world.goes_live().await;
        world.eventually("batches are refused", async || collector.refused() >= 2).await;
        collector.refuse(None);
        arrived(world, &collector, &[("CognigyWebhook", "orders", "Active")]).await;
        let log = program.stopped().await;
        assert_eq!(log.matches("traces cannot be delivered: it answered 503").count(), 1, "{log}");
        assert_eq!(log.matches("traces are delivered again").count(), 1, "{log}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_silent_or_away_holds_up_neither_the_work_nor_the_end() {
    world_without_operator(Options::default(), async |world| {
        // Connections are made, and nobody ever answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let program = world.traced(&format!("http://{}", silent.local_addr().unwrap()), &[]).await;
        world.goes_live().await;
        let log = program.stopped().await;
        assert!(log.contains("the last traces were not taken"), "{log}");

        // Bound and never listening: nobody else can be given it meanwhile.
        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let away = closed.local_addr().unwrap();
        let program = world.traced(&format!("http://user:hunter2@{away}"), &[]).await;
        world.webhook("refunds", json!({})).await;
        world.until_reason("refunds", "Active").await;
        let log = program.stopped().await;
        assert_eq!(log.matches("traces cannot be delivered").count(), 1, "{log}");
        assert!(log.contains(&format!(r#""collector":"{away}""#)) && !log.contains("hunter2"), "{log}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_sampled_as_the_standard_variables_say() {
    world_without_operator(Options::default(), async |world| {
        let collector = Collector::start().await;
        let sampler = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")];
        let program = world.traced(&collector.url, &sampler).await;
        world.goes_live().await;
        program.stopped().await;
        assert!(collector.spans().is_empty());
        // Who is called is told so.
        let parents = world.requests().into_iter().filter(|request| request.route != Some(Route::Token));
        for request in parents.filter(|request| request.route.is_some()) {
            assert!(request.header("traceparent").unwrap().ends_with("-00"), "{request:?}");
        }
    })
    .await;
}
