//! Where policies come from: the cluster, by name, or files.

use std::path::{Path, PathBuf};

use cognigy_operator::{
    api::{
        RetryPolicy,
        retry_policy::{ONE_OF_MESSAGE, RetryPolicySpec},
    },
    controller::retry_policy,
    retry::Policy,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    cluster::{self, Cluster},
    exit::{Error, Result},
    files,
};

/// A policy, and where it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// `namespace/name`, or the file.
    pub source: String,
    /// The policy.
    pub policy: Policy,
}

/// The policies of these names, in the namespace that is meant.
pub async fn in_cluster(names: &[String], flags: &cluster::Flags) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    if names.is_empty() {
        return Ok(found);
    }
    let cluster = Cluster::find(flags).await?;
    for name in names {
        let object: RetryPolicy = cluster.get(name).await?;
        let policy = retry_policy::policy(&object.spec);
        found.push(Found { name: name.clone(), source: format!("{}/{name}", cluster.namespace), policy });
    }
    Ok(found)
}

/// The policies of a file, `-` being standard input; what is no `RetryPolicy` is passed over.
pub fn in_file(path: &Path) -> Result<Vec<Found>> {
    let source = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    in_text(&files::text(path)?, &source)
}

/// What is read of a manifest.
#[derive(Deserialize)]
struct Manifest {
    metadata: Metadata,
    spec: RetryPolicySpec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

fn in_text(text: &str, source: &str) -> Result<Vec<Found>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| Error::Told(format!("{source} cannot be read as YAML: {}", files::words(&error))))?;
    let mut found = Vec::new();
    for object in documents.into_iter().flat_map(objects).filter(|object| object["kind"] == "RetryPolicy") {
        let Manifest { metadata: Metadata { name }, spec } = serde_json::from_value(object)
            .map_err(|error| Error::Told(format!("{source} has a RetryPolicy that cannot be read: {error}")))?;
        let refuse = |why: &dyn std::fmt::Display| Error::Told(format!("RetryPolicy {name} in {source}: {why}"));
        if !spec.tells_delays_once() {
            return Err(refuse(&ONE_OF_MESSAGE));
        }
        let policy = retry_policy::unjudged_policy(&spec).map_err(|why| refuse(&why))?;
        found.push(Found { name, source: source.to_owned(), policy });
    }
    if found.is_empty() { Err(Error::Told(format!("{source} holds no RetryPolicy"))) } else { Ok(found) }
}

/// The objects of a document: those of a list, or itself.
fn objects(document: Value) -> Vec<Value> {
    match document {
        Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
            list.remove("items").and_then(|items| serde_json::from_value(items).ok()).unwrap_or_default()
        }
        object => vec![object],
    }
}

/// The policies of files, one after the other.
pub fn in_files(paths: &[PathBuf]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in paths {
        found.extend(in_file(path)?);
    }
    Ok(found)
}

/// Names, for a message.
pub fn names(found: &[Found]) -> String {
    found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match in_text(text, "a.yaml") {
            Ok(found) => names(&found),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn policies_are_found_among_other_objects_and_in_lists() {
        let text = "kind: Secret\n---\nkind: RetryPolicy\nmetadata: {name: a}\nspec: {backoff: {}}\n---\nkind: List\nitems:\n- kind: RetryPolicy\n  \
                    metadata: {name: b}\n  spec: {intervalsMs: [1]}\n";
        assert_eq!(told(text), "a, b");
        assert_eq!(told("kind: Secret\n"), "a.yaml holds no RetryPolicy");
    }

    #[test]
    fn what_the_api_server_would_refuse_is_not_drawn() {
        let spec = |spec: &str| told(&format!("kind: RetryPolicy\nmetadata: {{name: a}}\nspec: {spec}\n"));
        let once = "RetryPolicy a in a.yaml: exactly one of backoff and intervalsMs must be given: add one, or remove the other";
        assert_eq!(spec("{}"), once);
        assert_eq!(spec("{backoff: {}, intervalsMs: [1]}"), once);
        assert_eq!(
            spec("{backoff: {baseDelayMs: 9, maxDelayMs: 5}}"),
            "RetryPolicy a in a.yaml: spec.backoff.maxDelayMs of the RetryPolicy is 5 and must be from 9 to 9223372036854775807"
        );
        assert!(spec("{backoff: {baseDelayMs: x}}").starts_with("a.yaml has a RetryPolicy that cannot be read: "));
        assert!(told("a: [").starts_with("a.yaml cannot be read as YAML: "));
    }
}
