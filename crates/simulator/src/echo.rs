//! Answers of a hostile installation, which repeats what it was sent.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::problem::Reply;

/// Headers of every request, which carry no credentials.
const ORDINARY: [&str; 8] = [
    "accept",
    "accept-encoding",
    "content-length",
    "content-type",
    "host",
    "traceparent",
    "user-agent",
    "x-request-id",
];

/// The answer to a request with these headers and this body; `reply` is what the request's work came to, where it was done. Each
/// answer repeats them in another form, in turn.
pub(crate) fn reply(reply: Reply, status: u16, seq: u64, headers: &[(String, String)], body: &[u8]) -> Reply {
    let values = headers.iter().filter(|(name, _)| !ORDINARY.contains(&name.to_ascii_lowercase().as_str()));
    let values: Vec<&str> = values.map(|(_, value)| value.rsplit(' ').next().unwrap_or(value)).collect();
    let said = [values.join(" "), String::from_utf8_lossy(body).into_owned()].join(" ");
    let text = match seq % 4 {
        0 => said.clone(),
        1 => said.split_whitespace().map(|word| BASE64_STANDARD.encode(word)).collect::<Vec<_>>().join(" "),
        2 => form_urlencoded::byte_serialize(said.as_bytes()).collect(),
        _ => {
            let said = values.iter().map(|value| (*value).to_owned()).chain(texts(body));
            said.map(|text| ends(&text)).collect::<Vec<_>>().join(" ")
        }
    };
    let name: String =
        values.first().copied().unwrap_or(&said).chars().filter(char::is_ascii_graphic).take(200).collect();
    let repeated = |reply: Reply| {
        reply
            .with("x-trace-id", name.clone())
            .with("etag", format!("\"{name}\""))
            .with("location", format!("https://{name}/{name}"))
    };
    if status < 300 {
        let headers = reply.headers.into_iter().filter(|(name, _)| !matches!(*name, "etag" | "location"));
        return repeated(Reply { headers: headers.collect(), ..reply });
    }
    let problem = json!({
        "type": "about:blank", "title": said, "status": status, "detail": text, "error": said, "error_description": text,
        "code": said, "traceId": (seq % 8 < 4).then_some(text.get(..120).unwrap_or(&text)),
    });
    repeated(Reply::typed(status, "application/problem+json", problem.to_string()))
}

/// The texts of a body, whatever its form.
fn texts(body: &[u8]) -> Vec<String> {
    fn collect(value: &Value, texts: &mut Vec<String>) {
        match value {
            Value::String(text) => texts.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
            Value::Object(fields) => fields.values().for_each(|field| collect(field, texts)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    match serde_json::from_slice(body) {
        Ok(document) => collect(&document, &mut found),
        Err(_) => found.extend(form_urlencoded::parse(body).map(|(_, value)| value.into_owned())),
    }
    found
}

/// How a careful server hints at a secret: its beginning and its end.
fn ends(word: &str) -> String {
    match (word.get(..8), word.len().checked_sub(8).and_then(|from| word.get(from..))) {
        (Some(begin), Some(end)) if word.len() > 12 => format!("{begin}...{end}"),
        _ => word.to_owned(),
    }
}
