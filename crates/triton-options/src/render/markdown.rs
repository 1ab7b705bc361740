//! The catalog as one Markdown page: a table for each section.

use std::fmt::Write as _;

use super::{COLUMNS, sorted};
use crate::{Description, OptionDefinition, Piece, Section};

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
        let _ = write!(page, "\n## {title}\n\n{}", table(Some(*section)));
    }
    page
}

/// The table of `section`, or of all sections.
#[must_use]
pub fn table(section: Option<Section>) -> String {
    let mut table = format!("| {} |\n", COLUMNS.join(" | "));
    let _ = writeln!(table, "|{}", " --- |".repeat(COLUMNS.len()));
    for definition in sorted(section) {
        row(&mut table, definition);
    }
    table
}

fn row(table: &mut String, definition: &OptionDefinition) {
    let _ = writeln!(
        table,
        "| `{}` | {} | {} | {} |",
        definition.key,
        escape(&definition.default_text()),
        escape(definition.type_name),
        description(&definition.description())
    );
}

fn description(description: &Description) -> String {
    let paragraph = |pieces: &Vec<Piece>| pieces.iter().map(piece).collect::<String>();
    let paragraphs: Vec<String> = description.paragraphs.iter().map(paragraph).collect();
    paragraphs.join("<br><br>")
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => escape(text),
        Piece::Code(code) => format!("`{}`", code.replace('|', "\\|")),
        Piece::Link { label, url } => format!("[{}]({url})", escape(label)),
    }
}

/// Keeps text from being read as a cell border or as markup.
fn escape(text: &str) -> String {
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
