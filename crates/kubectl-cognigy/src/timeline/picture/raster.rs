//! The SVG, painted: with letters of its own, so that the picture is the same on every machine.

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree},
};

use super::{Theme, svg};
use crate::{
    exit::{Error, Result},
    timeline::model::Timeline,
};

/// Pixels for each unit of the SVG: sharp on screens of high density.
const SCALE: f32 = 2.0;

/// The family of both fonts.
const FAMILY: &str = "DejaVu Sans";
const FONTS: [&[u8]; 2] =
    [include_bytes!("../../../fonts/DejaVuSans.ttf"), include_bytes!("../../../fonts/DejaVuSans-Bold.ttf")];

/// The picture as PNG.
pub fn png(timelines: &[Timeline], theme: Theme) -> Result<Vec<u8>> {
    let cannot = |why: &dyn std::fmt::Display| Error::Told(format!("cannot paint the picture: {why}"));
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    for font in FONTS {
        fonts.load_font_data(font.to_vec());
    }
    fonts.set_sans_serif_family(FAMILY);
    let tree = Tree::from_str(&svg(timelines, theme.decided()), &options).map_err(|error| cannot(&error))?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or_else(|| cannot(&"it has no size"))?;
    let mut pixmap = Pixmap::new(size.width(), size.height()).ok_or_else(|| cannot(&"it is too large"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| cannot(&error))
}
