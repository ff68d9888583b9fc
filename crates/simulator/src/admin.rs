//! The admin API under `/_sim/` (README.md lists it); its requests are neither logged nor counted.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, NoContent},
    routing::{delete, get, patch, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Answer, BotWebhook, Certificate, Credentials, Fault, FaultId, Handle};

type Status = Result<NoContent, StatusCode>;

/// All admin routes.
pub(crate) fn router(handle: Handle) -> Router {
    Router::new()
        .route("/_sim", get(overview))
        .route("/_sim/", get(overview))
        .route("/_sim/ca.pem", get(async |State(sim): State<Handle>| sim.ca_pem()))
        .route(
            "/_sim/log",
            get(log).delete(async |State(sim): State<Handle>| {
                sim.clear_log();
                NoContent
            }),
        )
        .route(
            "/_sim/faults",
            get(faults).post(add_fault).delete(async |State(sim): State<Handle>| {
                sim.clear_faults();
                NoContent
            }),
        )
        .route("/_sim/faults/{id}", delete(remove_fault))
        .route("/_sim/integrations", get(integrations).post(add_integration))
        .route("/_sim/integrations/{id}", get(integration).patch(change).delete(remove))
        .route("/_sim/history", get(async |State(sim): State<Handle>| Json(sim.history())))
        .route("/_sim/bot-webhooks", get(bot_webhooks).post(add_bot_webhook))
        .route("/_sim/bot-webhooks/{id}", patch(change).delete(remove))
        .route("/_sim/callbacks/{name}", get(callback).put(program_callback))
        .route("/_sim/sinks/{name}", get(sink).put(program_sink))
        .route("/_sim/budget", put(budget))
        .route(
            "/_sim/tokens",
            delete(async |State(sim): State<Handle>| {
                sim.expire_tokens();
                NoContent
            }),
        )
        .route("/_sim/scopes", put(scopes))
        .route("/_sim/credentials", put(credentials))
        .with_state(handle)
}

fn found(was_there: bool) -> Status {
    if was_there { Ok(NoContent) } else { Err(StatusCode::NOT_FOUND) }
}

/// Where everything is: also the line that the program prints when it is ready.
pub fn describe(sim: &Handle) -> Value {
    let with_certificates: serde_json::Map<String, Value> = Certificate::ALL
        .into_iter()
        .filter_map(|kind| Some((serde_json::to_value(kind).ok()?.as_str()?.to_owned(), kind)))
        .map(|(name, kind)| (name, json!(sim.callback_url_with(kind, "").as_str())))
        .collect();
    json!({
        "baseUrl": sim.base_url().as_str(),
        "httpsBaseUrl": sim.https_base_url().as_ref().map(url::Url::as_str),
        "adminUrl": sim.admin_url().as_str(),
        "caFile": sim.ca_file().to_string_lossy(),
        "callbackUrl": sim.callback_url("").as_str(),
        "callbackUrls": with_certificates,
        "oldTlsCallbackUrl": sim.old_tls_callback_url("").as_str(),
        "sinkUrl": sim.sink_url("").as_str(),
    })
}

async fn overview(State(sim): State<Handle>) -> Json<Value> {
    Json(describe(&sim))
}

async fn log(State(sim): State<Handle>) -> impl IntoResponse {
    Json(sim.requests())
}

async fn faults(State(sim): State<Handle>) -> impl IntoResponse {
    Json(sim.faults())
}

async fn add_fault(State(sim): State<Handle>, Json(fault): Json<Fault>) -> impl IntoResponse {
    (StatusCode::CREATED, Json(json!({"id": sim.fault(fault)})))
}

async fn remove_fault(State(sim): State<Handle>, Path(id): Path<u64>) -> Status {
    found(sim.remove_fault(FaultId(id)))
}

async fn integrations(State(sim): State<Handle>) -> impl IntoResponse {
    Json(sim.integrations())
}

async fn add_integration(State(sim): State<Handle>, Json(fields): Json<Value>) -> impl IntoResponse {
    (StatusCode::CREATED, Json(json!({"id": sim.add_integration(fields)})))
}

async fn integration(State(sim): State<Handle>, Path(id): Path<String>) -> Result<impl IntoResponse, StatusCode> {
    sim.integration(&id).map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn change(State(sim): State<Handle>, Path(id): Path<String>, Json(fields): Json<Value>) -> Status {
    found(sim.change_behind(&id, fields))
}

async fn remove(State(sim): State<Handle>, Path(id): Path<String>) -> Status {
    found(sim.delete_behind(&id))
}

async fn bot_webhooks(State(sim): State<Handle>) -> impl IntoResponse {
    Json(sim.bot_webhooks())
}

async fn add_bot_webhook(State(sim): State<Handle>, Json(webhook): Json<BotWebhook>) -> impl IntoResponse {
    (StatusCode::CREATED, Json(json!({"id": sim.add_bot_webhook(webhook)})))
}

/// One standing answer, or answers that are each given once.
#[derive(Deserialize)]
#[serde(untagged)]
enum Program {
    Sequence(Vec<Answer>),
    Standing(Answer),
}

async fn callback(State(sim): State<Handle>, Path(name): Path<String>) -> impl IntoResponse {
    Json(sim.callback(&name).requests())
}

async fn program_callback(
    State(sim): State<Handle>,
    Path(name): Path<String>,
    Json(program): Json<Program>,
) -> NoContent {
    match program {
        Program::Standing(answer) => {
            sim.callback(&name).answer(answer);
            NoContent
        }
        Program::Sequence(answers) => {
            sim.callback(&name).answers(answers);
            NoContent
        }
    }
}

async fn sink(State(sim): State<Handle>, Path(name): Path<String>) -> impl IntoResponse {
    Json(sim.sink(&name).messages())
}

async fn program_sink(State(sim): State<Handle>, Path(name): Path<String>, Json(program): Json<Program>) -> NoContent {
    match program {
        Program::Standing(answer) => {
            sim.sink(&name).answer(answer);
            NoContent
        }
        Program::Sequence(answers) => {
            sim.sink(&name).answers(answers);
            NoContent
        }
    }
}

/// A number of requests, or null for no limit.
async fn budget(State(sim): State<Handle>, Json(requests): Json<Option<u32>>) -> NoContent {
    sim.set_budget(requests);
    NoContent
}

async fn scopes(State(sim): State<Handle>, Json(scopes): Json<Vec<String>>) -> NoContent {
    sim.set_granted_scopes(scopes.iter().map(String::as_str));
    NoContent
}

/// New credentials; what is left out stays.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Rotation {
    client_id: Option<String>,
    client_secret: Option<String>,
    api_key: Option<String>,
    bearer_token: Option<String>,
}

async fn credentials(State(sim): State<Handle>, Json(new): Json<Rotation>) -> NoContent {
    let old = sim.credentials();
    sim.set_credentials(Credentials {
        client_id: new.client_id.unwrap_or(old.client_id),
        client_secret: new.client_secret.unwrap_or(old.client_secret),
        api_key: new.api_key.unwrap_or(old.api_key),
        bearer_token: new.bearer_token.unwrap_or(old.bearer_token),
    });
    NoContent
}
