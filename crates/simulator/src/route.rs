//! Which route of cognigy-api.md a request is for.

use http::Method;
use serde::{Deserialize, Serialize};

/// The routes of cognigy-api.md §1–§4, as labels for logs, counts and faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Route {
    /// `POST <token URL>` (§1).
    Token,
    /// `POST /api/v1/integrations` (§2).
    CreateIntegration,
    /// `PUT /api/v1/integrations/{id}` (§2).
    UpdateIntegration,
    /// `GET /api/v1/integrations/{id}` (§2).
    GetIntegration,
    /// `GET /api/v1/integrations` (§2).
    ListIntegrations,
    /// `DELETE /api/v1/integrations/{id}` (§2).
    DeleteIntegration,
    /// `GET /api/v2/bots/{botId}/webhooks` (§3).
    ListBotWebhooks,
    /// `PATCH /api/v2/bots/{botId}/webhooks/{webhookId}` (§3).
    PatchBotWebhook,
    /// `GET /api/v2/webhooks/{id}` (§4).
    GetWebhook,
    /// `PUT /api/v2/webhooks/{id}` (§4).
    PutWebhook,
}

impl Route {
    /// Scopes that a call needs, all of them (§1).
    ///
    /// Reading integrations needs `integrations:read`; writing them needs `integrations:write` and `webhooks:manage`, because an
    /// integration is also a webhook.
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Token => &[],
            Self::GetIntegration | Self::ListIntegrations => &["integrations:read"],
            Self::CreateIntegration | Self::UpdateIntegration | Self::DeleteIntegration => {
                &["integrations:write", "webhooks:manage"]
            }
            Self::ListBotWebhooks => &["bot:webhooks:read"],
            Self::PatchBotWebhook => &["bot:webhooks:manage"],
            Self::GetWebhook => &["integration:read"],
            Self::PutWebhook => &["webhook:manage"],
        }
    }

    /// Whether the call changes something.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::CreateIntegration
                | Self::UpdateIntegration
                | Self::DeleteIntegration
                | Self::PatchBotWebhook
                | Self::PutWebhook
        )
    }
}

/// What a method and a path (without prefix) lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// A route, with the ids in its path in order.
    Route(Route, Vec<String>),
    /// The path exists, with these methods.
    MethodNotAllowed(&'static str),
    /// No such path.
    NotFound,
}

/// Finds the route. `token_paths` are the paths of the token endpoint.
pub(crate) fn find(method: &Method, path: &str, token_paths: &[String]) -> Match {
    if token_paths.iter().any(|token| token == path) {
        return if method == Method::POST {
            Match::Route(Route::Token, vec![])
        } else {
            Match::MethodNotAllowed("POST")
        };
    }
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (candidates, allow, ids): (&[(Method, Route)], _, Vec<&str>) = match segments[..] {
        ["api", "v1", "integrations"] => {
            (&[(Method::POST, Route::CreateIntegration), (Method::GET, Route::ListIntegrations)], "GET, POST", vec![])
        }
        ["api", "v1", "integrations", id] if !id.is_empty() => (
            &[
                (Method::PUT, Route::UpdateIntegration),
                (Method::GET, Route::GetIntegration),
                (Method::DELETE, Route::DeleteIntegration),
            ],
            "GET, PUT, DELETE",
            vec![id],
        ),
        ["api", "v2", "bots", bot, "webhooks"] if !bot.is_empty() => {
            (&[(Method::GET, Route::ListBotWebhooks)], "GET", vec![bot])
        }
        ["api", "v2", "bots", bot, "webhooks", id] if !bot.is_empty() && !id.is_empty() => {
            (&[(Method::PATCH, Route::PatchBotWebhook)], "PATCH", vec![bot, id])
        }
        ["api", "v2", "webhooks", id] if !id.is_empty() => {
            (&[(Method::GET, Route::GetWebhook), (Method::PUT, Route::PutWebhook)], "GET, PUT", vec![id])
        }
        _ => return Match::NotFound,
    };
    candidates.iter().find(|(wanted, _)| wanted == method).map_or(Match::MethodNotAllowed(allow), |(_, route)| {
        Match::Route(*route, ids.into_iter().map(percent_decoded).collect())
    })
}

/// Ids are opaque, so a client may have to escape them.
fn percent_decoded(segment: &str) -> String {
    // `+`, `=` and `&` mean something to a form decoder, but nothing in a path.
    let escaped = segment.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
    form_urlencoded::parse(escaped.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_route_is_found() {
        let token = ["/oauth/token".to_owned()];
        let found = |method: Method, path: &str| find(&method, path, &token);
        assert_eq!(found(Method::POST, "/oauth/token"), Match::Route(Route::Token, vec![]));
        assert_eq!(found(Method::POST, "/api/v1/integrations"), Match::Route(Route::CreateIntegration, vec![]));
        assert_eq!(found(Method::GET, "/api/v1/integrations"), Match::Route(Route::ListIntegrations, vec![]));
        let id = || vec!["wh_a/b".to_owned()];
        assert_eq!(found(Method::PUT, "/api/v1/integrations/wh_a%2Fb"), Match::Route(Route::UpdateIntegration, id()));
        assert_eq!(found(Method::GET, "/api/v2/webhooks/wh_a%2Fb"), Match::Route(Route::GetWebhook, id()));
        assert_eq!(
            found(Method::PATCH, "/api/v2/bots/b/webhooks/w"),
            Match::Route(Route::PatchBotWebhook, vec!["b".into(), "w".into()])
        );
    }

    #[test]
    fn a_wrong_method_is_told_from_a_wrong_path() {
        assert_eq!(find(&Method::PATCH, "/api/v2/webhooks/a", &[]), Match::MethodNotAllowed("GET, PUT"));
        assert_eq!(find(&Method::GET, "/api/v3/webhooks/a", &[]), Match::NotFound);
        assert_eq!(find(&Method::GET, "/api/v2/webhooks/", &[]), Match::NotFound);
    }
}
