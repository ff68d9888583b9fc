//! The one way to write a status: server-side apply of all that the operator owns, silent when nothing changed
//! (docs/resources.md, «Status rules» 4 and 5).

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::api::FIELD_MANAGER;

/// How often a write is sent where the object changes all the time, or answers are lost.
const TRIES: usize = 4;

/// What became of a status.
#[derive(Clone, Debug)]
pub enum Written<K> {
    /// It was written; this is the object with it.
    Applied(Box<K>),
    /// It is as it should be: no request was made.
    Unchanged,
    /// The object is gone, though another one may have its name.
    Gone,
}

impl<K> Written<K> {
    /// The object as the API server returned it, where something was written.
    pub fn applied(self) -> Option<K> {
        match self {
            Self::Applied(object) => Some(*object),
            Self::Unchanged | Self::Gone => None,
        }
    }
}

/// Makes `desired` the whole status of `object`. Without a request where it serialises to the same as `current`.
///
/// A status that is worth writing is written even if the object was edited meanwhile: its `observedGeneration` says what
/// it speaks of. But it never lands on another object of the same name: the API server ignores a uid in the body of a
/// status write, so the resourceVersion goes with it, and after a conflict the uid is looked at. An object that changes
/// faster than that is a conflict (409) to requeue on. Where no answer came, it is not known whether the status was written:
/// it is written again.
pub async fn write<K, S>(api: &Api<K>, object: &K, desired: &S, current: Option<&S>) -> kube::Result<Written<K>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    S: Serialize,
{
    let desired = serde_json::to_value(desired).map_err(kube::Error::SerdeError)?;
    let current = current.map(serde_json::to_value).transpose().map_err(kube::Error::SerdeError)?;
    if current.as_ref() == Some(&desired) {
        return Ok(Written::Unchanged);
    }
    let name = object.name_any();
    let mut version = object.resource_version();
    let mut tries = 1;
    loop {
        let body = body::<K>(&name, version.as_deref(), &desired);
        let (manner, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(body));
        // A pass that waits for Cognigy must not hold what only a request needs.
        match Box::pin(api.patch_status(&name, &manner, &patch)).await {
            Ok(mut object) => {
                // Who owns which field takes more memory than all else of an object, and nobody here asks for it.
                object.managed_fields_mut().clear();
                return Ok(Written::Applied(Box::new(object)));
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(Written::Gone),
            Err(kube::Error::Api(status)) if status.is_conflict() && tries < TRIES => tries += 1,
            Err(kube::Error::Api(status)) => return Err(kube::Error::Api(status)),
            Err(lost) if tries < TRIES => {
                tracing::debug!(object = name, error = %lost, "the answer to a status was lost");
                tries += 1;
            }
            Err(error) => return Err(error),
        }
        match Box::pin(api.get_metadata_opt(&name)).await? {
            Some(now) if now.uid() == object.uid() => version = now.resource_version(),
            _ => return Ok(Written::Gone),
        }
    }
}

fn body<K: Resource<DynamicType = ()>>(name: &str, resource_version: Option<&str>, status: &Value) -> Value {
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "resourceVersion": resource_version},
        "status": status,
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    #[test]
    fn the_body_names_the_object_as_it_was_read_and_owns_nothing_but_the_status() {
        assert_eq!(
            body::<Pod>("a", Some("7"), &json!({"x": 1})),
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "a", "resourceVersion": "7"},
                "status": {"x": 1}
            })
        );
    }
}
