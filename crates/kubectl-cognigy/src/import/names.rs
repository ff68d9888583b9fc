//! Names for Kubernetes from names in Cognigy; pure.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

/// So that a Secret's name, which is longer, is still a short one.
const LONGEST: usize = 52;

/// Hands out names, each once.
#[derive(Debug, Default)]
pub struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// A name made of `wanted`; where it is taken, with some digits of a digest of `identity`, so that the same thing gets
    /// the same name again.
    pub fn take(&mut self, wanted: &str, identity: &str) -> String {
        let plain = dns(wanted);
        let digest = digest(identity);
        let others = (1..=digest.len() / 4).map(|fours| format!("{plain}-{}", &digest[..fours * 4]));
        let free = std::iter::once(plain.clone()).chain(others).find(|name| !self.taken.contains(name));
        let name = free.unwrap_or(plain);
        self.taken.insert(name.clone());
        name
    }
}

/// A DNS-1123 label that reads like this text: `PaymentWebhook v2` becomes `payment-webhook-v2`.
fn dns(text: &str) -> String {
    let mut label = String::new();
    let mut before = ' ';
    for c in text.chars() {
        let begins_word = c.is_ascii_uppercase() && before.is_ascii_lowercase();
        if (begins_word || !c.is_ascii_alphanumeric()) && !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
        if c.is_ascii_alphanumeric() {
            label.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    label.truncate(LONGEST);
    match label.trim_end_matches('-') {
        "" => "webhook".into(),
        label => label.into(),
    }
}

fn digest(identity: &str) -> String {
    Sha256::digest(identity.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_fit_for_kubernetes_and_stays_readable() {
        for (wanted, name) in [
            ("order-fulfillment", "order-fulfillment"),
            ("PaymentWebhook v2", "payment-webhook-v2"),
            ("  CRM / Größe! ", "crm-gr-e"),
            ("HTTPHook", "httphook"),
            ("日本", "webhook"),
            ("--", "webhook"),
        ] {
            assert_eq!(dns(wanted), name, "{wanted}");
        }
        assert_eq!(dns(&"x".repeat(300)).len(), LONGEST);
    }

    #[test]
    fn who_comes_second_gets_a_name_that_is_the_same_each_time() {
        let named = || {
            let mut names = Names::default();
            ["order-hook", "Order Hook", "order_hook", "Order Hook"].map(|wanted| names.take(wanted, wanted))
        };
        let first = named();
        assert_eq!(first[0], "order-hook");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4, "{first:?}");
        assert_eq!(first, named());
    }
}
