//! What every table of the catalog has: its columns, and the order of its rows.

use crate::{CATALOG, OptionDefinition, Section};

/// The headings of every table, in order.
pub const COLUMNS: [&str; 4] = ["Key", "Default", "Type", "Description"];

/// The options of `section`, or of all sections, in alphabetical order of their keys.
#[must_use]
pub fn sorted(section: Option<Section>) -> Vec<&'static OptionDefinition> {
    let mut definitions: Vec<_> = CATALOG
        .iter()
        .copied()
        .filter(|definition| section.is_none_or(|section| definition.section == section))
        .collect();
    definitions.sort_by_key(|definition| definition.key);
    definitions
}
