//! Rows: the types of their columns in SQL terms, and their values.

use std::fmt;

use triton_client::Datatype;

use crate::{Error, ErrorKind};

/// The type of a column, under its SQL name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// `BOOLEAN`, a `BOOL` tensor.
    Boolean,
    /// `TINYINT`, an `INT8` tensor.
    TinyInt,
    /// `SMALLINT`, an `INT16` tensor.
    SmallInt,
    /// `INT`, an `INT32` tensor.
    Integer,
    /// `BIGINT`, an `INT64` tensor.
    BigInt,
    /// `FLOAT`, an `FP32` tensor.
    Float,
    /// `DOUBLE`, an `FP64` tensor.
    Double,
    /// `STRING`, a `BYTES` tensor of UTF-8 text.
    String,
    /// `ARRAY<…>`: one more dimension than its elements have.
    Array(Box<DataType>),
}

impl DataType {
    /// The datatype of the tensor that a column of this type becomes.
    #[must_use]
    pub fn tensor_datatype(&self) -> Datatype {
        match self {
            DataType::Boolean => Datatype::Bool,
            DataType::TinyInt => Datatype::Int8,
            DataType::SmallInt => Datatype::Int16,
            DataType::Integer => Datatype::Int32,
            DataType::BigInt => Datatype::Int64,
            DataType::Float => Datatype::Fp32,
            DataType::Double => Datatype::Fp64,
            DataType::String => Datatype::Bytes,
            DataType::Array(element) => element.tensor_datatype(),
        }
    }

    /// How many arrays lie within each other: 0 for a scalar.
    #[must_use]
    pub fn rank(&self) -> usize {
        match self {
            DataType::Array(element) => 1 + element.rank(),
            _ => 0,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            DataType::Boolean => "BOOLEAN",
            DataType::TinyInt => "TINYINT",
            DataType::SmallInt => "SMALLINT",
            DataType::Integer => "INT",
            DataType::BigInt => "BIGINT",
            DataType::Float => "FLOAT",
            DataType::Double => "DOUBLE",
            DataType::String => "STRING",
            DataType::Array(element) => return write!(formatter, "ARRAY<{element}>"),
        })
    }
}

/// A column of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Column {
    /// The column's name, which is also the tensor's.
    pub name: String,
    /// The column's type.
    pub data_type: DataType,
}

impl Column {
    /// A column called `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        let name = name.into();
        Self { name, data_type }
    }
}

/// The columns a function takes and the columns it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// What a row handed to the function consists of.
    pub inputs: Vec<Column>,
    /// What a predicted row consists of.
    pub outputs: Vec<Column>,
}

impl Schema {
    /// Refuses a schema without columns on a side, or with two columns of one name.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (side, columns) in [("INPUT", &self.inputs), ("OUTPUT", &self.outputs)] {
            if columns.is_empty() {
                let message = format!("{side} has no columns: name at least one tensor");
                return Err(Error::new(ErrorKind::Schema, message));
            }
            for (index, column) in columns.iter().enumerate() {
                if columns[..index]
                    .iter()
                    .any(|earlier| earlier.name == column.name)
                {
                    let message = format!("{side} has two columns named '{}'", column.name);
                    return Err(Error::new(ErrorKind::Schema, message));
                }
            }
        }
        Ok(())
    }
}

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
    /// A `FLOAT`.
    Float(f32),
    /// A `DOUBLE`.
    Double(f64),
    /// A `STRING`.
    String(String),
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
            Value::Float(_) => "a FLOAT",
            Value::Double(_) => "a DOUBLE",
            Value::String(_) => "a STRING",
            Value::Array(_) => "an ARRAY",
        }
    }
}
