//! Rows as NDJSON.

use std::io::{self, Write as _};

use triton_model_fn::Value;

use super::sink::Sink;
use super::{Added, Cut, TableWriter, WriteError};
use crate::table::cell;
use crate::table::row::{Fault, Original, PassedKind, Row};

/// Writes one JSON object a line.
pub(super) struct NdjsonWriter {
    sink: Sink,
    /// The names of the added columns, and the same quoted with a colon.
    added: Vec<(String, String)>,
    line: String,
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
            line: String::new(),
        }
    }

    /// Begins the line with the members that the row has already.
    fn begin(&mut self, row: &Row) -> Result<(), Fault> {
        self.line.clear();
        match &row.original {
            Original::Object(object) => {
                for (name, _) in &self.added {
                    if object.get(name).is_some() {
                        let reason = "the row has a member of this name, which the output adds";
                        return Err(Fault::of_column(name, reason));
                    }
                }
                let text = object.text();
                self.line.push_str(text[..text.len() - 1].trim_end());
            }
            Original::Cells(record) => {
                self.line.push('{');
                for (column, text) in row.layout.columns.iter().zip(record) {
                    self.separate();
                    cell::write_json_text(&column.name, &mut self.line);
                    self.line.push(':');
                    let typed = match &column.kind {
                        PassedKind::Input(index, data_type) => {
                            row.input_value(*index).map(|value| (data_type, value))
                        }
                        _ => None,
                    };
                    match typed {
                        // What cannot be read stays the text that it is.
                        Some((data_type, value)) if row.values.is_ok() || *value != Value::Null => {
                            cell::write_json_of_cell(data_type, text, value, &mut self.line);
                        }
                        _ => cell::write_json_text(text, &mut self.line),
                    }
                }
            }
            _ => return Err(Fault::of_row("the row has no form that NDJSON could take")),
        }
        Ok(())
    }

    fn separate(&mut self) {
        if !self.line.ends_with('{') {
            self.line.push(',');
        }
    }
}

impl TableWriter for NdjsonWriter {
    fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError> {
        self.begin(row)?;
        for (index, value) in added.iter().enumerate() {
            self.separate();
            let (_, quoted) = &self.added[index];
            self.line.push_str(quoted);
            cell::write_json(value, &mut self.line);
        }
        self.line.push_str("}\n");
        self.sink.write_all(self.line.as_bytes())?;
        Ok(())
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
