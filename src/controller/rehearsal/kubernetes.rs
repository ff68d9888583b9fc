//! The API server of a rehearsal: the given objects in memory. It knows no method but GET, so that a rehearsal cannot write.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use kube::{Client, Resource};
use serde::Serialize;
use serde_json::{Value, json};

use super::Scene;
use crate::api::ObjectKey;

/// What is there, by the plural of its kind and its key; namespaces lie in none.
type Objects = Arc<HashMap<(&'static str, ObjectKey), Value>>;

/// A client for the objects of a scene.
pub fn client(scene: &Scene) -> Client {
    let mut objects = HashMap::new();
    add(&mut objects, "secrets", &scene.secrets);
    add(&mut objects, "configmaps", &scene.config_maps);
    add(&mut objects, "namespaces", &scene.namespaces);
    let secret = async |State(objects), Path(at)| one(&objects, "secrets", at);
    let config_map = async |State(objects), Path(at)| one(&objects, "configmaps", at);
    let namespace = async |State(objects), Path(name)| one(&objects, "namespaces", (String::new(), name));
    let router = Router::new()
        .route("/api/v1/namespaces/{namespace}/secrets/{name}", get(secret))
        .route("/api/v1/namespaces/{namespace}/configmaps/{name}", get(config_map))
        .route("/api/v1/namespaces/{name}", get(namespace))
        .with_state(Arc::new(objects));
    Client::new(router, "default")
}

fn add<K: Resource + Serialize>(
    objects: &mut HashMap<(&'static str, ObjectKey), Value>,
    plural: &'static str,
    given: &[K],
) {
    // What cannot be written as JSON did not come from an API server either.
    let values = given.iter().filter_map(|one| Some(((plural, ObjectKey::of(one)), serde_json::to_value(one).ok()?)));
    objects.extend(values);
}

fn one(objects: &Objects, plural: &'static str, (namespace, name): (String, String)) -> Response {
    let message = format!("{plural} {name:?} not found");
    if let Some(object) = objects.get(&(plural, ObjectKey::new(namespace, name))) {
        return Json(object).into_response();
    }
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": message,
        "reason": "NotFound", "code": 404,
    });
    (StatusCode::NOT_FOUND, Json(status)).into_response()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::{Api, api::PostParams};

    use super::*;
    use crate::cluster::secret::Source;

    fn secret(name: &str) -> Secret {
        let object = json!({"metadata": {"namespace": "cx", "name": name}, "data": {"key": "czNjcmV0"}});
        serde_json::from_value(object).unwrap()
    }

    #[tokio::test]
    async fn it_has_what_it_was_given_and_nothing_else() {
        let client = client(&Scene { secrets: vec![secret("orders")], ..Scene::default() });
        assert!(Source::secret(&client, "cx", "orders").await.unwrap().text("key").is_ok());
        for (namespace, name) in [("cx", "other"), ("other", "orders")] {
            let missing = Source::secret(&client, namespace, name).await.unwrap_err().to_string();
            assert!(missing.contains("does not exist"), "{missing}");
        }
    }

    #[tokio::test]
    async fn nothing_can_be_written_to_it() {
        let api = Api::<Secret>::namespaced(client(&Scene::default()), "cx");
        let refused = api.create(&PostParams::default(), &secret("orders")).await.unwrap_err();
        assert!(!matches!(refused, kube::Error::SerdeError(_)), "{refused}");
        assert!(api.get_opt("orders").await.unwrap().is_none());
    }
}
