//! Inputs: files and standard input, whatever their format and compression, as rows.

#[cfg(feature = "arrow")]
mod arrow;
#[cfg(feature = "arrow")]
mod arrow_ipc;
#[cfg(feature = "arrow")]
mod arrow_rows;
#[cfg(feature = "arrow")]
mod batches;
mod bytes;
mod compressed;
mod csv;
mod csv_records;
mod csv_rows;
mod csv_scan;
#[cfg(feature = "arrow")]
mod damaged;
mod extent;
mod found;
#[cfg(feature = "parquet")]
mod int96;
mod json_line;
mod json_lines;
mod json_rows;
mod json_values;
mod limited;
mod ndjson;
mod opening;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_file;
#[cfg(feature = "parquet")]
mod parquet_metadata;
#[cfg(feature = "parquet")]
mod parquet_whole;
mod passing;
mod pattern;
mod table_reader;
mod wanted;

#[cfg(feature = "arrow")]
pub(super) use self::arrow_rows::ArrowRows;
pub(super) use self::csv_rows::CsvRows;
pub(crate) use self::found::{Input, InputSettings, TextSettings};
pub(crate) use self::json_line::LONGEST_RAW;
pub(super) use self::json_rows::JsonRows;
pub(crate) use self::passing::Passing;
pub(crate) use self::table_reader::TableReader;
pub(crate) use self::wanted::Wanted;
