//! What the operator is compared with, each with the same webhooks in the same run.

pub(crate) mod limit;
pub(crate) mod provider_http;
pub(crate) mod script;
mod wire;
