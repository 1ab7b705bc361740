//! The catalog as a section of this crate's own documentation, linking to the constants.

use std::fmt::Write as _;

use super::markdown;
use super::table::sorted;

/// The section, in Markdown with links that rustdoc resolves.
#[must_use]
pub fn section() -> String {
    let mut section = String::from(
        "# The options\n\n| Key | Default | Type | Description |\n| --- | --- | --- | --- |\n",
    );
    for definition in sorted(None) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            section,
            "| [`{}`]({}) | {} | {} | {} |",
            definition.key,
            definition.field.to_uppercase(),
            markdown::escape(&definition.default_text()),
            markdown::escape(definition.type_name),
            markdown::Text(&definition.description())
        );
    }
    section
}
