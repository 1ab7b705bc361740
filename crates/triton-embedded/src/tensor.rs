//! Tensors as models see them: a name, a shape, and values of one type.

use std::fmt;

use crate::model_error::ModelError;

/// The type of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Triton's and say it all")]
pub enum DataType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bf16,
    /// Strings of bytes; `TYPE_STRING` in a model's configuration.
    Bytes,
}

impl DataType {
    const ALL: [DataType; 14] = [
        DataType::Bool,
        DataType::Uint8,
        DataType::Uint16,
        DataType::Uint32,
        DataType::Uint64,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Fp16,
        DataType::Fp32,
        DataType::Fp64,
        DataType::Bf16,
        DataType::Bytes,
    ];

    /// The type of that name in the protocol, for instance `FP32`; names are upper case only.
    pub(crate) fn from_protocol_name(name: &[u8]) -> Option<DataType> {
        DataType::ALL
            .into_iter()
            .find(|datatype| datatype.protocol_name().as_bytes() == name)
    }

    /// The type of that name in a model's configuration.
    pub(crate) fn from_configuration_name(name: &[u8]) -> Option<DataType> {
        DataType::ALL
            .into_iter()
            .find(|datatype| datatype.configuration_name().as_bytes() == name)
    }

    /// The name in requests, answers and metadata.
    pub(crate) fn protocol_name(self) -> &'static str {
        match self {
            DataType::Bool => "BOOL",
            DataType::Uint8 => "UINT8",
            DataType::Uint16 => "UINT16",
            DataType::Uint32 => "UINT32",
            DataType::Uint64 => "UINT64",
            DataType::Int8 => "INT8",
            DataType::Int16 => "INT16",
            DataType::Int32 => "INT32",
            DataType::Int64 => "INT64",
            DataType::Fp16 => "FP16",
            DataType::Fp32 => "FP32",
            DataType::Fp64 => "FP64",
            DataType::Bf16 => "BF16",
            DataType::Bytes => "BYTES",
        }
    }

    /// The name in a model's configuration.
    pub(crate) fn configuration_name(self) -> String {
        match self {
            DataType::Bytes => "TYPE_STRING".to_owned(),
            _ => format!("TYPE_{}", self.protocol_name()),
        }
    }

    /// Bytes of one value; for [`DataType::Bytes`] those of the length that precedes each value.
    pub(crate) fn byte_size(self) -> usize {
        match self {
            DataType::Bool | DataType::Uint8 | DataType::Int8 => 1,
            DataType::Uint16 | DataType::Int16 | DataType::Fp16 | DataType::Bf16 => 2,
            DataType::Uint32 | DataType::Int32 | DataType::Fp32 | DataType::Bytes => 4,
            DataType::Uint64 | DataType::Int64 | DataType::Fp64 => 8,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.protocol_name())
    }
}

/// A named tensor: an input a model receives or an output it gives.
///
/// ```
/// use triton_embedded::Tensor;
///
/// let tensor = Tensor::new("value", [2, 1], vec![0.5_f32, 1.5]);
/// assert_eq!(tensor.values::<f32>().unwrap(), [0.5, 1.5]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The name in the model's configuration.
    pub name: String,
    /// The size of each dimension, the batch dimension first where the model has one.
    pub shape: Vec<usize>,
    /// The values in row-major order.
    pub data: TensorData,
}

impl Tensor {
    /// A tensor of that shape; as many values belong to it as the shape's product says.
    pub fn new(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        data: impl Into<TensorData>,
    ) -> Tensor {
        Tensor {
            name: name.into(),
            shape: shape.into(),
            data: data.into(),
        }
    }

    /// The values, for instance as `values::<f32>()`.
    ///
    /// # Errors
    /// When the tensor holds values of another type.
    pub fn values<Value: Element>(&self) -> Result<&[Value], ModelError> {
        Value::slice(&self.data).ok_or_else(|| {
            ModelError::new(format!(
                "tensor '{}' holds {} values, not {}",
                self.name,
                self.data.datatype(),
                std::any::type_name::<Value>()
            ))
        })
    }
}

macro_rules! elements {
    ($($variant:ident($value:ty)),+; $($bits:ident),+) => {
        /// The values of a tensor, in row-major order.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "the names are Triton's and say it all")]
        pub enum TensorData {
            $($variant(Vec<$value>),)+
            $(
                /// The bit patterns: Rust has no such type.
                $bits(Vec<u16>),
            )+
        }

        impl TensorData {
            /// The type of the values.
            pub fn datatype(&self) -> DataType {
                match self {
                    $(TensorData::$variant(_) => DataType::$variant,)+
                    $(TensorData::$bits(_) => DataType::$bits,)+
                }
            }

            /// How many values there are.
            #[expect(clippy::len_without_is_empty, reason = "no caller asks for emptiness")]
            pub fn len(&self) -> usize {
                match self {
                    $(TensorData::$variant(values) => values.len(),)+
                    $(TensorData::$bits(values) => values.len(),)+
                }
            }
        }

        $(
            impl sealed::Sealed for $value {}
            impl Element for $value {
                fn slice(data: &TensorData) -> Option<&[$value]> {
                    match data {
                        TensorData::$variant(values) => Some(values),
                        _ => None,
                    }
                }

                fn data(values: Vec<$value>) -> TensorData {
                    TensorData::$variant(values)
                }
            }
        )+
    };
}

elements! {
    Bool(bool), Uint8(u8), Uint16(u16), Uint32(u32), Uint64(u64),
    Int8(i8), Int16(i16), Int32(i32), Int64(i64),
    Fp32(f32), Fp64(f64), Bytes(Vec<u8>);
    Fp16, Bf16
}

impl<Value: Element> From<Vec<Value>> for TensorData {
    fn from(values: Vec<Value>) -> TensorData {
        Value::data(values)
    }
}

impl From<Vec<String>> for TensorData {
    fn from(values: Vec<String>) -> TensorData {
        TensorData::Bytes(values.into_iter().map(String::into_bytes).collect())
    }
}

/// A Rust type that a tensor's values can have. Implemented here only.
pub trait Element: Sized + sealed::Sealed {
    #[doc(hidden)]
    fn slice(data: &TensorData) -> Option<&[Self]>;

    #[doc(hidden)]
    fn data(values: Vec<Self>) -> TensorData;
}

mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_names_read_back_in_upper_case_only() {
        for datatype in DataType::ALL {
            let name = datatype.to_string();
            assert_eq!(
                DataType::from_protocol_name(name.as_bytes()),
                Some(datatype)
            );
            let lower = name.to_lowercase();
            assert_eq!(DataType::from_protocol_name(lower.as_bytes()), None);
        }
    }

    #[test]
    fn values_of_another_type_are_refused_by_name() {
        let tensor = Tensor::new("t", [1], vec!["text".to_owned()]);
        let error = tensor.values::<f32>().expect_err("another type");
        assert_eq!(error.to_string(), "tensor 't' holds BYTES values, not f32");
    }
}
