//! Reads option tables back from HTML and Markdown, so that pages are compared row by row.

use html5gum::{Token, Tokenizer};
use triton_options::render::COLUMNS;

/// The cells of one option's row, as text without markup.
pub(super) type Row = [String; COLUMNS.len()];

/// The rows of every table in a page, in order.
pub(super) fn rows(file_name: &str, text: &str) -> Result<Vec<Row>, String> {
    if file_name.ends_with(".html") {
        html_rows(text)
    } else {
        markdown_rows(text)
    }
}

fn html_rows(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut cells: Vec<String> = Vec::new();
    let mut in_cell = false;
    for token in Tokenizer::new(text) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) if &**tag.name == b"tr" => cells.clear(),
            Token::StartTag(tag) if &**tag.name == b"td" => {
                cells.push(String::new());
                in_cell = true;
            }
            Token::StartTag(tag) if &**tag.name == b"br" => push(&mut cells, in_cell, "\n"),
            Token::String(characters) => {
                push(&mut cells, in_cell, &String::from_utf8_lossy(&characters));
            }
            Token::EndTag(tag) if &**tag.name == b"td" => in_cell = false,
            // The heading's row has no `td`.
            Token::EndTag(tag) if &**tag.name == b"tr" && !cells.is_empty() => {
                rows.push(row(std::mem::take(&mut cells))?);
            }
            Token::Error(error) => return Err(format!("is malformed HTML: {}", error.value)),
            _ => {}
        }
    }
    Ok(rows)
}

fn push(cells: &mut [String], in_cell: bool, text: &str) {
    if let (true, Some(cell)) = (in_cell, cells.last_mut()) {
        cell.push_str(text);
    }
}

fn markdown_rows(text: &str) -> Result<Vec<Row>, String> {
    let heading = format!("| {} |", COLUMNS.join(" | "));
    text.lines()
        .filter(|line| line.starts_with('|') && *line != heading && !line.starts_with("| ---"))
        .filter(|line| !line.trim_matches(['|', ' ', '-']).is_empty())
        .map(|line| row(markdown_cells(line)))
        .collect()
}

/// Splits a line at its borders; `\` keeps the character after it from being one.
fn markdown_cells(line: &str) -> Vec<String> {
    let inner = line.strip_prefix('|').unwrap_or(line);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let mut cells = vec![String::new()];
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character == '|' {
            cells.push(String::new());
        } else if let Some(cell) = cells.last_mut() {
            cell.push(character);
            if character == '\\' {
                cell.extend(characters.next());
            }
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn row(cells: Vec<String>) -> Result<Row, String> {
    cells.try_into().map_err(|cells: Vec<String>| {
        format!(
            "has a row of {} cells instead of {}: {cells:?}",
            cells.len(),
            COLUMNS.len()
        )
    })
}
