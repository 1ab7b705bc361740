//! Units of time that Parquet has no type for. Left to the library they would become whole numbers, which most
//! readers cannot tell from others; so they are written in milliseconds, which every value of theirs has.

use std::sync::Arc;

use arrow_array::builder::BufferBuilder;
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_data::ArrayData;
use arrow_schema::{
    ArrowError, DataType as ArrowType, Field, FieldRef, Schema, SchemaRef, TimeUnit,
};

/// The schema in units that Parquet has.
pub(super) fn schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(field);
    let fields: Vec<FieldRef> = fields.collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The columns of a batch in the units of `schema`, which is that of [`schema`].
pub(super) fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(batch.schema_ref().fields());
    let columns = columns.map(|(array, field)| match data_type(field.data_type()) {
        None => Ok(Arc::clone(array)),
        Some(_) => Ok(make_array(array_data(&array.to_data()).map_err(
            |error| ArrowError::ParquetError(format!("column '{}': {error}", field.name())),
        )?)),
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, ArrowError>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn field(field: &FieldRef) -> FieldRef {
    match data_type(field.data_type()) {
        None => Arc::clone(field),
        Some(data_type) => Arc::new(Field::clone(field).with_data_type(data_type)),
    }
}

/// The type in a unit that Parquet has, where its own is none.
fn data_type(data_type: &ArrowType) -> Option<ArrowType> {
    let inner = |inner: &FieldRef| self::data_type(inner.data_type()).map(|_| field(inner));
    Some(match data_type {
        // A day of Arrow in milliseconds may have a time, which a DATE has not.
        ArrowType::Date64 => ArrowType::Timestamp(TimeUnit::Millisecond, None),
        ArrowType::Timestamp(TimeUnit::Second, zone) => {
            ArrowType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        ArrowType::Time32(TimeUnit::Second) => ArrowType::Time32(TimeUnit::Millisecond),
        ArrowType::List(field) => ArrowType::List(inner(field)?),
        ArrowType::LargeList(field) => ArrowType::LargeList(inner(field)?),
        ArrowType::ListView(field) => ArrowType::ListView(inner(field)?),
        ArrowType::LargeListView(field) => ArrowType::LargeListView(inner(field)?),
        ArrowType::FixedSizeList(field, size) => ArrowType::FixedSizeList(inner(field)?, *size),
        ArrowType::Map(field, is_sorted) => ArrowType::Map(inner(field)?, *is_sorted),
        ArrowType::Struct(fields) => {
            fields.iter().find_map(inner)?;
            ArrowType::Struct(fields.iter().map(field).collect())
        }
        _ => return None,
    })
}

fn array_data(data: &ArrayData) -> Result<ArrayData, ArrowError> {
    let Some(data_type) = data_type(data.data_type()) else {
        return Ok(data.clone());
    };
    let builder = data.clone().into_builder().data_type(data_type);
    match data.data_type() {
        // The same milliseconds.
        ArrowType::Date64 => builder.build(),
        ArrowType::Timestamp(..) => {
            let seconds = data.buffer::<i64>(0);
            let mut milliseconds = BufferBuilder::<i64>::new(data.len());
            for (index, seconds) in seconds[..data.len()].iter().enumerate() {
                let value = match data.is_null(index) {
                    true => Some(0),
                    false => seconds.checked_mul(1000),
                };
                milliseconds.append(value.ok_or_else(|| {
                    let what = "seconds after 1970 are more than milliseconds in 64 bits hold";
                    ArrowError::ComputeError(format!("{seconds} {what}"))
                })?);
            }
            let builder = builder.offset(0).buffers(vec![milliseconds.finish()]);
            builder.nulls(data.nulls().cloned()).build()
        }
        ArrowType::Time32(_) => {
            let seconds = &data.buffer::<i32>(0)[..data.len()];
            let mut milliseconds = BufferBuilder::<i32>::new(data.len());
            for seconds in seconds {
                // A day has 86,400 of them; what is none stays none.
                milliseconds.append(seconds.saturating_mul(1000));
            }
            let builder = builder.offset(0).buffers(vec![milliseconds.finish()]);
            builder.nulls(data.nulls().cloned()).build()
        }
        _ => {
            let children = data.child_data().iter().map(array_data);
            builder
                .child_data(children.collect::<Result<_, ArrowError>>()?)
                .build()
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::{Int32Type, TimestampMillisecondType};
    use arrow_array::{
        Date64Array, ListArray, StructArray, Time32MillisecondArray, Time32SecondArray,
        TimestampMillisecondArray, TimestampSecondArray,
    };
    use arrow_schema::Fields;

    use super::*;

    fn converted(array: ArrayRef) -> Result<ArrayRef, ArrowError> {
        let field = Field::new("a", array.data_type().clone(), true);
        let given = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array])?;
        Ok(Arc::clone(
            batch(&given, &schema(given.schema_ref()))?.column(0),
        ))
    }

    #[test]
    fn seconds_and_days_become_milliseconds() {
        let seconds = TimestampSecondArray::from(vec![Some(-1), None, Some(5)]).with_timezone("Z");
        let expected =
            TimestampMillisecondArray::from(vec![Some(-1000), None, Some(5000)]).with_timezone("Z");
        assert_eq!(
            converted(Arc::new(seconds.clone())).unwrap().as_ref(),
            &expected as &dyn Array
        );
        // A slice keeps to its own rows.
        let sliced = converted(Arc::new(seconds.slice(1, 2))).unwrap();
        let sliced = sliced.as_primitive::<TimestampMillisecondType>();
        assert_eq!(sliced.iter().collect::<Vec<_>>(), [None, Some(5000)]);
        let times = Time32SecondArray::from(vec![Some(86_399), None]);
        let expected = Time32MillisecondArray::from(vec![Some(86_399_000), None]);
        assert_eq!(
            converted(Arc::new(times)).unwrap().as_ref(),
            &expected as &dyn Array
        );
        let days = Date64Array::from(vec![Some(86_400_000), None]);
        let expected = TimestampMillisecondArray::from(vec![Some(86_400_000), None]);
        assert_eq!(
            converted(Arc::new(days)).unwrap().as_ref(),
            &expected as &dyn Array
        );
    }

    #[test]
    fn those_within_lists_and_structs_as_well() {
        let times: ArrayRef = Arc::new(Time32SecondArray::from(vec![1, 2, 3]));
        let fields = Fields::from(vec![Field::new("t", times.data_type().clone(), true)]);
        let rows: ArrayRef = Arc::new(StructArray::new(fields, vec![times], None));
        let item = Arc::new(Field::new("item", rows.data_type().clone(), true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths([1, 2]);
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, rows, None));
        let last = converted(lists).unwrap().as_list::<i32>().value(1);
        let times = last.as_struct().column(0);
        assert_eq!(times.data_type(), &ArrowType::Time32(TimeUnit::Millisecond));
        assert_eq!(times.to_data().buffer::<i32>(0)[..2], [2000, 3000]);
    }

    #[test]
    fn what_milliseconds_do_not_hold_is_named() {
        let far = TimestampSecondArray::from(vec![Some(i64::MAX / 10)]);
        insta::assert_snapshot!(converted(Arc::new(far)).unwrap_err(), @"Parquet argument error: column 'a': Compute error: 922337203685477580 seconds after 1970 are more than milliseconds in 64 bits hold");
    }

    #[test]
    fn everything_else_stays_what_it_is() {
        let numbers: ArrayRef = Arc::new(arrow_array::PrimitiveArray::<Int32Type>::from(vec![1]));
        assert!(Arc::ptr_eq(
            &converted(Arc::clone(&numbers)).unwrap(),
            &numbers
        ));
    }
}
