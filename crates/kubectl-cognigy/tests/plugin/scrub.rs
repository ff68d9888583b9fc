//! Takes out of golden output what varies from run to run.

use crate::harness::World;

/// Replaces the namespace, the simulator's ports and every word that `known` marks; spaces that only fill columns become two.
pub fn scrub(world: &World, text: &str, known: &[(&str, &str)]) -> String {
    let port = format!(":{}", world.https_base_url().unwrap().port().unwrap());
    let mut text = text.replace(&world.namespace, "NAMESPACE").replace(&port, ":PORT");
    for (value, name) in known {
        text = text.replace(value, name);
    }
    text.lines().map(|line| line_of(line) + "\n").collect()
}

fn line_of(line: &str) -> String {
    let start = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(start);
    let cells = rest.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).map(cell);
    format!("{indent}{}", cells.collect::<Vec<_>>().join("  "))
}

/// Times, durations and rates vary in every cell.
fn cell(cell: &str) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut words = cell.split(' ').peekable();
    while let Some(word) = words.next() {
        let bare = word.trim_matches(|c: char| "(),".contains(c));
        let unit = words.peek().is_some_and(|next| ["ms", "ms,", "%"].contains(next));
        if is_span(bare) || bare == "now" {
            if told.last().is_some_and(|last| last.trim_start_matches('(') == "in") {
                told.pop();
            }
            let closing = if word.ends_with(')') || words.next_if(|next| next.starts_with("ago")) == Some("ago)") {
                ")"
            } else {
                ""
            };
            told.push(format!("{}TIME{closing}", if closing.is_empty() { "" } else { "(" }));
        } else if bare.parse::<jiff::Timestamp>().is_ok() {
            told.push(word.replace(bare, "TIMESTAMP"));
        } else if unit && bare.parse::<f64>().is_ok() {
            told.push("N".to_owned());
        } else if bare.starts_with("api--") {
            told.push(word.replace(bare, "TRACE"));
        } else {
            told.push(word.to_owned());
        }
    }
    told.join(" ")
}

/// `12s`, `3m20s`, `1d2h`.
fn is_span(word: &str) -> bool {
    let units = word.chars().filter(|c| "smhd".contains(*c)).count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    digits > 0 && (1..=2).contains(&units) && units + digits == word.chars().count()
}
