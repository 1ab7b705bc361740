//! The columns a function takes and gives, and their types in SQL terms.

use std::collections::HashSet;
use std::fmt;

use triton_client::Datatype;

use crate::{Error, ErrorKind};

macro_rules! scalar_types {
    ($($(#[$doc:meta])+ $variant:ident $name:literal $datatype:ident;)+) => {
        /// The type of a column, under its SQL name.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DataType {
            $($(#[$doc])+ $variant,)+
            /// `ARRAY<…>`: one more dimension than its elements have.
            Array(Box<DataType>),
        }

        impl DataType {
            /// Every type that is no array.
            pub const SCALARS: &'static [DataType] = &[$(DataType::$variant),+];

            /// The datatype of the tensor that a column of this type becomes.
            #[must_use]
            pub fn tensor_datatype(&self) -> Datatype {
                match self {
                    $(DataType::$variant => Datatype::$datatype,)+
                    DataType::Array(element) => element.tensor_datatype(),
                }
            }
        }

        impl fmt::Display for DataType {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(DataType::$variant => formatter.write_str($name),)+
                    DataType::Array(element) => write!(formatter, "ARRAY<{element}>"),
                }
            }
        }
    };
}

scalar_types! {
    /// `BOOLEAN`, a `BOOL` tensor.
    Boolean "BOOLEAN" Bool;
    /// `TINYINT`, an `INT8` tensor.
    TinyInt "TINYINT" Int8;
    /// `SMALLINT`, an `INT16` tensor.
    SmallInt "SMALLINT" Int16;
    /// `INT`, an `INT32` tensor.
    Integer "INT" Int32;
    /// `BIGINT`, an `INT64` tensor.
    BigInt "BIGINT" Int64;
    /// `TINYINT UNSIGNED`, a `UINT8` tensor.
    UnsignedTinyInt "TINYINT UNSIGNED" Uint8;
    /// `SMALLINT UNSIGNED`, a `UINT16` tensor.
    UnsignedSmallInt "SMALLINT UNSIGNED" Uint16;
    /// `INT UNSIGNED`, a `UINT32` tensor.
    UnsignedInteger "INT UNSIGNED" Uint32;
    /// `BIGINT UNSIGNED`, a `UINT64` tensor.
    UnsignedBigInt "BIGINT UNSIGNED" Uint64;
    /// `FLOAT16`, an `FP16` tensor; values are rounded from and widened to `f32`.
    Float16 "FLOAT16" Fp16;
    /// `BFLOAT16`, a `BF16` tensor; values are rounded from and widened to `f32`.
    BFloat16 "BFLOAT16" Bf16;
    /// `FLOAT`, an `FP32` tensor.
    Float "FLOAT" Fp32;
    /// `DOUBLE`, an `FP64` tensor.
    Double "DOUBLE" Fp64;
    /// `STRING`, a `BYTES` tensor of UTF-8 text.
    String "STRING" Bytes;
    /// `BYTES`, a `BYTES` tensor of any content.
    Bytes "BYTES" Bytes;
}

impl DataType {
    /// The type of a column whose tensor has such elements: `STRING` where they are `BYTES`.
    pub(crate) fn of_elements(datatype: Datatype) -> Option<Self> {
        let is_of = |scalar: &&Self| scalar.tensor_datatype() == datatype;
        Self::SCALARS.iter().find(is_of).cloned()
    }

    /// The type of arrays of this type.
    ///
    /// ```
    /// use triton_model_fn::DataType;
    ///
    /// assert_eq!(DataType::Float.array().to_string(), "ARRAY<FLOAT>");
    /// ```
    #[must_use]
    pub fn array(self) -> Self {
        Self::Array(Box::new(self))
    }

    /// How many arrays lie within each other: 0 for a scalar.
    #[must_use]
    pub fn rank(&self) -> usize {
        match self {
            DataType::Array(element) => 1 + element.rank(),
            _ => 0,
        }
    }

    /// The type of the scalars within any arrays.
    #[must_use]
    pub fn scalar(&self) -> &DataType {
        match self {
            DataType::Array(element) => element.scalar(),
            scalar => scalar,
        }
    }
}

/// A column of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Column {
    /// The column's name, which is also the tensor's unless the options say otherwise.
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

impl<N: Into<String>> From<(N, DataType)> for Column {
    fn from((name, data_type): (N, DataType)) -> Self {
        Self::new(name, data_type)
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
    /// A schema of columns, which can be given as pairs of name and type.
    ///
    /// ```
    /// use triton_model_fn::{DataType, Schema};
    ///
    /// let schema = Schema::new(
    ///     [("image", DataType::Float.array())],
    ///     [("label", DataType::String), ("score", DataType::Float)],
    /// );
    /// assert_eq!(schema.outputs[1].name, "score");
    /// ```
    #[must_use]
    pub fn new<I: Into<Column>, O: Into<Column>>(
        inputs: impl IntoIterator<Item = I>,
        outputs: impl IntoIterator<Item = O>,
    ) -> Self {
        Self {
            inputs: inputs.into_iter().map(Into::into).collect(),
            outputs: outputs.into_iter().map(Into::into).collect(),
        }
    }

    /// A schema of input columns alone, for a function whose output columns no tensor is.
    #[must_use]
    pub fn of_inputs<I: Into<Column>>(inputs: impl IntoIterator<Item = I>) -> Self {
        Self::new(inputs, Vec::<Column>::new())
    }

    /// Refuses a schema without columns on a side, or with two columns of one name.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (side, columns) in self.sides() {
            if columns.is_empty() {
                let message = format!("{side} has no columns: name at least one tensor");
                return Err(Error::new(ErrorKind::Schema, message));
            }
        }
        self.check_names()
    }

    fn sides(&self) -> [(&'static str, &[Column]); 2] {
        [("INPUT", &self.inputs), ("OUTPUT", &self.outputs)]
    }

    /// Refuses a schema with two columns of one name on a side.
    pub(crate) fn check_names(&self) -> Result<(), Error> {
        for (side, columns) in self.sides() {
            let mut names = HashSet::with_capacity(columns.len());
            for column in columns {
                if !names.insert(&column.name) {
                    let message = format!("{side} has two columns named '{}'", column.name);
                    return Err(Error::new(ErrorKind::Schema, message));
                }
            }
        }
        Ok(())
    }
}
