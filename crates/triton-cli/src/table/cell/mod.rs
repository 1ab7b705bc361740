//! The text of a CSV cell, or of a JSON value, as a value of its column's type, and back.
//!
//! An array is a JSON array within its cell, for example `[1.5, 2]`; `BYTES` are in base64. What
//! JSON has no number for is a text in it: `"NaN"`, `"Infinity"`, `"-Infinity"`.

mod reading;
pub(super) mod rounding;
#[cfg(test)]
mod tests;
mod writing;

#[cfg(feature = "arrow")]
pub(super) use self::reading::parse_widened;
pub(super) use self::reading::{keeps, parse, parse_json, shortened};
pub(super) use self::writing::{
    try_cell_of_json, write_cell, write_json, write_json_of_cell, write_json_text,
};
