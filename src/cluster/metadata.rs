//! Finalizers and annotations: JSON patches that name what they were decided on, so that a stale read never wins.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How often an object is let go of that changes all the time, or whose answers are lost.
const TRIES: usize = 4;

/// Adds a finalizer and sets an annotation in one write (crash safety: never the one without the other). What is there
/// already stays; where both are, no request is made and `None` is returned.
///
/// The patch holds only for the resourceVersion that `object` has: a changed object is a 422 of the API server (a
/// failed `test`), which is an error to requeue on; [`is_stale`] recognises it.
pub async fn add_finalizer_and_annotation<K>(
    api: &Api<K>,
    object: &K,
    finalizer: &str,
    annotation: (&str, &str),
) -> kube::Result<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let changes = [finalizer_added(object, finalizer), annotation_set(object, annotation)];
    patch(api, object, changes.into_iter().flatten().collect()).await
}

/// Adds a finalizer; `None` where it is there already.
pub async fn add_finalizer<K>(api: &Api<K>, object: &K, finalizer: &str) -> kube::Result<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    patch(api, object, finalizer_added(object, finalizer).into_iter().collect()).await
}

/// Lets go of an object. That it is gone, or had no such finalizer, is success. An object that changed meanwhile is let go
/// of as it is now, unless another one has its name; so is one where no answer came, since it is not known what became of it.
pub async fn remove_finalizer<K>(api: &Api<K>, object: &K, finalizer: &str) -> kube::Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut object = object.clone();
    let mut tries = 1;
    loop {
        match patch(api, &object, finalizer_removed(&object, finalizer).into_iter().collect()).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(error) if tries < TRIES && may_be_repeated(&error) => tries += 1,
            Err(error) => return Err(error),
        }
        match Box::pin(api.get_opt(&object.name_any())).await? {
            Some(now) if now.uid() == object.uid() => object = now,
            _ => return Ok(()),
        }
    }
}

/// Whether the object had changed, or no answer came.
fn may_be_repeated(error: &kube::Error) -> bool {
    is_stale(error) || !matches!(error, kube::Error::Api(_))
}

/// Whether a write failed because the object had changed since it was read.
pub fn is_stale(error: &kube::Error) -> bool {
    // A failed `test` is "Invalid" in the words of the API server; nothing else in these patches can be.
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_invalid())
}

async fn patch<K>(api: &Api<K>, object: &K, mut changes: Vec<Value>) -> kube::Result<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    if changes.is_empty() {
        return Ok(None);
    }
    for (path, value) in [("/metadata/uid", object.uid()), ("/metadata/resourceVersion", object.resource_version())] {
        changes.insert(0, json!({"op": "test", "path": path, "value": value}));
    }
    let operations = serde_json::from_value(Value::Array(changes)).map_err(kube::Error::SerdeError)?;
    let (name, manner, patch) = (object.name_any(), PatchParams::default(), Patch::Json::<()>(operations));
    // As with a status: neither a request's state nor the owners of fields are kept while a pass goes on.
    let mut written = Box::pin(api.patch(&name, &manner, &patch)).await?;
    written.managed_fields_mut().clear();
    Ok(Some(written))
}

fn finalizer_added<K: Resource>(object: &K, finalizer: &str) -> Option<Value> {
    match object.finalizers() {
        present if present.iter().any(|f| f == finalizer) => None,
        [] => Some(json!({"op": "add", "path": "/metadata/finalizers", "value": [finalizer]})),
        _ => Some(json!({"op": "add", "path": "/metadata/finalizers/-", "value": finalizer})),
    }
}

fn finalizer_removed<K: Resource>(object: &K, finalizer: &str) -> Option<Value> {
    let index = object.finalizers().iter().position(|f| f == finalizer)?;
    Some(json!({"op": "remove", "path": format!("/metadata/finalizers/{index}")}))
}

fn annotation_set<K: Resource>(object: &K, (key, value): (&str, &str)) -> Option<Value> {
    let present = object.annotations();
    if present.get(key).is_some_and(|v| v == value) {
        return None;
    }
    if present.is_empty() {
        return Some(json!({"op": "add", "path": "/metadata/annotations", "value": {key: value}}));
    }
    // RFC 6901: `~` and `/` are written `~0` and `~1` in a pointer. "add" replaces what is there.
    let escaped = key.replace('~', "~0").replace('/', "~1");
    Some(json!({"op": "add", "path": format!("/metadata/annotations/{escaped}"), "value": value}))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    const FINALIZER: &str = "cognigy.io/webhook";
    const ANNOTATION: (&str, &str) = ("cognigy.io/registration", "orders:1");

    #[test]
    fn absent_lists_and_maps_are_created_and_present_ones_extended() {
        let mut object = ConfigMap::default();
        assert_eq!(
            finalizer_added(&object, FINALIZER),
            Some(json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}))
        );
        assert_eq!(
            annotation_set(&object, ANNOTATION),
            Some(
                json!({"op": "add", "path": "/metadata/annotations", "value": {"cognigy.io/registration": "orders:1"}})
            )
        );
        object.finalizers_mut().push("other/one".into());
        object.annotations_mut().insert("team".into(), "cx".into());
        assert_eq!(
            finalizer_added(&object, FINALIZER),
            Some(json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}))
        );
        assert_eq!(
            annotation_set(&object, ANNOTATION),
            Some(json!({"op": "add", "path": "/metadata/annotations/cognigy.io~1registration", "value": "orders:1"}))
        );
    }

    #[test]
    fn what_is_there_is_not_written_again() {
        let mut object = ConfigMap::default();
        object.finalizers_mut().push(FINALIZER.into());
        object.annotations_mut().insert(ANNOTATION.0.into(), ANNOTATION.1.into());
        assert_eq!(finalizer_added(&object, FINALIZER), None);
        assert_eq!(annotation_set(&object, ANNOTATION), None);
        object.annotations_mut().insert(ANNOTATION.0.into(), "orders:0".into());
        assert!(annotation_set(&object, ANNOTATION).is_some());
    }

    #[test]
    fn only_our_own_finalizer_is_removed() {
        let mut object = ConfigMap::default();
        assert_eq!(finalizer_removed(&object, FINALIZER), None);
        object.finalizers_mut().extend(["other/one".into(), FINALIZER.into()]);
        assert_eq!(
            finalizer_removed(&object, FINALIZER),
            Some(json!({"op": "remove", "path": "/metadata/finalizers/1"}))
        );
    }
}
