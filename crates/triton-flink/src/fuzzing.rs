//! What the fuzz targets call: what reads the bytes that Java wrote.

use triton_model_fn::{Column, Value};

use crate::description::Description;
use crate::row_wire;
use crate::wire::Reader;

/// Reads a row; the second part says why it cannot be used, if it cannot.
///
/// # Errors
///
/// What is said of bytes that hold no row.
pub fn read_row(bytes: &[u8], columns: &[Column]) -> Result<(Vec<Value>, Option<String>), String> {
    let mut reader = Reader::new(bytes);
    let mut values = Vec::with_capacity(columns.len());
    let unusable = row_wire::read_row(&mut reader, columns, &[], &mut values);
    let unusable = unusable.map_err(|failure| failure.to_string())?;
    match reader.is_empty() {
        true => Ok((values, unusable)),
        false => Err("the row is longer than its columns".to_owned()),
    }
}

/// Writes a row.
///
/// # Errors
///
/// What is said of a row that Java cannot take.
pub fn write_row(row: &[Value]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    row_wire::write_row(&mut bytes, row).map_err(|failure| failure.to_string())?;
    Ok(bytes)
}

/// Reads what Java says of a model, and checks it.
///
/// # Errors
///
/// What is said of bytes that describe no model.
pub fn check_description(bytes: &[u8]) -> Result<(), String> {
    Description::check(bytes).map_err(|failure| failure.to_string())
}
