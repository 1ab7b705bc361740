//! What the fuzz targets call: what reads the texts and files that others wrote.

use std::io::{BufReader, Cursor};

use triton_model_fn::{Column, DataType, Value};
use triton_options::OptionMap;

use crate::statement;
use crate::table::{
    ChunkSize, Form, Format, Input, InputSettings, Passing, Row, TextSettings, Wanted, read_cell,
    write_cell,
};

/// How an input is read.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// Whether it is NDJSON, and not CSV.
    pub is_ndjson: bool,
    /// What separates the cells of CSV.
    pub delimiter: u8,
    /// Whether CSV has a header.
    pub has_header: bool,
    /// Whether rows go on as objects, and not as cells.
    pub as_objects: bool,
    /// What is wanted of it; each may be missing.
    pub columns: &'a [Column],
    /// How many rows are asked for at once.
    pub rows: usize,
    /// How many bytes come at once.
    pub bytes: usize,
}

/// A row, as far as a reader should always tell the same of it.
#[derive(Debug)]
pub struct ReadRow {
    /// Where it is.
    pub place: String,
    /// What goes on to the output.
    pub original: String,
    /// What the model takes of it, or why it cannot be used.
    pub values: Result<Vec<Value>, String>,
}

/// Reads an input to its end, or to where it cannot be read on.
///
/// # Errors
///
/// What is said of an input that is unusable.
pub fn read(input: &[u8], reading: Reading<'_>) -> Result<(Vec<ReadRow>, Option<String>), String> {
    let settings = InputSettings {
        format: Some(match reading.is_ndjson {
            true => Format::Ndjson,
            false => Format::Csv,
        }),
        limit: None,
        passing: Passing::default(),
        text: TextSettings {
            delimiter: (!reading.is_ndjson).then_some(reading.delimiter),
            longest_cell: 1 << 20,
            has_header: reading.has_header,
        },
    };
    let wanted = Wanted {
        inputs: reading.columns.into(),
        model_inputs: reading.columns.len(),
        optional: reading
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect(),
        key: Vec::new().into(),
        is_undeclared: false,
        beside: None,
        form: match reading.as_objects {
            true => Form::Objects,
            false => Form::Cells,
        },
    };
    let told = |error: anyhow::Error| format!("{error:#}");
    let found = Input::find(&[Input::STANDARD.to_owned()], &settings).map_err(told)?;
    let raw = BufReader::with_capacity(reading.bytes, Cursor::new(input.to_vec()));
    let looked_at = found.inputs[0].look_at(Ok(Box::new(raw))).map_err(told)?;
    let mut reader = looked_at.open(&wanted).map_err(told)?;
    let most = ChunkSize {
        rows: reading.rows,
        ..ChunkSize::OF_ROWS
    };
    let mut rows = Vec::new();
    loop {
        let chunk = match reader.next_chunk(most) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok((rows, None)),
            Err(error) => return Ok((rows, Some(told(error)))),
        };
        assert!((1..=reading.rows).contains(&chunk.len()));
        let alone: Vec<_> = (0..chunk.len())
            .map(|row| read_row(&chunk.row(row)))
            .collect();
        let together: Vec<_> = chunk.into_rows().iter().map(read_row).collect();
        // As text, in which NaN is NaN.
        assert_eq!(format!("{alone:?}"), format!("{together:?}"));
        rows.extend(together);
    }
}

fn read_row(row: &Row) -> ReadRow {
    ReadRow {
        place: row.place.to_string(),
        original: row.raw_text(),
        values: match &row.values {
            Ok(values) => Ok(values.clone()),
            Err(unusable) => Err(unusable.fault.to_string()),
        },
    }
}

/// Reads the text of a cell, or of JSON.
///
/// # Errors
///
/// What is said of a text that is no value.
pub fn cell(data_type: &DataType, text: &str, is_json: bool) -> Result<Value, String> {
    read_cell(data_type, text, is_json)
}

/// The text of a value, in a cell or in JSON.
#[must_use]
pub fn cell_text(value: &Value, is_json: bool) -> String {
    write_cell(value, is_json)
}

/// Reads a CREATE MODEL statement.
///
/// # Errors
///
/// What is said of a text that is none.
pub fn statement(sql: &str) -> Result<(Vec<Column>, OptionMap), String> {
    let read = statement::parse(sql).map_err(|error| error.to_string())?;
    Ok((read.schema.inputs, read.options))
}
