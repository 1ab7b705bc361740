//! Aligned columns for a terminal, however narrow.

use crate::controls::shown_within_line;

/// The least room for the last column beside the others.
const LEAST_LAST: usize = 16;

/// Rows under a heading; numbers stand to the right.
pub(crate) struct TextTable {
    rows: Vec<Vec<String>>,
    /// Whether a column stands to the right, for as many as are said.
    right: Vec<bool>,
}

impl TextTable {
    /// A table whose first row is `heading`; a name that begins with `>` is one of numbers.
    pub(crate) fn new(heading: &[&str]) -> Self {
        let right = heading.iter().map(|name| name.starts_with('>')).collect();
        let names = heading
            .iter()
            .map(|name| name.trim_start_matches('>').to_owned());
        let rows = vec![names.collect()];
        Self { rows, right }
    }

    /// Adds a row; no cell leaves its place, whatever a server has put into it.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter();
        let cells = cells.map(|cell| shown_within_line(&cell).into_owned());
        self.rows.push(cells.collect());
    }

    /// The lines of the table, none longer than `width` where that is possible: the last column
    /// is broken at its words, below the others if too little room is left beside them.
    pub(crate) fn lines(&self, width: usize) -> String {
        let columns = self.right.len();
        let length = |row: &Vec<String>, column: usize| {
            row.get(column)
                .map_or(0, |cell| textwrap::core::display_width(cell))
        };
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let lengths = self.rows.iter().map(|row| length(row, column));
                lengths.max().unwrap_or(0)
            })
            .collect();
        let before: usize = widths[..columns - 1].iter().map(|width| width + 2).sum();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().take(columns - 1).enumerate() {
                line.push_str(&self.cell(column, cell, widths[column]));
                line.push_str("  ");
            }
            let last = row.get(columns - 1).map_or("", String::as_str);
            let last = match self.right[columns - 1] {
                true => self.cell(columns - 1, last, widths[columns - 1]),
                false => last.to_owned(),
            };
            let room = width.saturating_sub(before);
            if length(row, columns - 1) <= room {
                text.push_str((line + &last).trim_end());
                text.push('\n');
                continue;
            }
            let indent = if room >= LEAST_LAST { before } else { 4 };
            let indent = " ".repeat(indent);
            let first = if room >= LEAST_LAST {
                line
            } else {
                text.push_str(line.trim_end());
                text.push('\n');
                indent.clone()
            };
            let options = textwrap::Options::new(width)
                .initial_indent(&first)
                .subsequent_indent(&indent);
            text.push_str(&textwrap::fill(&last, options));
            text.push('\n');
        }
        text
    }

    fn cell(&self, column: usize, cell: &str, width: usize) -> String {
        let blank = " ".repeat(width.saturating_sub(textwrap::core::display_width(cell)));
        match self.right[column] {
            true => blank + cell,
            false => cell.to_owned() + &blank,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TextTable {
        let mut table = TextTable::new(&["MODEL", ">VERSION", "STATE"]);
        table.row(["echo".to_owned(), "10".to_owned(), "READY".to_owned()]);
        let broken = "UNAVAILABLE: it cannot be loaded, for many words".to_owned();
        table.row(["a-long-name".to_owned(), "2".to_owned(), broken]);
        table
    }

    #[test]
    fn no_cell_leaves_its_place() {
        let mut table = TextTable::new(&["MODEL", "STATE"]);
        table.row(["a\nb\u{1b}[2J".to_owned(), "READY\u{202e}".to_owned()]);
        insta::assert_snapshot!(table.lines(200), @r"
        MODEL          STATE
        a\nb\u{1b}[2J  READY\u{202e}
        ");
    }

    #[test]
    fn columns_are_aligned_and_the_last_is_broken() {
        insta::assert_snapshot!(table().lines(200), @"
        MODEL        VERSION  STATE
        echo              10  READY
        a-long-name        2  UNAVAILABLE: it cannot be loaded, for many words
        ");
        insta::assert_snapshot!(table().lines(50), @"
        MODEL        VERSION  STATE
        echo              10  READY
        a-long-name        2  UNAVAILABLE: it cannot be
                              loaded, for many words
        ");
        insta::assert_snapshot!(table().lines(30), @"
        MODEL        VERSION  STATE
        echo              10  READY
        a-long-name        2
            UNAVAILABLE: it cannot be
            loaded, for many words
        ");
    }
}
