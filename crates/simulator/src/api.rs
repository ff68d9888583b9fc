//! What happens to every API request, in this order: log, quota, latency, fault, answer.

use std::time::Duration;

use http::{Request, request::Parts};
use hyper::body::Incoming;
use serde_json::Value;

use crate::{
    echo,
    exchange::{Lost, Outcome, Peer, pause, read},
    faults::{Effect, Fault, FaultId},
    log::{self, header_pairs},
    options::{ErrorFormat, LogDetail, Options},
    passage::{Destination, Moment, Passage},
    problem::{Refusal, Reply},
    route::{self, Match, Route},
    routes::{self, Call},
    shared::Shared,
    state::State,
    store::Cause,
};

/// A request that was let in.
struct Arrival {
    seq: u64,
    found: Match,
    headers: Vec<(String, String)>,
    query: String,
    body: Vec<u8>,
    fault: Option<(FaultId, Fault)>,
}

/// Serves one API request.
pub(crate) async fn serve(shared: &Shared, peer: &Peer, request: Request<Incoming>) -> Outcome {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let (found, latency) = shared.look(|state| (find(&state.options, &parts), state.options.latency));
    let mut passage = Passage::new(Destination::Api(route_of(&found)), &parts);
    passage.at(Moment::Before, shared)?;
    let arrival = shared.change(|state| arrive(state, peer, found, &parts, body));
    pause(latency).await;
    let arrival = match arrival {
        Ok(arrival) => arrival,
        Err(refused) => return Ok(refused.into_response()),
    };
    let seq = arrival.seq;
    let (reply, cut) = match &arrival.fault {
        None => (shared.change(|state| answer(state, &arrival)), false),
        Some((id, fault)) => spoil(shared, &arrival, *id, fault).await?,
    };
    passage.at(Moment::After, shared)?;
    shared.change(|state| state.log.told(seq, reply.status));
    Ok(if cut { reply.into_cut_response() } else { reply.into_response() })
}

/// Logs a request and lets it in, or not.
fn arrive(state: &mut State, peer: &Peer, found: Match, parts: &Parts, body: Vec<u8>) -> Result<Arrival, Reply> {
    let seq = state.next_seq();
    let path = parts.uri.path();
    let route = route_of(&found);
    let headers = header_pairs(&parts.headers);
    let (logged_headers, logged_body) = match state.options.log_detail {
        LogDetail::Full => (headers.clone(), String::from_utf8_lossy(&body).into_owned()),
        LogDetail::Line => (Vec::new(), String::new()),
    };
    state.log.push(log::Request {
        seq,
        at: state.age(),
        route,
        method: parts.method.to_string(),
        path: path.to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: logged_headers,
        body: logged_body,
        bytes: log::size(parts, &body),
        tls: peer.tls.is_some(),
        peer_port: peer.address.port(),
        status: None,
    });
    if let Err(refusal) = state.quotas.admit(peer.address.ip(), &state.options) {
        let reply = refusal.reply(error_format(&state.options, route), seq);
        state.log.told(seq, reply.status);
        return Err(reply);
    }
    let fault = state.faults.strike(route, parts.method.as_str(), path);
    let query = parts.uri.query().unwrap_or_default().to_owned();
    Ok(Arrival { seq, found, headers, query, body, fault })
}

fn find(options: &Options, parts: &Parts) -> Match {
    let mut token_paths = vec!["/oauth/token".to_owned(), "/api/v2/auth/token".to_owned()];
    token_paths.extend(options.extra_token_path.clone());
    let path = parts.uri.path();
    if options.extra_token_path.as_deref() == Some(path) {
        return route::find(&parts.method, path, &token_paths);
    }
    match path.strip_prefix(options.path_prefix.trim_end_matches('/')) {
        Some(rest) => route::find(&parts.method, rest, &token_paths),
        None => Match::NotFound,
    }
}

fn route_of(found: &Match) -> Option<Route> {
    match found {
        Match::Route(route, _) => Some(*route),
        Match::MethodNotAllowed(_) | Match::NotFound => None,
    }
}

fn error_format(options: &Options, route: Option<Route>) -> ErrorFormat {
    if route == Some(Route::Token) { ErrorFormat::Oauth } else { options.error_format }
}

fn answer(state: &mut State, arrival: &Arrival) -> Reply {
    let ids: &[String] = match &arrival.found {
        Match::Route(_, ids) => ids,
        Match::MethodNotAllowed(_) | Match::NotFound => &[],
    };
    let call = Call { seq: arrival.seq, query: &arrival.query, headers: &arrival.headers, body: &arrival.body, ids };
    routes::answer(state, &arrival.found, &call)
}

/// What somebody else does to the object of a request, in the same moment.
fn meddle(state: &mut State, arrival: &Arrival, effect: &Effect) {
    let Match::Route(_, ids) = &arrival.found else { return };
    let Some(id) = ids.last() else { return };
    let cause = Cause { seq: arrival.seq, by_api: false };
    match effect {
        Effect::ChangeBehind(patch) => _ = state.store.merge(id, patch, cause),
        Effect::DeleteBehind => _ = state.store.remove(id, cause),
        _ => {}
    }
}

/// Does what a fault says; the second part is whether the body is to be cut.
async fn spoil(shared: &Shared, arrival: &Arrival, id: FaultId, fault: &Fault) -> Result<(Reply, bool), Lost> {
    if !fault.after_commit {
        pause(Duration::from_millis(fault.delay_ms)).await;
    }
    let reply = fault.lets_work().then(|| {
        shared.change(|state| {
            meddle(state, arrival, &fault.effect);
            answer(state, arrival)
        })
    });
    if fault.after_commit {
        pause(Duration::from_millis(fault.delay_ms)).await;
    }
    let reply = reply.unwrap_or_else(|| Reply::empty(200));
    match &fault.effect {
        Effect::None | Effect::ChangeBehind(_) | Effect::DeleteBehind => Ok((reply, false)),
        Effect::CutBody => Ok((reply, true)),
        Effect::LoseConnection => Err(Lost),
        Effect::Hang => {
            shared.wait_until(|state| state.faults.all().iter().all(|active| active.id != id)).await;
            Err(Lost)
        }
        Effect::MalformedJson => Ok((with_body(reply, br#"{"id": "wh_0000"#.to_vec()), false)),
        Effect::HugeBody(bytes) => {
            let body = format!(r#"{{"padding":"{}"}}"#, "x".repeat(*bytes));
            Ok((with_body(reply, body.into_bytes()), false))
        }
        Effect::Echo(status) => Ok((echo::reply(reply, *status, arrival.seq, &arrival.headers, &arrival.body), false)),
        Effect::Status { status, body, retry_after } => {
            let format = shared.look(|state| error_format(&state.options, route_of(&arrival.found)));
            let mut reply = match body {
                None => Refusal::new(*status, "A fault that was asked for.").reply(format, arrival.seq),
                Some(Value::String(text)) => Reply::typed(*status, "text/plain; charset=utf-8", text.clone()),
                Some(value) if value.get("title").is_some() => {
                    Reply::typed(*status, "application/problem+json", value.to_string())
                }
                Some(value) => Reply::json(*status, value),
            };
            if let Some(retry_after) = retry_after {
                reply = reply.with("retry-after", retry_after.header());
            }
            Ok((reply, false))
        }
    }
}

/// The same answer with another body, as JSON.
fn with_body(reply: Reply, body: Vec<u8>) -> Reply {
    let status = if matches!(reply.status, 204 | 304) { 200 } else { reply.status };
    let headers = reply.headers.into_iter().filter(|(name, _)| *name != "content-type");
    Reply { status, headers: headers.chain([("content-type", "application/json".to_owned())]).collect(), body }
}
