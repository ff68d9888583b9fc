//! What a session tells about its calls, so that it needs no metrics library.

use std::fmt;
use std::time::Duration;

use super::CircuitState;

/// Told of every call; counts and gauges are made from it.
pub trait CallObserver: Send + Sync {
    /// An API call ended.
    fn call(&self, tenant: &str, route: Route, code: Code, elapsed: Duration);
    /// A token request ended.
    fn token(&self, tenant: &str, outcome: TokenOutcome, elapsed: Duration);
    /// `host:port` answered 429.
    fn throttled(&self, host: &str);
    /// The circuit changed its state.
    fn circuit(&self, tenant: &str, state: CircuitState);
    /// A write met somebody else's change (409 or 412).
    fn conflict(&self, tenant: &str);
}

/// An observer that tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl CallObserver for Silent {
    fn call(&self, _: &str, _: Route, _: Code, _: Duration) {}
    fn token(&self, _: &str, _: TokenOutcome, _: Duration) {}
    fn throttled(&self, _: &str) {}
    fn circuit(&self, _: &str, _: CircuitState) {}
    fn conflict(&self, _: &str) {}
}

/// The routes of cognigy-api.md; a bounded metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST <token URL>` (§1).
    Token,
    /// `POST /api/v1/integrations` (§2).
    CreateIntegration,
    /// `PUT /api/v1/integrations/{id}` (§2).
    UpdateIntegration,
    /// `GET /api/v1/integrations/{id}` (§2, assumed).
    GetIntegration,
    /// `GET /api/v1/integrations` (§2, assumed).
    ListIntegrations,
    /// `DELETE /api/v1/integrations/{id}` (§2, assumed).
    DeleteIntegration,
    /// `GET /api/v2/webhooks/{id}` (§4).
    GetWebhook,
    /// `PUT /api/v2/webhooks/{id}` (§4).
    PutWebhook,
    /// `GET /api/v2/bots/{botId}/webhooks` (§3).
    ListBotWebhooks,
    /// `PATCH /api/v2/bots/{botId}/webhooks/{webhookId}` (§3).
    PatchBotWebhook,
}

impl Route {
    /// The label in metrics and spans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::CreateIntegration => "create_integration",
            Self::UpdateIntegration => "update_integration",
            Self::GetIntegration => "get_integration",
            Self::ListIntegrations => "list_integrations",
            Self::DeleteIntegration => "delete_integration",
            Self::GetWebhook => "get_webhook",
            Self::PutWebhook => "put_webhook",
            Self::ListBotWebhooks => "list_bot_webhooks",
            Self::PatchBotWebhook => "patch_bot_webhook",
        }
    }

    /// Its path with the names of what differs from call to call, without the tenant's prefix; empty for the token URL, which is
    /// the tenant's own.
    pub const fn template(self) -> &'static str {
        match self {
            Self::Token => "",
            Self::CreateIntegration | Self::ListIntegrations => "/api/v1/integrations",
            Self::UpdateIntegration | Self::GetIntegration | Self::DeleteIntegration => "/api/v1/integrations/{id}",
            Self::GetWebhook | Self::PutWebhook => "/api/v2/webhooks/{id}",
            Self::ListBotWebhooks => "/api/v2/bots/{botId}/webhooks",
            Self::PatchBotWebhook => "/api/v2/bots/{botId}/webhooks/{webhookId}",
        }
    }

    /// Whether the call carries an object of ours, which Cognigy may refuse by its own validation (cognigy-api.md §7).
    pub const fn sends_object(self) -> bool {
        matches!(self, Self::CreateIntegration | Self::UpdateIntegration | Self::PutWebhook | Self::PatchBotWebhook)
    }

    /// What the call does, for a sentence: "cannot … ".
    pub const fn does(self) -> &'static str {
        match self {
            Self::Token => "fetch an access token",
            Self::CreateIntegration => "register the webhook",
            Self::UpdateIntegration => "update the registration",
            Self::GetIntegration => "read the registration",
            Self::ListIntegrations => "list the registrations",
            Self::DeleteIntegration => "delete the registration",
            Self::GetWebhook => "read the webhook",
            Self::PutWebhook => "write the webhook's retry policy",
            Self::ListBotWebhooks => "list the bot's webhooks",
            Self::PatchBotWebhook => "write the bot webhook's retry policy",
        }
    }

    /// The scopes that the call needs (cognigy-api.md §1); an integration is a webhook too.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Token => "as requested",
            Self::GetIntegration | Self::ListIntegrations => "integrations:read",
            Self::CreateIntegration | Self::UpdateIntegration | Self::DeleteIntegration => {
                "integrations:write webhooks:manage"
            }
            Self::GetWebhook => "integration:read",
            Self::PutWebhook => "webhook:manage",
            Self::ListBotWebhooks => "bot:webhooks:read",
            Self::PatchBotWebhook => "bot:webhooks:manage",
        }
    }

    /// The role that holds this scope (cognigy-api.md §1).
    pub const fn role(self) -> &'static str {
        match self {
            Self::CreateIntegration
            | Self::UpdateIntegration
            | Self::GetIntegration
            | Self::ListIntegrations
            | Self::DeleteIntegration => "Integration Developer",
            Self::Token | Self::GetWebhook | Self::PutWebhook | Self::ListBotWebhooks | Self::PatchBotWebhook => {
                "Webhook Administrator"
            }
        }
    }
}

/// How a call ended; a bounded metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The answer's HTTP status.
    Status(u16),
    /// No whole answer in time.
    Timeout,
    /// No connection, or it broke.
    Unreachable,
    /// No trusted connection.
    Tls,
    /// A success whose body cannot be understood, or is too large.
    Malformed,
}

impl Code {
    /// Whether the answer is one to go on with: a success, unchanged (304), or what cognigy-api.md §2 and §7 have a way on
    /// for, gone (404) and a route that the installation does not offer (405, 501). All else is the installation's trouble,
    /// the credentials', the quota's or the request's.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Status(200..300 | 304 | 404 | 405 | 501))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Timeout => f.write_str("timeout"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Tls => f.write_str("tls"),
            Self::Malformed => f.write_str("malformed"),
        }
    }
}

/// How a token request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenOutcome {
    /// A token came.
    Fetched,
    /// The credentials or scopes were refused.
    Refused,
    /// The endpoint was not there, slow, rate limited or in trouble.
    Failed,
}

impl TokenOutcome {
    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}
