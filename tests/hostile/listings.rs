//! Listings that are meant to last for ever or to fill the memory.

use cognigy_operator::cognigy::{BotId, ErrorKind};
use serde_json::json;

use crate::{
    PATIENCE,
    installations::{assert_clean, session},
    memory::{MIB, peak},
    namespace::isolated,
    server::{Script, Server, answer},
};

fn page(items: &serde_json::Value, cursor: &str) -> Script {
    answer("200 OK", "", json!({"items": items, "pagination": {"nextCursor": cursor}}).to_string())
}

fn bot() -> BotId {
    BotId::new("bot-1").unwrap()
}

#[test]
fn a_cursor_of_a_megabyte_is_not_sent_back() {
    isolated(async || {
        for cursor in ["c".repeat(MIB - 100), "c".repeat(2049), format!("?cursor={}", "c".repeat(2049))] {
            let server = Server::plain(&[page(&json!([]), &cursor)]).await;
            let session = session(&server, "http", PATIENCE, false);
            let error = session.list_bot_webhooks(&bot()).await.unwrap_err();
            assert_clean("cursor", &error);
            assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
            assert!(error.to_string().contains("cursor"), "{error}");
            assert_eq!(server.connections(), 1);
        }
    });
}

#[test]
fn a_cursor_is_sent_back_as_text_and_never_followed() {
    isolated(async || {
        let last = answer("200 OK", "", r#"{"items":[]}"#);
        for (cursor, sent) in [
            ("http://169.254.169.254/latest", "cursor=http%3A%2F%2F169.254.169.254%2Flatest"),
            ("https://evil.example/?cursor=c2", "cursor=c2"),
            ("a&pageSize=1#x\r\nX-Injected: y", "cursor=a%26pageSize%3D1%23x%0D%0AX-Injected%3A+y"),
            ("../../admin", "cursor=..%2F..%2Fadmin"),
            ("\u{202e}\u{1b}[31m", "cursor=%E2%80%AE%1B%5B31m"),
        ] {
            let server = Server::plain(&[page(&json!([]), cursor), last.clone()]).await;
            session(&server, "http", PATIENCE, false).list_bot_webhooks(&bot()).await.unwrap();
            let heard = server.heard();
            assert_eq!(heard.len(), 2);
            let first_line = heard[1].lines().next().unwrap();
            assert_eq!(first_line, format!("GET /api/v2/bots/bot-1/webhooks?pageSize=100&{sent} HTTP/1.1"));
        }
    });
}

#[test]
fn the_same_cursor_twice_ends_the_listing() {
    isolated(async || {
        let server = Server::plain(&[page(&json!([]), "again")]).await;
        let error = session(&server, "http", PATIENCE, false).list_bot_webhooks(&bot()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Server { status: 200 }, "{error}");
        assert!(error.to_string().contains("a page cursor came twice"), "{error}");
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn pages_without_end_end_by_their_number() {
    isolated(async || {
        let pages: Vec<Script> =
            (0..1100).map(|number| page(&json!([{"id": number}]), &format!("c{number}"))).collect();
        let server = Server::plain(&pages).await;
        let (result, memory) = peak(session(&server, "http", PATIENCE, false).list_bot_webhooks(&bot())).await;
        let error = result.unwrap_err();
        assert!(error.to_string().contains("it has over 1000 pages"), "{error}");
        assert_eq!(server.connections(), 1001);
        assert!(memory < 32 * MIB, "{memory} bytes");
    });
}

#[test]
fn large_pages_without_end_end_by_their_size_in_bounded_memory() {
    isolated(async || {
        let name = "n".repeat(MIB - 200);
        let pages = |item: &serde_json::Value| -> Vec<Script> {
            (0..40).map(|number| page(&json!([item]), &format!("c{number}"))).collect()
        };
        // What is kept of each webhook, and what is looked at only.
        let kept = Server::plain(&pages(&json!({"id": "wh_1", "name": name}))).await;
        let (result, memory) = peak(session(&kept, "http", PATIENCE, false).list_bot_webhooks(&bot())).await;
        let error = result.unwrap_err();
        assert!(error.to_string().contains("it is over 32 MiB"), "{error}");
        assert!(memory < 64 * MIB, "{memory} bytes");
        let searched =
            Server::plain(&pages(&json!({"id": "wh_1", "name": "other", "notes": vec![json!({"": name}); 1]}))).await;
        let (result, memory) = peak(session(&searched, "http", PATIENCE, false).find_integration("orders", 1)).await;
        let error = result.unwrap_err();
        assert!(error.to_string().contains("it is over 32 MiB"), "{error}");
        assert!(memory < 32 * MIB, "{memory} bytes");
    });
}
