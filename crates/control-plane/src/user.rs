//! Who a kubeconfig speaks for.

/// A Kubernetes user: a name and its groups, as a client certificate says them (`CN` and `O`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    name: String,
    groups: Vec<String>,
}

impl User {
    /// May do everything, past RBAC: group `system:masters`.
    pub fn admin() -> Self {
        Self::named("admin").group("system:masters")
    }

    /// A user without groups (the API server itself adds `system:authenticated`).
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), groups: Vec::new() }
    }

    /// The same user as a member of one more group; a certificate carries at most two.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// What a pod with this service account would be. RBAC sees no difference; the account need not exist.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::named(format!("system:serviceaccount:{namespace}:{name}"))
            .group("system:serviceaccounts")
            .group(format!("system:serviceaccounts:{namespace}"))
    }

    /// The name that RBAC and the audit log know.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups that RBAC knows.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }
}
