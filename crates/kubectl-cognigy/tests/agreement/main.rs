//! `check` and a real API server judge the same manifests: the tables of the definitions' own tests, and documents with
//! every field in which one thing is wrong. Both must refuse the same, for the same fields, in the same words.
#![allow(clippy::unwrap_used)]

mod every_field;
mod server;

#[path = "../../../../tests/resources/lay_over.rs"]
mod lay_over;
#[path = "../../../../tests/resources/retry_policy.rs"]
mod retry_policy;
#[path = "../../../../tests/resources/tenant.rs"]
mod tenant;
#[path = "../../../../tests/resources/webhook.rs"]
mod webhook;
