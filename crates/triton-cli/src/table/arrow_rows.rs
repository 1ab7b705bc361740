//! Rows of record batches that are part of larger ones: what they take, and the same as columns of their
//! own, which hold nothing but them.

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

/// About how many bytes the rows of a batch take, without what else is in the arrays that they are
/// part of.
pub(super) fn bytes_of(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(bytes_of_array).sum()
}

fn bytes_of_array(array: &ArrayRef) -> usize {
    // The elements of a list are those of all lists of which this one is a part.
    let elements = match array.data_type() {
        ArrowType::List(_) => {
            let lists = array.as_list::<i32>();
            let offsets = lists.value_offsets();
            lists.values().slice(
                offsets[0] as usize,
                (offsets[lists.len()] - offsets[0]) as usize,
            )
        }
        ArrowType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            let offsets = lists.value_offsets();
            lists.values().slice(
                offsets[0] as usize,
                (offsets[lists.len()] - offsets[0]) as usize,
            )
        }
        ArrowType::FixedSizeList(..) => Arc::clone(array.as_fixed_size_list().values()),
        ArrowType::Struct(_) => {
            return array.as_struct().columns().iter().map(bytes_of_array).sum();
        }
        _ => return array.to_data().get_slice_memory_size().unwrap_or_default(),
    };
    array.len() * size_of::<i32>() + bytes_of_array(&elements)
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

#[cfg(test)]
mod tests {
    use arrow_array::types::Float32Type;
    use arrow_array::{FixedSizeListArray, Float32Array, ListArray, RecordBatch, StructArray};
    use arrow_schema::{DataType as ArrowType, Field};

    use super::*;

    #[test]
    fn a_part_of_lists_takes_what_its_own_elements_take() {
        let floats = Some(vec![Some(0.5_f32); 1000]);
        let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(vec![floats; 100]);
        let fixed = FixedSizeListArray::new(
            Arc::new(Field::new_list_field(ArrowType::Float32, true)),
            1000,
            Arc::new(Float32Array::from(vec![0.5; 100_000])),
            None,
        );
        let group = StructArray::from(vec![(
            Arc::new(Field::new("lists", lists.data_type().clone(), true)),
            Arc::new(lists.clone()) as ArrayRef,
        )]);
        for array in [
            Arc::new(lists) as ArrayRef,
            Arc::new(fixed),
            Arc::new(group),
        ] {
            let batch = RecordBatch::try_from_iter([("column", array)]).unwrap();
            let bytes = bytes_of(&batch.slice(40, 10));
            assert!((40_000..41_500).contains(&bytes), "{bytes}");
        }
    }
}
