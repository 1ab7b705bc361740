//! The catalog as HTML tables, in the form of Apache Flink's generated configuration pages.

use std::fmt::Write as _;

use super::table::COLUMNS;
use crate::{Description, OptionDefinition, Piece};

/// The table of these options.
#[must_use]
pub fn table(definitions: &[&OptionDefinition]) -> String {
    let mut html = String::from("<table class=\"configuration table table-bordered\">\n");
    html.push_str("    <thead>\n        <tr>\n");
    for (heading, width) in COLUMNS.iter().zip([20, 15, 15, 50]) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            html,
            "            <th class=\"text-left\" style=\"width: {width}%\">{heading}</th>"
        );
    }
    html.push_str("        </tr>\n    </thead>\n    <tbody>\n");
    for definition in definitions {
        row(&mut html, definition);
    }
    html.push_str("    </tbody>\n</table>\n");
    html
}

fn row(html: &mut String, definition: &OptionDefinition) {
    let key = escape(definition.key);
    let default = escape(&definition.default_text());
    let kind = escape(definition.type_name);
    let text = description(&definition.description());
    let _ = write!(
        html,
        "        <tr>\n            \
         <td><h5 id=\"{key}\">{key}</h5></td>\n            \
         <td style=\"word-wrap: break-word;\">{default}</td>\n            \
         <td>{kind}</td>\n            \
         <td>{text}</td>\n        \
         </tr>\n"
    );
}

fn description(description: &Description) -> String {
    let paragraph = |pieces: &Vec<Piece>| pieces.iter().map(piece).collect::<String>();
    let paragraphs: Vec<String> = description.paragraphs.iter().map(paragraph).collect();
    paragraphs.join("<br /><br />")
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => escape(text),
        Piece::Code(code) => format!("<code>{}</code>", escape(code)),
        Piece::Link { label, url } => {
            format!("<a href=\"{}\">{}</a>", escape(url), escape(label))
        }
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
