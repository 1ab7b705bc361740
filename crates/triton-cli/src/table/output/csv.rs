//! Rows as CSV.

use std::io::{self, Write as _};

use triton_model_fn::Value;

use super::sink::Sink;
use super::{Added, Cut, TableWriter, Unwritten, WriteError};
use crate::table::cell;
use crate::table::chunk::{Answered, Answers, ChunkRows};
use crate::table::fault::Fault;
use crate::table::json_object::JsonObject;
use crate::table::layout::Layout;
use crate::table::original::Original;
use crate::table::row::Row;

/// Writes CSV with a header.
pub(super) struct CsvWriter {
    sink: Sink,
    delimiter: u8,
    /// How many columns pass through: objects may have none.
    passed: usize,
    /// Lines that are being made.
    lines: Vec<u8>,
    /// The text of a value.
    value: String,
}

impl CsvWriter {
    pub(super) fn new(
        sink: Sink,
        delimiter: u8,
        layout: &Layout,
        added: &Added,
        is_new: bool,
    ) -> io::Result<Self> {
        let mut writer = Self {
            sink,
            delimiter,
            passed: layout.columns.len(),
            lines: Vec::new(),
            value: String::new(),
        };
        if is_new {
            let added = added.0.iter().map(|column| column.name.as_str());
            for (index, name) in layout.names().chain(added).enumerate() {
                writer.separate(index);
                writer.cell(name.as_bytes());
            }
            writer.end_lines()?;
        }
        Ok(writer)
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.lines.push(self.delimiter);
        }
    }

    /// Adds a cell, in quotes where it needs some.
    fn cell(&mut self, cell: &[u8]) {
        let means_something =
            |byte: &u8| *byte == self.delimiter || matches!(*byte, b'"' | b'\n' | b'\r');
        if !cell.iter().any(means_something) {
            self.lines.extend_from_slice(cell);
            return;
        }
        self.lines.push(b'"');
        for byte in cell {
            self.lines.push(*byte);
            if *byte == b'"' {
                self.lines.push(b'"');
            }
        }
        self.lines.push(b'"');
    }

    /// Adds the cell of a value at a place of the line.
    fn added(&mut self, place: usize, value: &Value) {
        self.separate(place);
        let mut text = std::mem::take(&mut self.value);
        text.clear();
        cell::write_cell(value, &mut text);
        self.cell(text.as_bytes());
        self.value = text;
    }

    fn end_lines(&mut self) -> io::Result<()> {
        self.lines.push(b'\n');
        self.sink.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}

impl TableWriter for CsvWriter {
    fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError> {
        match &row.original {
            Original::Cells(record) => {
                for (index, field) in record.iter().enumerate() {
                    self.separate(index);
                    self.cell(field.as_bytes());
                }
            }
            Original::Object(object) => {
                for (index, cell) in cells_of(object, &row.layout)?.iter().enumerate() {
                    self.separate(index);
                    self.cell(cell.as_bytes());
                }
            }
            _ => {}
        }
        for (index, value) in added.iter().enumerate() {
            self.added(self.passed + index, value);
        }
        if self.lines.is_empty() {
            // Lines without a byte are no rows.
            self.lines.extend_from_slice(b"\"\"");
        }
        self.end_lines()?;
        Ok(())
    }

    fn write_rows(&mut self, answered: &Answered<'_>, added: &Added) -> io::Result<Unwritten> {
        let (ChunkRows::Csv(rows), Answers::Values(columns)) =
            (&answered.chunk.rows, answered.answers)
        else {
            return self.write_each(answered, added);
        };
        for row in answered.rows.clone() {
            match rows.plain(row, self.delimiter) {
                Some(text) => self.lines.extend_from_slice(text),
                None => {
                    for (index, cell) in rows.cells(row).iter().enumerate() {
                        self.separate(index);
                        self.cell(cell);
                    }
                }
            }
            for index in 0..added.0.len() {
                // Rows that are handed over together have no sequence, and so no ID of one.
                let value = columns.get(index).and_then(|column| column.get(row));
                self.added(self.passed + index, value.unwrap_or(&Value::Null));
            }
            self.lines.push(b'\n');
        }
        self.sink.write_all(&self.lines)?;
        self.lines.clear();
        Ok(Vec::new())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    fn cut(&mut self) -> io::Result<Cut> {
        self.sink.cut()
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.sink.finish()
    }
}

/// The values of an object as the cells of a layout.
fn cells_of(object: &JsonObject, layout: &Layout) -> Result<Vec<String>, Fault> {
    let values = object.by_column(layout)?.into_iter();
    let cells = layout.names().zip(values).map(|(name, value)| {
        let cell = value.map_or(Ok(String::new()), cell::try_cell_of_json);
        cell.map_err(|reason| Fault::of_column(name, reason))
    });
    cells.collect()
}
