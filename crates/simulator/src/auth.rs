//! Who may call what (cognigy-api.md §1).

use std::collections::HashMap;

use tokio::time::Instant;

use crate::{log, options::Options, problem::Refusal, route::Route};

#[derive(Debug)]
struct Token {
    scopes: Vec<String>,
    expires: Instant,
}

/// Tokens that were handed out.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// By their texts.
    live: HashMap<String, Token>,
    issued: u64,
}

impl Tokens {
    pub(crate) fn issue(&mut self, scopes: Vec<String>, options: &Options) -> String {
        self.issued += 1;
        let text = format!("sim-token-{:04}-{:016x}", self.issued, self.issued.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.live.insert(text.clone(), Token { scopes, expires: Instant::now() + options.token_lifetime });
        text
    }

    pub(crate) fn expire_all(&mut self) {
        self.live.clear();
    }

    /// 401 without valid credentials, 403 without all scopes of the route.
    ///
    /// Scopes taken away from the client count at once, for tokens handed out before as well.
    pub(crate) fn authorize(
        &self,
        headers: &[(String, String)],
        route: Route,
        options: &Options,
    ) -> Result<(), Refusal> {
        let own: Option<&[String]> =
            match (log::header(headers, "authorization"), log::header(headers, &options.api_key_header)) {
                (Some(_), Some(_)) => return Err(unauthorized("Both a bearer token and an API key were sent.")),
                (Some(value), None) => {
                    let Some(token) = value.strip_prefix("Bearer ") else {
                        return Err(unauthorized("The Authorization header is no bearer token."));
                    };
                    if token == options.credentials.bearer_token {
                        None
                    } else {
                        match self.live.get(token) {
                            Some(found) if Instant::now() < found.expires => Some(&found.scopes),
                            Some(_) => return Err(unauthorized("The access token has expired.")),
                            None => return Err(unauthorized("The access token is unknown, expired or revoked.")),
                        }
                    }
                }
                (None, Some(key)) if key == options.credentials.api_key => None,
                (None, Some(_)) => return Err(unauthorized("The API key is unknown.")),
                (None, None) => return Err(unauthorized("No credentials were sent.")),
            };
        let has = |scope: &str| {
            options.granted_scopes.iter().any(|granted| granted == scope)
                && own.is_none_or(|scopes| scopes.iter().any(|one| one == scope))
        };
        match route.scopes().iter().find(|scope| !has(scope)) {
            Some(missing) => Err(Refusal::new(403, format!("The scope {missing} is missing.")).with(
                "www-authenticate",
                format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", route.scopes().join(" ")),
            )),
            None => Ok(()),
        }
    }
}

fn unauthorized(detail: &str) -> Refusal {
    Refusal::new(401, detail).with("www-authenticate", "Bearer error=\"invalid_token\"")
}
