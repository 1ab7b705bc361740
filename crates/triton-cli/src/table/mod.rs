//! Files of rows, in and out: CSV, NDJSON, Parquet and Arrow IPC, each as a stream.

#[cfg(feature = "arrow")]
mod arrow_cells;
#[cfg(feature = "arrow")]
mod arrow_decimals;
#[cfg(feature = "arrow")]
mod arrow_plain;
#[cfg(feature = "arrow")]
mod arrow_text;
#[cfg(feature = "arrow")]
mod arrow_values;
mod cell;
mod format;
mod input;
mod json_object;
mod output;
mod row;

pub(crate) use format::{Compression, Form, Format};
pub(crate) use input::{Input, TableReader, Wanted};
pub(crate) use output::{Added, Cut, Destination, TableWriter, WriteError, check_types, create};
pub(crate) use row::{Fault, Layout, Row};
