//! Schemas that several fields share: bounded strings whose refusal says what to do.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Name of a Kubernetes object (a DNS subdomain).
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 253})
}

/// Name of a namespace (a DNS label).
pub(super) fn namespace_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 63})
}

/// Key within the data of a Secret or ConfigMap.
pub(super) fn data_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 253})
}

/// Name of an HTTP header (an RFC 9110 token).
pub(super) fn header_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 128})
}
