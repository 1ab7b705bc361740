//! Decimals of more digits than their type declares: Parquet writes them in as many bytes as the
//! declared digits take, and cuts off the rest.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType as ArrowType, Fields};

use super::arrow_text;
use super::fault::Fault;

/// What is wrong with each row of a plain batch that will be written in typed columns.
pub(super) fn faults(batch: &RecordBatch) -> Vec<Option<Fault>> {
    let mut faults = vec![None; batch.num_rows()];
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if !holds_decimals(field.data_type()) {
            continue;
        }
        for (index, fault) in faults.iter_mut().enumerate() {
            if fault.is_none() {
                let found = too_long(array, index);
                *fault = found.map(|reason| Fault::of_column(field.name(), reason));
            }
        }
    }
    faults
}

fn holds_decimals(data_type: &ArrowType) -> bool {
    let any = |fields: &Fields| fields.iter().any(|field| holds_decimals(field.data_type()));
    match data_type {
        ArrowType::Struct(fields) => any(fields),
        ArrowType::List(field)
        | ArrowType::LargeList(field)
        | ArrowType::FixedSizeList(field, _)
        | ArrowType::ListView(field)
        | ArrowType::LargeListView(field)
        | ArrowType::Map(field, _) => holds_decimals(field.data_type()),
        // There is no union in Parquet.
        other => other.is_decimal(),
    }
}

fn too_long(array: &dyn Array, index: usize) -> Option<String> {
    if arrow_text::is_null(array, index) {
        return None;
    }
    macro_rules! is_valid {
        ($arrow:ident, $precision:expr) => {{
            let value = array.as_primitive::<$arrow>().value(index);
            $arrow::is_valid_decimal_precision(value, $precision)
        }};
    }
    let is_valid = match *array.data_type() {
        ArrowType::Decimal32(precision, _) => is_valid!(Decimal32Type, precision),
        ArrowType::Decimal64(precision, _) => is_valid!(Decimal64Type, precision),
        ArrowType::Decimal128(precision, _) => is_valid!(Decimal128Type, precision),
        ArrowType::Decimal256(precision, _) => is_valid!(Decimal256Type, precision),
        ArrowType::Struct(_) => {
            let mut columns = array.as_struct().columns().iter();
            return columns.find_map(|column| too_long(column, index));
        }
        ArrowType::Map(..) => {
            let entries = array.as_map().value(index);
            return (0..entries.len()).find_map(|entry| too_long(&entries, entry));
        }
        _ => {
            let elements = arrow_text::elements(array, index)?;
            return (0..elements.len()).find_map(|element| too_long(&elements, element));
        }
    };
    if is_valid {
        return None;
    }
    let found = arrow_text::cell(array, index).unwrap_or_default();
    let declared = array.data_type();
    Some(format!(
        "the decimal {found} has more digits than {declared} declares: write CSV or NDJSON, where \
         it is text"
    ))
}
