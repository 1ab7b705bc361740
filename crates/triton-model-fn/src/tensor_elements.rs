//! Whether the elements of a tensor are values of a type.

use triton_client::Tensor;

use crate::DataType;

/// Refuses elements whose datatype is another, or that no value of the type could be.
pub(crate) fn check_elements(scalar: &DataType, tensor: &Tensor) -> Result<(), String> {
    let expected = scalar.tensor_datatype();
    if tensor.datatype() != expected {
        return Err(format!("expected {expected}, found {}", tensor.datatype()));
    }
    match scalar {
        DataType::Boolean => tensor
            .values::<bool>()
            .map(drop)
            .map_err(|error| error.to_string()),
        DataType::String => {
            let strings = tensor.byte_strings().map_err(|error| error.to_string())?;
            strings
                .enumerate()
                .try_for_each(|(index, bytes)| text(index, bytes).map(drop))
        }
        _ => Ok(()),
    }
}

/// The text that an element is.
pub(crate) fn text(index: usize, bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|_| {
        format!("element {index} is not UTF-8, which a STRING must be; make the column BYTES")
    })
}
