//! What is wished, and what happens next: pure, the same for the same seed.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// Tenants, each with an installation and a namespace of its own.
pub(crate) const TENANTS: usize = 3;
/// The retry policies of each namespace; every webhook has one of them. Short enough to be used up at times.
pub(crate) const POLICIES: [(&str, [u32; 4]); 2] =
    [("quick", [200, 400, 800, 1600]), ("patient", [300, 900, 2700, 8100])];
/// The header that every webhook has, and the one whose value is a Secret's.
pub(crate) const HEADER: &str = "X-Environment";
pub(crate) const SECRET_HEADER: &str = "X-Api-Key";

/// A webhook as its owner wishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) name: String,
    /// Its namespace; most use the tenant there.
    pub(crate) home: usize,
    pub(crate) tenant: usize,
    pub(crate) version: i64,
    pub(crate) header: u32,
    pub(crate) with_secret: bool,
    pub(crate) policy: usize,
    pub(crate) enabled: bool,
}

/// What somebody else does to a registration, behind the operator's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    Headers,
    Policy,
    Removed,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A webhook is created or changed.
    Apply(Hook),
    /// A webhook is deleted.
    Delete { home: usize, name: String },
    /// The Secret of a namespace's headers gets its n-th value.
    RotateHeader { home: usize, nth: u32 },
    /// A tenant's credentials change, in Cognigy and in its Secret.
    RotateCredentials { tenant: usize, nth: u32 },
    /// A registration is changed behind the operator's back.
    Drift { tenant: usize, name: String, drift: Drift },
    /// The next health checks of a webhook fail.
    FailChecks { tenant: usize, name: String, count: usize },
    /// A tenant's sinks refuse the next messages.
    FailSinks { tenant: usize, count: usize },
    /// An installation does not answer for a while.
    Hang { tenant: usize },
    /// The API server of Kubernetes restarts.
    RestartApiServer,
}

impl Step {
    /// What it is called in the report.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Apply(_) => "webhooks created or changed",
            Self::Delete { .. } => "webhooks deleted",
            Self::RotateHeader { .. } => "Secrets of headers rotated",
            Self::RotateCredentials { .. } => "credentials rotated",
            Self::Drift { .. } => "registrations changed behind the back",
            Self::FailChecks { .. } => "webhooks with failing health checks",
            Self::FailSinks { .. } => "sinks failing",
            Self::Hang { .. } => "installations hanging for 20 s",
            Self::RestartApiServer => "API server restarts",
        }
    }
}

/// Everything that is wished.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) hooks: BTreeMap<String, Hook>,
    /// How often the Secret of each namespace was rotated.
    pub(crate) secrets: [u32; TENANTS],
    credentials: [u32; TENANTS],
    wanted: usize,
    made: u32,
    last_deleted: Option<String>,
    random: StdRng,
}

impl Model {
    /// That many webhooks.
    pub(crate) fn new(seed: u64, wanted: usize) -> Self {
        let mut model = Self {
            hooks: BTreeMap::new(),
            secrets: [0; TENANTS],
            credentials: [0; TENANTS],
            wanted,
            made: 0,
            last_deleted: None,
            random: StdRng::seed_from_u64(seed),
        };
        for _ in 0..wanted {
            model.create();
        }
        model
    }

    /// What happens next; the model is as wished after it.
    pub(crate) fn next(&mut self) -> Step {
        let tenant = self.random.random_range(0..TENANTS);
        match self.random.random_range(0..1000) {
            0..2 => Step::RestartApiServer,
            2..8 => Step::Hang { tenant },
            8..18 => {
                self.secrets[tenant] += 1;
                Step::RotateHeader { home: tenant, nth: self.secrets[tenant] }
            }
            18..24 => {
                self.credentials[tenant] += 1;
                Step::RotateCredentials { tenant, nth: self.credentials[tenant] }
            }
            24..34 => Step::FailSinks { tenant, count: self.random.random_range(1..5) },
            34..180 => self.come_or_go(),
            180..320 => {
                let Hook { tenant, name, .. } = self.any();
                let drift = [Drift::Headers, Drift::Policy, Drift::Removed][self.random.random_range(0..3)];
                Step::Drift { tenant, name, drift }
            }
            320..400 => {
                let Hook { tenant, name, .. } = self.any();
                Step::FailChecks { tenant, name, count: self.random.random_range(1..4) }
            }
            400..500 => self.change(|hook, _| hook.version += 1),
            500..620 => self.change(|hook, _| hook.policy = (hook.policy + 1) % POLICIES.len()),
            620..690 => self.change(|hook, _| hook.enabled = !hook.enabled),
            _ => self.change(|hook, random| hook.header = random.random_range(0..1000)),
        }
    }

    fn any(&mut self) -> Hook {
        let at = self.random.random_range(0..self.hooks.len());
        self.hooks.values().nth(at).cloned().unwrap_or_else(|| self.create())
    }

    fn change(&mut self, change: impl FnOnce(&mut Hook, &mut StdRng)) -> Step {
        let mut hook = self.any();
        change(&mut hook, &mut self.random);
        self.hooks.insert(hook.name.clone(), hook.clone());
        Step::Apply(hook)
    }

    /// One more webhook, or one less.
    fn come_or_go(&mut self) -> Step {
        if self.hooks.len() < self.wanted {
            return Step::Apply(self.create());
        }
        let Hook { home, name, .. } = self.any();
        self.hooks.remove(&name);
        self.last_deleted = Some(name.clone());
        Step::Delete { home, name }
    }

    fn create(&mut self) -> Hook {
        // At times under the name of one that is just being deleted.
        let again = self.last_deleted.take().filter(|_| self.random.random_bool(0.25));
        let name = again.unwrap_or_else(|| {
            self.made += 1;
            format!("hook-{:05}", self.made)
        });
        let home = self.random.random_range(0..TENANTS);
        let elsewhere = self.random.random_bool(0.1);
        let hook = Hook {
            name: name.clone(),
            home,
            tenant: if elsewhere { (home + 1) % TENANTS } else { home },
            version: 1,
            header: 0,
            with_secret: self.random.random_bool(0.3),
            policy: self.random.random_range(0..POLICIES.len()),
            enabled: self.random.random_bool(0.95),
        };
        self.hooks.insert(name, hook.clone());
        hook
    }
}

impl Hook {
    /// Its `spec`; `url` is its callback's.
    pub(crate) fn spec(&self, url: &str) -> Value {
        let mut spec = json!({
            "tenantRef": {"name": TENANT, "namespace": namespace(self.tenant)},
            "url": url,
            "version": self.version,
            "enabled": self.enabled,
            "headers": {HEADER: self.header.to_string()},
            "retryPolicyRef": {"name": POLICIES[self.policy].0},
            "previousVersions": 0,
            "healthCheck": {"periodSeconds": 60, "timeoutSeconds": 5},
        });
        if self.with_secret {
            spec["headersFrom"] =
                json!([{"name": SECRET_HEADER, "secretKeyRef": {"name": HEADERS_SECRET, "key": "api-key"}}]);
        }
        spec
    }
}

/// The name of the tenant in each namespace.
pub(crate) const TENANT: &str = "production";
/// The Secret of each namespace that headers are read from.
pub(crate) const HEADERS_SECRET: &str = "hook-headers";

/// The namespace of a tenant.
pub(crate) fn namespace(nth: usize) -> String {
    format!("soak-{nth}")
}

/// The value of a namespace's Secret after that many rotations.
pub(crate) fn secret_value(home: usize, nth: u32) -> String {
    format!("key-{home}-{nth}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_story_and_another_one_is_not() {
        let story = |seed| {
            let mut model = Model::new(seed, 30);
            (0..500).map(|_| model.next()).collect::<Vec<_>>()
        };
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[test]
    fn the_model_is_what_the_steps_amount_to() {
        let mut model = Model::new(1, 30);
        let mut hooks = model.hooks.clone();
        for _ in 0..3000 {
            match model.next() {
                Step::Apply(hook) => drop(hooks.insert(hook.name.clone(), hook)),
                Step::Delete { name, .. } => drop(hooks.remove(&name)),
                _ => {}
            }
            assert!((29..=30).contains(&model.hooks.len()));
        }
        assert_eq!(hooks, model.hooks);
    }
}
