//! How results are written: tables for people, JSON and YAML for programs.

use std::io::Write as _;

use clap::ValueEnum;
use serde::Serialize;
use tabwriter::TabWriter;

use crate::exit::{Error, Result};

/// `-o`, as kubectl users expect it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For people with wide terminals
    Wide,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

impl Format {
    /// The value as JSON or YAML; `None` where people are to read it.
    pub fn machine(self, value: &impl Serialize) -> Result<Option<String>> {
        match self {
            Self::Table | Self::Wide => Ok(None),
            Self::Json => serde_json::to_string_pretty(value)
                .map(|text| Some(text + "\n"))
                .map_err(|error| Error::Told(format!("cannot write the result as JSON: {error}"))),
            Self::Yaml => serde_saphyr::to_string(value)
                .map(Some)
                .map_err(|error| Error::Told(format!("cannot write the result as YAML: {error}"))),
        }
    }
}

/// Lines of cells under a heading, in columns.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> Result<String> {
    let heading = heading.iter().map(|&cell| cell.to_owned()).collect();
    columns(std::iter::once(&heading).chain(rows))
}

/// The same without a heading.
pub fn columns<'a>(rows: impl IntoIterator<Item = &'a Vec<String>>) -> Result<String> {
    let mut writer = TabWriter::new(Vec::new()).padding(3).ansi(true);
    for row in rows {
        writeln!(writer, "{}", row.join("\t"))?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::Told(format!("cannot lay out a table: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect())
}

/// Writes to standard output; colours only where a terminal reads them and `NO_COLOR` is not set.
pub fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
