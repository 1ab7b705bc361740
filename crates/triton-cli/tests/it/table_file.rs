//! Files of rows, written and read by nothing of the command's own.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};

/// A row with a column of each kind: one that passes through, one that the model takes, one that
/// needs quotes, and, behind these, what the model gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TestRow {
    pub(crate) id: i64,
    pub(crate) value: Vec<f32>,
    pub(crate) name: String,
    pub(crate) echo: Option<Vec<f32>>,
}

/// Rows with whatever is hard to write down.
pub(crate) fn rows() -> Vec<TestRow> {
    let names = [
        "plain",
        "a, b",
        "\"quoted\"",
        "two\nlines",
        "ümläut ✓",
        " ",
        "null",
        "0012",
    ];
    let rows = names.iter().cycle().take(40).enumerate();
    rows.map(|(index, name)| TestRow {
        // More digits than a double has.
        id: i64::MAX - index as i64,
        value: (0..index % 5 + 1)
            .map(|place| place as f32 * 0.1 - index as f32)
            .collect(),
        name: (*name).to_owned(),
        echo: None,
    })
    .collect()
}

/// Writes the rows in the format that the file's name tells.
pub(crate) fn write(path: &str, rows: &[TestRow]) {
    let (plain, bytes) = match path.strip_suffix(".gz") {
        Some(plain) => (plain, encoded(plain, rows)),
        None => (
            path,
            encoded(path.strip_suffix(".zst").unwrap_or(path), rows),
        ),
    };
    let bytes = if plain != path {
        // Two members, as after a file was written on.
        let (start, end) = bytes.split_at(bytes.len() / 2);
        [start, end]
            .iter()
            .flat_map(|part| {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap()
            })
            .collect()
    } else if path.ends_with(".zst") {
        zstd::encode_all(&bytes[..], 1).unwrap()
    } else {
        bytes
    };
    std::fs::write(path, bytes).unwrap();
}

fn encoded(path: &str, rows: &[TestRow]) -> Vec<u8> {
    let extension = Path::new(path).extension().unwrap().to_str().unwrap();
    match extension {
        "csv" => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["id", "value", "name"]).unwrap();
            for row in rows {
                let value = serde_json::to_string(&row.value).unwrap();
                let id = row.id.to_string();
                writer.write_record([&id, &value, &row.name]).unwrap();
            }
            writer.into_inner().unwrap()
        }
        "ndjson" => rows
            .iter()
            .map(|row| {
                let (value, name) = (json!(row.value), json!(row.name));
                format!(
                    "{{\"id\": {}, \"value\": {value}, \"name\": {name}}}\n",
                    row.id
                )
            })
            .collect::<String>()
            .into_bytes(),
        columnar => {
            // Several batches, none of which is as long as the command's own.
            let batches: Vec<RecordBatch> = rows.chunks(7).map(batch).collect();
            let schema = batches[0].schema();
            let mut bytes = Vec::new();
            match columnar {
                "parquet" => {
                    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
                    batches
                        .iter()
                        .for_each(|batch| writer.write(batch).unwrap());
                    writer.close().unwrap();
                }
                "arrow" => {
                    let mut writer = FileWriter::try_new(&mut bytes, &schema).unwrap();
                    batches
                        .iter()
                        .for_each(|batch| writer.write(batch).unwrap());
                    writer.finish().unwrap();
                }
                _ => {
                    let mut writer = StreamWriter::try_new(&mut bytes, &schema).unwrap();
                    batches
                        .iter()
                        .for_each(|batch| writer.write(batch).unwrap());
                    writer.finish().unwrap();
                }
            }
            bytes
        }
    }
}

fn batch(rows: &[TestRow]) -> RecordBatch {
    let mut values = ListBuilder::new(Float32Builder::new());
    for row in rows {
        values.append_value(row.value.iter().copied().map(Some));
    }
    let columns: [(&str, ArrayRef); 3] = [
        (
            "id",
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
        ),
        ("value", Arc::new(values.finish())),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|row| &row.name),
            )),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Reads the cells of an output, whatever its columns.
pub(crate) fn read_cells(path: &str) -> Vec<String> {
    let (format, bytes) = decompressed(path);
    match format.as_str() {
        "csv" | "ndjson" => {
            let text = String::from_utf8(bytes).unwrap();
            text.lines().map(str::to_owned).collect()
        }
        columnar => {
            let rows = batches(columnar, bytes).into_iter().flat_map(|batch| {
                let rows = (0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1)));
                rows.collect::<Vec<_>>()
            });
            rows.collect()
        }
    }
}

/// The format that a file's name tells, and its bytes as they are without compression.
fn decompressed(path: &str) -> (String, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    let (path, bytes) = if let Some(plain) = path.strip_suffix(".gz") {
        let mut plain_bytes = Vec::new();
        let mut decoder = flate2::read::MultiGzDecoder::new(&bytes[..]);
        decoder.read_to_end(&mut plain_bytes).unwrap();
        (plain, plain_bytes)
    } else if let Some(plain) = path.strip_suffix(".zst") {
        (plain, zstd::decode_all(&bytes[..]).unwrap())
    } else {
        (path, bytes)
    };
    let format = Path::new(path).extension().unwrap().to_str().unwrap();
    (format.to_owned(), bytes)
}

/// Reads the rows of an output.
pub(crate) fn read(path: &str) -> Vec<TestRow> {
    let (format, bytes) = decompressed(path);
    match format.as_str() {
        "csv" => {
            let mut reader = csv::Reader::from_reader(&bytes[..]);
            assert_eq!(
                reader.headers().unwrap(),
                ["id", "value", "name", "echo"].as_slice()
            );
            let rows = reader.records().map(|row| {
                let row = row.unwrap();
                TestRow {
                    id: row[0].parse().unwrap(),
                    value: serde_json::from_str(&row[1]).unwrap(),
                    name: row[2].to_owned(),
                    echo: Some(serde_json::from_str(&row[3]).unwrap()),
                }
            });
            rows.collect()
        }
        "ndjson" => {
            let text = String::from_utf8(bytes).unwrap();
            let rows = text.lines().map(|line| {
                let row: Json = serde_json::from_str(line).unwrap();
                let floats = |name: &str| serde_json::from_value(row[name].clone()).unwrap();
                TestRow {
                    // CSV knows no numbers, so from there they come as text.
                    id: row["id"]
                        .as_i64()
                        .or_else(|| row["id"].as_str()?.parse().ok())
                        .unwrap(),
                    value: floats("value"),
                    name: row["name"].as_str().unwrap().to_owned(),
                    echo: Some(floats("echo")),
                }
            });
            rows.collect()
        }
        columnar => batches(columnar, bytes).iter().flat_map(rows_of).collect(),
    }
}

fn batches(format: &str, bytes: Vec<u8>) -> Vec<RecordBatch> {
    match format {
        "parquet" => {
            let file = tempfile_of(&bytes);
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            reader.build().unwrap().map(Result::unwrap).collect()
        }
        "arrow" => {
            let reader = FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
            reader.map(Result::unwrap).collect()
        }
        _ => {
            let reader = StreamReader::try_new(&bytes[..], None).unwrap();
            reader.map(Result::unwrap).collect()
        }
    }
}

fn tempfile_of(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn rows_of(batch: &RecordBatch) -> Vec<TestRow> {
    let floats = |name: &str, index: usize| -> Vec<f32> {
        let list = batch
            .column_by_name(name)
            .unwrap()
            .as_list::<i32>()
            .value(index);
        match list.as_primitive_opt::<Float32Type>() {
            Some(floats) => floats.values().to_vec(),
            // An object may have had more digits than the model takes.
            None => {
                let doubles = list.as_primitive::<Float64Type>().values();
                doubles.iter().map(|double| *double as f32).collect()
            }
        }
    };
    let id = batch.column_by_name("id").unwrap();
    let name = batch.column_by_name("name").unwrap().as_string::<i32>();
    (0..batch.num_rows())
        .map(|index| TestRow {
            id: match id.as_primitive_opt::<Int64Type>() {
                Some(numbers) => numbers.value(index),
                // As above.
                None => id.as_string::<i32>().value(index).parse().unwrap(),
            },
            value: floats("value", index),
            name: name.value(index).to_owned(),
            echo: Some(floats("echo", index)),
        })
        .collect()
}
