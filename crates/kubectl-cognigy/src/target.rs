//! Objects as people name them on the command line: `orders`, `cwh/orders`, `ctenant/production`.

use std::{fmt, str::FromStr};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use kube::Resource;

/// The kinds that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `CognigyTenant`.
    Tenant,
    /// `CognigyWebhook`; meant where no kind is given.
    Webhook,
}

impl Kind {
    /// The short name, as kubectl knows it.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Tenant => "ctenant",
            Self::Webhook => "cwh",
        }
    }

    /// The kind as it stands in manifests.
    pub fn name(self) -> String {
        match self {
            Self::Tenant => CognigyTenant::kind(&()).into_owned(),
            Self::Webhook => CognigyWebhook::kind(&()).into_owned(),
        }
    }

    /// The word for it in sentences.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Webhook => "webhook",
        }
    }

    /// So many objects of it, for sentences.
    pub fn counted(self, count: usize) -> String {
        format!("{count} {}{}", self.noun(), if count == 1 { "" } else { "s" })
    }
}

/// One object in the namespace that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.short(), self.name)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once('/') {
            None => (Kind::Webhook, text),
            Some((kind, name)) => (kind_of(kind)?, name),
        };
        if name.is_empty() || name.contains('/') {
            return Err(format!("`{text}` names no object: give NAME, cwh/NAME or ctenant/NAME"));
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

/// Every name that kubectl takes for a kind as well.
fn kind_of(word: &str) -> Result<Kind, String> {
    let word = word.to_lowercase();
    match word.split('.').next().unwrap_or_default() {
        "cwh" | "cognigywebhook" | "cognigywebhooks" => Ok(Kind::Webhook),
        "ctenant" | "cognigytenant" | "cognigytenants" => Ok(Kind::Tenant),
        _ => Err(format!("`{word}` is none of the kinds that can be named here: cwh (a webhook), ctenant (a tenant)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_a_webhook_and_kinds_are_named_as_for_kubectl() {
        let parsed = |text: &str| text.parse::<Target>().map(|target| target.to_string());
        for text in ["orders", "cwh/orders", "cognigywebhooks/orders", "CognigyWebhook.cognigy.io/orders"] {
            assert_eq!(parsed(text).as_deref(), Ok("cwh/orders"), "{text}");
        }
        assert_eq!(parsed("cognigytenant/production").as_deref(), Ok("ctenant/production"));
        assert!(parsed("pod/orders").unwrap_err().contains("`pod`"));
        assert!(parsed("cwh/").unwrap_err().contains("names no object"));
    }
}
