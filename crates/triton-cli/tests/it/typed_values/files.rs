//! Typed files of one column `x` beside the model's `value`, written and read by nothing of the
//! command's own.

use std::fs::File;
use std::io::Cursor;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, add_encoded_arrow_schema_to_metadata};
use parquet::file::properties::WriterProperties;

/// A model that takes the column `value`, which all files have.
pub(super) const ECHO: &str = "
    CREATE MODEL echo INPUT (`value` FLOAT) OUTPUT (echo FLOAT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')";

/// The columns behind `value`, which counts the rows.
pub(super) fn with_values(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let rows = columns[0].1.len();
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values(
        (0..rows).map(|row| row as f32),
    ));
    let fields = [Field::new("value", values.data_type().clone(), true)].into_iter();
    let others = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Schema::new(fields.chain(others).collect::<Vec<_>>());
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array));
    let arrays = [values].into_iter().chain(arrays).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).unwrap()
}

/// Writes a file in the format that its extension tells.
pub(super) fn write(path: &str, batches: &[RecordBatch]) {
    let file = File::create(path).unwrap();
    let schema = batches[0].schema();
    match path.rsplit_once('.').unwrap().1 {
        "parquet" => {
            let mut writer = ArrowWriter::try_new(file, schema, None).unwrap();
            batches
                .iter()
                .for_each(|batch| writer.write(batch).unwrap());
            writer.close().unwrap();
        }
        "arrow" => {
            let mut writer = FileWriter::try_new(file, &schema).unwrap();
            batches
                .iter()
                .for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        _ => {
            let mut writer = StreamWriter::try_new(file, &schema).unwrap();
            batches
                .iter()
                .for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
    }
}

/// Writes a Parquet file that says of its columns that they had another schema before.
pub(super) fn write_claiming(path: &str, batch: &RecordBatch, schema: &Schema) {
    let mut properties = WriterProperties::default();
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let options = ArrowWriterOptions::new()
        .with_skip_arrow_metadata(true)
        .with_properties(properties);
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// Reads a file as one batch.
pub(super) fn read(path: &str) -> RecordBatch {
    let bytes = std::fs::read(path).unwrap();
    let (schema, batches): (_, Vec<RecordBatch>) = match path.rsplit_once('.').unwrap().1 {
        "parquet" => {
            let file = File::open(path).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let schema = Arc::clone(reader.schema());
            let reader = reader.build().unwrap();
            (schema, reader.map(Result::unwrap).collect())
        }
        "arrow" => {
            let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
            (reader.schema(), reader.map(Result::unwrap).collect())
        }
        _ => {
            let reader = StreamReader::try_new(&bytes[..], None).unwrap();
            (reader.schema(), reader.map(Result::unwrap).collect())
        }
    };
    concat_batches(&schema, &batches).unwrap()
}
