//! What was found, and its machine-readable form: stable names, in camelCase. Pure.

use kube::{Resource, ResourceExt as _};
use serde::Serialize;

/// All checks, in the order in which causes come before what follows from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One for each thing that is wrong; one for each check that found nothing, or was not made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.checks.iter().all(|check| check.result != Outcome::Finding)
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub result: Outcome,
    /// What is so.
    pub message: String,
    /// What to do; a command where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whom it is about.
    pub objects: Vec<Object>,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// A person must do something.
    Finding,
    /// It could not be looked at.
    NotLooked,
}

impl Outcome {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Finding => "finding",
            Self::NotLooked => "not looked",
        }
    }
}

impl Check {
    /// All is well.
    pub fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, result: Outcome::Ok, message: message.into(), remedy: None, objects: Vec::new() }
    }

    /// Something is wrong.
    pub fn finding(name: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { result: Outcome::Finding, remedy: Some(remedy.into()), ..Self::ok(name, message) }
    }

    /// It could not be looked at.
    pub fn not_looked(name: &'static str, message: impl Into<String>) -> Self {
        Self { result: Outcome::NotLooked, ..Self::ok(name, message) }
    }

    /// The same about these objects.
    pub fn about(self, objects: impl IntoIterator<Item = Object>) -> Self {
        Self { objects: objects.into_iter().collect(), ..self }
    }
}

/// An object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Object {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Object {
    /// What names this one.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let kind = K::kind(&()).into_owned();
        Self { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}
