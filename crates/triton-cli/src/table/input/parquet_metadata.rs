//! What the metadata of a Parquet file tells of how to read it.

use std::collections::BTreeSet;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::schema::types::SchemaDescriptor;

use super::batches::BATCH_ROWS;

/// How many rows are read at once: fewer than usual where each is large, as images are.
pub(super) fn batch_rows(metadata: &ArrowReaderMetadata) -> usize {
    let groups = metadata.metadata().row_groups().iter();
    let (rows, bytes) = groups.fold((0_u64, 0_u64), |(rows, bytes), group| {
        let of_group = |count: i64| u64::try_from(count).unwrap_or_default();
        let rows = rows.saturating_add(of_group(group.num_rows()));
        (
            rows,
            bytes.saturating_add(of_group(group.total_byte_size())),
        )
    });
    let bytes = (bytes / rows.max(1)).max(1);
    let rows = usize::try_from(BATCH_BYTES / bytes).unwrap_or(BATCH_ROWS);
    rows.clamp(1, BATCH_ROWS)
}

/// The leaves of a schema that a column's description tells.
pub(super) fn leaves_where(
    schema: &SchemaDescriptor,
    is_wanted: impl Fn(&parquet::schema::types::ColumnDescriptor) -> bool,
) -> BTreeSet<usize> {
    let leaves = (0..schema.num_columns()).filter(|leaf| is_wanted(&schema.column(*leaf)));
    leaves.collect()
}

/// About how many bytes are read at once.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
