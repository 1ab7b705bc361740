//! Rows as CSV.

use std::io;

use csv::StringRecord;
use triton_model_fn::Value;

use super::sink::Sink;
use super::{Added, Cut, TableWriter, WriteError};
use crate::table::cell;
use crate::table::json_object::JsonObject;
use crate::table::row::{Fault, Layout, Original, Row};

/// Writes CSV with a header.
pub(super) struct CsvWriter {
    /// Only missing while it changes.
    writer: Option<csv::Writer<Sink>>,
    delimiter: u8,
}

fn writer(sink: Sink, delimiter: u8) -> csv::Writer<Sink> {
    csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(sink)
}

impl CsvWriter {
    pub(super) fn new(
        sink: Sink,
        delimiter: u8,
        layout: &Layout,
        added: &Added,
        is_new: bool,
    ) -> io::Result<Self> {
        let mut writer = writer(sink, delimiter);
        if is_new {
            let added = added.0.iter().map(|column| column.name.as_str());
            writer.write_record(layout.names().chain(added))?;
        }
        Ok(Self {
            writer: Some(writer),
            delimiter,
        })
    }

    fn writer(&mut self) -> io::Result<&mut csv::Writer<Sink>> {
        let writer = self.writer.as_mut();
        writer.ok_or_else(|| io::Error::other("the output failed before"))
    }

    fn sink(&mut self) -> io::Result<Sink> {
        let writer = self.writer.take();
        let writer = writer.ok_or_else(|| io::Error::other("the output failed before"))?;
        writer.into_inner().map_err(|error| error.into_error())
    }
}

impl TableWriter for CsvWriter {
    fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError> {
        let members = match &row.original {
            Original::Object(object) => Some(cells_of(object, &row.layout)?),
            _ => None,
        };
        let writer = self.writer()?;
        let mut fields = || -> csv::Result<()> {
            match (&row.original, &members) {
                (Original::Cells(record), _) => {
                    record
                        .iter()
                        .try_for_each(|field| writer.write_field(field))?;
                }
                (_, Some(cells)) => cells.iter().try_for_each(|cell| writer.write_field(cell))?,
                _ => {}
            }
            for value in added {
                writer.write_field(cell::format(value))?;
            }
            writer.write_record(None::<&[u8]>)
        };
        fields().map_err(|error| WriteError::Output(error.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer()?.flush()
    }

    fn cut(&mut self) -> io::Result<Cut> {
        let mut sink = self.sink()?;
        let cut = sink.cut()?;
        self.writer = Some(writer(sink, self.delimiter));
        Ok(cut)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.sink()?.finish()
    }
}

/// The values of an object as the cells of a layout.
fn cells_of(object: &JsonObject, layout: &Layout) -> Result<Vec<String>, Fault> {
    object.check_members(layout)?;
    let cells = layout.names().map(|name| {
        let cell = object
            .get(name)
            .map_or(Ok(String::new()), cell::try_cell_of_json);
        cell.map_err(|reason| Fault::of_column(name, reason))
    });
    cells.collect()
}

/// A record as a line of CSV, without the line's end.
pub(in crate::table) fn csv_line(record: &StringRecord) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail, and every field is text.
    let _ = writer.write_record(record);
    let line = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
}
