//! Colours, by meaning, for light and for dark surroundings.

use clap::ValueEnum;

/// The surroundings of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// SVG: as the reader's system is set; PNG: light
    #[default]
    Auto,
    /// On white
    Light,
    /// On black
    Dark,
}

/// What holds on any surface. The fonts are those of the reader; a PNG has the last named one.
const FORM: &str = "
text { font-family: system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif; font-size: 13px }
.title { font-size: 20px; font-weight: bold }
.strong { font-weight: bold }
.small { font-size: 11px }
.halo { paint-order: stroke; stroke-width: 4px; stroke-linejoin: round }
.line { fill: none; stroke-width: 2px; stroke-linejoin: round }
.off { stroke-dasharray: 4 4; stroke-width: 1.5px; fill: none }
.grid { stroke-width: 1px }
.end { stroke-width: 1.5px; stroke-dasharray: 6 3 }
.band { fill-opacity: 0.3 }
";

const LIGHT: [&str; 7] = ["#ffffff", "#1f2328", "#59636e", "#d8dee4", "#0969da", "#bc4c00", "#8250df"];
const DARK: [&str; 7] = ["#0d1117", "#f0f6fc", "#9198a1", "#30363d", "#58a6ff", "#f0883e", "#ab7df8"];

impl Theme {
    /// The style sheet.
    pub fn css(self) -> String {
        let colours = match self {
            Self::Auto => format!("{}@media (prefers-color-scheme: dark) {{\n{}}}\n", colours(LIGHT), colours(DARK)),
            Self::Light => colours(LIGHT),
            Self::Dark => colours(DARK),
        };
        format!("{FORM}{colours}")
    }

    /// The theme of something that cannot know its surroundings.
    pub const fn decided(self) -> Self {
        match self {
            Self::Auto => Self::Light,
            decided => decided,
        }
    }
}

fn colours([surface, ink, quiet, grid, first, second, end]: [&str; 7]) -> String {
    format!(
        ".surface {{ fill: {surface} }}
.ink {{ fill: {ink} }}
.quiet {{ fill: {quiet} }}
.halo {{ stroke: {surface} }}
.grid {{ stroke: {grid} }}
.off {{ stroke: {quiet} }}
.hollow {{ fill: {surface}; stroke: {quiet} }}
.end {{ stroke: {end} }}
.endtext {{ fill: {end} }}
.line0 {{ stroke: {first} }}
.fill0 {{ fill: {first} }}
.line1 {{ stroke: {second} }}
.fill1 {{ fill: {second} }}
"
    )
}
