//! Inputs that are not sorted, in every format.

use std::io::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray, StringViewArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;

use crate::Files;

#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) user: String,
    pub(super) value: i32,
    pub(super) note: String,
}

/// Rows of 23 keys without any pattern.
pub(super) fn samples(count: u32) -> Vec<Sample> {
    let rows = (0..count).map(|row| {
        let user = (row.wrapping_mul(2_654_435_761) >> 7) % 23;
        Sample {
            // As numbers they would be in another order.
            user: user.to_string(),
            value: (row % 13) as i32,
            note: format!("\"{row}\", höher als\n{}", "x".repeat(row as usize % 40)),
        }
    });
    rows.collect()
}

pub(super) fn sorted(rows: &[Sample]) -> Vec<Sample> {
    let mut rows = rows.to_vec();
    rows.sort_by(|one, other| one.user.cmp(&other.user));
    rows
}

/// Writes rows in the format of the file's name.
pub(super) fn write(files: &Files, name: &str, rows: &[Sample]) -> String {
    let (plain, compression) = match name.rsplit_once('.') {
        Some((plain, "gz")) => (plain, "gz"),
        Some((plain, "zst")) => (plain, "zst"),
        _ => (name, ""),
    };
    let bytes = match plain.rsplit_once('.').unwrap().1 {
        "ndjson" => {
            let lines = rows.iter().map(|row| {
                let note = serde_json::to_string(&row.note).unwrap();
                let Sample { user, value, .. } = row;
                // The text of an object is kept as it is.
                format!("{{\"user\": \"{user}\",\"value\":  {value}, \"note\":{note} }}\n")
            });
            lines.collect::<String>().into_bytes()
        }
        format @ ("csv" | "tsv") => {
            let delimiter = if format == "tsv" { b'\t' } else { b',' };
            let mut writer = csv::WriterBuilder::new()
                .delimiter(delimiter)
                .from_writer(Vec::new());
            writer.write_record(["user", "value", "note"]).unwrap();
            for row in rows {
                let value = row.value.to_string();
                writer.write_record([&row.user, &value, &row.note]).unwrap();
            }
            writer.into_inner().unwrap()
        }
        format => typed(format, rows.chunks(50).map(batch)),
    };
    let bytes = match compression {
        "gz" => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => zstd::encode_all(&bytes[..], 1).unwrap(),
        _ => bytes,
    };
    let path = files.path(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(super) fn batch(rows: &[Sample]) -> RecordBatch {
    let users: StringArray = rows.iter().map(|row| Some(&row.user)).collect();
    let values: Int32Array = rows.iter().map(|row| row.value).collect();
    let notes: StringViewArray = rows.iter().map(|row| Some(&row.note)).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("user", Arc::new(users)),
        ("value", Arc::new(values)),
        ("note", Arc::new(notes)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

pub(super) fn typed(format: &str, batches: impl Iterator<Item = RecordBatch>) -> Vec<u8> {
    let mut batches = batches.peekable();
    let schema = batches.peek().unwrap().schema();
    let mut bytes = Vec::new();
    match format {
        "parquet" => {
            let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
            batches.for_each(|batch| writer.write(&batch).unwrap());
            writer.close().unwrap();
        }
        "arrow" => {
            let mut writer = FileWriter::try_new(&mut bytes, &schema).unwrap();
            batches.for_each(|batch| writer.write(&batch).unwrap());
            writer.finish().unwrap();
        }
        _ => {
            let mut writer = StreamWriter::try_new(&mut bytes, &schema).unwrap();
            batches.for_each(|batch| writer.write(&batch).unwrap());
            writer.finish().unwrap();
        }
    }
    bytes
}
