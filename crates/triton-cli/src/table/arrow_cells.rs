//! Arrow arrays as values of the model's columns, as cells of CSV and as JSON objects.

use std::sync::Arc;

use anyhow::Context as _;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, types};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_json::writer::{NullableEncoder, make_encoder};
use arrow_json::{Encoder, EncoderFactory, EncoderOptions};
use arrow_schema::{ArrowError, DataType as ArrowType, Field, FieldRef, Schema};
use csv::StringRecord;
use triton_model_fn::{DataType, Value};

use super::cell;
use super::json_object::JsonObject;
use super::row::Original;

/// Whether arrays of an Arrow type hold what a column of the model may hold: values that do not
/// fit are then found one by one.
pub(super) fn converts(from: &ArrowType, to: &DataType) -> bool {
    let integer = |to: &DataType| {
        matches!(
            to,
            DataType::TinyInt
                | DataType::SmallInt
                | DataType::Integer
                | DataType::BigInt
                | DataType::UnsignedTinyInt
                | DataType::UnsignedSmallInt
                | DataType::UnsignedInteger
                | DataType::UnsignedBigInt
        )
    };
    let float =
        |to: &DataType| matches!(to, DataType::Float16 | DataType::Float | DataType::Double);
    match (from, to) {
        (ArrowType::Dictionary(_, values), to) => converts(values, to),
        (ArrowType::RunEndEncoded(_, values), to) => converts(values.data_type(), to),
        (ArrowType::Null, _) => true,
        (
            ArrowType::List(field)
            | ArrowType::LargeList(field)
            | ArrowType::FixedSizeList(field, _)
            | ArrowType::ListView(field)
            | ArrowType::LargeListView(field),
            DataType::Array(element),
        ) => converts(field.data_type(), element),
        (ArrowType::Boolean, DataType::Boolean)
        | (ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View, DataType::String)
        | (
            ArrowType::Binary
            | ArrowType::LargeBinary
            | ArrowType::BinaryView
            | ArrowType::FixedSizeBinary(_),
            DataType::Bytes,
        ) => true,
        (from, to) if from.is_integer() => integer(to) || float(to),
        (from, to) if from.is_floating() => float(to),
        (
            ArrowType::Decimal32(..)
            | ArrowType::Decimal64(..)
            | ArrowType::Decimal128(..)
            | ArrowType::Decimal256(..),
            to,
        ) => float(to),
        _ => false,
    }
}

/// An array of the type that [`Value::from_arrow`](triton_model_fn::Value::from_arrow) reads;
/// what does not fit is NULL in it.
pub(super) fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let to = to.arrow_type();
    if *array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    arrow_cast::cast(array, &to)
}

/// Every element as text.
pub(super) fn texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(Field::new("", array.data_type().clone(), true));
    let cells = cells(&field, array)?.into_iter().enumerate();
    let texts = cells.map(|(index, text)| array.is_valid(index).then_some(text));
    Ok(Arc::new(texts.collect::<StringArray>()))
}

/// A field whose values stand for themselves: dictionaries differ from batch to batch, and a file
/// cannot hold several.
pub(super) fn plain_field(field: &FieldRef) -> FieldRef {
    let plain = match field.data_type() {
        ArrowType::Dictionary(_, values) => (**values).clone(),
        ArrowType::RunEndEncoded(_, values) => values.data_type().clone(),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(plain))
}

/// A batch all of whose fields are plain.
pub(super) fn plain(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let fields: Vec<FieldRef> = batch
        .schema_ref()
        .fields()
        .iter()
        .map(plain_field)
        .collect();
    let columns = fields.iter().zip(batch.columns());
    let columns = columns
        .map(
            |(field, array)| match array.data_type() == field.data_type() {
                true => Ok(Arc::clone(array)),
                false => arrow_cast::cast(array, field.data_type()),
            },
        )
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The rows of a batch, a text for each column.
pub(super) fn records(batch: &RecordBatch) -> anyhow::Result<Vec<Original>> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let columns: Vec<Vec<String>> = columns
        .map(|(field, array)| {
            let cells = cells(field, array);
            cells.with_context(|| format!("column '{}' cannot be shown as text", field.name()))
        })
        .collect::<Result<_, _>>()?;
    let rows = (0..batch.num_rows()).map(|index| {
        let cells = columns.iter().map(|column| column[index].as_str());
        Original::Cells(StringRecord::from_iter(cells))
    });
    Ok(rows.collect())
}

/// The rows of a batch as JSON objects.
pub(super) fn objects(batch: &RecordBatch) -> anyhow::Result<Vec<Original>> {
    let mut rows = vec![b"{".to_vec(); batch.num_rows()];
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    for (position, (field, array)) in columns.enumerate() {
        let mut name = String::from(if position == 0 { "" } else { "," });
        cell::write_json_text(field.name(), &mut name);
        name.push(':');
        let options = options();
        let mut encoder = make_encoder(field, array, &options)
            .with_context(|| format!("column '{}' cannot be written as JSON", field.name()))?;
        for (index, row) in rows.iter_mut().enumerate() {
            row.extend_from_slice(name.as_bytes());
            encode(&mut encoder, index, row);
        }
    }
    let rows = rows.into_iter().map(|mut row| {
        row.push(b'}');
        Ok(Original::Object(JsonObject::of_columns(String::from_utf8(
            row,
        )?)))
    });
    rows.collect()
}

/// A batch of one row as JSON, to be read by a person.
pub(super) fn object_text(batch: &RecordBatch) -> String {
    match objects(batch).map(|rows| rows.into_iter().next()) {
        Ok(Some(Original::Object(object))) => object.text().to_owned(),
        _ => String::new(),
    }
}

/// One element as text, to be read by a person.
pub(super) fn cell_text(array: &ArrayRef, index: usize) -> String {
    let field = Arc::new(Field::new("", array.data_type().clone(), true));
    let cells = cells(&field, &array.slice(index, 1));
    cells
        .ok()
        .and_then(|mut cells| cells.pop())
        .unwrap_or_default()
}

fn cells(field: &FieldRef, array: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    // Times and decimals are best left to Arrow; numbers, texts and what is nested go by JSON.
    let display = array.data_type().is_temporal()
        || matches!(
            array.data_type(),
            ArrowType::Decimal32(..)
                | ArrowType::Decimal64(..)
                | ArrowType::Decimal128(..)
                | ArrowType::Decimal256(..)
        );
    if display {
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(array, &options)?;
        let cells = (0..array.len()).map(|index| formatter.value(index).try_to_string());
        return cells.collect();
    }
    let options = options();
    let mut encoder = make_encoder(field, array, &options)?;
    let mut json = Vec::new();
    let cells = (0..array.len()).map(|index| {
        json.clear();
        encode(&mut encoder, index, &mut json);
        let text = str::from_utf8(&json)
            .map_err(|error| ArrowError::CastError(format!("text that is no UTF-8: {error}")))?;
        Ok(match text {
            "\"Infinity\"" if array.data_type().is_floating() => "inf".to_owned(),
            "\"-Infinity\"" if array.data_type().is_floating() => "-inf".to_owned(),
            text => cell::cell_of_json(text),
        })
    });
    cells.collect()
}

fn encode(encoder: &mut NullableEncoder<'_>, index: usize, json: &mut Vec<u8>) {
    if encoder.is_null(index) {
        json.extend_from_slice(b"null");
    } else {
        encoder.encode(index, json);
    }
}

fn options() -> EncoderOptions {
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(HouseStyle))
}

/// Writes what Arrow's JSON loses as the rest of the command does: bytes in base64, and numbers
/// that JSON lacks as text.
#[derive(Debug)]
struct HouseStyle;

impl EncoderFactory for HouseStyle {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        use types::{Float16Type, Float32Type, Float64Type};
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            ArrowType::Float16 => {
                let array = array.as_primitive::<Float16Type>();
                Box::new(Values(move |index| {
                    Value::Float16(array.value(index).to_f32())
                }))
            }
            ArrowType::Float32 => {
                let array = array.as_primitive::<Float32Type>();
                Box::new(Values(move |index| Value::Float(array.value(index))))
            }
            ArrowType::Float64 => {
                let array = array.as_primitive::<Float64Type>();
                Box::new(Values(move |index| Value::Double(array.value(index))))
            }
            ArrowType::Binary => {
                let array = array.as_binary::<i32>();
                Box::new(Values(move |index| {
                    Value::Bytes(array.value(index).to_vec())
                }))
            }
            ArrowType::LargeBinary => {
                let array = array.as_binary::<i64>();
                Box::new(Values(move |index| {
                    Value::Bytes(array.value(index).to_vec())
                }))
            }
            ArrowType::BinaryView => {
                let array = array.as_binary_view();
                Box::new(Values(move |index| {
                    Value::Bytes(array.value(index).to_vec())
                }))
            }
            ArrowType::FixedSizeBinary(_) => {
                let array = array.as_fixed_size_binary();
                Box::new(Values(move |index| {
                    Value::Bytes(array.value(index).to_vec())
                }))
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// Writes elements as the values they are.
struct Values<F>(F);

impl<F: Fn(usize) -> Value> Encoder for Values<F> {
    fn encode(&mut self, index: usize, json: &mut Vec<u8>) {
        let mut text = String::new();
        cell::write_json(&(self.0)(index), &mut text);
        json.extend_from_slice(text.as_bytes());
    }
}
