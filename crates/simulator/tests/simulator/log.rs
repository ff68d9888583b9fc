use std::time::{Duration, Instant};

use cognigy_simulator::{Fault, LogDetail, Options, Route};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::{Client, orders, send, start, started};

fn check(client: &Client, trace_id: &str) -> reqwest::RequestBuilder {
    let body = json!({"source": "cognigy-registrar", "event": "health_check", "timestamp": 1_766_400_000,
                      "trace_id": trace_id, "data": {"status": "ready", "version": 2}});
    let request = client.http.post(client.sim.http_callback_url("orders")).json(&body);
    request.header("user-agent", "CognigyWebhookRegistrar/1.0").header("x-env", "test")
}

fn plain() -> Options {
    Options { allow_http_urls: true, ..Options::default() }
}

#[tokio::test]
async fn each_request_has_the_time_since_the_start() {
    let begin = Instant::now();
    let client = start(plain()).await;
    client.registered().await;
    let between = client.sim.requests()[0].at;
    send(check(&client, "a")).await;
    client.get("/api/v1/integrations").await;
    let (second, checked) = (client.sim.requests()[1].at, client.sim.callback("orders").requests()[0].at);
    assert!(between <= checked && checked <= second && second <= begin.elapsed());

    let log: Value =
        client.http.get(client.sim.admin_url().join("log").unwrap()).send().await.unwrap().json().await.unwrap();
    assert_eq!(log[1]["atMs"], u64::try_from(second.as_millis()).unwrap());
}

#[tokio::test]
async fn a_request_is_as_large_as_what_was_sent() {
    let client = started().await;
    let text = "POST /api/v1/integrations?a=b HTTP/1.1\r\nHost: h\r\nX-Twice: 1\r\nX-Twice: 22\r\nContent-Length: 5\r\n\
                Connection: close\r\n\r\n12345";
    let base = client.sim.base_url();
    let mut stream = TcpStream::connect((base.host_str().unwrap(), base.port().unwrap())).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(client.sim.requests()[0].bytes, text.len());
}

#[tokio::test]
async fn over_http_2_the_host_is_counted_though_it_is_no_header() {
    let client = started().await;
    let http_2 = crate::client::http_client().http2_prior_knowledge().build().unwrap();
    let url = client.sim.base_url();
    http_2.get(url.clone()).header("accept", "*/*").send().await.unwrap();
    let request = client.sim.requests().remove(0);
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let written = format!("GET / HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\n\r\n");
    assert_eq!((request.header("host"), request.bytes), (None, written.len()));
}

#[tokio::test]
async fn a_log_of_lines_keeps_neither_headers_nor_bodies_and_refuses_as_before() {
    let client = start(Options { log_detail: LogDetail::Line, ..plain() }).await;
    client.registered().await;
    let request = client.sim.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v1/integrations"));
    assert_eq!((request.route, request.status), (Some(Route::CreateIntegration), Some(201)));
    assert!(request.headers.is_empty() && request.body.is_empty() && request.bytes > orders().to_string().len());

    assert_eq!(send(check(&client, "a")).await.status, 200);
    assert_eq!(send(check(&client, "a")).await.status, 400, "the trace id was seen before");
    let checks = client.sim.callback("orders").requests();
    assert!(checks.iter().all(|one| one.headers.is_empty() && one.body.is_null()));
    assert_eq!(checks[1].violations, ["trace_id was used before"]);

    client.sim.configure(|options| options.log_detail = LogDetail::Full);
    client.get("/api/v1/integrations").await;
    assert_eq!(client.sim.requests()[1].header("accept"), Some("application/json"));
}

#[tokio::test]
async fn every_answer_takes_as_long_as_the_latency_says_and_faults_apply_all_the_same() {
    let latency = Duration::from_millis(30);
    let client = start(Options { latency, ..Options::default() }).await;
    client.sim.fault(Fault::on(Route::ListIntegrations).times(1).status(503));
    for (path, status) in [("/api/v1/integrations", 503), ("/api/v1/integrations", 200), ("/nowhere", 404)] {
        let begin = Instant::now();
        assert_eq!(client.get(path).await.status, status);
        assert!(begin.elapsed() >= latency, "{path}");
    }
    client.sim.set_budget(Some(0));
    let begin = Instant::now();
    assert_eq!(client.get("/api/v1/integrations").await.status, 429);
    assert!(begin.elapsed() >= latency);
}

#[tokio::test]
async fn callbacks_and_sinks_answer_at_once_whatever_the_latency() {
    let client = start(Options { latency: Duration::from_hours(1), ..plain() }).await;
    let slow = tokio::spawn(client.call(reqwest::Method::GET, "/api/v1/integrations").send());
    client.sim.wait_until(|state| state.requests().len() == 1).await;
    assert_eq!(send(check(&client, "a")).await.status, 200);
    assert_eq!(send(client.http.post(client.sim.sink_url("alerts")).body("{}")).await.status, 200);
    assert_eq!(client.sim.requests()[0].status, None, "the answer is still to come");
    slow.abort();
}
