//! Record batches as rows of CSV and as JSON objects.

use arrow_array::{ArrayRef, RecordBatch};
use csv::StringRecord;

use super::arrow_text;
use super::cell;
use super::fault::Fault;
use super::json_object::JsonObject;
use super::original::Original;

/// A row, and why it cannot be written, if a value of it has no text.
pub(super) type Written = (Original, Option<Fault>);

/// The rows of a plain batch, a text for each column.
pub(super) fn records(batch: &RecordBatch) -> Vec<Written> {
    let rows = (0..batch.num_rows()).map(|index| {
        let mut record = StringRecord::new();
        let mut fault = None;
        for (name, array) in columns(batch) {
            match arrow_text::cell(array, index) {
                Ok(text) => record.push_field(&text),
                Err(reason) => {
                    record.push_field("");
                    fault.get_or_insert_with(|| Fault::of_column(name, reason));
                }
            }
        }
        (Original::Cells(record), fault)
    });
    rows.collect()
}

/// The rows of a plain batch as JSON objects.
pub(super) fn objects(batch: &RecordBatch) -> Vec<Written> {
    let names: Vec<String> = columns(batch).map(|(name, _)| quoted(name)).collect();
    let rows = (0..batch.num_rows()).map(|index| {
        let mut text = String::from("{");
        let mut fault = None;
        for (position, (name, array)) in columns(batch).enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str(&names[position]);
            text.push(':');
            let before = text.len();
            if let Err(reason) = arrow_text::write_json(array, index, &mut text) {
                text.truncate(before);
                text.push_str("null");
                fault.get_or_insert_with(|| Fault::of_column(name, reason));
            }
        }
        text.push('}');
        (Original::Object(JsonObject::of_columns(text)), fault)
    });
    rows.collect()
}

fn quoted(name: &str) -> String {
    let mut text = String::new();
    cell::write_json_text(name, &mut text);
    text
}

fn columns(batch: &RecordBatch) -> impl Iterator<Item = (&str, &ArrayRef)> {
    let fields = batch.schema_ref().fields().iter();
    fields
        .map(|field| field.name().as_str())
        .zip(batch.columns())
}

/// A batch of one row as JSON, to be read by a person.
pub(super) fn object_text(batch: &RecordBatch) -> String {
    match objects(batch).pop() {
        Some((Original::Object(object), _)) => object.text().to_owned(),
        _ => String::new(),
    }
}
