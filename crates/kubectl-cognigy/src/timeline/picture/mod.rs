//! Policies as a picture: a stair for each, whose steps are its tries: to the right goes time, up the share that is through.
//!
//! The SVG is the picture; the PNG is the same, painted. Equal input gives equal bytes.

mod raster;
mod scene;
mod theme;

pub use raster::png;
pub use theme::Theme;

use super::{axis::Axis, model::Timeline};

/// The picture as SVG.
pub fn svg(timelines: &[Timeline], theme: Theme) -> String {
    format!("{}\n", scene::document(timelines, &Axis::over(timelines), theme))
}
