//! What a Lease is called: by what its holder takes care of, so that operators with different scopes never wait for each other.

use std::{collections::BTreeSet, fmt::Write as _};

use sha2::{Digest as _, Sha256};

/// How much of the scope can be read in the name.
const READABLE: usize = 37;

/// The name of the Lease for these namespaces (none: all) and this label selector: words to read, and a digest that tells
/// scopes apart which read alike. The order of the namespaces is of no matter, the selector is taken as it was written.
/// The chart makes the same name for its Role (`cognigy-operator.leaseName`).
pub fn lease_name(namespaces: &[String], label_selector: Option<&str>) -> String {
    let namespaces: BTreeSet<_> = namespaces.iter().map(String::as_str).collect();
    let namespaces = namespaces.into_iter().collect::<Vec<_>>().join(",");
    let selector = label_selector.unwrap_or_default();
    let digest = Sha256::digest(format!("{namespaces}/{selector}"));
    let digest = digest.iter().take(4).fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    let words = format!("{}-{selector}", if namespaces.is_empty() { "all" } else { &namespaces });
    format!("cognigy-operator-{}-{digest}", readable(&words))
}

fn readable(words: &str) -> String {
    let words = words.to_lowercase();
    let parts = words.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit())).filter(|part| !part.is_empty());
    let mut text = parts.collect::<Vec<_>>().join("-");
    text.truncate(READABLE);
    text.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(namespaces: &[&str], selector: Option<&str>) -> String {
        lease_name(&namespaces.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), selector)
    }

    #[test]
    fn the_name_tells_the_scope() {
        assert_eq!(name(&[], None), "cognigy-operator-all-8a5edab2");
        assert!(name(&["cx", "billing"], None).starts_with("cognigy-operator-billing-cx-"));
        assert!(
            name(&[], Some("stage in (test, prod),!Old")).starts_with("cognigy-operator-all-stage-in-test-prod-old-")
        );
    }

    #[test]
    fn one_scope_has_one_name_and_two_scopes_have_two() {
        assert_eq!(name(&["b", "a", "b"], None), name(&["a", "b"], None));
        let scopes = [
            name(&[], None),
            name(&["all"], None),
            name(&["a", "b"], None),
            name(&["a-b"], None),
            name(&[], Some("a=b")),
            name(&[], Some("a!=b")),
            name(&["a"], Some("b")),
        ];
        assert_eq!(scopes.iter().collect::<BTreeSet<_>>().len(), scopes.len(), "{scopes:?}");
    }

    #[test]
    fn however_long_the_scope_is_the_name_is_one() {
        let long: Vec<_> = (0..40).map(|nth| format!("namespace-{nth}")).collect();
        let name = lease_name(&long, Some("team=cx"));
        assert!(
            name.len() <= 63 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{name}"
        );
    }
}
