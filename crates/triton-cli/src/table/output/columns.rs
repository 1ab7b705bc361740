//! Rows as typed columns: Parquet and Arrow IPC, some hundred rows at a time.

use std::io;
use std::sync::Arc;

use anyhow::Context as _;
use arrow_schema::{Field, Schema, SchemaRef};
use triton_model_fn::Value;

use super::batch_file::BatchFile;
use super::joined::JoinedWriter;
use super::row_buffer::RowBuffer;
use super::sink::Target;
use super::{Added, Cut, Destination, Parts, TableWriter, Unwritten, WriteError};
use crate::table::chunk::Answered;
use crate::table::layout::{Layout, PassedKind};
use crate::table::row::Row;

/// Begins an output of typed columns.
pub(super) fn create(
    target: Target,
    destination: &Destination,
    layout: &Layout,
    added: &Added,
    parts: Option<&Parts>,
    from: Option<&Cut>,
) -> anyhow::Result<Box<dyn TableWriter>> {
    let schema = schema(layout, added);
    Ok(match parts {
        None => {
            let file = BatchFile::begin(target, destination.format, &schema)
                .with_context(|| format!("the output cannot be {}", destination.format))?;
            Box::new(ColumnsWriter::new(file, schema, added))
        }
        Some(parts) => {
            let rows = RowBuffer::new(schema, added);
            Box::new(JoinedWriter::new(target, destination, rows, parts, from)?)
        }
    })
}

fn schema(layout: &Layout, added: &Added) -> SchemaRef {
    let passed = layout.columns.iter().map(|column| match &column.kind {
        // A row of another input may lack what this one always has.
        PassedKind::Arrow(field) => field.as_ref().clone().with_nullable(true),
        _ => Field::new(&column.name, column.arrow_type(), true),
    });
    let added = added.0.iter();
    let added = added.map(|column| Field::new(&column.name, column.data_type.arrow_type(), true));
    Arc::new(Schema::new(passed.chain(added).collect::<Vec<_>>()))
}

/// Writes record batches straight to their destination.
struct ColumnsWriter {
    rows: RowBuffer,
    file: BatchFile,
}

impl ColumnsWriter {
    fn new(file: BatchFile, schema: SchemaRef, added: &Added) -> Self {
        let rows = RowBuffer::new(schema, added);
        Self { rows, file }
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        match self.rows.take()? {
            Some(batch) => self.file.write(&batch),
            None => Ok(()),
        }
    }
}

impl TableWriter for ColumnsWriter {
    fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError> {
        if !self.rows.has_room_for(row) {
            self.write_chunk()?;
        }
        self.rows.push(row, added)?;
        Ok(())
    }

    fn write_rows(&mut self, answered: &Answered<'_>, added: &Added) -> io::Result<Unwritten> {
        let Some(batch) = self.rows.whole(answered).map_err(io::Error::other)? else {
            return self.write_each(answered, added);
        };
        self.write_chunk()?;
        self.file.write(&batch)?;
        Ok(Vec::new())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.file.is_stream() {
            self.write_chunk()?;
        }
        self.file.flush()
    }

    fn cut(&mut self) -> io::Result<Cut> {
        Err(io::Error::other("an output of this format cannot be cut"))
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.write_chunk()?;
        self.file.finish()
    }
}
