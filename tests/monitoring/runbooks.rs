//! A page for each alert.

use std::{collections::BTreeSet, fs, path::Path};

use crate::rules::{alerts, text};

/// What each page has, in this order.
const PARTS: [&str; 3] = ["## What it means", "## What users see", "## What to do"];

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let names: BTreeSet<_> = alerts().iter().map(|alert| text(alert, "alert").to_owned()).collect();
    let pages = fs::read_dir(&folder).unwrap().map(|page| page.unwrap().path());
    let pages: BTreeSet<_> = pages.map(|page| page.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, pages);
    let overview = fs::read_to_string(folder.with_file_name("observability.md")).unwrap();
    for name in names {
        let page = fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
        assert!(overview.contains(&format!("[{name}](runbooks/{name}.md)")), "docs/observability.md leaves {name} out");
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        let places: Vec<_> =
            PARTS.iter().map(|part| page.find(part).unwrap_or_else(|| panic!("{name}: {part}"))).collect();
        assert!(places.is_sorted(), "{name}: {places:?}");
        assert!(page.contains("```console\n$ "), "{name} shows no command");
    }
}
