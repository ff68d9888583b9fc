//! A client that says exactly what a test says.

use cognigy_simulator::{Options, Simulator};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn id(&self) -> String {
        self.json()["id"].as_str().expect("an id").to_owned()
    }

    pub fn etag(&self) -> String {
        self.header("etag").expect("an ETag").to_owned()
    }

    pub fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }
}

pub struct Client {
    pub sim: Simulator,
    pub http: reqwest::Client,
}

pub fn http_client() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none())
}

pub async fn start(options: Options) -> Client {
    Client { sim: Simulator::start(options).unwrap(), http: http_client().build().unwrap() }
}

pub async fn started() -> Client {
    start(Options::default()).await
}

impl Client {
    /// A request with the static bearer token and `Accept: application/json`.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(self.sim.credentials().bearer_token).header("accept", "application/json")
    }

    /// A request with nothing but a method and a path.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.sim.base_url();
        self.http.request(method, format!("{}{path}", base.as_str().trim_end_matches('/')))
    }

    pub async fn get(&self, path: &str) -> Answered {
        send(self.call(Method::GET, path)).await
    }

    pub async fn register(&self, body: &Value) -> Answered {
        let id = format!("webhook-reg-{}-{}", body["name"].as_str().unwrap_or_default(), body["version"]);
        send(self.call(Method::POST, "/api/v1/integrations").header("x-request-id", id).json(body)).await
    }

    pub async fn update(&self, id: &str, body: &Value) -> Answered {
        send(self.call(Method::PUT, &format!("/api/v1/integrations/{id}")).json(body)).await
    }

    pub async fn webhook(&self, id: &str) -> Answered {
        self.get(&format!("/api/v2/webhooks/{id}")).await
    }

    pub async fn put_webhook(&self, id: &str, etag: &str, body: &Value) -> Answered {
        send(self.call(Method::PUT, &format!("/api/v2/webhooks/{id}")).header("if-match", etag).json(body)).await
    }

    /// Registers `orders` version 2 and gives its id.
    pub async fn registered(&self) -> String {
        let answered = self.register(&orders()).await;
        assert_eq!(answered.status, 201, "{}", answered.text);
        answered.id()
    }
}

pub async fn send(request: RequestBuilder) -> Answered {
    let response = request.send().await.unwrap();
    let (status, headers) = (StatusCode::as_u16(&response.status()), response.headers().clone());
    Answered { status, headers, text: response.text().await.unwrap() }
}

pub fn orders() -> Value {
    json!({"name": "orders", "url": "https://api.example.com/orders", "method": "POST", "headers": {"X-Env": "test"},
           "payloadFormat": "application/json", "version": 2, "status": "inactive", "idempotencyKey": "orders:2"})
}

pub fn policy(id: &str) -> Value {
    json!({"webhookId": id, "maxRetries": 4, "backoffType": "exponential", "intervalsMs": [1000, 2500, 6250, 15625],
           "failureThresholdPercent": 15.0})
}

/// A body with one field set.
pub fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}
