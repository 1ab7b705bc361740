//! A file of record batches that is being written: Parquet, or one of the two forms of Arrow IPC.

use std::io::{self, BufWriter, Write};

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};
#[cfg(feature = "parquet")]
use parquet::{
    arrow::ArrowWriter, basic::Compression as ParquetCompression,
    file::properties::WriterProperties,
};

#[cfg(feature = "parquet")]
use super::parquet_units;
use super::sink::Target;
use crate::table::format::Format;

/// How many rows a row group of Parquet has at most, and how large it may grow in memory.
#[cfg(feature = "parquet")]
const ROW_GROUP: (usize, usize) = (128 * 1024, 64 * 1024 * 1024);

/// The file.
pub(super) enum BatchFile<W: Write = BufWriter<Target>> {
    #[cfg(feature = "parquet")]
    /// With the schema in units that Parquet has.
    Parquet(Box<ArrowWriter<W>>, SchemaRef),
    File(Box<FileWriter<W>>),
    Stream(Box<StreamWriter<W>>),
}

impl BatchFile {
    /// Begins a file of a format that holds record batches.
    pub(super) fn begin(
        target: Target,
        format: Format,
        schema: &SchemaRef,
    ) -> anyhow::Result<Self> {
        Self::begin_in(BufWriter::new(target), format, schema)
    }
}

impl<W: Write + Send> BatchFile<W> {
    fn begin_in(bytes: W, format: Format, schema: &SchemaRef) -> anyhow::Result<Self> {
        let options =
            || IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME));
        Ok(match format {
            #[cfg(feature = "parquet")]
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(ParquetCompression::SNAPPY)
                    .set_max_row_group_row_count(Some(ROW_GROUP.0))
                    .build();
                let schema = parquet_units::schema(schema);
                let writer =
                    ArrowWriter::try_new(bytes, SchemaRef::clone(&schema), Some(properties))?;
                BatchFile::Parquet(Box::new(writer), schema)
            }
            Format::ArrowStream => {
                let writer = StreamWriter::try_new_with_options(bytes, schema, options()?)?;
                BatchFile::Stream(Box::new(writer))
            }
            _ => {
                let writer = FileWriter::try_new_with_options(bytes, schema, options()?)?;
                BatchFile::File(Box::new(writer))
            }
        })
    }
}

/// Refuses columns that cannot be had in a format.
pub(super) fn check(format: Format, schema: &SchemaRef) -> anyhow::Result<()> {
    BatchFile::begin_in(io::sink(), format, schema).map(|_| ())
}

impl BatchFile {
    /// Whether readers can make use of what was written before the end is.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, BatchFile::Stream(_))
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        match self {
            #[cfg(feature = "parquet")]
            BatchFile::Parquet(writer, schema) => {
                let batch = parquet_units::batch(batch, schema).map_err(io_error)?;
                writer.write(&batch).map_err(parquet_error)?;
                if writer.in_progress_size() >= ROW_GROUP.1 {
                    writer.flush().map_err(parquet_error)?;
                }
                Ok(())
            }
            BatchFile::File(writer) => writer.write(batch).map_err(io_error),
            BatchFile::Stream(writer) => writer.write(batch).map_err(io_error),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            BatchFile::Stream(writer) => writer.flush().map_err(io_error),
            _ => Ok(()),
        }
    }

    /// Writes what belongs at the end, and brings the file to the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        let mut bytes = match self {
            #[cfg(feature = "parquet")]
            BatchFile::Parquet(writer, _) => writer.into_inner().map_err(parquet_error)?,
            BatchFile::File(writer) => writer.into_inner().map_err(io_error)?,
            BatchFile::Stream(writer) => writer.into_inner().map_err(io_error)?,
        };
        bytes.flush()?;
        bytes.get_mut().sync().map(|_| ())
    }
}

#[cfg(feature = "parquet")]
fn parquet_error(error: parquet::errors::ParquetError) -> io::Error {
    // As an error of Arrow it would keep no more than its text.
    io::Error::other(error)
}

/// What Arrow says is wrong with an output.
pub(super) fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        error => io::Error::other(error),
    }
}
