//! Writes JSON piece by piece; all of it ends in a vector, which cannot fail.

use std::fmt;
use std::io::Write as _;

/// Writes a string with its quotes and escapes.
pub(crate) fn string(json: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(json, text);
}

/// Writes what needs neither quotes nor escapes.
pub(crate) fn number(json: &mut Vec<u8>, number: impl fmt::Display) {
    let _ = write!(json, "{number}");
}

/// Writes `"name":`, after a comma unless it is the first member of its object.
pub(crate) fn name(json: &mut Vec<u8>, name: &str) {
    separate(json);
    string(json, name);
    json.push(b':');
}

/// Writes a comma unless an array or an object has just begun.
pub(crate) fn separate(json: &mut Vec<u8>) {
    if !matches!(json.last(), Some(b'[' | b'{') | None) {
        json.push(b',');
    }
}

/// Writes a value of any type that JSON has.
pub fn value(json: &mut Vec<u8>, value: &impl serde::Serialize) {
    let _ = serde_json::to_writer(json, value);
}
