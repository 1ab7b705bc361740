//! The catalog as one Markdown page: a table for each section.

use std::fmt::{self, Write as _};

use super::table::{COLUMNS, sorted};
use crate::{Description, OptionDefinition, Piece, Presence, Section};

/// The page with every section.
#[must_use]
pub fn page() -> String {
    let mut page = String::from("# Options of a Triton model\n");
    for section in Section::ALL {
        let title = match section {
            Section::Common => "Common options",
            Section::Advanced => "Advanced options",
        };
        // Writing to a String cannot fail, here and below.
        let _ = write!(page, "\n## {title}\n\n{}", table(&sorted(Some(*section))));
    }
    page
}

/// The table of these options.
#[must_use]
pub fn table(definitions: &[&OptionDefinition]) -> String {
    let mut table = format!("| {} |\n", COLUMNS.join(" | "));
    let _ = writeln!(table, "|{}", " --- |".repeat(COLUMNS.len()));
    for definition in definitions {
        row(&mut table, definition);
    }
    table
}

/// These options, each below a heading of its own, which a link can lead to.
#[must_use]
pub fn entries(definitions: &[&OptionDefinition]) -> String {
    let mut entries = String::new();
    for definition in definitions {
        let kind = escape(definition.type_name);
        let default = match definition.presence {
            Presence::Required => "**required**".to_owned(),
            _ => format!("default: {}", escape(&definition.default_text())),
        };
        let text = Text(&definition.description())
            .to_string()
            .replace("<br><br>", "\n\n");
        let _ = write!(
            entries,
            "\n### `{}`\n\n{kind} · {default}\n\n{text}\n",
            definition.key
        );
    }
    entries
}

fn row(table: &mut String, definition: &OptionDefinition) {
    let _ = writeln!(
        table,
        "| `{}` | {} | {} | {} |",
        definition.key,
        escape(&definition.default_text()),
        escape(definition.type_name),
        Text(&definition.description())
    );
}

/// A description as one line of Markdown.
pub(crate) struct Text<'a>(pub(crate) &'a Description);

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pieces) in self.0.paragraphs.iter().enumerate() {
            if index > 0 {
                formatter.write_str("<br><br>")?;
            }
            pieces
                .iter()
                .try_for_each(|each| formatter.write_str(&piece(each)))?;
        }
        Ok(())
    }
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => escape(text),
        Piece::Code(code) => format!("`{}`", code.replace('|', "\\|")),
        Piece::Link { label, url } => format!("[{}]({url})", escape(label)),
    }
}

/// Keeps text from being read as a cell border or as markup.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(
            character,
            '|' | '\\' | '*' | '_' | '<' | '>' | '`' | '[' | ']'
        ) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
