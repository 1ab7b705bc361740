//! Parquet files as record batches, and what of them cannot be read, said before any row is.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context as _, bail};
use arrow_schema::{DataType as ArrowType, Field, FieldRef, Schema};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ConvertedType};
use parquet::file::reader::Length as _;

use super::arrow::{ArrowReader, Opened};
use super::bytes::count;
use super::damaged::caught;
use super::extent::BatchExtent;
use super::int96::Int96Columns;
use super::parquet_file::ParquetFile;
use super::parquet_metadata::{batch_rows, leaves_where};
use super::{Input, Wanted};
use crate::table::format::Form;

/// What Parquet files begin and end with.
const MAGIC: &[u8] = b"PAR1";

/// The same where the end is encrypted.
const ENCRYPTED_MAGIC: &[u8] = b"PARE";

/// Where the schema is kept that the columns had before they became Parquet.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// Reads a Parquet file.
pub(super) fn parquet_reader(
    input: &Input,
    file: ParquetFile,
    progress: &Arc<AtomicU64>,
    wanted: &Wanted,
) -> anyhow::Result<ArrowReader> {
    let extent = BatchExtent::begin(progress);
    let opened = caught(|| open(file, progress, wanted.form))?;
    ArrowReader::new(input, opened, extent, wanted)
}

fn open(file: ParquetFile, progress: &Arc<AtomicU64>, form: Form) -> anyhow::Result<Opened> {
    check_ends(&file)?;
    let bytes = file.len();
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .context("it cannot be read as Parquet")?;
    file.divide(metadata.metadata());
    check_codecs(&metadata)?;
    check_intervals(&metadata)?;
    let metadata = with_dates_as_they_are(metadata);
    let times = Int96Columns::find(&metadata);
    let (metadata, companions) = match &times {
        Some(times) => times.open(&file, &metadata, form)?,
        None => (metadata, None),
    };
    let rows = metadata.metadata().file_metadata().num_rows();
    let rows = u64::try_from(rows).unwrap_or_default();
    let schema = Arc::clone(metadata.schema());
    let batch_rows = batch_rows(&metadata);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let reader = reader.with_batch_size(batch_rows).build()?;
    let progress = Arc::clone(progress);
    let counted = reader.map(move |batch| {
        let batch = batch?;
        // Pages are read as they lie, so the rows tell better how far it is.
        let done = bytes as f64 * batch.num_rows() as f64 / rows.max(1) as f64;
        count(&progress, done as usize);
        Ok(batch)
    });
    Ok(match companions {
        None => Opened {
            schema,
            batches: Box::new(counted),
            times: None,
        },
        Some(companions) => Opened {
            schema,
            batches: Box::new(companions.beside(counted)),
            times,
        },
    })
}

/// Reads a DATE as the days that it has, whatever finer unit its column had before it became
/// Parquet: written again it is a DATE.
fn with_dates_as_they_are(metadata: ArrowReaderMetadata) -> ArrowReaderMetadata {
    let schema = metadata.schema();
    let fields = schema.fields().iter().map(in_days);
    let fields: Vec<FieldRef> = fields.collect();
    let in_days = Schema::new_with_metadata(fields, schema.metadata().clone());
    if in_days == **schema {
        return metadata;
    }
    let options = ArrowReaderOptions::new().with_schema(Arc::new(in_days));
    // Where such a column is no DATE in the file, it stays what it was.
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).unwrap_or(metadata)
}

fn in_days(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        ArrowType::Date64 => ArrowType::Date32,
        ArrowType::List(field) => ArrowType::List(in_days(field)),
        ArrowType::LargeList(field) => ArrowType::LargeList(in_days(field)),
        ArrowType::FixedSizeList(field, size) => ArrowType::FixedSizeList(in_days(field), *size),
        ArrowType::Map(field, is_sorted) => ArrowType::Map(in_days(field), *is_sorted),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(in_days).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// Looks at both ends of the file, which say better than the library what is wrong with it.
fn check_ends(file: &ParquetFile) -> anyhow::Result<()> {
    let length = file.len();
    if length == 0 {
        bail!("it is empty: a Parquet file has at least a schema");
    }
    if length < 2 * MAGIC.len() as u64 {
        bail!("it is too short for a Parquet file: it has {length} bytes");
    }
    let end = file.bytes_at(length - MAGIC.len() as u64, MAGIC.len())?;
    let start = file.bytes_at(0, MAGIC.len())?;
    if start == ENCRYPTED_MAGIC || end == ENCRYPTED_MAGIC {
        bail!("its footer is encrypted, and encrypted Parquet is not read: write it in the clear");
    }
    if start != MAGIC {
        bail!("it does not begin as a Parquet file does, with PAR1");
    }
    if end != MAGIC {
        bail!("its end is missing: a Parquet file ends with PAR1");
    }
    Ok(())
}

/// Refuses pages that cannot be decompressed.
fn check_codecs(metadata: &ArrowReaderMetadata) -> anyhow::Result<()> {
    for group in metadata.metadata().row_groups() {
        for column in group.columns() {
            let codec = unread_codec(column.compression(), cfg!(feature = "brotli"));
            if let Some(codec) = codec {
                bail!(
                    "column '{}' is compressed with {codec}: write the file with zstd, Snappy or \
                     without compression",
                    column.column_path().string()
                );
            }
        }
    }
    Ok(())
}

/// The name of a codec that is not read, and why it is not.
fn unread_codec(codec: Compression, with_brotli: bool) -> Option<&'static str> {
    match codec {
        Compression::LZO => Some("LZO, which is not read"),
        // Hardly any file has it, and everybody would compile it.
        Compression::BROTLI(_) if !with_brotli => Some(
            "Brotli, which this build of the command does not read, as it was built without the \
             feature `brotli` (cargo build --features brotli)",
        ),
        _ => None,
    }
}

/// Refuses intervals of which no schema says that they have no months, or nothing but months:
/// reading one of the two would lose the other.
fn check_intervals(metadata: &ArrowReaderMetadata) -> anyhow::Result<()> {
    let file = metadata.metadata().file_metadata();
    let known = file.key_value_metadata().into_iter().flatten();
    if known.into_iter().any(|entry| entry.key == ARROW_SCHEMA) {
        return Ok(());
    }
    let leaves = leaves_where(file.schema_descr(), |column| {
        column.converted_type() == ConvertedType::INTERVAL
    });
    let Some(leaf) = leaves.first() else {
        return Ok(());
    };
    bail!(
        "column '{}' is an INTERVAL, and the file does not say whether it is of months or of days \
         and milliseconds, so that one of the two would be lost: leave it out, or write numbers",
        file.schema_descr().column(*leaf).path().string()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_is_read_where_it_was_built_in() {
        let brotli = Compression::BROTLI(parquet::basic::BrotliLevel::default());
        assert_eq!(unread_codec(brotli, true), None);
        insta::assert_snapshot!(unread_codec(brotli, false).unwrap(), @"Brotli, which this build of the command does not read, as it was built without the feature `brotli` (cargo build --features brotli)");
        assert_eq!(unread_codec(Compression::SNAPPY, false), None);
    }
}
