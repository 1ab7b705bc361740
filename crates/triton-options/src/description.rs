//! Option texts as pieces, so that each output format marks up code and links in its own way.
//!
//! A text is the doc comment of the option's definition, in a small subset of Markdown: plain
//! words, `` `code` `` and `[label](url)`. rustdoc and Markdown read it as it stands.

/// One piece of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// Plain words.
    Text(String),
    /// Something the user types or reads literally.
    Code(String),
    /// A link to a page outside the project.
    Link {
        /// The words shown.
        label: String,
        /// The address they lead to.
        url: String,
    },
}

/// The description of an option: paragraphs of [`Piece`]s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The paragraphs in order, each a run of pieces.
    pub paragraphs: Vec<Vec<Piece>>,
}

impl Description {
    /// Reads the text of an option.
    ///
    /// An unclosed mark is kept as plain text; a test over the whole catalog sees to it that
    /// no option has one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let paragraphs = lines
            .split(|line| line.is_empty())
            .filter(|lines| !lines.is_empty())
            .map(|lines| pieces(&lines.join(" ")))
            .collect();
        Self { paragraphs }
    }
}

fn pieces(mut rest: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    while let Some(position) = rest.find(['`', '[']) {
        plain.push_str(&rest[..position]);
        rest = &rest[position..];
        if let Some((piece, after)) = marked(rest) {
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
            rest = after;
        } else {
            plain.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

/// Reads the code or link that `text` opens with, and what follows it.
fn marked(text: &str) -> Option<(Piece, &str)> {
    if let Some(code) = text.strip_prefix('`') {
        let (code, after) = code.split_once('`')?;
        return Some((Piece::Code(code.to_owned()), after));
    }
    let (label, after) = text.strip_prefix('[')?.split_once("](")?;
    let (url, after) = after.split_once(')')?;
    let piece = Piece::Link {
        label: label.to_owned(),
        url: url.to_owned(),
    };
    Some((piece, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_links_and_paragraphs_become_pieces() {
        let description =
            Description::parse(" Use `a-b` or\n see [docs](https://x.org/a).\n\n More.");
        assert_eq!(
            description.paragraphs,
            vec![
                vec![
                    Piece::Text("Use ".into()),
                    Piece::Code("a-b".into()),
                    Piece::Text(" or see ".into()),
                    Piece::Link {
                        label: "docs".into(),
                        url: "https://x.org/a".into()
                    },
                    Piece::Text(".".into()),
                ],
                vec![Piece::Text("More.".into())],
            ]
        );
    }

    #[test]
    fn an_unclosed_mark_stays_text() {
        let description = Description::parse("a `b and [c");
        assert_eq!(
            description.paragraphs,
            vec![vec![Piece::Text("a `b and [c".into())]]
        );
    }
}
