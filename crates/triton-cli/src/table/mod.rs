//! Files of rows, in and out: CSV, NDJSON, Parquet and Arrow IPC, each as a stream.

#[cfg(feature = "arrow")]
mod arrow_cells;
#[cfg(feature = "arrow")]
mod arrow_decimals;
#[cfg(feature = "arrow")]
mod arrow_intervals;
#[cfg(feature = "arrow")]
mod arrow_plain;
#[cfg(feature = "arrow")]
mod arrow_rows;
#[cfg(feature = "arrow")]
mod arrow_text;
#[cfg(feature = "arrow")]
mod arrow_values;
mod cell;
mod chunk;
mod fault;
mod foreign;
mod format;
mod input;
mod json_object;
pub(crate) mod json_text;
mod layout;
mod original;
mod output;
mod row;
mod sorting;
mod widening;

pub(crate) use chunk::{Answered, Answers, Chunk, ChunkSize};
pub(crate) use fault::Fault;
pub(crate) use foreign::promised_by_name;
pub(crate) use format::{Compression, Form, Format};
pub(crate) use input::{
    Input, InputSettings, LONGEST_RAW, Passing, TableReader, TextSettings, Wanted,
};
pub(crate) use layout::Layout;
pub(crate) use output::{
    Added, Cut, Destination, Kept, Output, Parts, Unwritten, WriteError, check_left, check_types,
};
pub(crate) use row::{Row, Unusable};
pub(crate) use sorting::{RowSorter, SortedRow};

/// Reads the text of a cell, or of JSON, for a fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_cell(
    data_type: &triton_model_fn::DataType,
    text: &str,
    is_json: bool,
) -> Result<triton_model_fn::Value, String> {
    match is_json {
        true => cell::parse_json(data_type, text),
        false => cell::parse(data_type, text),
    }
}

/// The text of a value, in a cell or in JSON, for a fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn write_cell(value: &triton_model_fn::Value, is_json: bool) -> String {
    let mut text = String::new();
    match is_json {
        true => cell::write_json(value, &mut text),
        false => cell::write_cell(value, &mut text),
    }
    text
}

/// Why a member of an object cannot be used of which there are two.
const TWICE: &str = "the object has two members of this name";
