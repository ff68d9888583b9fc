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

/// Times and durations vary in every cell.
fn cell(cell: &str) -> String {
    let words: Vec<&str> = cell.split(' ').collect();
    let mut told: Vec<String> = Vec::new();
    for (nth, word) in words.iter().enumerate() {
        let bare = word.trim_matches(|c: char| "(),".contains(c));
        let varies = match words.get(nth + 1) {
            Some(next) if next.starts_with("ms") => bare.parse::<f64>().is_ok(),
            _ => is_span(bare) || bare.parse::<jiff::Timestamp>().is_ok(),
        };
        told.push(if varies { word.replace(bare, "N") } else { (*word).to_owned() });
    }
    told.join(" ").replace("now", "N ago").replace("in N", "N ago")
}

/// `12s`, `3m20s`, `1d2h`.
fn is_span(word: &str) -> bool {
    let units = word.chars().filter(|c| "smhd".contains(*c)).count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    digits > 0 && (1..=2).contains(&units) && units + digits == word.chars().count()
}
