//! The values of a row.

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
    /// A `FLOAT`.
    Float(f32),
    /// A `DOUBLE`.
    Double(f64),
    /// A `STRING`.
    String(String),
    /// A `BYTES`.
    Bytes(Vec<u8>),
    /// An `ARRAY<…>`.
    Array(Vec<Value>),
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
            Value::Float(_) => "a FLOAT",
            Value::Double(_) => "a DOUBLE",
            Value::String(_) => "a STRING",
            Value::Bytes(_) => "a BYTES",
            Value::Array(_) => "an ARRAY",
        }
    }
}
