//! What looks like a secret; pure. In doubt it is one: a Secret too many costs a file, a value shown cannot be taken back.

use std::collections::BTreeMap;

use url::Url;

/// Parts of names under which secrets are kept.
const TELLING: [&str; 13] = [
    "auth",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "signature",
    "credential",
    "cookie",
    "session",
    "apikey",
    "jwt",
    "hmac",
];
/// Words of names under which secrets are kept.
const TELLING_WORDS: [&str; 5] = ["key", "pass", "sig", "sas", "pin"];
/// Beginnings of values that are secrets.
const SCHEMES: [&str; 6] = ["bearer ", "basic ", "digest ", "eyj", "-----begin", "aws4-"];
/// Random texts are at least this long.
const RANDOM: usize = 16;

/// Whether a header carries a secret, by its name or its value.
pub fn is_secret(name: &str, value: &str) -> bool {
    tells(name) || is_secret_value(value)
}

/// Whether a URL carries a secret: in its query, or as a part of its path that nobody chose.
pub fn in_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    url.password().is_some()
        || url.query_pairs().any(|(name, value)| !value.is_empty() && (name == "code" || is_secret(&name, &value)))
        || url.path_segments().into_iter().flatten().any(is_random)
}

fn tells(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    TELLING.iter().any(|part| name.contains(part)) || words.any(|word| TELLING_WORDS.contains(&word))
}

fn is_secret_value(value: &str) -> bool {
    let lower = value.trim_start().to_ascii_lowercase();
    SCHEMES.iter().any(|scheme| lower.starts_with(scheme))
        || lower.split_once('=').is_some_and(|(name, _)| tells(name))
        || is_random(value)
}

/// Whether a text has a part that nobody chose: long, of letters and digits, and of many different ones; or a UUID.
fn is_random(value: &str) -> bool {
    let runs = value.split(|c: char| !c.is_ascii_alphanumeric());
    let hex = value.chars().filter(char::is_ascii_hexdigit).count();
    let is_hex = hex >= 2 * RANDOM && value.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    is_hex || runs.into_iter().any(is_random_run)
}

fn is_random_run(run: &str) -> bool {
    let mixed = run.bytes().any(|b| b.is_ascii_digit()) && run.bytes().any(|b| b.is_ascii_alphabetic());
    run.len() >= RANDOM && mixed && bits_per_character(run) >= 3.0
}

/// Shannon's entropy.
fn bits_per_character(text: &str) -> f64 {
    let mut counts: BTreeMap<char, u32> = BTreeMap::new();
    for c in text.chars() {
        *counts.entry(c).or_default() += 1;
    }
    let all: u32 = counts.values().sum();
    counts.values().map(|&count| f64::from(count) / f64::from(all)).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_by_their_values() {
        for (name, value) in [
            ("Authorization", "x"),
            ("X-Api-Key", "x"),
            ("x-apikey", "x"),
            ("X-Hub-Signature", "x"),
            ("X-Access-Token", "x"),
            ("Cookie", "x"),
            ("DB_PASS", "x"),
            ("X-Tenant", "Bearer abc"),
            ("X-Custom", "eyJhbGciOi.x.y"),
            ("X-Custom", "9f86d081884c7d659a2feaa0c55ad015"),
            ("X-Custom", "Zm9vYmFyMTIzNDU2Nzg5MA=="),
            ("X-Custom", "a81bc81b-dead-4e5d-abff-90865d1e13b1"),
            ("X-Custom", "token=1"),
        ] {
            assert!(is_secret(name, value), "{name}: {value}");
        }
    }

    #[test]
    fn what_everybody_may_read_stays_readable() {
        for (name, value) in [
            ("X-Environment", "production"),
            ("Accept", "application/vnd.example.v2+json"),
            ("X-Team", "customer-experience-2026"),
            ("X-Region", "eu-central-1"),
            ("User-Agent", "CognigyWebhook/4.92.1"),
            ("X-Monkey", "yes"),
            ("X-Padding", "a1a1a1a1a1a1a1a1a1a1a1"),
        ] {
            assert!(!is_secret(name, value), "{name}: {value}");
        }
    }

    #[test]
    fn secrets_in_urls_are_seen() {
        for url in [
            "https://example.com/hook?code=x",
            "https://example.com/hook?a=b&access_token=x",
            "https://example.com/services/T0/a81bc81b4e5dabff90",
            "https://u:p@example.com/",
        ] {
            assert!(in_url(url), "{url}");
        }
        for url in ["https://example.com/hooks/orders?mode=full&code=", "https://example.com/v2/customer-experience"] {
            assert!(!in_url(url), "{url}");
        }
    }
}
