//! Files of rows, in and out: CSV, NDJSON, Parquet and Arrow IPC, each as a stream.

#[cfg(feature = "arrow")]
mod arrow_cells;
mod cell;
mod format;
mod input;
mod json_object;
mod output;
mod row;

pub(crate) use format::{Compression, Form, Format};
pub(crate) use input::{Input, TableReader, Wanted};
pub(crate) use output::{Added, Cut, Destination, Kept, Output, Parts, WriteError};
pub(crate) use row::{Fault, Layout, Row};
