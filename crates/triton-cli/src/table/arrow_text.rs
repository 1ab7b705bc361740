//! Elements of Arrow arrays as text: as cells of CSV, and as JSON.
//!
//! Written here and not by `arrow-json`, which cannot say that an element has no text, and which
//! takes neither unions nor maps whose keys are no text.

use std::collections::HashSet;
use std::fmt::Write as _;

use arrow_array::cast::AsArray as _;
use arrow_array::timezone::Tz;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, temporal_conversions as temporal};
use arrow_schema::{DataType as ArrowType, FieldRef, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{NaiveDateTime, Offset as _, SecondsFormat, TimeZone as _, Utc};
use triton_model_fn::Value;

use super::{arrow_intervals, cell};

/// An element as the cell of CSV; NULL is an empty one. The error says why it has no text.
///
/// The array is plain: without dictionaries and runs.
pub(super) fn cell(array: &dyn Array, index: usize) -> Result<String, String> {
    let mut text = String::new();
    write(array, index, Quotes::Cell, &mut text)?;
    Ok(text)
}

/// Appends an element as JSON. The error says why it has no text; what was appended is then of no
/// use.
///
/// The array is plain: without dictionaries and runs.
pub(super) fn write_json(array: &dyn Array, index: usize, text: &mut String) -> Result<(), String> {
    write(array, index, Quotes::Json, text)
}

/// Whether a text is put in quotes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Quotes {
    /// The text is a cell by itself.
    Cell,
    /// The text is a part of JSON.
    Json,
}

/// Whether an element is NULL, also where the array has no mask for it.
pub(super) fn is_null(array: &dyn Array, index: usize) -> bool {
    match array.data_type() {
        ArrowType::Null => true,
        ArrowType::Union(..) => {
            let union = array.as_union();
            let child = union.child(union.type_id(index));
            is_null(child, union.value_offset(index))
        }
        _ => array.is_null(index),
    }
}

/// A name that two members of a struct have, wherever in a type: a JSON object would hold both, and
/// whoever reads it finds only one.
pub(super) fn doubled_member(data_type: &ArrowType) -> Option<String> {
    match data_type {
        ArrowType::Struct(fields) => {
            let mut names = HashSet::new();
            let doubled = fields.iter().find(|field| !names.insert(field.name()));
            let within = |field: &FieldRef| doubled_member(field.data_type());
            match doubled {
                Some(field) => Some(field.name().clone()),
                None => fields.iter().find_map(within),
            }
        }
        ArrowType::Union(fields, _) => {
            let mut fields = fields.iter();
            fields.find_map(|(_, field)| doubled_member(field.data_type()))
        }
        ArrowType::List(field)
        | ArrowType::LargeList(field)
        | ArrowType::FixedSizeList(field, _)
        | ArrowType::ListView(field)
        | ArrowType::LargeListView(field)
        | ArrowType::RunEndEncoded(_, field) => doubled_member(field.data_type()),
        ArrowType::Map(entries, _) => match entries.data_type() {
            // Key and value are no members, whatever they are called.
            ArrowType::Struct(fields) => {
                let mut fields = fields.iter();
                fields.find_map(|field| doubled_member(field.data_type()))
            }
            _ => None,
        },
        ArrowType::Dictionary(_, values) => doubled_member(values),
        _ => None,
    }
}

fn write(array: &dyn Array, index: usize, quotes: Quotes, out: &mut String) -> Result<(), String> {
    if is_null(array, index) {
        if quotes == Quotes::Json {
            out.push_str("null");
        }
        return Ok(());
    }
    // Writing to a String cannot fail.
    macro_rules! number {
        ($arrow:ident) => {{
            let _ = write!(out, "{}", array.as_primitive::<$arrow>().value(index));
        }};
    }
    macro_rules! decimal {
        ($arrow:ident, $scale:expr) => {{
            let digits = array.as_primitive::<$arrow>().value(index).to_string();
            write_decimal(&digits, *$scale, out);
        }};
    }
    macro_rules! quoted {
        ($text:expr) => {
            match quotes {
                Quotes::Cell => out.push_str($text),
                Quotes::Json => cell::write_json_text($text, out),
            }
        };
    }
    match array.data_type() {
        ArrowType::Boolean => {
            let _ = write!(out, "{}", array.as_boolean().value(index));
        }
        ArrowType::Int8 => number!(Int8Type),
        ArrowType::Int16 => number!(Int16Type),
        ArrowType::Int32 => number!(Int32Type),
        ArrowType::Int64 => number!(Int64Type),
        ArrowType::UInt8 => number!(UInt8Type),
        ArrowType::UInt16 => number!(UInt16Type),
        ArrowType::UInt32 => number!(UInt32Type),
        ArrowType::UInt64 => number!(UInt64Type),
        ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => {
            let value = float(array, index);
            match quotes {
                Quotes::Cell => cell::write_cell(&value, out),
                Quotes::Json => cell::write_json(&value, out),
            }
        }
        ArrowType::Decimal32(_, scale) => decimal!(Decimal32Type, scale),
        ArrowType::Decimal64(_, scale) => decimal!(Decimal64Type, scale),
        ArrowType::Decimal128(_, scale) => decimal!(Decimal128Type, scale),
        ArrowType::Decimal256(_, scale) => decimal!(Decimal256Type, scale),
        ArrowType::Utf8 => quoted!(array.as_string::<i32>().value(index)),
        ArrowType::LargeUtf8 => quoted!(array.as_string::<i64>().value(index)),
        ArrowType::Utf8View => quoted!(array.as_string_view().value(index)),
        ArrowType::Binary
        | ArrowType::LargeBinary
        | ArrowType::BinaryView
        | ArrowType::FixedSizeBinary(_) => {
            quoted!(&BASE64.encode(bytes(array, index).unwrap_or_default()));
        }
        ArrowType::Interval(unit) => quoted!(&arrow_intervals::text(array, *unit, index)),
        ArrowType::Duration(unit) => {
            let count = match unit {
                TimeUnit::Second => array.as_primitive::<DurationSecondType>().value(index),
                TimeUnit::Millisecond => {
                    array.as_primitive::<DurationMillisecondType>().value(index)
                }
                TimeUnit::Microsecond => {
                    array.as_primitive::<DurationMicrosecondType>().value(index)
                }
                TimeUnit::Nanosecond => array.as_primitive::<DurationNanosecondType>().value(index),
            };
            quoted!(&duration(count, *unit));
        }
        time if time.is_temporal() => quoted!(&point_in_time(array, index)?),
        ArrowType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            out.push('{');
            for (position, (field, column)) in columns.enumerate() {
                separate(position, out);
                cell::write_json_text(field.name(), out);
                out.push(':');
                write(column, index, Quotes::Json, out)?;
            }
            out.push('}');
        }
        ArrowType::Map(..) => {
            let entries = array.as_map().value(index);
            let mut keys = HashSet::new();
            out.push('{');
            for entry in 0..entries.len() {
                separate(entry, out);
                let begin = out.len();
                write_key(entries.column(0), entry, out)?;
                if entries.len() > 1 && !keys.insert(out[begin..].to_owned()) {
                    let key = &out[begin..];
                    return Err(format!(
                        "the map has the key {key} twice, and a JSON object holds only one of them"
                    ));
                }
                out.push(':');
                write(entries.column(1), entry, Quotes::Json, out)?;
            }
            out.push('}');
        }
        ArrowType::Union(..) => {
            let union = array.as_union();
            let child = union.child(union.type_id(index));
            write(child, union.value_offset(index), quotes, out)?;
        }
        other => match elements(array, index) {
            Some(elements) => {
                out.push('[');
                for element in 0..elements.len() {
                    separate(element, out);
                    write(&elements, element, Quotes::Json, out)?;
                }
                out.push(']');
            }
            None => return Err(format!("a value of the type {other} has no text")),
        },
    }
    Ok(())
}

fn separate(position: usize, out: &mut String) {
    if position > 0 {
        out.push(',');
    }
}

/// The key of a map's entry: JSON has none but texts.
fn write_key(keys: &dyn Array, index: usize, out: &mut String) -> Result<(), String> {
    if is_null(keys, index) {
        return Err("a key of the map is NULL, for which JSON has no name".to_owned());
    }
    cell::write_json_text(&cell(keys, index)?, out);
    Ok(())
}

/// The elements of a list of any kind; `None` where the array holds none.
pub(super) fn elements(array: &dyn Array, index: usize) -> Option<arrow_array::ArrayRef> {
    Some(match array.data_type() {
        ArrowType::List(_) => array.as_list::<i32>().value(index),
        ArrowType::LargeList(_) => array.as_list::<i64>().value(index),
        ArrowType::FixedSizeList(..) => array.as_fixed_size_list().value(index),
        ArrowType::ListView(_) => array.as_list_view::<i32>().value(index),
        ArrowType::LargeListView(_) => array.as_list_view::<i64>().value(index),
        _ => return None,
    })
}

/// The bytes of a binary array of any kind; `None` where the array holds none.
pub(super) fn bytes(array: &dyn Array, index: usize) -> Option<&[u8]> {
    Some(match array.data_type() {
        ArrowType::Binary => array.as_binary::<i32>().value(index),
        ArrowType::LargeBinary => array.as_binary::<i64>().value(index),
        ArrowType::BinaryView => array.as_binary_view().value(index),
        ArrowType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(index),
        _ => return None,
    })
}

fn float(array: &dyn Array, index: usize) -> Value {
    match array.data_type() {
        ArrowType::Float16 => {
            Value::Float16(array.as_primitive::<Float16Type>().value(index).to_f32())
        }
        ArrowType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(index)),
        _ => Value::Double(array.as_primitive::<Float64Type>().value(index)),
    }
}

/// Places the point in the digits of a decimal. Digits beyond the declared precision stay.
pub(super) fn write_decimal(digits: &str, scale: i8, out: &mut String) {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    out.push_str(sign);
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.push_str(digits);
        if digits != "0" {
            out.extend(std::iter::repeat_n('0', places));
        }
        return;
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    out.push_str(whole);
    out.push('.');
    out.push_str(fraction);
}

/// A duration by ISO 8601, whatever its size: as seconds, because days differ in length.
fn duration(count: i64, unit: TimeUnit) -> String {
    let places: u32 = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    if count == 0 {
        return "P0D".to_owned();
    }
    let sign = if count < 0 { "-" } else { "" };
    let unit = 10_u64.pow(places);
    let (seconds, fraction) = (count.unsigned_abs() / unit, count.unsigned_abs() % unit);
    let mut text = format!("{sign}PT{seconds}");
    if fraction > 0 {
        let fraction = format!("{fraction:0>width$}", width = places as usize);
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('S');
    text
}

/// A date, a time of the day or a timestamp by ISO 8601.
fn point_in_time(array: &dyn Array, index: usize) -> Result<String, String> {
    macro_rules! naive {
        ($arrow:ident, $convert:path) => {{
            let value = array.as_primitive::<$arrow>().value(index);
            let found = $convert(value.into()).map(|time| format!("{time:?}"));
            (i64::from(value), found)
        }};
    }
    macro_rules! timestamp {
        ($arrow:ident, $zone:expr) => {{
            let value = array.as_primitive::<$arrow>().value(index);
            let naive = temporal::as_datetime::<$arrow>(value);
            (value, naive.map(|naive| timestamp(naive, $zone.as_deref())))
        }};
    }
    let date = |days: i32| temporal::date32_to_datetime(days).map(|time| time.date());
    let (value, text) = match array.data_type() {
        ArrowType::Date32 => naive!(Date32Type, date),
        ArrowType::Date64 => naive!(Date64Type, temporal::date64_to_datetime),
        ArrowType::Time32(TimeUnit::Second) => naive!(Time32SecondType, temporal::time32s_to_time),
        ArrowType::Time32(_) => naive!(Time32MillisecondType, temporal::time32ms_to_time),
        ArrowType::Time64(TimeUnit::Microsecond) => {
            naive!(Time64MicrosecondType, temporal::time64us_to_time)
        }
        ArrowType::Time64(_) => naive!(Time64NanosecondType, temporal::time64ns_to_time),
        ArrowType::Timestamp(TimeUnit::Second, zone) => timestamp!(TimestampSecondType, zone),
        ArrowType::Timestamp(TimeUnit::Millisecond, zone) => {
            timestamp!(TimestampMillisecondType, zone)
        }
        ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
            timestamp!(TimestampMicrosecondType, zone)
        }
        ArrowType::Timestamp(TimeUnit::Nanosecond, zone) => {
            timestamp!(TimestampNanosecondType, zone)
        }
        other => return Err(format!("a value of the type {other} has no text")),
    };
    text.ok_or_else(|| {
        format!(
            "no calendar or clock has {value} of {}, so it has no text: write Parquet or Arrow, \
             which keep the number",
            array.data_type()
        )
    })
}

/// A timestamp with the offset of its zone, if it has one.
pub(super) fn timestamp(naive: NaiveDateTime, zone: Option<&str>) -> String {
    let Some(zone) = zone.filter(|zone| !zone.is_empty()) else {
        return format!("{naive:?}");
    };
    let instant = Utc.from_utc_datetime(&naive);
    // Before there were time zones, local time was off by seconds, which no text of an offset has;
    // and a zone that is not known here has no offset. The instant is the same in UTC.
    let zone = zone.parse::<Tz>().ok().filter(|zone| {
        let offset = zone.offset_from_utc_datetime(&naive).fix();
        offset.local_minus_utc() % 60 == 0
    });
    match zone {
        Some(zone) => instant
            .with_timezone(&zone)
            .to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => instant.to_rfc3339_opts(SecondsFormat::AutoSi, true),
    }
}
