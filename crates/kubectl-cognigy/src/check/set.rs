//! All objects of the manifests by their names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cognigy_operator::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, RetryPolicy},
    cluster::secret::{SourceKind, SourceRef},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::source::Document;

/// An object, and where it stands.
#[derive(Debug)]
pub struct Member<'d> {
    /// Where.
    pub document: &'d Document,
    /// Its kind.
    pub kind: String,
    /// Its namespace and name.
    pub key: ObjectKey,
}

impl<'d> Member<'d> {
    /// The object of a document; `namespace` is where it goes if it does not say.
    pub fn new(document: &'d Document, namespace: &str) -> Self {
        let own = document.text("/metadata/namespace");
        let namespace = if own.is_empty() { namespace } else { own };
        let key = ObjectKey::new(namespace, document.text("/metadata/name"));
        Self { document, kind: document.text("/kind").to_owned(), key }
    }

    /// For people.
    pub fn shown(&self) -> String {
        format!("{} {}", self.kind, self.key)
    }
}

/// What the manifests hold, as far as the operator would read it.
#[derive(Debug, Default)]
pub struct Set<'d> {
    /// Tenants.
    pub tenants: BTreeMap<ObjectKey, (CognigyTenant, Member<'d>)>,
    /// Retry policies.
    pub policies: BTreeMap<ObjectKey, (RetryPolicy, Member<'d>)>,
    /// Webhooks, in their order.
    pub webhooks: Vec<(CognigyWebhook, Member<'d>)>,
    /// The keys of Secrets and `ConfigMap`s. No value is kept.
    pub values: HashMap<SourceRef, BTreeSet<String>>,
}

impl<'d> Set<'d> {
    /// Takes an object of the operator's kinds that the API server would take, with its defaults. Fails where the operator
    /// could not read it all the same.
    pub fn add(&mut self, member: Member<'d>, object: &Value) -> Result<(), serde_json::Error> {
        match &*member.kind {
            "CognigyTenant" => _ = self.tenants.insert(member.key.clone(), (typed(object, &member)?, member)),
            "RetryPolicy" => _ = self.policies.insert(member.key.clone(), (typed(object, &member)?, member)),
            _ => self.webhooks.push((typed(object, &member)?, member)),
        }
        Ok(())
    }

    /// Takes the keys of a Secret or `ConfigMap`.
    pub fn add_values(&mut self, member: &Member<'d>) {
        let (kind, fields) = match &*member.kind {
            "Secret" => (SourceKind::Secret, ["data", "stringData"]),
            "ConfigMap" => (SourceKind::ConfigMap, ["data", "binaryData"]),
            _ => return,
        };
        let ObjectKey { namespace, name } = member.key.clone();
        let maps = fields.into_iter().filter_map(|field| member.document.value[field].as_object());
        let keys = maps.flat_map(|map| map.keys().cloned()).collect();
        self.values.insert(SourceRef { kind, namespace, name }, keys);
    }
}

fn typed<T: DeserializeOwned>(object: &Value, member: &Member) -> Result<T, serde_json::Error> {
    let mut object = object.clone();
    object["metadata"]["namespace"] = json!(member.key.namespace);
    serde_json::from_value(object)
}
