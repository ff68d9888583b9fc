use std::sync::{Arc, Mutex};

use cognigy_simulator::{Destination, Moment, Passage, Route, Verdict};
use serde_json::json;

use crate::client::{Client, orders, started};

/// Loses every request at this moment, and keeps what passed.
fn lose_at(client: &Client, moment: Moment) -> Arc<Mutex<Vec<Passage>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let passages = Arc::clone(&seen);
    client.sim.on_passage(move |passage| {
        passages.lock().unwrap().push(passage.clone());
        if passage.moment == moment { Verdict::Lose } else { Verdict::Pass }
    });
    seen
}

async fn is_lost(client: &Client, url: &str) -> bool {
    client.http.post(url).json(&json!({})).send().await.is_err()
}

#[tokio::test]
async fn a_request_lost_before_its_work_leaves_no_trace() {
    let client = started().await;
    let seen = lose_at(&client, Moment::Before);
    let register = client.call(reqwest::Method::POST, "/api/v1/integrations").json(&orders());
    assert!(register.send().await.is_err());
    assert!(is_lost(&client, client.sim.http_callback_url("orders").as_str()).await);
    assert!(is_lost(&client, client.sim.sink_url("alerts").as_str()).await);
    assert!(client.sim.requests().is_empty());
    assert_eq!(client.sim.integrations(), []);
    assert!(client.sim.callback("orders").requests().is_empty());
    assert!(client.sim.sink("alerts").messages().is_empty());
    let destinations: Vec<_> = seen.lock().unwrap().iter().map(|passage| passage.destination.clone()).collect();
    let (callback, sink) = (Destination::Callback("orders".into()), Destination::Sink("alerts".into()));
    assert_eq!(destinations, [Destination::Api(Some(Route::CreateIntegration)), callback, sink]);
}

#[tokio::test]
async fn a_request_lost_after_its_work_has_done_it_and_nobody_was_told() {
    let client = started().await;
    let seen = lose_at(&client, Moment::After);
    let register = client.call(reqwest::Method::POST, "/api/v1/integrations");
    let register = register.header("x-request-id", "webhook-reg-orders-2").json(&orders());
    assert!(register.send().await.is_err());
    assert!(is_lost(&client, client.sim.sink_url("alerts").as_str()).await);
    assert_eq!(client.sim.integrations().len(), 1);
    assert_eq!(client.sim.requests()[0].status, None);
    let messages = client.sim.sink("alerts").messages();
    assert_eq!((messages.len(), messages[0].is_delivered()), (1, false));
    let moments: Vec<_> = seen.lock().unwrap().iter().map(|passage| passage.moment).collect();
    assert_eq!(moments, [Moment::Before, Moment::After, Moment::Before, Moment::After]);
}
