//! What lies within the lists and dictionaries of an array, whichever kind they are.

use std::ops::Range;

use arrow_array::cast::AsArray as _;
use arrow_array::types::ArrowDictionaryKeyType;
use arrow_array::{AnyDictionaryArray, Array, ArrayRef, OffsetSizeTrait, types};
use arrow_buffer::ArrowNativeType as _;
use arrow_schema::DataType as ArrowType;

/// One list: some of the values of all.
pub(in crate::arrow) struct List<'a> {
    pub(in crate::arrow) values: &'a ArrayRef,
    pub(in crate::arrow) range: Range<usize>,
}

/// The list at `index`; `None` where the array has none.
pub(in crate::arrow) fn list(array: &dyn Array, index: usize) -> Option<List<'_>> {
    fn of_offsets<O: OffsetSizeTrait>(array: &dyn Array, index: usize) -> List<'_> {
        let list = array.as_list::<O>();
        let offsets = list.value_offsets();
        List {
            values: list.values(),
            range: offsets[index].as_usize()..offsets[index + 1].as_usize(),
        }
    }
    fn of_view<O: OffsetSizeTrait>(array: &dyn Array, index: usize) -> List<'_> {
        let list = array.as_list_view::<O>();
        let first = list.value_offset(index).as_usize();
        List {
            values: list.values(),
            range: first..first + list.value_size(index).as_usize(),
        }
    }
    Some(match array.data_type() {
        ArrowType::List(_) => of_offsets::<i32>(array, index),
        ArrowType::LargeList(_) => of_offsets::<i64>(array, index),
        ArrowType::ListView(_) => of_view::<i32>(array, index),
        ArrowType::LargeListView(_) => of_view::<i64>(array, index),
        ArrowType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(list.value_length()).ok()?;
            let first = usize::try_from(list.value_offset(index)).ok()?;
            List {
                values: list.values(),
                range: first..first + size,
            }
        }
        _ => return None,
    })
}

/// Lists that lie behind each other.
pub(super) struct Offsets {
    pub(super) values: ArrayRef,
    offsets: Vec<usize>,
}

/// The values of lists that lie behind each other; `None` for any other array.
pub(super) fn offsets(array: &ArrayRef) -> Option<Offsets> {
    fn of<O: OffsetSizeTrait>(array: &ArrayRef) -> Offsets {
        let list = array.as_list::<O>();
        Offsets {
            values: ArrayRef::clone(list.values()),
            offsets: list
                .value_offsets()
                .iter()
                .map(|it| it.as_usize())
                .collect(),
        }
    }
    match array.data_type() {
        ArrowType::List(_) => Some(of::<i32>(array)),
        ArrowType::LargeList(_) => Some(of::<i64>(array)),
        _ => None,
    }
}

impl Offsets {
    /// The first value of the first list.
    pub(super) fn first(&self) -> usize {
        self.offsets.first().copied().unwrap_or_default()
    }

    /// How many values there are in all lists.
    pub(super) fn count(&self) -> usize {
        self.offsets.last().copied().unwrap_or_default() - self.first()
    }

    pub(super) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0])
    }
}

/// Which of its values a dictionary has at `index`, where it is not NULL.
pub(in crate::arrow) fn dictionary_key(dictionary: &dyn AnyDictionaryArray, index: usize) -> usize {
    fn key<K: ArrowDictionaryKeyType>(keys: &dyn Array, index: usize) -> usize {
        keys.as_primitive::<K>().value(index).as_usize()
    }
    let keys = dictionary.keys();
    match keys.data_type() {
        ArrowType::Int8 => key::<types::Int8Type>(keys, index),
        ArrowType::Int16 => key::<types::Int16Type>(keys, index),
        ArrowType::Int32 => key::<types::Int32Type>(keys, index),
        ArrowType::Int64 => key::<types::Int64Type>(keys, index),
        ArrowType::UInt8 => key::<types::UInt8Type>(keys, index),
        ArrowType::UInt16 => key::<types::UInt16Type>(keys, index),
        ArrowType::UInt32 => key::<types::UInt32Type>(keys, index),
        _ => key::<types::UInt64Type>(keys, index),
    }
}
