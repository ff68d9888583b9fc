//! The command line; every flag is also an environment variable `COGNIGY_SIMULATOR_<FLAG>`.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Parser;
use cognigy_simulator::{
    ALL_SCOPES, BotWebhook, Certificate, ClientAuthentication, Credentials, CursorStyle, ErrorFormat, IdField, IdStyle,
    Locking, LogDetail, Options, Quota, StaleStatus, Support, TlsOptions, TlsVersions,
};

/// A strict, deterministic Cognigy webhook API in memory, with faults on demand under /_sim/.
#[derive(Debug, Parser)]
#[command(version, about)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent flag")]
pub struct Args {
    /// Address to listen on
    #[arg(long, env = "COGNIGY_SIMULATOR_LISTEN", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Host in the URLs that are handed out, and a name in the certificate
    #[arg(long, env = "COGNIGY_SIMULATOR_HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port for HTTP; 0 takes a free one
    #[arg(long, env = "COGNIGY_SIMULATOR_HTTP_PORT", default_value_t = 0)]
    http_port: u16,
    /// Port for HTTPS; 0 takes a free one
    #[arg(long, env = "COGNIGY_SIMULATOR_HTTPS_PORT", default_value_t = 0)]
    https_port: u16,
    /// Plain HTTP only
    #[arg(long, env = "COGNIGY_SIMULATOR_NO_TLS")]
    no_tls: bool,
    /// TLS versions of the HTTPS port
    #[arg(long, env = "COGNIGY_SIMULATOR_TLS_VERSIONS", value_enum, default_value = "both")]
    tls_versions: TlsVersions,
    /// Certificate of the HTTPS port
    #[arg(long, env = "COGNIGY_SIMULATOR_CERTIFICATE", value_enum, default_value = "valid")]
    certificate: Certificate,
    /// More DNS names for the certificates
    #[arg(long, env = "COGNIGY_SIMULATOR_TLS_NAMES", value_delimiter = ',')]
    tls_names: Vec<String>,
    /// Where the authority's certificate is written; a temporary file by default
    #[arg(long, env = "COGNIGY_SIMULATOR_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Path in front of every API route, such as /new
    #[arg(long, env = "COGNIGY_SIMULATOR_PATH_PREFIX", default_value = "")]
    path_prefix: String,

    /// OAuth2 client id that is accepted
    #[arg(long, env = "COGNIGY_SIMULATOR_CLIENT_ID", default_value = "sim-client")]
    client_id: String,
    /// OAuth2 client secret that is accepted
    #[arg(long, env = "COGNIGY_SIMULATOR_CLIENT_SECRET", hide_env_values = true, default_value = "sim-secret-5f1c")]
    client_secret: String,
    /// API key that is accepted
    #[arg(long, env = "COGNIGY_SIMULATOR_API_KEY", hide_env_values = true, default_value = "sim-api-key-77ab")]
    api_key: String,
    /// Static bearer token that is accepted
    #[arg(
        long,
        env = "COGNIGY_SIMULATOR_BEARER_TOKEN",
        hide_env_values = true,
        default_value = "sim-bearer-token-90de"
    )]
    bearer_token: String,
    /// Header of the API key
    #[arg(long, env = "COGNIGY_SIMULATOR_API_KEY_HEADER", default_value = "X-API-Key")]
    api_key_header: String,
    /// Token endpoint besides /oauth/token and /api/v2/auth/token
    #[arg(long, env = "COGNIGY_SIMULATOR_TOKEN_PATH", default_value = "/auth/oauth2/token")]
    token_path: String,
    /// Where the token endpoint takes credentials from
    #[arg(long, env = "COGNIGY_SIMULATOR_CLIENT_AUTHENTICATION", value_enum, default_value = "both")]
    client_authentication: ClientAuthentication,
    /// Life of a token in seconds
    #[arg(long, env = "COGNIGY_SIMULATOR_TOKEN_SECONDS", default_value_t = 3600)]
    token_seconds: u64,
    /// Leave `expires_in` out of token answers
    #[arg(long, env = "COGNIGY_SIMULATOR_NO_EXPIRES_IN")]
    no_expires_in: bool,
    /// Scopes that the client may have; all by default
    #[arg(long, env = "COGNIGY_SIMULATOR_SCOPES", value_delimiter = ',', default_values = ALL_SCOPES)]
    scopes: Vec<String>,
    /// Refuse a token request for other scopes instead of leaving them out
    #[arg(long, env = "COGNIGY_SIMULATOR_REFUSE_EXCESS_SCOPES")]
    refuse_excess_scopes: bool,

    /// Name of the id in answers
    #[arg(long, env = "COGNIGY_SIMULATOR_ID_FIELD", value_enum, default_value = "id")]
    id_field: IdField,
    /// Look of new ids
    #[arg(long, env = "COGNIGY_SIMULATOR_ID_STYLE", value_enum, default_value = "prefixed")]
    id_style: IdStyle,
    /// Where pages name the next cursor
    #[arg(long, env = "COGNIGY_SIMULATOR_CURSOR_STYLE", value_enum, default_value = "pagination")]
    cursor_style: CursorStyle,
    /// Every page names the same next cursor
    #[arg(long, env = "COGNIGY_SIMULATOR_REPEAT_CURSOR")]
    repeat_cursor: bool,
    /// Status of a POST that created something
    #[arg(long, env = "COGNIGY_SIMULATOR_CREATE_STATUS", default_value_t = 201)]
    create_status: u16,
    /// Answer writes with this status and no body
    #[arg(long, env = "COGNIGY_SIMULATOR_BODYLESS_WRITES")]
    bodyless_writes: Option<u16>,
    /// POST answers carry an entity tag
    #[arg(long, env = "COGNIGY_SIMULATOR_POST_CARRIES_ETAG")]
    post_carries_etag: bool,
    /// POST answers carry `_version`
    #[arg(long, env = "COGNIGY_SIMULATOR_POST_CARRIES_VERSION")]
    post_carries_version: bool,
    /// Integrations and their listing carry `_version`
    #[arg(long, env = "COGNIGY_SIMULATOR_INTEGRATIONS_CARRY_VERSION")]
    integrations_carry_version: bool,
    /// PUT of a webhook answers without its new entity tag
    #[arg(long, env = "COGNIGY_SIMULATOR_PUT_WITHOUT_ETAG")]
    put_without_etag: bool,
    /// Optimistic locking that there is
    #[arg(long, env = "COGNIGY_SIMULATOR_LOCKING", value_enum, default_value = "etag-and-version")]
    locking: Locking,
    /// Status of a stale write
    #[arg(long, env = "COGNIGY_SIMULATOR_STALE_STATUS", value_enum, default_value = "conflict")]
    stale_status: StaleStatus,
    /// Answer If-None-Match with 200 always
    #[arg(long, env = "COGNIGY_SIMULATOR_IGNORE_IF_NONE_MATCH")]
    ignore_if_none_match: bool,
    /// DELETE of an integration
    #[arg(long, env = "COGNIGY_SIMULATOR_DELETE_INTEGRATION", value_enum, default_value = "yes")]
    delete_integration: Support,
    /// GET of an integration
    #[arg(long, env = "COGNIGY_SIMULATOR_GET_INTEGRATION", value_enum, default_value = "yes")]
    get_integration: Support,
    /// GET of all integrations
    #[arg(long, env = "COGNIGY_SIMULATOR_LIST_INTEGRATIONS", value_enum, default_value = "yes")]
    list_integrations: Support,

    /// Accept http:// webhook URLs
    #[arg(long, env = "COGNIGY_SIMULATOR_ALLOW_HTTP_URLS")]
    allow_http_urls: bool,
    /// Accept calls without Accept: application/json and registrations without X-Request-Id
    #[arg(long, env = "COGNIGY_SIMULATOR_LENIENT_HEADERS")]
    lenient_headers: bool,
    /// Every API answer takes at least this many milliseconds
    #[arg(long, env = "COGNIGY_SIMULATOR_LATENCY_MS", default_value_t = 0)]
    latency_ms: u64,
    /// What is kept of each request
    #[arg(long, env = "COGNIGY_SIMULATOR_LOG_DETAIL", value_enum, default_value = "full")]
    log_detail: LogDetail,
    /// Largest request body in bytes
    #[arg(long, env = "COGNIGY_SIMULATOR_MAX_BODY_BYTES", default_value_t = 60_000)]
    max_body_bytes: usize,
    /// Shape of error bodies
    #[arg(long, env = "COGNIGY_SIMULATOR_ERROR_FORMAT", value_enum, default_value = "problem")]
    error_format: ErrorFormat,
    /// Requests per source address and window; no limit by default
    #[arg(long, env = "COGNIGY_SIMULATOR_QUOTA_REQUESTS")]
    quota_requests: Option<u32>,
    /// Length of a quota window in seconds
    #[arg(long, env = "COGNIGY_SIMULATOR_QUOTA_SECONDS", default_value_t = 300)]
    quota_seconds: u64,
    /// Write Retry-After as an HTTP date
    #[arg(long, env = "COGNIGY_SIMULATOR_QUOTA_AS_HTTP_DATE")]
    quota_as_http_date: bool,

    /// A JSON file with webhooks of bots: [{"botId", "name", "url", "id" (optional)}]
    #[arg(long, env = "COGNIGY_SIMULATOR_BOT_WEBHOOKS")]
    bot_webhooks: Option<PathBuf>,
}

impl Args {
    /// The installation that the flags describe.
    pub fn into_options(self) -> Result<Options, String> {
        let bot_webhooks: Vec<BotWebhook> = match &self.bot_webhooks {
            None => Vec::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                serde_json::from_str(&text).map_err(|error| format!("{} holds no webhooks: {error}", path.display()))?
            }
        };
        Ok(Options {
            listen: self.listen,
            host: self.host,
            http_port: self.http_port,
            https_port: self.https_port,
            tls: TlsOptions {
                enabled: !self.no_tls,
                versions: self.tls_versions,
                certificate: self.certificate,
                extra_names: self.tls_names,
                ca_file: self.ca_file,
                ..TlsOptions::default()
            },
            path_prefix: self.path_prefix,
            credentials: Credentials {
                client_id: self.client_id,
                client_secret: self.client_secret,
                api_key: self.api_key,
                bearer_token: self.bearer_token,
            },
            api_key_header: self.api_key_header,
            extra_token_path: Some(self.token_path),
            client_authentication: self.client_authentication,
            token_lifetime: Duration::from_secs(self.token_seconds),
            expires_in: !self.no_expires_in,
            granted_scopes: self.scopes,
            refuse_excess_scopes: self.refuse_excess_scopes,
            id_field: self.id_field,
            id_style: self.id_style,
            cursor_style: self.cursor_style,
            repeat_cursor: self.repeat_cursor,
            create_status: self.create_status,
            bodyless_writes: self.bodyless_writes,
            post_carries_etag: self.post_carries_etag,
            post_carries_version: self.post_carries_version,
            integrations_carry_version: self.integrations_carry_version,
            put_carries_etag: !self.put_without_etag,
            locking: self.locking,
            stale_status: self.stale_status,
            ignore_if_none_match: self.ignore_if_none_match,
            delete_integration: self.delete_integration,
            get_integration: self.get_integration,
            list_integrations: self.list_integrations,
            allow_http_urls: self.allow_http_urls,
            require_request_id: !self.lenient_headers,
            require_accept: !self.lenient_headers,
            latency: Duration::from_millis(self.latency_ms),
            log_detail: self.log_detail,
            max_body_bytes: self.max_body_bytes,
            error_format: self.error_format,
            quota: self.quota_requests.map(|requests| Quota {
                requests,
                window: Duration::from_secs(self.quota_seconds),
                as_http_date: self.quota_as_http_date,
            }),
            bot_webhooks,
            ..Options::default()
        })
    }
}
