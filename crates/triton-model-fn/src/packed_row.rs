//! An encoded row as one run of bytes: small while it is kept for a replay, and ready to be stored.

use bytes::{Buf, BufMut as _, Bytes};

use crate::row_codec::EncodedCell;
use crate::tensor_plan::EncodedRow;

/// What stands for the number of dimensions of an input that is left out.
const LEFT_OUT: u8 = u8::MAX;

/// The row's cells behind each other: the number of dimensions (1 byte), the dimensions and the
/// number of bytes of data (8 bytes each, little endian), the data.
pub(crate) fn pack(row: &EncodedRow) -> Box<[u8]> {
    let size = |cell: &Option<EncodedCell>| match cell {
        Some(cell) => 1 + 8 * (cell.shape.len() + 1) + cell.data.len(),
        None => 1,
    };
    let mut packed = Vec::with_capacity(row.cells().iter().map(size).sum());
    for cell in row.cells() {
        let Some(cell) = cell else {
            packed.put_u8(LEFT_OUT);
            continue;
        };
        // An array type of 255 dimensions does not fit into an SQL statement.
        packed.put_u8(cell.shape.len() as u8);
        for dimension in &cell.shape {
            packed.put_u64_le(*dimension as u64);
        }
        packed.put_u64_le(cell.data.len() as u64);
        packed.extend_from_slice(&cell.data);
    }
    packed.into()
}

/// The row that was packed, unless the bytes are damaged or of another number of cells.
pub(crate) fn unpack(mut packed: &[u8], cells: usize) -> Option<EncodedRow> {
    let cell = |packed: &mut &[u8]| {
        let rank = packed.try_get_u8().ok()?;
        if rank == LEFT_OUT {
            return Some(None);
        }
        let shape = (0..rank).map(|_| usize::try_from(packed.try_get_u64_le().ok()?).ok());
        let shape = shape.collect::<Option<Vec<_>>>()?;
        let length = usize::try_from(packed.try_get_u64_le().ok()?).ok()?;
        let (data, rest) = packed.split_at_checked(length)?;
        *packed = rest;
        let data = Bytes::copy_from_slice(data);
        Some(Some(EncodedCell { shape, data }))
    };
    let row = (0..cells)
        .map(|_| cell(&mut packed))
        .collect::<Option<Vec<_>>>()?;
    packed.is_empty().then(|| EncodedRow::new(row))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn cell() -> impl Strategy<Value = Option<EncodedCell>> {
        let cell = (vec(0_usize..9, 0..4), vec(any::<u8>(), 0..40));
        let cell = cell.prop_map(|(shape, data)| EncodedCell {
            shape,
            data: data.into(),
        });
        prop::option::of(cell)
    }

    proptest! {
        #[test]
        fn a_row_comes_back_and_a_damaged_one_does_no_harm(
            cells in vec(cell(), 0..4),
            cut: prop::sample::Index,
        ) {
            let row = EncodedRow::new(cells.clone());
            let packed = pack(&row);
            let unpacked = unpack(&packed, cells.len()).unwrap();
            prop_assert_eq!(unpacked.cells(), &cells[..]);
            prop_assert!(unpack(&packed, cells.len() + 1).is_none());
            if !packed.is_empty() {
                prop_assert!(unpack(&packed[..cut.index(packed.len())], cells.len()).is_none());
            }
        }
    }
}
