//! Whether the API server would take a manifest: the judge of `check`, in its sentences.

use cognigy_operator::api::{CognigyWebhook, GROUP, RetryPolicy, RetryPolicySpec, VERSION};
use kube::Resource;
use serde_json::{Value, json};

use crate::check::Definitions;

/// Judges specs before manifests are made of them.
pub struct Judge(Definitions);

impl Judge {
    /// One that knows the definitions of this build.
    pub fn new() -> Self {
        Self(Definitions::new())
    }

    /// Judges a `CognigyWebhook`'s spec. The error is what `check` would say of it.
    pub fn webhook(&self, spec: &Value) -> Result<(), String> {
        self.judge::<CognigyWebhook>(spec)
    }

    /// Judges a `RetryPolicy`'s spec. The error is what `check` would say of it.
    pub fn policy(&self, spec: &RetryPolicySpec) -> Result<(), String> {
        self.judge::<RetryPolicy>(&json!(spec))
    }

    fn judge<K: Resource<DynamicType = ()>>(&self, spec: &Value) -> Result<(), String> {
        let kind = K::kind(&());
        // Names of manifests are made to fit.
        let object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind, "metadata": {"name": "any"}, "spec": spec,
        });
        let faults = self.0.judge(&kind, &object).map(|judged| judged.faults).unwrap_or_default();
        let told: Vec<String> = faults.into_iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
        if told.is_empty() { Ok(()) } else { Err(told.join("; ")) }
    }
}
