//! Arrow arrays without dictionaries and runs: every value stands for itself.
//!
//! Dictionaries differ from batch to batch, and a file cannot hold several; whoever reads single
//! values is also better off without them. They may be anywhere within lists, structs and maps.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int16Type, Int32Type, RunEndIndexType};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RunArray, make_array, types};
use arrow_schema::{
    ArrowError, DataType as ArrowType, Field, FieldRef, Fields, Schema, UnionFields,
};
use arrow_select::take::take;

/// A field all of whose values stand for themselves.
pub(super) fn plain_field(field: &FieldRef) -> FieldRef {
    match plain_type(field.data_type()) {
        None => Arc::clone(field),
        Some(plain) => {
            // NULL among the values of a dictionary or of runs is NULL of the field.
            let nullable = field.is_nullable() || is_indirect(field.data_type());
            let field = Field::clone(field).with_nullable(nullable);
            Arc::new(field.with_data_type(plain))
        }
    }
}

fn is_indirect(data_type: &ArrowType) -> bool {
    matches!(
        data_type,
        ArrowType::Dictionary(..) | ArrowType::RunEndEncoded(..)
    )
}

/// The plain type of the same values; `None` where the type is plain already.
fn plain_type(data_type: &ArrowType) -> Option<ArrowType> {
    let inner = |field: &FieldRef| plain_type(field.data_type()).map(|_| plain_field(field));
    Some(match data_type {
        ArrowType::Dictionary(_, values) => {
            plain_type(values).unwrap_or_else(|| values.as_ref().clone())
        }
        ArrowType::RunEndEncoded(_, values) => {
            plain_type(values.data_type()).unwrap_or_else(|| values.data_type().clone())
        }
        ArrowType::List(field) => ArrowType::List(inner(field)?),
        ArrowType::LargeList(field) => ArrowType::LargeList(inner(field)?),
        ArrowType::FixedSizeList(field, size) => ArrowType::FixedSizeList(inner(field)?, *size),
        ArrowType::ListView(field) => ArrowType::ListView(inner(field)?),
        ArrowType::LargeListView(field) => ArrowType::LargeListView(inner(field)?),
        ArrowType::Map(field, sorted) => ArrowType::Map(inner(field)?, *sorted),
        ArrowType::Struct(fields) => {
            fields.iter().find_map(inner)?;
            ArrowType::Struct(fields.iter().map(plain_field).collect::<Fields>())
        }
        ArrowType::Union(fields, mode) => {
            fields.iter().find_map(|(_, field)| inner(field))?;
            let fields = fields.iter().map(|(id, field)| (id, plain_field(field)));
            ArrowType::Union(fields.collect::<UnionFields>(), *mode)
        }
        _ => return None,
    })
}

/// A batch all of whose fields are plain, and may hold NULL: rows of another input may, beside
/// which they are written.
pub(super) fn plain_batch(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let fields = batch.schema_ref().fields().iter().map(plain_field);
    let fields: Vec<Field> = fields
        .map(|field| Field::clone(&field).with_nullable(true))
        .collect();
    let columns = batch.columns().iter().map(plain);
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// An array of the plain type.
fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let Some(data_type) = plain_type(array.data_type()) else {
        return Ok(Arc::clone(array));
    };
    match array.data_type() {
        ArrowType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            take(&plain(dictionary.values())?, dictionary.keys(), None)
        }
        ArrowType::RunEndEncoded(ends, _) => match ends.data_type() {
            ArrowType::Int16 => without_runs::<Int16Type>(array),
            ArrowType::Int32 => without_runs::<Int32Type>(array),
            _ => without_runs::<types::Int64Type>(array),
        },
        _ => {
            let data = array.to_data();
            let children = data.child_data().iter();
            let children = children
                .map(|child| Ok(plain(&make_array(child.clone()))?.to_data()))
                .collect::<Result<Vec<_>, ArrowError>>()?;
            let data = data.into_builder().data_type(data_type);
            Ok(make_array(data.child_data(children).build()?))
        }
    }
}

fn without_runs<R: RunEndIndexType>(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let array: &RunArray<R> = array.as_run();
    let places = (0..array.len()).map(|index| array.get_physical_index(index) as i64);
    take(
        &plain(array.values())?,
        &Int64Array::from_iter_values(places),
        None,
    )
}
