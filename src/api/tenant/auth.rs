//! How the operator authenticates (cognigy-api.md §1).

#![allow(clippy::doc_markdown)] // fields are documented for `kubectl explain`, which shows plain text

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema;

/// Exactly one way to authenticate (cognigy-api.md §1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.oauth2), has(self.apiKey), has(self.bearerToken)].exists_one(given, given)")
    .message("auth must have exactly one of oauth2, apiKey and bearerToken: add one, or remove the others"))]
pub struct Auth {
    /// OAuth2 client credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// A static key in a header of each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// A static bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<BearerToken>,
}

/// The chosen way to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod<'a> {
    /// OAuth2 client credentials.
    OAuth2(&'a OAuth2),
    /// A static key in a header.
    ApiKey(&'a ApiKey),
    /// A static bearer token.
    BearerToken(&'a BearerToken),
}

/// The word for a way to authenticate, as the column Auth shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthKind {
    /// OAuth2 client credentials.
    OAuth2,
    /// A static key in a header.
    ApiKey,
    /// A static bearer token.
    BearerToken,
}

impl AuthMethod<'_> {
    /// Its word.
    pub fn kind(self) -> AuthKind {
        match self {
            Self::OAuth2(_) => AuthKind::OAuth2,
            Self::ApiKey(_) => AuthKind::ApiKey,
            Self::BearerToken(_) => AuthKind::BearerToken,
        }
    }
}

impl Auth {
    /// The one way that is given; `None` where the object shows none or several, which the API server refuses.
    pub fn method(&self) -> Option<AuthMethod<'_>> {
        match (&self.oauth2, &self.api_key, &self.bearer_token) {
            (Some(oauth2), None, None) => Some(AuthMethod::OAuth2(oauth2)),
            (None, Some(key), None) => Some(AuthMethod::ApiKey(key)),
            (None, None, Some(token)) => Some(AuthMethod::BearerToken(token)),
            _ => None,
        }
    }
}

/// OAuth2 client credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// The Secret with client id and client secret.
    pub credentials_secret_ref: CredentialsSecretRef,
    /// Where tokens are fetched: an absolute URL, or a path that is appended to baseUrl.
    #[serde(default = "default_token_url")]
    #[schemars(schema_with = "schema::token_url")]
    pub token_url: String,
    /// How the credentials are sent: Basic (HTTP Basic) or RequestBody (form fields).
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// Scopes to ask for. Default: what the tenant's webhooks need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::scopes")]
    pub scopes: Vec<String>,
}

fn default_token_url() -> String {
    "/oauth/token".into()
}

/// A Secret with client id and client secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsSecretRef {
    /// Name of the Secret, in the tenant's namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Key of the client id within the Secret's data.
    #[serde(default = "default_client_id_key")]
    #[schemars(schema_with = "schema::data_key")]
    pub client_id_key: String,
    /// Key of the client secret within the Secret's data.
    #[serde(default = "default_client_secret_key")]
    #[schemars(schema_with = "schema::data_key")]
    pub client_secret_key: String,
}

fn default_client_id_key() -> String {
    "client-id".into()
}

fn default_client_secret_key() -> String {
    "client-secret".into()
}

/// How client credentials are sent to the token URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClientAuthentication {
    /// HTTP Basic.
    #[default]
    Basic,
    /// Form fields of the request body.
    RequestBody,
}

/// A static key in a header of each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The Secret with the key.
    pub secret_ref: ApiKeySecretRef,
    /// Name of the header that carries the key.
    #[serde(default = "default_api_key_header")]
    #[schemars(schema_with = "schema::header_name")]
    pub header: String,
}

fn default_api_key_header() -> String {
    "X-API-Key".into()
}

/// A Secret with an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeySecretRef {
    /// Name of the Secret, in the tenant's namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Key within the Secret's data.
    #[serde(default = "default_api_key_key")]
    #[schemars(schema_with = "schema::data_key")]
    pub key: String,
}

fn default_api_key_key() -> String {
    "api-key".into()
}

/// A static bearer token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BearerToken {
    /// The Secret with the token.
    pub secret_ref: TokenSecretRef,
}

/// A Secret with a bearer token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenSecretRef {
    /// Name of the Secret, in the tenant's namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Key within the Secret's data.
    #[serde(default = "default_token_key")]
    #[schemars(schema_with = "schema::data_key")]
    pub key: String,
}

fn default_token_key() -> String {
    "token".into()
}
