//! Outputs: rows as they were read, with the model's answers behind them.

mod added;
#[cfg(feature = "arrow")]
mod batch_file;
#[cfg(feature = "arrow")]
mod columns;
mod csv;
mod cut;
mod destination;
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
#[cfg(feature = "arrow")]
mod row_buffer;
mod sink;
mod table_writer;

#[cfg(feature = "arrow")]
use anyhow::bail;

pub(crate) use self::added::Added;
pub(crate) use self::cut::Cut;
pub(crate) use self::destination::Destination;
pub(crate) use self::opened::Output;
pub(crate) use self::outlet::{Kept, check_left};
pub(crate) use self::parts::Parts;
pub(crate) use self::table_writer::{TableWriter, Unwritten, WriteError};
#[cfg(feature = "arrow")]
use super::arrow_text;
use super::format::Format;
use super::layout::Layout;

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
