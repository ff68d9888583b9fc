//! The routes of cognigy-api.md §1–§4: each is a function of the state and a call.

mod bot_webhooks;
mod integrations;
mod token;
mod webhooks;

use serde_json::{Map, Value, json};

use crate::{
    log,
    options::{CursorStyle, Options, Support},
    problem::{Refusal, Reply},
    route::{Match, Route},
    state::State,
    store::Cause,
    validate::Violation,
};

/// One API request, read completely.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) seq: u64,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
    /// The ids in the path, in order.
    pub(crate) ids: &'a [String],
}

impl Call<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        log::header(self.headers, name)
    }

    fn cause(&self) -> Cause {
        Cause { seq: self.seq, by_api: true }
    }

    fn id(&self, index: usize) -> &str {
        self.ids.get(index).map_or("", String::as_str)
    }

    /// The body as JSON of the right content type.
    fn json(&self) -> Result<Value, Refusal> {
        let media_type = self.header("content-type").and_then(|value| value.split(';').next()).unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case("application/json") {
            return Err(Refusal::new(415, format!("The content type {media_type:?} is not application/json.")));
        }
        serde_json::from_slice(self.body).map_err(|error| Refusal::new(400, format!("The body is no JSON: {error}.")))
    }
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::new(422, violation.to_string())
    }
}

/// Answers a call completely: checks what all routes have in common, then does what the route does.
pub(crate) fn answer(state: &mut State, found: &Match, call: &Call<'_>) -> Reply {
    let format = state.options.error_format;
    match dispatch(state, found, call) {
        Ok(reply) => reply,
        Err(refusal) => refusal.reply(format, call.seq),
    }
}

fn dispatch(state: &mut State, found: &Match, call: &Call<'_>) -> Result<Reply, Refusal> {
    let route = match found {
        Match::NotFound => return Err(Refusal::new(404, "There is no such path.")),
        Match::MethodNotAllowed(allow) => return Err(method_not_allowed(allow)),
        Match::Route(route, _) => *route,
    };
    if call.body.len() > state.options.max_body_bytes {
        return Err(Refusal::new(413, format!("The body is larger than {} bytes.", state.options.max_body_bytes)));
    }
    if route == Route::Token {
        return Ok(token::issue(state, call));
    }
    state.tokens.authorize(call.headers, route, &state.options)?;
    let accepts_json = call.header("accept").is_some_and(|accept| accept.contains("application/json"));
    if state.options.require_accept && !accepts_json {
        return Err(Refusal::new(406, "Send Accept: application/json."));
    }
    let reply = match route {
        Route::Token => Ok(token::issue(state, call)),
        Route::CreateIntegration => integrations::create(state, call),
        Route::UpdateIntegration => integrations::update(state, call),
        Route::GetIntegration => integrations::get(state, call),
        Route::ListIntegrations => integrations::list(state, call),
        Route::DeleteIntegration => integrations::delete(state, call),
        Route::ListBotWebhooks => bot_webhooks::list(state, call),
        Route::PatchBotWebhook => bot_webhooks::patch(state, call),
        Route::GetWebhook => webhooks::get(state, call),
        Route::PutWebhook => webhooks::put(state, call),
    }?;
    Ok(if route.is_write() { without_body(reply, &state.options) } else { reply })
}

/// Writes of an installation that answers them without a body.
fn without_body(reply: Reply, options: &Options) -> Reply {
    let Some(status) = options.bodyless_writes else { return reply };
    // 200 tells a repeated POST from a first one, so only a status of "done, nothing to say" hides it.
    let status = if reply.status == 200 && matches!(status, 201 | 202) { 200 } else { status };
    let headers = reply.headers.into_iter().filter(|(name, _)| *name != "content-type").collect();
    Reply { status, headers, body: Vec::new() }
}

fn method_not_allowed(allow: &str) -> Refusal {
    Refusal::new(405, "The method is not allowed here.").with("allow", allow)
}

/// How a route that not every installation has is refused.
fn supported(support: Support, allow: &str) -> Result<(), Refusal> {
    match support {
        Support::Yes => Ok(()),
        Support::NotFound => Err(Refusal::new(404, "There is no such path.")),
        Support::MethodNotAllowed => Err(method_not_allowed(allow)),
        Support::NotImplemented => Err(Refusal::new(501, "Not implemented.")),
    }
}

fn not_found(what: &str, id: &str) -> Refusal {
    Refusal::new(404, format!("There is no {what} {id:?}."))
}

/// A page of what is `behind` a place: the items with their own places in ascending order. Only those of the page are looked at.
fn page<I>(call: &Call<'_>, options: &Options, behind: impl FnOnce(u64) -> I) -> Result<Reply, Refusal>
where
    I: Iterator<Item = (u64, Value)>,
{
    let (size, place) = page_query(call, options)?;
    let mut rest = behind(place);
    let shown: Vec<(u64, Value)> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = if options.repeat_cursor {
        Some("c-0".to_owned())
    } else {
        shown.last().filter(|_| more).map(|(place, _)| format!("c-{place}"))
    };
    let mut body = Map::new();
    body.insert("items".into(), shown.into_iter().map(|(_, item)| item).collect());
    match (options.cursor_style, next) {
        (CursorStyle::Pagination, next) => {
            body.insert("pagination".into(), json!({"nextCursor": next}));
        }
        (CursorStyle::TopLevel, Some(next)) => {
            body.insert("nextCursor".into(), json!(next));
        }
        (CursorStyle::TopLevel, None) => {}
        (CursorStyle::Next, next) => {
            body.insert("next".into(), json!(next.unwrap_or_default()));
        }
    }
    Ok(Reply::json(200, &Value::Object(body)))
}

fn page_query(call: &Call<'_>, options: &Options) -> Result<(usize, u64), Refusal> {
    let mut size = options.page_limit;
    let mut place = 0;
    for (key, value) in form_urlencoded::parse(call.query.as_bytes()) {
        match &*key {
            "pageSize" => {
                size = value.parse().ok().filter(|size| (1..=options.page_limit).contains(size)).ok_or_else(|| {
                    Refusal::new(400, format!("pageSize must be 1 to {}, not {value:?}.", options.page_limit))
                })?;
            }
            "cursor" => {
                place = value
                    .strip_prefix("c-")
                    .and_then(|place| place.parse().ok())
                    .ok_or_else(|| Refusal::new(400, format!("The cursor {value:?} is unknown.")))?;
            }
            _ => return Err(Refusal::new(400, format!("The query parameter {key:?} is unknown."))),
        }
    }
    Ok((size, place))
}
