//! Callback targets: they check that what comes is the health check of cognigy-api.md §5, record it, and answer as told.

use serde::Serialize;
use serde_json::Value;

use crate::log;

/// One request that reached a callback.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallbackRequest {
    /// Its place in the one order of everything that happens in a simulator.
    pub seq: u64,
    /// Method.
    pub method: String,
    /// Headers as they came.
    pub headers: Vec<(String, String)>,
    /// Body as JSON; null where it is none.
    pub body: Value,
    /// TLS version (`TLSv1_2`, `TLSv1_3`); none over plain HTTP.
    pub tls_version: Option<String>,
    /// What is wrong with it as a health check; such a request is answered 400 whatever is programmed.
    pub violations: Vec<String>,
    /// The status that was answered; none where there was no answer (yet).
    pub status: Option<u16>,
}

impl CallbackRequest {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        log::header(&self.headers, name)
    }
}
