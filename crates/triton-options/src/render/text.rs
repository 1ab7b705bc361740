//! The catalog as plain text for a terminal.

use std::fmt::Write as _;

use textwrap::Options;

use crate::{OptionDefinition, Piece, Presence};

/// These options, in lines of at most `width` characters.
#[must_use]
pub fn page(definitions: &[&OptionDefinition], width: usize) -> String {
    let options: Vec<String> = definitions
        .iter()
        .map(|definition| option(definition, width))
        .collect();
    options.join("\n")
}

fn option(definition: &OptionDefinition, width: usize) -> String {
    let mut text = format!("{}\n", definition.key);
    let facts = match definition.presence {
        Presence::Required => format!("{}, required", definition.type_name),
        Presence::Optional => definition.type_name.to_owned(),
        Presence::Default(_) => {
            format!(
                "{}, default {}",
                definition.type_name,
                definition.default_text()
            )
        }
    };
    let indented = Options::new(width)
        .initial_indent("    ")
        .subsequent_indent("    ");
    let paragraphs = definition
        .description()
        .paragraphs
        .into_iter()
        .map(|pieces| {
            pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) | Piece::Code(text) => text,
                    Piece::Link { label, url } => format!("{label} ({url})"),
                })
                .collect::<String>()
        });
    for paragraph in std::iter::once(facts).chain(paragraphs) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", textwrap::fill(&paragraph, &indented));
    }
    text
}
