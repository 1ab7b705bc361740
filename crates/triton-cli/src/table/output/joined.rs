//! An output that cannot be written on from its middle: it is joined in the end from parts that
//! were complete one by one.

use std::io;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use fs_err::File;
use triton_model_fn::Value;

use super::batch_file::{self, BatchFile, io_error};
use super::row_buffer::RowBuffer;
use super::sink::{TailedFile, Target};
use super::{Added, Cut, Destination, Parts, TableWriter, Unwritten, WriteError};
use crate::disk;
use crate::table::chunk::Answered;
use crate::table::format::Format;
use crate::table::row::Row;

/// Writes parts to a folder, and joins them when all rows are there.
pub(super) struct JoinedWriter {
    target: Target,
    format: Format,
    /// What the names of parts begin with.
    name: String,
    rows: RowBuffer,
    parts: Parts,
    /// The parts that are complete.
    complete: Vec<PathBuf>,
    current: Option<(PathBuf, BatchFile)>,
}

impl JoinedWriter {
    pub(super) fn new(
        target: Target,
        destination: &Destination,
        rows: RowBuffer,
        parts: &Parts,
        from: Option<&Cut>,
    ) -> anyhow::Result<Self> {
        // That the columns can be had in the format shows now, not after all rows.
        batch_file::check(destination.format, &rows.schema)?;
        let name = destination.location.path().and_then(Path::file_name);
        let complete = from.map(|cut| cut.parts.clone()).unwrap_or_default();
        Ok(Self {
            target,
            format: destination.format,
            name: name.unwrap_or_default().to_string_lossy().into_owned(),
            rows,
            parts: parts.clone(),
            complete,
            current: None,
        })
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        match self.rows.take()? {
            Some(batch) => self.write_batch(&batch),
            None => Ok(()),
        }
    }

    fn write_batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.next_part()?,
        };
        let written = current.1.write(batch);
        self.current = Some(current);
        written
    }

    fn next_part(&self) -> io::Result<(PathBuf, BatchFile)> {
        let name = self.parts.name(&self.name, self.complete.len());
        let target = Target::File(TailedFile::new(self.parts.create(&name)?));
        let file = BatchFile::begin(target, Format::ArrowStream, &self.rows.schema);
        Ok((name, file.map_err(io::Error::other)?))
    }
}

fn batches(part: &Path) -> io::Result<impl Iterator<Item = io::Result<RecordBatch>>> {
    let reader = StreamReader::try_new_buffered(File::open(part)?, None).map_err(io_error)?;
    Ok(reader.map(|batch| batch.map_err(io_error)))
}

impl TableWriter for JoinedWriter {
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
        self.write_batch(&batch)?;
        Ok(Vec::new())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&mut self) -> io::Result<Cut> {
        self.write_chunk()?;
        if let Some((name, file)) = self.current.take() {
            file.finish()?;
            disk::sync_folder_of(&self.parts.path(&name))?;
            self.complete.push(name);
        }
        Ok(Cut {
            parts: self.complete.clone(),
            ..Cut::default()
        })
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.cut()?;
        let Self {
            target,
            format,
            rows,
            parts,
            complete,
            ..
        } = *self;
        let output = BatchFile::begin(target, format, &rows.schema);
        let mut output = output.map_err(io::Error::other)?;
        for part in &complete {
            for batch in batches(&parts.path(part))? {
                output.write(&batch?)?;
            }
        }
        output.finish()
    }
}
