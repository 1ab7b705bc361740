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
use super::parquet_whole::{all_of, check_alone, check_ends, check_rows};
use super::{Input, Wanted};
use crate::table::format::Form;

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
    check_rows(metadata.metadata())?;
    check_alone(&file, metadata.metadata())?;
    file.divide(metadata.metadata());
    check_codecs(&metadata)?;
    check_intervals(&metadata)?;
    let metadata = with_types_as_they_are(metadata);
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
            batches: all_of(rows, Box::new(counted)),
            times: None,
        },
        Some(companions) => Opened {
            schema,
            batches: all_of(rows, Box::new(companions.beside(counted))),
            times,
        },
    })
}

/// Reads columns as what the file has, whatever they were before they became Parquet: values that were
/// in a dictionary as they are, since the library has dictionaries of some types alone, and a DATE as
/// its days, since written again it is a DATE.
fn with_types_as_they_are(metadata: ArrowReaderMetadata) -> ArrowReaderMetadata {
    let values = |data_type: &ArrowType| match data_type {
        ArrowType::Dictionary(_, values) => Some(values.as_ref().clone()),
        ArrowType::RunEndEncoded(_, values) => Some(values.data_type().clone()),
        _ => None,
    };
    let days = |data_type: &ArrowType| match data_type {
        ArrowType::Date64 => Some(ArrowType::Date32),
        _ => None,
    };
    // One after the other: where a column was of milliseconds and is no DATE in the file, the second
    // one is refused.
    retyped(retyped(metadata, &values), &days)
}

/// Reads the columns of some types as another, unless the file does not have them so.
fn retyped(metadata: ArrowReaderMetadata, other: &Other) -> ArrowReaderMetadata {
    let schema = metadata.schema();
    let fields = schema.fields().iter();
    let fields: Vec<FieldRef> = fields.map(|field| retyped_field(field, other)).collect();
    let retyped = Schema::new_with_metadata(fields, schema.metadata().clone());
    if retyped == **schema {
        return metadata;
    }
    let options = ArrowReaderOptions::new().with_schema(Arc::new(retyped));
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).unwrap_or(metadata)
}

/// The type that takes the place of one, if another does.
type Other = dyn Fn(&ArrowType) -> Option<ArrowType>;

fn retyped_field(field: &FieldRef, other: &Other) -> FieldRef {
    let inner = |field: &FieldRef| retyped_field(field, other);
    let data_type = other(field.data_type());
    let data_type = data_type.as_ref().unwrap_or(field.data_type());
    let data_type = match data_type {
        ArrowType::List(field) => ArrowType::List(inner(field)),
        ArrowType::LargeList(field) => ArrowType::LargeList(inner(field)),
        ArrowType::FixedSizeList(field, size) => ArrowType::FixedSizeList(inner(field), *size),
        ArrowType::ListView(field) => ArrowType::ListView(inner(field)),
        ArrowType::LargeListView(field) => ArrowType::LargeListView(inner(field)),
        ArrowType::Map(field, is_sorted) => ArrowType::Map(inner(field), *is_sorted),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(inner).collect()),
        scalar => scalar.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
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
