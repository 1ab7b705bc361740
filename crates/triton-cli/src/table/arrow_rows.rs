//! Rows of several record batches as columns of their own, which hold nothing but them.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType as ArrowType};
use arrow_select::interleave::interleave;

/// The columns of the rows that are named by their batch and their place in it.
///
/// The columns of all batches have the same types; only in some of them may they be NULL.
pub(super) fn gathered(
    batches: &[&RecordBatch],
    rows: &[(usize, usize)],
) -> Result<Vec<ArrayRef>, ArrowError> {
    let columns = batches.first().map_or(0, |batch| batch.num_columns());
    let columns = (0..columns).map(|column| {
        let arrays = batches.iter().map(|batch| batch.column(column).as_ref());
        let arrays: Vec<&dyn Array> = arrays.collect();
        // Views of the rows go on pointing into all that the batches hold, and whoever writes
        // them down would write all of that with every batch.
        without_unused_texts(&interleave(&arrays, rows)?)
    });
    columns.collect()
}

/// The same columns, which hold on to nothing but their own rows.
pub(super) fn without_unused(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, ArrowError> {
    columns.iter().map(without_unused_texts).collect()
}

fn without_unused_texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        ArrowType::Utf8View => Ok(Arc::new(array.as_string_view().gc())),
        ArrowType::BinaryView => Ok(Arc::new(array.as_binary_view().gc())),
        _ => {
            let data = array.to_data();
            if !holds_views(&data) {
                return Ok(Arc::clone(array));
            }
            let children = data.child_data().iter();
            let children = children
                .map(|child| Ok(without_unused_texts(&make_array(child.clone()))?.to_data()))
                .collect::<Result<Vec<_>, ArrowError>>()?;
            Ok(make_array(
                data.into_builder().child_data(children).build()?,
            ))
        }
    }
}

fn holds_views(data: &ArrayData) -> bool {
    matches!(
        data.data_type(),
        ArrowType::Utf8View | ArrowType::BinaryView
    ) || data.child_data().iter().any(holds_views)
}
