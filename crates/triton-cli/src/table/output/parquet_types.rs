//! Which columns Parquet cannot hold. The library finds some of them after rows were sent, and
//! some by a panic.

use arrow_schema::{DataType as ArrowType, Field, IntervalUnit, Schema};
use parquet::arrow::ArrowSchemaConverter;

/// Why a column of this type cannot be written, if it cannot.
pub(super) fn missing(name: &str, data_type: &ArrowType) -> Option<String> {
    if let Some(inner) = unwritable(data_type) {
        return Some(match inner == data_type {
            true => format!("column '{name}' is {data_type}, for which Parquet has no type"),
            false => {
                format!("column '{name}' is {data_type}, in which Parquet has no type for {inner}")
            }
        });
    }
    let schema = Schema::new(vec![Field::new(name, data_type.clone(), true)]);
    let error = ArrowSchemaConverter::new().convert(&schema).err()?;
    Some(format!(
        "column '{name}' is {data_type}, which Parquet cannot hold ({error})"
    ))
}

/// The type itself, or one within it, for which there is none in Parquet.
fn unwritable(data_type: &ArrowType) -> Option<&ArrowType> {
    match data_type {
        ArrowType::Union(..) | ArrowType::Interval(IntervalUnit::MonthDayNano) => Some(data_type),
        ArrowType::Struct(fields) if fields.is_empty() => Some(data_type),
        ArrowType::FixedSizeBinary(0) => Some(data_type),
        ArrowType::Decimal32(_, scale)
        | ArrowType::Decimal64(_, scale)
        | ArrowType::Decimal128(_, scale)
        | ArrowType::Decimal256(_, scale)
            if *scale < 0 =>
        {
            Some(data_type)
        }
        ArrowType::Dictionary(_, values) => unwritable(values),
        ArrowType::RunEndEncoded(_, field)
        | ArrowType::List(field)
        | ArrowType::LargeList(field)
        | ArrowType::FixedSizeList(field, _)
        | ArrowType::ListView(field)
        | ArrowType::LargeListView(field)
        | ArrowType::Map(field, _) => unwritable(field.data_type()),
        ArrowType::Struct(fields) => fields
            .iter()
            .find_map(|field| unwritable(field.data_type())),
        _ => None,
    }
}
