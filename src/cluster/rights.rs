//! What the operator must be allowed to do with the API server in each namespace that it watches, for those who ask whether it is.
//! The chart grants the same (`cognigy-operator.rules`); a test compares the two.

use crate::api::GROUP;

/// Some verbs on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource, in the plural.
    pub resource: &'static str,
    /// Its subresource; empty where it is the resource itself.
    pub subresource: &'static str,
    /// What is done with it.
    pub verbs: &'static [&'static str],
}

const READ: &[&str] = &["get", "list", "watch"];
const READ_AND_MARK: &[&str] = &["get", "list", "watch", "patch"];
const PATCH: &[&str] = &["patch"];

/// All of them; the Lease's are apart, since only those who elect a leader need them.
pub const RIGHTS: [Right; 10] = [
    right(GROUP, "cognigytenants", "", READ_AND_MARK),
    right(GROUP, "cognigywebhooks", "", READ_AND_MARK),
    right(GROUP, "retrypolicies", "", READ),
    right(GROUP, "cognigytenants", "status", PATCH),
    right(GROUP, "cognigywebhooks", "status", PATCH),
    right(GROUP, "retrypolicies", "status", PATCH),
    right("", "secrets", "", READ),
    right("", "configmaps", "", READ),
    right("", "namespaces", "", &["get"]),
    right("events.k8s.io", "events", "", &["create"]),
];

const fn right(
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    verbs: &'static [&'static str],
) -> Right {
    Right { group, resource, subresource, verbs }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn words(value: &Value) -> Vec<String> {
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_chart_grants_these_rights_and_no_others() {
        let template = include_str!("../../deploy/helm/cognigy-operator/templates/_rules.tpl");
        let (_, rules) = template.split_once("{{- define \"cognigy-operator.rules\" -}}").unwrap();
        let rules: Vec<Value> = serde_saphyr::from_str(rules.split_once("{{- end -}}").unwrap().0).unwrap();
        let mut granted = BTreeSet::new();
        for rule in &rules {
            for (group, resource) in words(&rule["apiGroups"])
                .iter()
                .flat_map(|g| words(&rule["resources"]).into_iter().map(move |r| (g, r)))
            {
                granted.extend(words(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
        let path = |right: &Right| match right.subresource {
            "" => right.resource.to_owned(),
            subresource => format!("{}/{subresource}", right.resource),
        };
        let needed = RIGHTS.iter().flat_map(|right| {
            right.verbs.iter().map(move |verb| (right.group.to_owned(), path(right), (*verb).to_owned()))
        });
        assert_eq!(needed.collect::<BTreeSet<_>>(), granted);
    }
}
