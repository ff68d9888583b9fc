//! `docs/metrics.md`: every family, from what the program knows of itself.

use std::{env, fmt::Write as _, fs, path::Path};

use cognigy_operator::metrics::{Family, Metrics};

/// Set by `cargo xtask docs`: the table is written instead of compared.
const WRITE: &str = "WRITE_DOCS";
/// The table stands between these lines.
const BEGIN: &str = "<!-- table: written by `cargo xtask docs` from src/metrics/families.rs -->\n";
const END: &str = "<!-- end of table -->\n";

fn table(families: &[Family]) -> String {
    let mut rows: Vec<_> = families.iter().collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = String::from("| name | type | labels | meaning |\n|---|---|---|---|\n");
    for Family { name, kind, labels, help } in rows {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        writeln!(text, "| `{name}` | {kind} | {labels} | {} |", help.replace('|', "\\|")).unwrap();
    }
    text
}

#[test]
fn the_table_of_metrics_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let found = fs::read_to_string(&path).unwrap();
    let (head, rest) = found.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let fresh = format!("{head}{BEGIN}\n{}\n{END}{tail}", table(Metrics::new().unwrap().families()));
    if found != fresh && env::var_os(WRITE).is_some() {
        fs::write(&path, fresh).unwrap();
        return;
    }
    assert!(found == fresh, "docs/metrics.md is stale: run cargo xtask docs");
}
