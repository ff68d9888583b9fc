//! The `CustomResourceDefinition`s as they are installed: what the derive makes, put right where it falls short.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{CognigyTenant, CognigyWebhook, RetryPolicy};

/// The definitions of all three kinds.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [CognigyTenant::crd(), RetryPolicy::crd(), CognigyWebhook::crd()].into_iter().map(normalised).collect()
}

/// One definition as YAML, as it stands in `deploy/crds/<its name>.yaml`.
pub fn crd_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    let mut value = json!(crd);
    whole_numbers(&mut value);
    serde_saphyr::to_string(&value)
}

/// All definitions as one YAML stream, as `cognigy-operator crds` prints it.
pub fn crds_yaml() -> Result<String, serde_saphyr::ser::Error> {
    crds().iter().map(|crd| Ok(format!("---\n{}", crd_yaml(crd)?))).collect()
}

fn normalised(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        tidy(root);
        if let Some(status) = root.properties.as_mut().and_then(|properties| properties.get_mut("status")) {
            // Without it kstatus takes an object that nobody has looked at for done.
            status.default = Some(JSON(json!({"observedGeneration": -1})));
        }
    }
    crd
}

/// Optional fields are left out, never null (a stored null would make CEL's `has()` true), and the line breaks of doc
/// comments are none in `kubectl explain`.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(description) = &mut schema.description {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}

/// Bounds are `f64` in the typed definition; `10.0` would differ from what the API server stores.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|float| float.fract() == 0.0 && number.is_f64()) {
                #[allow(clippy::cast_possible_truncation)] // the bounds of this schema lie far within i64
                let whole = whole as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use super::*;

    fn file(crd: &CustomResourceDefinition) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("deploy/crds/{}.yaml", crd.metadata.name.as_deref().unwrap()))
    }

    #[test]
    fn the_definitions_in_deploy_are_fresh() {
        for crd in crds() {
            let (path, wanted) = (file(&crd), crd_yaml(&crd).unwrap());
            if env::var_os("UPDATE").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &wanted).unwrap();
            }
            let found = fs::read_to_string(&path).unwrap_or_default();
            assert!(found == wanted, "{} is stale: run cargo xtask crds", path.display());
        }
    }

    /// Every schema in a definition, with its path.
    fn schemas(crd: &CustomResourceDefinition) -> Vec<(String, Value)> {
        fn walk(path: String, schema: &Value, all: &mut Vec<(String, Value)>) {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                walk(format!("{path}.{name}"), property, all);
            }
            for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
                if schema[key].is_object() {
                    walk(format!("{path}{suffix}"), &schema[key], all);
                }
            }
            all.push((path, schema.clone()));
        }
        let mut all = Vec::new();
        walk(crd.spec.names.kind.clone(), &json!(crd)["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut all);
        all
    }

    #[test]
    fn every_field_is_explained_on_one_line() {
        for (path, schema) in crds().iter().flat_map(schemas) {
            let element = path.ends_with(']') || path.ends_with('}');
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(element || description.len() > 4, "{path} has no description");
            assert!(!description.contains('\n'), "{path}: {description}");
        }
    }

    #[test]
    fn every_number_of_a_spec_is_a_bounded_integer_of_a_format_that_kubernetes_knows() {
        for (path, schema) in crds().iter().flat_map(schemas) {
            assert_ne!(schema["type"], "number", "{path}");
            assert_eq!(schema.get("nullable"), None, "{path}");
            if schema["type"] == "integer" {
                assert!(["int32", "int64"].contains(&schema["format"].as_str().unwrap()), "{path}");
                let bounded = schema["minimum"].is_number() && schema["maximum"].is_number();
                assert!(bounded || path.contains(".status."), "{path} has no bounds");
            }
        }
    }

    #[test]
    fn the_registration_fields_have_no_defaults() {
        let fields =
            "name url method headers headersFrom payloadFormat version enabled healthCheck previousVersions existing";
        for (path, schema) in schemas(&CognigyWebhook::crd()) {
            let mut steps = path.split('.').skip(1);
            if steps.next() == Some("spec")
                && steps.next().is_some_and(|field| fields.split(' ').any(|name| name == field))
            {
                assert_eq!(schema.get("default"), None, "{path}");
            }
        }
    }

    #[test]
    fn the_yaml_says_what_the_definition_says() {
        let stream = crds_yaml().unwrap();
        let documents: Vec<Value> =
            stream.split("---\n").skip(1).map(|document| serde_saphyr::from_str(document).unwrap()).collect();
        let mut wanted = json!(crds());
        whole_numbers(&mut wanted);
        assert_eq!(Value::from(documents), wanted);
    }
}
