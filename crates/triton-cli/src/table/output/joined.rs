//! An output that cannot be written on from its middle: it is joined in the end from parts that
//! were complete one by one.

use std::io;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use fs_err::File;
use triton_model_fn::Value;

use super::batch_file::BatchFile;
use super::columns::{RowBuffer, io_error};
use super::{Cut, Destination, TableWriter, WriteError};
use crate::table::format::Format;
use crate::table::row::Row;

/// Writes parts to a folder, and joins them when all rows are there.
pub(super) struct JoinedWriter {
    destination: Destination,
    rows: RowBuffer,
    folder: PathBuf,
    /// The parts that are complete.
    parts: Vec<PathBuf>,
    current: Option<(PathBuf, BatchFile)>,
}

impl JoinedWriter {
    pub(super) fn new(
        destination: &Destination,
        rows: RowBuffer,
        folder: &Path,
        from: Option<&Cut>,
    ) -> anyhow::Result<Self> {
        // That the columns can be had in the format shows now, not after all rows.
        BatchFile::create(destination, &rows.schema)?;
        Ok(Self {
            destination: destination.clone(),
            rows,
            folder: folder.to_owned(),
            parts: from.map(|cut| cut.parts.clone()).unwrap_or_default(),
            current: None,
        })
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        let Some(batch) = self.rows.take()? else {
            return Ok(());
        };
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.next_part()?,
        };
        let written = current.1.write(&batch);
        self.current = Some(current);
        written
    }

    fn next_part(&self) -> io::Result<(PathBuf, BatchFile)> {
        let output = self.destination.path.as_deref().and_then(Path::file_name);
        let output = output.unwrap_or_default().to_string_lossy();
        let name = format!("{output}.{}.part", self.parts.len());
        let destination = Destination {
            path: Some(self.folder.join(&name)),
            format: Format::ArrowStream,
            compression: None,
            delimiter: None,
        };
        let file = BatchFile::create(&destination, &self.rows.schema).map_err(io::Error::other)?;
        Ok((PathBuf::from(name), file))
    }

    fn batches(&self, part: &Path) -> io::Result<impl Iterator<Item = io::Result<RecordBatch>>> {
        let file = File::open(self.folder.join(part))?;
        let reader = StreamReader::try_new_buffered(file, None).map_err(io_error)?;
        Ok(reader.map(|batch| batch.map_err(io_error)))
    }
}

impl TableWriter for JoinedWriter {
    fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError> {
        if !self.rows.has_room_for(row) {
            self.write_chunk()?;
        }
        self.rows.push(row, added)?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&mut self) -> io::Result<Cut> {
        self.write_chunk()?;
        if let Some((name, file)) = self.current.take() {
            file.finish()?;
            self.parts.push(name);
        }
        let parts = self.parts.clone();
        Ok(Cut { bytes: 0, parts })
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let cut = self.cut()?;
        let schema = &self.rows.schema;
        let mut output = BatchFile::create(&self.destination, schema).map_err(io::Error::other)?;
        for part in &cut.parts {
            for batch in self.batches(part)? {
                output.write(&batch?)?;
            }
        }
        output.finish()
    }
}
