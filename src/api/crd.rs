//! The `CustomResourceDefinition`s as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::{CognigyTenant, CognigyWebhook, RetryPolicy};

/// The definitions of all three kinds.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![CognigyTenant::crd(), RetryPolicy::crd(), CognigyWebhook::crd()]
}

/// One definition as YAML.
pub fn crd_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(crd)
}

/// All definitions as one YAML stream.
pub fn crds_yaml() -> Result<String, serde_saphyr::ser::Error> {
    crds().iter().map(|crd| Ok(format!("---\n{}", crd_yaml(crd)?))).collect()
}
