//! The values of a row.

use triton_client::TensorElement;

use crate::Array;

/// A value in a row.
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

impl From<Array> for Value {
    fn from(array: Array) -> Self {
        Value::Array(array)
    }
}

/// An array of the values, without a copy of them.
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
