//! `diff`: what the operator would do, told by its own plan.

mod calls;
mod random;
mod scenes;

use serde_json::Value;

use crate::harness::World;

/// What a run told.
struct Told {
    code: i32,
    value: Value,
}

impl Told {
    /// What is told of a webhook.
    #[track_caller]
    fn of(&self, name: &str) -> &Value {
        let items = self.value["items"].as_array().unwrap();
        items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{name}: {:#}", self.value))
    }

    /// The actions of its steps.
    #[track_caller]
    fn steps(&self, name: &str) -> Vec<&str> {
        let steps = self.of(name)["steps"].as_array().unwrap();
        steps.iter().map(|step| step["action"].as_str().unwrap()).collect()
    }
}

/// As the operator of a world runs.
const CALLBACKS: [&str; 2] = ["--allow-private-callbacks", "127.0.0.0/8,::1/128"];

impl World {
    /// Runs it for a program.
    async fn diff(&self, arguments: &[&str]) -> Told {
        let ran = self.plugin(&[&["diff", "-o", "json"], &CALLBACKS[..], arguments].concat()).await;
        assert!(ran.err.is_empty(), "{ran:?}");
        Told { code: ran.code, value: serde_json::from_str(&ran.out).unwrap() }
    }
}
