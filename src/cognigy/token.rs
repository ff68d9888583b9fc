//! Access tokens: fetched once for all who wait, refreshed early, dropped after a 401 (cognigy-api.md §1).

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, Scope, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ClientAuthentication, Error, json};
use crate::redact::Redactor;

/// Where `expires_in` is missing.
const DEFAULT_LIFE: Duration = Duration::from_hours(1);
/// A token that was answered 403 is replaced when it is older than this: so a scope that was granted meanwhile is found, and
/// however many calls lack it, they cost four tokens a minute.
const WORN: Duration = Duration::from_secs(15);
/// Servers refuse longer headers.
const MAX_TOKEN: usize = 16 * 1024;
/// How much earlier than told a token counts as expired.
const EARLY: Duration = Duration::from_mins(1);

type OAuthClient = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A token that can be sent.
#[derive(Clone)]
pub(super) struct Token {
    /// `Bearer …`, marked sensitive.
    pub header: HeaderValue,
    /// The token itself, for texts that must not show it.
    pub secret: Redactor,
    /// Which of the tokens of this source it is.
    pub generation: u64,
    fetched: Instant,
    expires: Instant,
}

impl Token {
    /// Whether it is old enough for a new one to tell more.
    pub fn is_worn(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.fetched) > WORN
    }
}

/// A token that could not be had.
pub(super) struct NoToken {
    pub error: Error,
    /// Whether another caller's request failed, not one of this caller's.
    pub shared: bool,
}

pub(super) struct TokenSource {
    client: OAuthClient,
    scopes: Vec<String>,
    state: Mutex<State>,
    /// Token requests that have ended.
    ended: AtomicU64,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    generation: u64,
    /// The last failure and which request it was.
    failure: Option<(u64, Error)>,
}

/// What a token endpoint granted.
#[derive(Debug)]
pub(super) struct Grant {
    secret: SecretString,
    header: HeaderValue,
    life: Duration,
}

impl TokenSource {
    pub fn new(
        client_id: &SecretString,
        client_secret: &SecretString,
        token_url: TokenUrl,
        authentication: ClientAuthentication,
        scopes: Vec<String>,
    ) -> Self {
        let client = BasicClient::new(ClientId::new(client_id.expose_secret().into()))
            .set_client_secret(ClientSecret::new(client_secret.expose_secret().into()))
            .set_auth_type(match authentication {
                ClientAuthentication::Basic => AuthType::BasicAuth,
                ClientAuthentication::RequestBody => AuthType::RequestBody,
            })
            .set_token_uri(token_url);
        Self { client, scopes, state: Mutex::default(), ended: AtomicU64::new(0) }
    }

    /// The scopes that are asked for.
    pub fn scopes(&self) -> String {
        self.scopes.join(" ")
    }

    /// A valid token: the known one, or a new one that `fetch` gets. Callers that wait for another's request share its
    /// outcome, a failure too: nobody repeats what has just failed while they waited.
    pub async fn token(&self, fetch: impl AsyncFnOnce(HttpRequest) -> Result<Grant, Error>) -> Result<Token, NoToken> {
        let seen = self.ended.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let began = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| token.expires > began) {
            return Ok(token.clone());
        }
        if let Some((_, error)) = state.failure.as_ref().filter(|(nth, _)| *nth > seen) {
            return Err(NoToken { error: error.clone(), shared: true });
        }
        let outcome = match self.request().await {
            Some(request) => fetch(request).await,
            None => Err(Error::new(super::ErrorKind::Unauthorized, super::Route::Token)
                .detail("the credentials cannot be sent in a request")),
        };
        let nth = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        match outcome {
            Ok(grant) => {
                state.generation += 1;
                let token = Token {
                    header: grant.header,
                    secret: Redactor::new([grant.secret]),
                    generation: state.generation,
                    fetched: began,
                    expires: began + usable(grant.life),
                };
                state.token = Some(token.clone());
                state.failure = None;
                Ok(token)
            }
            Err(error) => {
                state.failure = Some((nth, error.clone()));
                Err(NoToken { error, shared: false })
            }
        }
    }

    /// The token that is known now, while none is being fetched.
    pub fn known(&self) -> Redactor {
        let state = self.state.try_lock().ok();
        state.and_then(|state| Some(state.token.as_ref()?.secret.clone())).unwrap_or_default()
    }

    /// Forgets a token that was answered 401, unless it has been replaced already.
    pub async fn forget(&self, generation: u64) {
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.token = None;
        }
    }

    /// The token request as the standard encodes it. The library would also judge the answer, but it keeps neither the
    /// status nor `Retry-After`, and refuses forms that installations use; so it only writes, and [`Grant::read`] judges.
    async fn request(&self) -> Option<HttpRequest> {
        let written = StdMutex::new(None);
        let catch = |request: HttpRequest| {
            if let Ok(mut slot) = written.lock() {
                *slot = Some(request);
            }
            std::future::ready(Err::<HttpResponse, _>(std::fmt::Error))
        };
        let mut exchange = self.client.exchange_client_credentials();
        for scope in &self.scopes {
            exchange = exchange.add_scope(Scope::new(scope.clone()));
        }
        // Always the error of `catch`.
        let _ = exchange.request_async(&catch).await;
        written.into_inner().ok().flatten()
    }
}

impl Grant {
    /// Reads a token endpoint's success; the error never holds the token.
    pub fn read(body: &[u8]) -> Result<Self, &'static str> {
        let document = json::read(body).map_err(|_| "the token answer is not JSON")?;
        let token = document
            .get("access_token")
            .and_then(Value::as_str)
            .filter(|token| !token.is_empty())
            .ok_or("the token answer has no access_token")?;
        if token.len() > MAX_TOKEN {
            return Err("the access token is longer than 16 KiB");
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "the access token holds characters that cannot be sent")?;
        header.set_sensitive(true);
        let life = match document.get("expires_in") {
            Some(Value::Number(seconds)) => seconds.as_f64(),
            Some(Value::String(seconds)) => seconds.trim().parse().ok(),
            _ => None,
        };
        let life = life
            .and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
            .filter(|life| !life.is_zero())
            // Longer lives are not believed; a clock can be added to without overflow.
            .map_or(DEFAULT_LIFE, |life| life.min(Duration::from_hours(30 * 24)));
        Ok(Self { secret: token.into(), header, life })
    }
}

/// How long a token of this life is used: until 60 s before its end or 80 % of its life, whichever is shorter; a token
/// that lives no longer than 60 s, 80 %.
fn usable(life: Duration) -> Duration {
    let most = life.mul_f64(0.8);
    match life.checked_sub(EARLY) {
        Some(early) if !early.is_zero() => early.min(most),
        _ => most,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::header::AUTHORIZATION;
    use tokio::sync::Notify;

    use super::super::{ErrorKind, Route};
    use super::*;

    fn source(authentication: ClientAuthentication) -> TokenSource {
        TokenSource::new(
            &"id:1".into(),
            &"s&cret".into(),
            TokenUrl::new("https://c.example.com/oauth/token".into()).unwrap(),
            authentication,
            vec!["a:read".into(), "b:write".into()],
        )
    }

    fn grant(token: &str) -> Grant {
        Grant::read(format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#).as_bytes()).unwrap()
    }

    fn failure() -> Error {
        Error::new(ErrorKind::Unreachable, Route::Token)
    }

    #[tokio::test]
    async fn basic_authentication_keeps_the_secret_out_of_the_body() {
        let request = source(ClientAuthentication::Basic).request().await.unwrap();
        assert_eq!(
            request.headers()[AUTHORIZATION],
            "Basic aWQlM0ExOnMlMjZjcmV0" // id%3A1:s%26cret
        );
        let body = String::from_utf8(request.into_body()).unwrap();
        assert_eq!(body, "grant_type=client_credentials&scope=a%3Aread+b%3Awrite");
    }

    #[tokio::test]
    async fn credentials_in_the_body_are_form_encoded_and_need_no_header() {
        let request = source(ClientAuthentication::RequestBody).request().await.unwrap();
        assert!(!request.headers().contains_key(AUTHORIZATION));
        let body = String::from_utf8(request.into_body()).unwrap();
        assert!(body.contains("client_id=id%3A1"), "{body}");
        assert!(body.contains("client_secret=s%26cret"), "{body}");
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (life, used) in [(3600, 2880), (300, 240), (100, 40), (61, 1), (60, 48), (10, 8)] {
            assert_eq!(usable(Duration::from_secs(life)), Duration::from_secs(used), "{life}");
        }
    }

    #[test]
    fn the_life_of_a_token_is_read_in_every_form() {
        for (field, life) in [
            (r#""expires_in":120,"#, 120),
            (r#""expires_in":"120","#, 120),
            (r#""expires_in":120.0,"#, 120),
            (r#""expires_in":null,"#, 3600),
            (r#""expires_in":-1,"#, 3600),
            (r#""expires_in":1e300,"#, 3600),
            ("", 3600),
        ] {
            let body = format!(r#"{{{field}"access_token":"t"}}"#);
            let grant = Grant::read(body.as_bytes()).unwrap();
            assert_eq!(grant.life, Duration::from_secs(life), "{field}");
        }
    }

    #[test]
    fn an_answer_without_a_usable_token_is_refused_without_quoting_it() {
        for body in ["", "<html>", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a\nb"}"#] {
            let words = Grant::read(body.as_bytes()).unwrap_err();
            assert!(words.contains("token"), "{words}");
        }
        assert!(!format!("{:?}", grant("hunter2")).contains("hunter2"));
    }

    #[tokio::test]
    async fn a_token_is_fetched_once_and_again_only_after_the_current_one_was_refused() {
        let source = source(ClientAuthentication::Basic);
        let first = source.token(async |_| Ok(grant("one"))).await.ok().unwrap();
        let again = source.token(async |_| Err(failure())).await.ok().unwrap();
        assert_eq!(first.header, again.header);
        source.forget(first.generation).await;
        let second = source.token(async |_| Ok(grant("two"))).await.ok().unwrap();
        source.forget(first.generation).await;
        let kept = source.token(async |_| Err(failure())).await.ok().unwrap();
        assert_eq!(second.header, kept.header);
    }

    #[tokio::test]
    async fn those_who_wait_for_a_failing_request_share_its_failure() {
        let source = Arc::new(source(ClientAuthentication::Basic));
        let (started, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let first = tokio::spawn({
            let (source, started, release) = (source.clone(), started.clone(), release.clone());
            async move {
                let fetch = async |_| {
                    started.notify_one();
                    release.notified().await;
                    Err(failure())
                };
                source.token(fetch).await.err().unwrap().shared
            }
        });
        started.notified().await;
        let mut waiting = std::pin::pin!(source.token(async |_| Ok(grant("never"))));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        release.notify_one();
        assert!(waiting.await.err().unwrap().shared);
        assert!(!first.await.unwrap());
        assert!(source.token(async |_| Ok(grant("later"))).await.is_ok());
    }
}
