//! Rows as NDJSON.

use std::io::{self, Write as _};

use triton_model_fn::Value;

use super::sink::Sink;
use super::{Added, Cut, TableWriter, Unwritten, WriteError};
use crate::table::cell;
use crate::table::chunk::{Answered, Answers, ChunkRows};
use crate::table::fault::Fault;
use crate::table::json_object::JsonObject;
use crate::table::layout::PassedKind;
use crate::table::original::Original;
use crate::table::row::Row;

/// Writes one JSON object a line.
pub(super) struct NdjsonWriter {
    sink: Sink,
    /// The names of the added columns, and the same quoted with a colon.
    added: Vec<(String, String)>,
    /// Lines that are being made.
    lines: String,
}

impl NdjsonWriter {
    pub(super) fn new(sink: Sink, added: &Added) -> Self {
        let added = added.0.iter().map(|column| {
            let mut quoted = String::new();
            cell::write_json_text(&column.name, &mut quoted);
            quoted.push(':');
            (column.name.clone(), quoted)
        });
        Self {
            sink,
            added: added.collect(),
            lines: String::new(),
        }
    }

    /// Begins a line with an object's own members.
    fn begin_object(&mut self, object: &JsonObject) -> Result<(), Fault> {
        for (name, _) in &self.added {
            if object.get(name).is_some() {
                let reason = "the row has a member of this name, which the output adds";
                return Err(Fault::of_column(name, reason));
            }
        }
        let text = object.text();
        self.lines.push_str(text[..text.len() - 1].trim_end());
        Ok(())
    }

    /// Begins a line with the members that the row has already.
    fn begin(&mut self, row: &Row) -> Result<(), Fault> {
        match &row.original {
            Original::Object(object) => self.begin_object(object)?,
            Original::Cells(record) => {
                self.lines.push('{');
                for (column, text) in row.layout.columns.iter().zip(record) {
                    self.separate();
                    cell::write_json_text(&column.name, &mut self.lines);
                    self.lines.push(':');
                    let typed = match &column.kind {
                        PassedKind::Input(index, data_type) => {
                            row.input_value(*index).map(|value| (data_type, value))
                        }
                        _ => None,
                    };
                    match typed {
                        // What cannot be read stays the text that it is.
                        Some((data_type, value))
                            if *value != Value::Null || text.trim().is_empty() =>
                        {
                            cell::write_json_of_cell(data_type, text, value, &mut self.lines);
                        }
                        _ => cell::write_json_text(text, &mut self.lines),
                    }
                }
            }
            _ => return Err(Fault::of_row("the row has no form that NDJSON could take")),
        }
        Ok(())
    }

    fn separate(&mut self) {
        if !self.lines.ends_with('{') {
            self.lines.push(',');
        }
    }

    /// Adds a member of the columns that are added, by their order.
    fn added(&mut self, index: usize, value: &Value) {
        self.separate();
        let (_, quoted) = &self.added[index];
        self.lines.push_str(quoted);
        cell::write_json(value, &mut self.lines);
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let written = self.sink.write_all(self.lines.as_bytes());
        self.lines.clear();
        written
    }
}

impl TableWriter for NdjsonWriter {
    fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError> {
        self.begin(row)?;
        for (index, value) in added.iter().enumerate() {
            self.added(index, value);
        }
        self.lines.push_str("}\n");
        self.hand_on()?;
        Ok(())
    }

    fn write_rows(&mut self, answered: &Answered<'_>, added: &Added) -> io::Result<Unwritten> {
        let (ChunkRows::Json(rows), Answers::Values(columns)) =
            (&answered.chunk.rows, answered.answers)
        else {
            return self.write_each(answered, added);
        };
        let mut unwritten = Vec::new();
        for row in answered.rows.clone() {
            let Some(object) = rows.object(row) else {
                unwritten.push((row, Fault::of_row("the row is no object")));
                continue;
            };
            if let Err(fault) = self.begin_object(object) {
                unwritten.push((row, fault));
                continue;
            }
            for index in 0..added.0.len() {
                // Rows that are handed over together have no sequence, and so no ID of one.
                let value = columns.get(index).and_then(|column| column.get(row));
                self.added(index, value.unwrap_or(&Value::Null));
            }
            self.lines.push_str("}\n");
        }
        self.hand_on()?;
        Ok(unwritten)
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
