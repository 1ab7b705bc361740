//! Whether a Parquet file is whole, and is one file: what its ends and its footer tell of it before
//! a row is read.

use std::iter;

use anyhow::{anyhow, bail};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::Length as _;

use super::batches::Batches;
use super::parquet_file::ParquetFile;

/// What Parquet files begin and end with.
const MAGIC: &[u8] = b"PAR1";

/// The same where the end is encrypted.
const ENCRYPTED_MAGIC: &[u8] = b"PARE";

/// The bytes behind the footer: its length and the end of the file.
const TRAILER: u64 = 8;

/// Looks at both ends of the file, which say better than the library what is wrong with it.
pub(super) fn check_ends(file: &ParquetFile) -> anyhow::Result<()> {
    let length = file.len();
    if length == 0 {
        bail!("it is empty: a Parquet file has at least a schema");
    }
    if length < 2 * MAGIC.len() as u64 {
        bail!("it is too short for a Parquet file: it has {length} bytes");
    }
    let end = file.bytes_at(length - MAGIC.len() as u64, MAGIC.len())?;
    let start = file.bytes_at(0, MAGIC.len())?;
    if start == ENCRYPTED_MAGIC || end == ENCRYPTED_MAGIC {
        bail!("its footer is encrypted, and encrypted Parquet is not read: write it in the clear");
    }
    if start != MAGIC {
        bail!("it does not begin as a Parquet file does, with PAR1");
    }
    if end != MAGIC {
        bail!("its end is missing: a Parquet file ends with PAR1");
    }
    Ok(())
}

/// Refuses numbers of rows that contradict each other: whichever is believed, rows may be lost.
pub(super) fn check_rows(metadata: &ParquetMetaData) -> anyhow::Result<()> {
    let whole = i128::from(metadata.file_metadata().num_rows());
    let groups = metadata.row_groups();
    let in_groups: i128 = groups
        .iter()
        .map(|group| i128::from(group.num_rows()))
        .sum();
    if whole != in_groups {
        bail!(
            "its footer says that the file has {whole} rows, and that its row groups have \
             {in_groups}, so that rows could be lost: it is damaged, or its writer has a fault; \
             write it again with another"
        );
    }
    for (index, group) in groups.iter().enumerate() {
        for column in group.columns() {
            let (rows, values) = (group.num_rows(), column.num_values());
            // A list is of any number of values, and an empty one counts as one.
            let is_repeated = column.column_descr().max_rep_level() > 0;
            if values != rows && !(is_repeated && values > rows) {
                bail!(
                    "its footer says that row group {} has {rows} rows, and {values} values of \
                     column '{}', so that rows could be lost: it is damaged, or its writer has a \
                     fault; write it again with another",
                    index + 1,
                    column.column_path().string()
                );
            }
        }
    }
    Ok(())
}

/// Refuses files that were put behind each other: the footer at the end describes the last of them
/// alone.
///
/// It says where its own file ends, counted from where that begins, and so how many bytes are in
/// front of it.
pub(super) fn check_alone(file: &ParquetFile, metadata: &ParquetMetaData) -> anyhow::Result<()> {
    /// Older writers do not say how long a Bloom filter is, which is the last before the footer.
    const MOST_UNDESCRIBED: u64 = 1024 * 1024;
    let length = file.len();
    let footer = file.bytes_at(length - TRAILER, 4)?;
    let footer = footer.first_chunk().copied().map(u32::from_le_bytes);
    let footer = length.saturating_sub(TRAILER + u64::from(footer.unwrap_or_default()));
    let groups = metadata.row_groups().iter();
    let ends = groups.flat_map(|group| group.columns()).map(end_of);
    let described = ends.max().unwrap_or_default().max(MAGIC.len() as u64);
    let Some(in_front) = footer.checked_sub(described).filter(|bytes| *bytes > 0) else {
        return Ok(());
    };
    let border = [MAGIC, MAGIC].concat();
    let half = MAGIC.len() as u64;
    let from = in_front.saturating_sub(MOST_UNDESCRIBED + TRAILER);
    let window = usize::try_from(in_front + half - from)?;
    let window = file.bytes_at(from, window)?;
    // The first half ends a file: in front of it stands the length of a footer, and in front of that
    // the footer. Where it does not, it is a value.
    let is_border = |at: usize| {
        let Some((before, footer)) = window[..at].split_last_chunk() else {
            return false;
        };
        let footer = u64::from(u32::from_le_bytes(*footer));
        footer > 0 && footer <= from + before.len() as u64
    };
    let all = window.windows(border.len()).enumerate();
    let mut borders = all.filter(|(_, bytes)| *bytes == border);
    if borders.any(|(at, _)| is_border(at)) {
        bail!(
            "it is several files, one after the other, of which only the last would be read: give \
             each as an input of its own"
        );
    }
    Ok(())
}

/// Says at the end of the batches when they have other rows than the footer: pages may be damaged in a
/// way that only makes them fewer.
pub(super) fn all_of(rows: u64, mut batches: Batches) -> Batches {
    let mut found = Some(0);
    Box::new(iter::from_fn(move || match batches.next() {
        Some(batch) => {
            if let (Some(found), Ok(batch)) = (&mut found, &batch) {
                *found += batch.num_rows() as u64;
            }
            Some(batch)
        }
        None => {
            let found = found.take().filter(|found| *found != rows)?;
            Some(Err(anyhow!(
                "its footer says that it has {rows} rows, and its pages have {found}"
            )))
        }
    }))
}

/// Where the last of what is known of a column in a row group ends.
fn end_of(column: &ColumnChunkMetaData) -> u64 {
    let first = column.data_page_offset();
    let first = column
        .dictionary_page_offset()
        .map_or(first, |dictionary| dictionary.min(first));
    let parts = [
        Some((first, Some(column.compressed_size()))),
        column
            .column_index_offset()
            .map(|offset| (offset, column.column_index_length().map(i64::from))),
        column
            .offset_index_offset()
            .map(|offset| (offset, column.offset_index_length().map(i64::from))),
        column
            .bloom_filter_offset()
            .map(|offset| (offset, column.bloom_filter_length().map(i64::from))),
    ];
    let ends = parts.into_iter().flatten();
    let ends = ends.filter_map(|(offset, length)| {
        u64::try_from(offset.checked_add(length.unwrap_or_default())?).ok()
    });
    ends.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int32Array, RecordBatch};

    use super::*;

    #[test]
    fn rows_that_are_missing_in_pages_are_told() {
        let batch = |rows| {
            let column: ArrayRef = Arc::new(Int32Array::from_iter_values(0..rows));
            Ok(RecordBatch::try_from_iter([("a", column)]).unwrap())
        };
        let read = |rows| all_of(rows, Box::new([batch(2), batch(3)].into_iter()));
        assert_eq!(read(5).filter(Result::is_ok).count(), 2);
        assert_eq!(read(5).count(), 2);
        let last = read(6).last().unwrap().unwrap_err();
        insta::assert_snapshot!(last, @"its footer says that it has 6 rows, and its pages have 5");
    }
}
