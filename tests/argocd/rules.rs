//! The health of each Ready reason: what docs/argocd.md promises.

use cognigy_operator::api::{Conditions, Reason, With};
use serde_json::{Value, json};

use crate::customizations::{Health, KINDS, health};

/// An object of this kind whose Ready has this reason.
fn object(kind: &str, reason: Reason) -> Value {
    let conditions = Conditions::new(reason, "because", 3).merge(&[], jiff::Timestamp::UNIX_EPOCH);
    json!({
        "apiVersion": "cognigy.io/v1alpha1", "kind": kind, "metadata": {"name": "one", "generation": 3}, "spec": {},
        "status": {"observedGeneration": 3, "conditions": conditions},
    })
}

fn told(status: &str, message: &str) -> Health {
    Health { status: status.into(), message: message.into() }
}

#[test]
fn every_reason_has_the_health_of_its_verdict() {
    for kind in KINDS {
        for &reason in Reason::ALL {
            let verdict = reason.verdict();
            let expected = match (reason, verdict.ready, verdict.with) {
                (_, true, _) => "Healthy",
                // A policy is never suspended.
                (Reason::Suspended, ..) if kind != "RetryPolicy" => "Suspended",
                (_, _, With::Reconciling) => "Progressing",
                (_, _, With::Stalled | With::Nothing) => "Degraded",
            };
            assert_eq!(health(&object(kind, reason)), told(expected, "because"), "{kind} {reason}");
        }
    }
}

#[test]
fn what_was_said_of_an_older_generation_counts_no_more() {
    for kind in KINDS {
        for &reason in Reason::ALL {
            let mut object = object(kind, reason);
            object["metadata"]["generation"] = json!(4);
            let expected = told("Progressing", "waiting for the operator to look at generation 4");
            assert_eq!(health(&object), expected, "{kind} {reason}");
        }
    }
}

#[test]
fn an_object_without_a_status_or_without_conditions_is_waited_for() {
    for kind in KINDS {
        let mut object = object(kind, Reason::Active);
        object["status"]["conditions"] = json!([]);
        assert_eq!(health(&object), told("Progressing", ""), "{kind}");
        object.as_object_mut().unwrap().remove("status");
        assert_eq!(health(&object).status, "Progressing", "{kind}");
    }
}

#[test]
fn what_is_being_deleted_is_progressing_and_says_what_it_waits_for() {
    for kind in KINDS {
        for &reason in Reason::ALL {
            let mut object = object(kind, reason);
            object["metadata"]["deletionTimestamp"] = json!("2026-11-23T10:00:00Z");
            assert_eq!(health(&object), told("Progressing", "because"), "{kind} {reason}");
        }
    }
}

#[test]
fn a_failing_check_degrades_what_is_live_and_is_waited_for_before_a_change() {
    let mut object = object("CognigyWebhook", Reason::HealthCheckFailed);
    object["status"]["health"] = json!({"result": "Failing"});
    assert_eq!(health(&object).status, "Progressing");
    object["status"]["health"]["failingSince"] = json!("2026-11-23T10:00:00Z");
    assert_eq!(health(&object).status, "Degraded");
}
