//! What an action means for one object. Pure.

use cognigy_operator::api::{
    CognigyTenant, CognigyWebhook, DEAD_LETTER_REQUEST_ANNOTATION, FORCE_ORPHAN_ANNOTATION, LetterVerb, ObjectKey,
    RECONCILE_REQUESTED_ANNOTATION,
};
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};

use super::letters::Asked;
use crate::{
    dead_letters::model::{self, Letter},
    target::{Kind, Target},
};

/// What can be asked of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A full pass; the value of the annotation, which the status echoes.
    Reconcile(String),
    /// No work until it is resumed.
    Suspend,
    /// The opposite.
    Resume,
    /// To let go of a deleted object without touching Cognigy.
    Orphan,
    /// Something about single messages.
    Letters(Asked),
}

impl Action {
    /// What is asked for: `suspend`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Reconcile(_) => "reconcile",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Orphan => "orphan",
            Self::Letters(asked) => asked.verb.as_str(),
        }
    }

    /// What has become of an object: `suspended`.
    pub fn done(&self) -> &'static str {
        match self {
            Self::Reconcile(_) => "reconcile requested",
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
            Self::Orphan => "released without touching Cognigy",
            Self::Letters(Asked { verb: LetterVerb::Replay, .. }) => "replay requested",
            Self::Letters(Asked { verb: LetterVerb::Discard, .. }) => "discard requested",
        }
    }

    /// Whether it cannot be undone, so that a person is asked for one object, too.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Orphan | Self::Letters(Asked { verb: LetterVerb::Discard, .. }))
    }
}

/// What an action needs to know of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Kind and name.
    pub target: Target,
    /// Its namespace.
    pub namespace: String,
    /// Its uid: what is decided for one object is not done to another of its name.
    pub uid: String,
    /// `spec.suspend`.
    pub suspended: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether the operator was told to let go of it.
    pub released: bool,
    /// The messages that its status speaks of.
    pub letters: Vec<Letter>,
    /// The tenant of a webhook.
    pub tenant: Option<ObjectKey>,
    /// Why a dead letter has nobody to go to, where that is known.
    pub no_sink: Option<String>,
}

impl Object {
    /// A tenant.
    pub fn tenant(tenant: &CognigyTenant) -> Self {
        Self::of(Kind::Tenant, tenant, tenant.spec.suspend)
    }

    /// A webhook.
    pub fn webhook(webhook: &CognigyWebhook) -> Self {
        Self {
            letters: model::of(webhook),
            tenant: Some(webhook.tenant_key()),
            ..Self::of(Kind::Webhook, webhook, webhook.spec.suspend)
        }
    }

    fn of(kind: Kind, object: &impl Resource, suspended: bool) -> Self {
        Self {
            target: Target { kind, name: object.name_any() },
            namespace: object.namespace().unwrap_or_default(),
            uid: object.uid().unwrap_or_default(),
            suspended,
            deleting: object.meta().deletion_timestamp.is_some(),
            released: object.annotations().get(FORCE_ORPHAN_ANNOTATION).is_some_and(|value| value == "true"),
            letters: Vec::new(),
            tenant: None,
            no_sink: None,
        }
    }
}

/// What is to be done to one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// This merge patch.
    Patch(Value),
    /// Nothing: it is so already.
    Unchanged,
    /// Nothing, for this reason.
    Refused(String),
}

/// Decides it.
pub fn step(action: &Action, object: &Object) -> Step {
    let patch = |change: Value| {
        let mut patch = change;
        patch["metadata"]["uid"] = json!(object.uid);
        Step::Patch(patch)
    };
    let annotate = |name: &str, value: &str| patch(json!({"metadata": {"annotations": {name: value}}}));
    match action {
        Action::Reconcile(_) if object.suspended => {
            Step::Refused(format!("{} is suspended: resume it, and the operator looks at it at once", object.target))
        }
        Action::Reconcile(asked) => annotate(RECONCILE_REQUESTED_ANNOTATION, asked),
        Action::Suspend if object.suspended => Step::Unchanged,
        Action::Suspend => patch(json!({"spec": {"suspend": true}})),
        Action::Resume if !object.suspended => Step::Unchanged,
        Action::Resume => patch(json!({"spec": {"suspend": false}})),
        Action::Orphan if !object.deleting => Step::Refused(match object.target.kind {
            Kind::Webhook => format!(
                "{} is not being deleted: to leave its registration in Cognigy when it is, set spec.deletionPolicy: Orphan and delete it",
                object.target
            ),
            Kind::Tenant => format!("{} is not being deleted: there is nothing to let go of", object.target),
        }),
        Action::Orphan if object.released => Step::Unchanged,
        Action::Orphan => annotate(FORCE_ORPHAN_ANNOTATION, "true"),
        Action::Letters(asked) => match asked.of(object) {
            Ok(request) => annotate(DEAD_LETTER_REQUEST_ANNOTATION, &request.to_string()),
            Err(why) => Step::Refused(why),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: Kind) -> Object {
        Object {
            target: Target { kind, name: "orders".into() },
            namespace: "shop".into(),
            uid: "u1".into(),
            suspended: false,
            deleting: false,
            released: false,
            letters: Vec::new(),
            tenant: None,
            no_sink: None,
        }
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        let suspended = Object { suspended: true, ..object(Kind::Webhook) };
        assert_eq!(step(&Action::Suspend, &suspended), Step::Unchanged);
        assert_eq!(step(&Action::Resume, &object(Kind::Tenant)), Step::Unchanged);
        let released = Object { deleting: true, released: true, ..object(Kind::Webhook) };
        assert_eq!(step(&Action::Orphan, &released), Step::Unchanged);
    }

    #[test]
    fn a_patch_holds_for_the_object_that_was_looked_at_only() {
        let patch = json!({"metadata": {"uid": "u1"}, "spec": {"suspend": true}});
        assert_eq!(step(&Action::Suspend, &object(Kind::Webhook)), Step::Patch(patch));
        let deleting = Object { deleting: true, ..object(Kind::Webhook) };
        let patch = json!({"metadata": {"uid": "u1", "annotations": {"cognigy.io/force-orphan": "true"}}});
        assert_eq!(step(&Action::Orphan, &deleting), Step::Patch(patch));
    }

    #[test]
    fn what_would_not_work_is_refused_with_what_to_do_instead() {
        let refused = |action: &Action, object: &Object| match step(action, object) {
            Step::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(&Action::Orphan, &object(Kind::Webhook)).contains("spec.deletionPolicy: Orphan"));
        assert!(refused(&Action::Orphan, &object(Kind::Tenant)).contains("nothing to let go of"));
        let suspended = Object { suspended: true, ..object(Kind::Webhook) };
        assert!(refused(&Action::Reconcile("1".into()), &suspended).contains("resume it"));
    }
}
