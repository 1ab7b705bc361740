//! The values of a row.

use bytes::Bytes;
use half::{bf16, f16};
use triton_client::TensorElement;

use crate::Array;

/// A value in a row.
///
/// ```
/// use triton_model_fn::Value;
///
/// let row: [Value; 4] = [1.5_f32.into(), "warm".into(), true.into(), None::<i64>.into()];
/// assert_eq!(row[1], Value::String("warm".to_owned()));
/// assert_eq!(row[3], Value::Null);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// SQL NULL; a tensor cannot hold it.
    Null,
    /// A `BOOLEAN`.
    Boolean(bool),
    /// A `TINYINT`.
    TinyInt(i8),
    /// A `SMALLINT`.
    SmallInt(i16),
    /// An `INT`.
    Integer(i32),
    /// A `BIGINT`.
    BigInt(i64),
    /// A `TINYINT UNSIGNED`.
    UnsignedTinyInt(u8),
    /// A `SMALLINT UNSIGNED`.
    UnsignedSmallInt(u16),
    /// An `INT UNSIGNED`.
    UnsignedInteger(u32),
    /// A `BIGINT UNSIGNED`.
    UnsignedBigInt(u64),
    /// A `FLOAT16`, as the `f32` of the same value.
    Float16(f32),
    /// A `BFLOAT16`, as the `f32` of the same value.
    BFloat16(f32),
    /// A `FLOAT`.
    Float(f32),
    /// A `DOUBLE`.
    Double(f64),
    /// A `STRING`.
    String(String),
    /// A `BYTES`.
    Bytes(Vec<u8>),
    /// An `ARRAY<…>`.
    Array(Array),
}

impl Value {
    /// What the value is, as an error names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "NULL",
            Value::Boolean(_) => "a BOOLEAN",
            Value::TinyInt(_) => "a TINYINT",
            Value::SmallInt(_) => "a SMALLINT",
            Value::Integer(_) => "an INT",
            Value::BigInt(_) => "a BIGINT",
            Value::UnsignedTinyInt(_) => "a TINYINT UNSIGNED",
            Value::UnsignedSmallInt(_) => "a SMALLINT UNSIGNED",
            Value::UnsignedInteger(_) => "an INT UNSIGNED",
            Value::UnsignedBigInt(_) => "a BIGINT UNSIGNED",
            Value::Float16(_) => "a FLOAT16",
            Value::BFloat16(_) => "a BFLOAT16",
            Value::Float(_) => "a FLOAT",
            Value::Double(_) => "a DOUBLE",
            Value::String(_) => "a STRING",
            Value::Bytes(_) => "a BYTES",
            Value::Array(_) => "an ARRAY",
        }
    }
}

/// What a cache needs of a value that it keeps.
impl Value {
    /// The same value in memory of its own, as little as it needs.
    pub(crate) fn compact(&self) -> Self {
        match self {
            Value::Array(array) => Value::Array(array.compact()),
            value => value.clone(),
        }
    }

    /// How many bytes a [compact](Self::compact) value takes.
    pub(crate) fn memory(&self) -> usize {
        let beside = match self {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Array(array) => array.memory(),
            _ => 0,
        };
        size_of::<Self>() + beside
    }
}

// Each Rust type becomes the SQL type that has its values.
macro_rules! natural_values {
    ($($type:ty => $value:expr;)+) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                $value(value)
            }
        })+
    };
}

natural_values! {
    bool => Value::Boolean;
    i8 => Value::TinyInt;
    i16 => Value::SmallInt;
    i32 => Value::Integer;
    i64 => Value::BigInt;
    u8 => Value::UnsignedTinyInt;
    u16 => Value::UnsignedSmallInt;
    u32 => Value::UnsignedInteger;
    u64 => Value::UnsignedBigInt;
    f16 => |value: f16| Value::Float16(value.to_f32());
    bf16 => |value: bf16| Value::BFloat16(value.to_f32());
    f32 => Value::Float;
    f64 => Value::Double;
    String => Value::String;
    &str => |text: &str| Value::String(text.to_owned());
    Bytes => |bytes: Bytes| Value::Bytes(bytes.into());
    Array => Value::Array;
    Vec<Value> => |values: Vec<Value>| Value::Array(values.into());
}

/// `None` is NULL.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// An array of the values, without a copy of them. Bytes are an array of numbers here, too: a `BYTES`
/// value is made of [`bytes::Bytes`].
///
/// ```
/// use triton_model_fn::Value;
///
/// let reading = Value::from(vec![0.5_f32; 1024]);
/// # assert!(matches!(reading, Value::Array(array) if array.len() == 1024));
/// ```
impl<T: TensorElement> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Value::Array(values.into())
    }
}

/// An array of the values.
impl<T: TensorElement, const COUNT: usize> From<[T; COUNT]> for Value {
    fn from(values: [T; COUNT]) -> Self {
        Vec::from(values).into()
    }
}

/// An array of whatever can be a value, such as texts.
///
/// ```
/// use triton_model_fn::{Array, Value};
///
/// let words: Value = ["warm", "cold"].into_iter().collect();
/// assert!(matches!(words, Value::Array(words) if words.get(1) == Some("cold".into())));
/// ```
impl<V: Into<Value>> FromIterator<V> for Value {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Self {
        let values = values.into_iter().map(Into::into);
        Value::Array(values.collect::<Vec<Value>>().into())
    }
}
