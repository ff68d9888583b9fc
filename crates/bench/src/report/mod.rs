//! What is told: the figures as JSON, tables and goals as Markdown, pictures as SVG. Pure but for files.

pub(crate) mod goals;
pub(crate) mod model;
pub(crate) mod plot;
pub(crate) mod table;

use std::{fs, path::Path};

use demo::Result;

use self::model::Report;

/// Writes `figures.md` and the pictures.
pub(crate) fn render(report: &Report, folder: &Path) -> Result<()> {
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
    };
    write("figures.md", format!("# What a fleet costs, in figures\n\n{}", table::markdown(report)))?;
    for (name, picture) in plot::pictures(report) {
        write(name, picture)?;
    }
    Ok(())
}

/// A count among measurements.
#[allow(clippy::cast_precision_loss, reason = "counts")]
fn count(count: usize) -> f64 {
    count as f64
}
