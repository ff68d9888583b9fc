//! What people ask of the operator about single messages: the value of the annotation `cognigy.io/dead-letter-request`.

use std::{fmt, str::FromStr};

/// How much of a request a status echoes, in characters: no request that names as many messages as an object can have is longer.
const ECHO: usize = 1024;

/// What is to become of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterVerb {
    /// They are sent again under the same id.
    Replay,
    /// They are never sent.
    Discard,
}

impl LetterVerb {
    /// The first word of a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
        }
    }
}

/// A request: `discard ID[,ID…] REMARK`. The remark is free text: it makes a request another one than the same before, and
/// is told in the events about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRequest {
    /// What is asked for.
    pub verb: LetterVerb,
    /// The messages' `CloudEvents` ids, at least one.
    pub ids: Vec<String>,
    /// The rest; when it was asked for and by whom, where the plugin asks.
    pub remark: String,
}

impl LetterRequest {
    /// A request as a status echoes it: what is too long for that is cut.
    pub fn echo(value: &str) -> String {
        value.chars().take(ECHO).collect()
    }
}

impl fmt::Display for LetterRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.as_str(), self.ids.join(","))?;
        if self.remark.is_empty() { Ok(()) } else { write!(f, " {}", self.remark) }
    }
}

/// A value that is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it reads `replay ID` or `discard ID`, several ids joined by commas, and then whatever makes it a new request, such as the time"
)]
pub struct NoRequest;

impl FromStr for LetterRequest {
    type Err = NoRequest;

    fn from_str(value: &str) -> Result<Self, NoRequest> {
        let mut words = value.split_whitespace();
        let verb = match words.next() {
            Some("replay") => LetterVerb::Replay,
            Some("discard") => LetterVerb::Discard,
            _ => return Err(NoRequest),
        };
        let mut ids: Vec<String> = Vec::new();
        for id in words.next().ok_or(NoRequest)?.split(',') {
            if id.is_empty() {
                return Err(NoRequest);
            }
            if !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        Ok(Self { verb, ids, remark: words.collect::<Vec<_>>().join(" ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_is_written() {
        for text in ["replay a", "discard a,b 2026-11-23T09:00:00Z admin"] {
            let request: LetterRequest = text.parse().unwrap();
            assert_eq!(request.to_string(), text);
        }
        let request: LetterRequest = " discard  a,b,a  by  hand ".parse().unwrap();
        assert_eq!(request.to_string(), "discard a,b by hand");
    }

    #[test]
    fn anything_else_is_told_how_it_reads() {
        for text in ["", "discard", "forget a", "replay a, b", "Discard a"] {
            let refused = text.parse::<LetterRequest>().unwrap_err().to_string();
            assert!(refused.contains("`discard ID`"), "{text}");
        }
    }

    #[test]
    fn a_request_about_all_that_an_object_can_keep_is_echoed_whole() {
        let ids = (0..super::super::MAX_UNDELIVERED).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let remark = format!("2026-11-23T09:00:00.123456789Z {}", "x".repeat(128));
        let request = LetterRequest { verb: LetterVerb::Discard, ids, remark }.to_string();
        assert_eq!(LetterRequest::echo(&request), request);
        assert_eq!(LetterRequest::echo(&"ö".repeat(5000)).chars().count(), ECHO);
    }
}
