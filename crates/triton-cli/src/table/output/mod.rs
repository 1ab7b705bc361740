//! Outputs: rows as they were read, with the model's answers behind them.

#[cfg(feature = "arrow")]
mod batch_file;
#[cfg(feature = "arrow")]
mod columns;
mod csv;
#[cfg(feature = "arrow")]
mod joined;
mod ndjson;
mod opened;
mod outlet;
#[cfg(feature = "parquet")]
mod parquet_types;
#[cfg(feature = "parquet")]
mod parquet_units;
mod parts;
mod sink;

use std::path::PathBuf;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use triton_model_fn::{Column, DataType, FilledColumn, Value};

pub(super) use self::csv::csv_line;
pub(crate) use self::opened::Output;
pub(crate) use self::outlet::{Kept, check_left};
pub(crate) use self::parts::Parts;
#[cfg(feature = "arrow")]
use super::arrow_text;
use super::chunk::Answered;
use super::format::{Compression, Format};
use super::row::{Fault, Layout, Row};
use crate::objects::Location;

/// The name of the column that `--with-sequence-id` adds.
const SEQUENCE_ID_COLUMN: &str = "sequence_id";

/// The columns that an output adds to those of its input.
#[derive(Debug, Clone)]
pub(crate) struct Added(Vec<Column>);

impl Added {
    /// The model's output columns, and the sequence ID where it is wanted.
    pub(crate) fn new(outputs: &[Column], with_sequence_id: bool) -> Self {
        let sequence_id =
            with_sequence_id.then(|| Column::new(SEQUENCE_ID_COLUMN, DataType::String));
        Self(outputs.iter().cloned().chain(sequence_id).collect())
    }

    /// Refuses an input that has a column of a name that is added.
    pub(crate) fn check(&self, layout: &Layout) -> anyhow::Result<()> {
        for (index, column) in self.0.iter().enumerate() {
            let earlier = self.0[..index].iter().map(|column| column.name.as_str());
            if layout
                .names()
                .chain(earlier)
                .any(|taken| taken == column.name)
            {
                let name = &column.name;
                // The function, not the model, has what it fills in, and calls it so.
                let advice = match FilledColumn::named(name) {
                    Some(FilledColumn::SequenceId) => {
                        "take it either from OUTPUT or from --with-sequence-id".to_owned()
                    }
                    Some(_) => "leave it out of OUTPUT in a MODEL.sql".to_owned(),
                    None => {
                        format!("call the model's something else with --map NAME={name}")
                    }
                };
                bail!(
                    "the output would have two columns named '{name}': rename the input's, or \
                     {advice}"
                );
            }
        }
        Ok(())
    }
}

/// Where an output goes to and in which form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Destination {
    pub(crate) location: Location,
    pub(crate) format: Format,
    pub(crate) compression: Option<Compression>,
    /// What separates cells, where that is not the format's own.
    pub(crate) delimiter: Option<u8>,
}

/// How much of an output is safe on the disk: it can be written on from there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// The length of the file.
    pub(crate) bytes: u64,
    /// The files beside it that its rows are in until it is complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<PathBuf>,
    /// A checksum of the last bytes: whether it is still the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tail: Option<u32>,
}

/// Why a row could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The row does not fit the output; others may.
    #[error(transparent)]
    Row(#[from] Fault),
    /// The output takes no more rows.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

/// Rows of a chunk that do not fit the output, and why.
pub(crate) type Unwritten = Vec<(usize, Fault)>;

/// Writes rows to an output.
pub(crate) trait TableWriter: Send {
    /// Writes a row and what was added to it.
    fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError>;

    /// Writes rows of a chunk and what was added to them. Others are written although some do not fit
    /// the output.
    fn write_rows(&mut self, answered: &Answered<'_>, added: &Added) -> std::io::Result<Unwritten> {
        self.write_each(answered, added)
    }

    /// Writes rows of a chunk one by one.
    fn write_each(&mut self, answered: &Answered<'_>, added: &Added) -> std::io::Result<Unwritten> {
        let mut unwritten = Vec::new();
        let rows = answered.chunk.rows(answered.rows.clone());
        for (index, row) in answered.rows.clone().zip(rows) {
            let values = answered.answers.of_row(&added.0, index);
            match self.write(&row, &values) {
                Ok(()) => {}
                Err(WriteError::Row(fault)) => unwritten.push((index, fault)),
                Err(WriteError::Output(error)) => return Err(error),
            }
        }
        Ok(unwritten)
    }

    /// Hands on what was written so far, as far as the format allows.
    fn flush(&mut self) -> std::io::Result<()>;

    /// Brings everything written so far to the disk.
    fn cut(&mut self) -> std::io::Result<Cut>;

    /// Completes the output, and brings it to the disk.
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}

/// Refuses columns that the format has no type for, before a row of theirs is sent.
pub(crate) fn check_types(format: Format, layout: &Layout) -> anyhow::Result<()> {
    #[cfg(feature = "parquet")]
    if format == Format::Parquet {
        let columns = layout.columns.iter();
        let mut missing =
            columns.filter_map(|column| parquet_types::missing(&column.name, &column.arrow_type()));
        if let Some(reason) = missing.next() {
            bail!("{reason}: write Arrow, as --output-format arrow does, or leave the column out");
        }
    }
    #[cfg(feature = "arrow")]
    if let Format::Csv | Format::Tsv | Format::Ndjson = format {
        for column in &layout.columns {
            if let Some(member) = arrow_text::doubled_member(&column.arrow_type()) {
                bail!(
                    "column '{}' has two members named '{member}', and a JSON object holds only one of them: \
                     rename one, leave the column out, or write Parquet or Arrow",
                    column.name
                );
            }
        }
    }
    #[cfg(not(feature = "arrow"))]
    let _ = (format, layout);
    Ok(())
}
