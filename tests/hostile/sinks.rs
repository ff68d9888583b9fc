//! Sinks: in private networks if the tenant likes, never at link-local or metadata addresses; and sinks that answer with harm.

use std::sync::Arc;

use cognigy_operator::{
    cognigy::http_client,
    net::JudgedNames,
    outbox::{CloudEvent, Sink, SinkError},
    text::is_unfit,
};
use http::StatusCode;
use jiff::Timestamp;
use url::Url;

use crate::{
    HASTE, PATIENCE,
    memory::{MIB, peak},
    names::Names,
    namespace::{Traffic, isolated},
    server::{Act, HOST, Script, Server, answer, repeat, say, script, trickle},
};

fn event() -> CloudEvent {
    CloudEvent {
        id: "1".into(),
        source: "/cx/orders".into(),
        type_: "io.cognigy.webhook.deadletter".into(),
        time: Timestamp::UNIX_EPOCH,
        extensions: Vec::new(),
        body: "{}".into(),
    }
}

fn sink(port: u16, addresses: &'static [&'static str]) -> Sink {
    let client = http_client(None, PATIENCE, JudgedNames::of(Arc::new(Names::at(addresses)))).unwrap();
    Sink::new(client, Url::parse(&format!("http://{HOST}:{port}/letters")).unwrap(), &[]).unwrap()
}

#[test]
fn no_name_leads_messages_to_link_local_or_metadata_addresses() {
    isolated(async || {
        let server = Server::plain(&[answer("200 OK", "", "")]).await;
        let before = Traffic::so_far();
        let forbidden: [&'static [&'static str]; 5] = [
            &["169.254.169.254"],
            &["fe80::1"],
            &["fd00:ec2::254"],
            &["::ffff:169.254.169.254"],
            &["10.0.0.5", "0.0.0.0"],
        ];
        for addresses in forbidden {
            let error = sink(server.port, addresses).post(&event(), PATIENCE).await.unwrap_err().to_string();
            assert!(error.contains("are never called"), "{addresses:?}: {error}");
        }
        assert_eq!((Traffic::so_far(), server.connections()), (before, 0));
        sink(server.port, &["10.0.0.5"]).post(&event(), PATIENCE).await.unwrap();
    });
}

#[test]
fn every_hostile_answer_of_a_sink_ends_its_delivery_in_little_memory() {
    let refused = |status| SinkError::Refused(StatusCode::from_u16(status).unwrap());
    let unreachable = SinkError::Unreachable(String::new());
    let late = SinkError::TooLate(HASTE);
    isolated(async move || {
        let rows: Vec<(&str, Script, Result<(), &SinkError>)> = vec![
            ("headers without end", script([say("HTTP/1.1 200 OK\r\n"), repeat("X: y\r\n")]), Err(&unreachable)),
            ("garbage", script([repeat("\u{1b}[31m")]), Err(&unreachable)),
            ("a reset", script([Act::Reset]), Err(&unreachable)),
            ("a head in trickles", script([trickle("HTTP/1.1 200 OK\r\nX: y")]), Err(&late)),
            ("no answer", script([Act::Hold]), Err(&late)),
            ("a body without end", script([say("HTTP/1.1 200 OK\r\n\r\n"), repeat("x".repeat(4096))]), Ok(())),
        ];
        for (what, hostile, ends) in rows {
            let server = Server::plain(&[hostile]).await;
            let limit = if ends == Err(&late) { HASTE } else { PATIENCE };
            let (result, memory) = peak(sink(server.port, &["10.0.0.5"]).post(&event(), limit)).await;
            let text = result.as_ref().map_err(ToString::to_string).err().unwrap_or_default();
            let same = |error: &SinkError| {
                ends.is_err_and(|expected| std::mem::discriminant(expected) == std::mem::discriminant(error))
            };
            assert!(result.as_ref().map_or_else(same, |()| ends.is_ok()), "{what}: {result:?}");
            assert!(text.chars().count() < 600 && !text.chars().any(is_unfit), "{what}: {text}");
            assert!(memory < 8 * MIB, "{what}: {memory} bytes");
        }
        let redirect = answer("307 Elsewhere", "Location: http://169.254.169.254/\r\n", "");
        let server = Server::plain(&[redirect]).await;
        let error = sink(server.port, &["10.0.0.5"]).post(&event(), PATIENCE).await.unwrap_err();
        assert_eq!((error, server.connections()), (refused(307), 1), "not followed");
    });
}
