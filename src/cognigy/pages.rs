//! Listings, page by page, in every cursor style that installations use (cognigy-api.md §3, §8).

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::call::{Call, Reply};
use super::{Answer, Error, ErrorKind, Session};

/// At most this many a page (cognigy-api.md §8).
const PAGE_SIZE: &str = "100";
/// A listing of over 100,000 objects is a server that does not come to an end.
const MAX_PAGES: usize = 1000;

/// Nor one of over 32 MiB.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Cursors come back within a URL, which can be no longer than a few kilobytes.
const MAX_CURSOR: usize = 2048;

/// One page.
#[derive(Debug, PartialEq)]
struct Page {
    items: Vec<Value>,
    next: Option<String>,
}

impl Page {
    fn read(document: Value) -> Result<Self, String> {
        match document {
            Value::Array(items) => Ok(Self { items, next: None }),
            Value::Object(mut fields) => {
                let next = next_cursor(&fields);
                if next.as_ref().is_some_and(|cursor| cursor.len() > MAX_CURSOR) {
                    return Err("the cursor of the listing is longer than 2 KiB".into());
                }
                match fields.remove("items") {
                    Some(Value::Array(items)) => Ok(Self { items, next }),
                    _ => Err("the listing has no items".into()),
                }
            }
            _ => Err("the listing is no object".into()),
        }
    }
}

fn next_cursor(fields: &serde_json::Map<String, Value>) -> Option<String> {
    let documented = fields.get("pagination").and_then(|p| p.get("nextCursor"));
    [documented, fields.get("nextCursor"), fields.get("next")].into_iter().flatten().find_map(|cursor| match cursor {
        Value::String(text) if !text.is_empty() => Some(from_link(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// The cursor of a link to the next page. The link itself is never followed: it could lead anywhere.
fn from_link(text: &str) -> String {
    let query = if text.starts_with('/') || text.starts_with('?') {
        text.split_once('?').map(|(_, query)| query)
    } else {
        None
    };
    let link = match query {
        Some(query) => Url::parse(&format!("http://relative/?{query}")),
        None => Url::parse(text),
    };
    link.ok()
        .and_then(|link| {
            let cursor = link.query_pairs().find(|(name, _)| matches!(&**name, "cursor" | "next" | "nextCursor"))?;
            Some(cursor.1.into_owned())
        })
        .unwrap_or_else(|| text.to_owned())
}

impl Session {
    /// Reads all pages. An item that cannot be understood is left out and logged.
    pub(super) async fn collect<T>(
        &self,
        call: Call<'_>,
        read: impl Fn(Value) -> Result<T, String>,
    ) -> Result<Answer<Vec<T>>, Error> {
        let (mut items, route) = (Vec::new(), call.route);
        let walked = self
            .walk(call, |page| {
                for item in page {
                    match read(item) {
                        Ok(item) => items.push(item),
                        Err(why) => tracing::debug!(route = route.as_str(), why, "item left out of a listing"),
                    }
                }
                true
            })
            .await?;
        Ok(walked.map(|_| items))
    }

    /// Reads page after page for as long as `each` says; the answer tells whether that was to the end.
    pub(super) async fn walk(
        &self,
        call: Call<'_>,
        mut each: impl FnMut(Vec<Value>) -> bool,
    ) -> Result<Answer<bool>, Error> {
        let mut seen = HashSet::new();
        let mut cursor: Option<String> = None;
        let mut latency = Duration::ZERO;
        let mut bytes = 0;
        loop {
            let mut page_call = call.clone().query("pageSize", PAGE_SIZE);
            if let Some(cursor) = &cursor {
                page_call = page_call.query("cursor", cursor);
            }
            let read = |reply: &Reply| Ok((reply.size, Page::read(reply.required_body()?.clone())?));
            let page = self.send(page_call, read).await?;
            latency += page.latency;
            let (size, Page { items, next }) = page.value;
            bytes += size;
            let goes_on = each(items);
            let (true, Some(next)) = (goes_on, next.as_ref()) else {
                return Ok(Answer { value: next.is_none(), etag: None, latency, trace_id: page.trace_id });
            };
            let endless = if bytes > MAX_BYTES {
                Some("it is over 32 MiB")
            } else if seen.len() == MAX_PAGES {
                Some("it has over 1000 pages")
            } else if !seen.insert(next.clone()) {
                Some("a page cursor came twice")
            } else {
                None
            };
            if let Some(why) = endless {
                let mut error = Error::new(ErrorKind::Server { status: 200 }, call.route)
                    .detail(format!("the listing does not end: {why}"));
                error.latency = latency;
                error.trace_id = page.trace_id;
                return Err(error);
            }
            cursor = Some(next.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn next(document: Value) -> Option<String> {
        Page::read(document).unwrap().next
    }

    #[test]
    fn the_next_cursor_is_found_in_every_style() {
        for (document, cursor) in [
            (json!({"items": [], "pagination": {"nextCursor": "c2"}}), Some("c2")),
            (json!({"items": [], "nextCursor": "c2"}), Some("c2")),
            (json!({"items": [], "next": "c2"}), Some("c2")),
            (json!({"items": [], "next": 7}), Some("7")),
            (json!({"items": [], "next": "https://elsewhere.example.com/x?pageSize=100&cursor=c%2F2"}), Some("c/2")),
            (json!({"items": [], "next": "/new/v2/x?next=c2"}), Some("c2")),
            (json!({"items": [], "next": "?cursor=c2"}), Some("c2")),
            (json!({"items": [], "pagination": {"nextCursor": null}, "nextCursor": "c2"}), Some("c2")),
            (json!({"items": [], "pagination": {"nextCursor": null}}), None),
            (json!({"items": [], "pagination": {"nextCursor": ""}}), None),
            (json!({"items": [], "pagination": {}}), None),
            (json!({"items": [], "next": {"odd": true}}), None),
            (json!({"items": []}), None),
            (json!([]), None),
        ] {
            assert_eq!(next(document.clone()).as_deref(), cursor, "{document}");
        }
    }

    #[test]
    fn a_listing_without_items_is_malformed_and_not_taken_for_empty() {
        for document in [json!({}), json!({"items": null}), json!("x"), json!(null)] {
            assert!(Page::read(document.clone()).is_err(), "{document}");
        }
    }

    proptest! {
        #[test]
        fn an_opaque_cursor_is_sent_back_as_it_came(cursor in "[A-Za-z0-9+=_.-]{1,60}") {
            prop_assert_eq!(next(json!({"items": [], "nextCursor": &cursor})), Some(cursor));
        }
    }
}
