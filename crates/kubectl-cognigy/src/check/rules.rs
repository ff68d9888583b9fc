//! One object against its definition, as the API server would judge it.

use std::collections::BTreeMap;

use cognigy_operator::api;
use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::{Value, json};

use super::schema::{self, Fault};

/// The definitions of the operator's kinds.
pub struct Definitions {
    kinds: BTreeMap<String, Definition>,
    validator: Validator,
}

struct Definition {
    schema: Value,
    compiled: CompiledSchema,
}

/// What became of an object.
pub struct Judged {
    /// With defaults and without a status, as the operator would read it.
    pub object: Value,
    /// Why the API server would refuse it.
    pub faults: Vec<Fault>,
}

impl Definitions {
    /// Those of this build.
    pub fn new() -> Self {
        let kinds = api::crds().into_iter().filter_map(|crd| {
            let version = crd.spec.versions.into_iter().find(|version| version.name == api::VERSION)?;
            let mut schema = json!(version.schema?.open_api_v3_schema?);
            // What every object has, and no definition says.
            for (name, known) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
                schema["properties"][name] = json!({"type": known});
            }
            Some((crd.spec.names.kind, Definition { compiled: compile_schema(&schema), schema }))
        });
        Self { kinds: kinds.collect(), validator: Validator::new() }
    }

    /// Judges an object of a kind; `None` where the kind is not the operator's.
    pub fn judge(&self, kind: &str, object: &Value) -> Option<Judged> {
        let Definition { schema, compiled } = self.kinds.get(kind)?;
        let mut faults = Vec::new();
        schema::unknown(schema, object, "", &mut faults);
        let mut object = schema::prepare(schema, object);
        if let Some(fields) = object.as_object_mut() {
            // As at the API server, which takes a status only where it is written as one.
            fields.remove("status");
        }
        metadata(&object, &mut faults);
        schema::judge(schema, &object, "", &mut faults);
        if !faults.iter().any(|fault| fault.blocks) {
            let broken = self.validator.validate_compiled(compiled, &object, None).err();
            for error in broken.into_iter().flatten() {
                let message = match error.kind {
                    ErrorKind::ValidationFailure => error.message,
                    // A rule stumbles over values that another fault names better.
                    _ if !faults.is_empty() => continue,
                    _ => format!("the rule {} cannot be evaluated: {}", error.rule, error.message),
                };
                faults.push(Fault { field: error.field_path, message, blocks: false });
            }
        }
        Some(Judged { object, faults })
    }
}

/// What the API server asks of every object's name.
fn metadata(object: &Value, faults: &mut Vec<Fault>) {
    let mut fault = |message: &str, blocks| {
        faults.push(Fault { field: "metadata.name".into(), message: message.to_owned(), blocks });
    };
    let part = |part: &str| {
        let inner = part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
    };
    match object["metadata"]["name"].as_str() {
        None | Some("") => fault("Required value: name or generateName is required", true),
        Some(name) if name.len() > 253 => fault("must be no more than 253 bytes", false),
        Some(name) if !name.split('.').all(part) => fault(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            false,
        ),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_the_definitions_can_be_compiled() {
        fn errors(schema: &CompiledSchema) -> Vec<String> {
            let own = schema.compilation_errors().into_iter().map(ToString::to_string);
            let parts = schema
                .properties
                .values()
                .chain(schema.items.as_deref())
                .chain(schema.additional_properties.as_deref());
            own.chain(parts.flat_map(errors)).collect()
        }
        let definitions = Definitions::new();
        assert_eq!(definitions.kinds.len(), 3);
        for (kind, definition) in &definitions.kinds {
            assert_eq!(errors(&definition.compiled), Vec::<String>::new(), "{kind}");
        }
    }

    #[test]
    fn a_rule_is_told_with_its_message() {
        let policy = json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "RetryPolicy", "metadata": {"name": "p"},
            "spec": {"backoff": {"baseDelayMs": 2000, "maxDelayMs": 1999}}});
        let judged = Definitions::new().judge("RetryPolicy", &policy).unwrap();
        let [fault] = &judged.faults[..] else { panic!("{:?}", judged.faults) };
        assert!(fault.message.contains("maxDelayMs 1999 must be at least baseDelayMs, which is 2000"), "{fault:?}");
        assert_eq!(fault.field, "spec.backoff.maxDelayMs");
    }
}
