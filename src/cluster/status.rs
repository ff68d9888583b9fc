//! The one way to write a status: server-side apply of all that the operator owns, silent when nothing changed
//! (docs/resources.md, «Status rules» 4 and 5).

use std::fmt::Debug;

use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::api::FIELD_MANAGER;

/// What became of a status.
#[derive(Clone, Debug)]
pub enum Written<K> {
    /// It was written; this is the object with it.
    Applied(Box<K>),
    /// It is as it should be: no request was made.
    Unchanged,
    /// The object is gone.
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
/// The object's uid goes with the request: an object of the same name that was created meanwhile is refused by the API
/// server (409) instead of getting a status that is not its own. Such a conflict is an error to requeue on.
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
    let name = object.meta().name.as_deref().unwrap_or_default();
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    match api.patch_status(name, &parameters, &Patch::Apply(body(object, &desired))).await {
        Ok(object) => Ok(Written::Applied(Box::new(object))),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Written::Gone),
        Err(error) => Err(error),
    }
}

fn body<K: Resource<DynamicType = ()>>(object: &K, status: &Value) -> Value {
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.meta().name, "uid": object.meta().uid},
        "status": status,
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    #[test]
    fn the_body_names_the_very_object_and_owns_nothing_but_the_status() {
        let mut pod = Pod::default();
        pod.metadata.name = Some("a".into());
        pod.metadata.uid = Some("u-1".into());
        pod.metadata.resource_version = Some("7".into());
        assert_eq!(
            body(&pod, &json!({"x": 1})),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "uid": "u-1"}, "status": {"x": 1}})
        );
    }
}
