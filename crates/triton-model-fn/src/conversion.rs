//! Values to tensors and back.

use triton_client::{Tensor, TensorElement, TensorError};

use crate::{Column, DataType, Error, ErrorKind, Value};

/// The tensor of one value, for a model whose tensor has `rank` dimensions.
pub(crate) fn tensor(
    column: &Column,
    value: &Value,
    rank: usize,
    batched: bool,
) -> Result<Tensor, Error> {
    let input_error = |message: String| {
        Error::new(
            ErrorKind::Input,
            format!("column '{}': {message}", column.name),
        )
    };
    let mut shape = Vec::with_capacity(rank);
    let mut elements = Vec::new();
    flatten(&column.data_type, value, &mut shape, 0, &mut elements).map_err(&input_error)?;
    // An empty array does not show the dimensions that lie within it.
    shape.resize(column.data_type.rank(), 0);
    if column.data_type.rank() == 0 && rank > usize::from(batched) {
        shape.push(1);
    }
    if batched {
        shape.insert(0, 1);
    }
    element_tensor(column, shape, &elements).map_err(|error| input_error(error.to_string()))
}

/// Collects the scalars of `value` in row-major order, and the size of each dimension.
fn flatten<'a>(
    data_type: &DataType,
    value: &'a Value,
    shape: &mut Vec<usize>,
    depth: usize,
    elements: &mut Vec<&'a Value>,
) -> Result<(), String> {
    let (DataType::Array(element_type), Value::Array(values)) = (data_type, value) else {
        elements.push(value);
        return Ok(());
    };
    match shape.get(depth) {
        None => shape.push(values.len()),
        Some(size) if *size == values.len() => {}
        Some(size) => {
            return Err(format!(
                "its arrays differ in length ({size} and {}), so they make no tensor",
                values.len()
            ));
        }
    }
    values
        .iter()
        .try_for_each(|value| flatten(element_type, value, shape, depth + 1, elements))
}

fn element_tensor(
    column: &Column,
    shape: Vec<usize>,
    elements: &[&Value],
) -> Result<Tensor, ConversionError> {
    let scalar = scalar_type(&column.data_type);
    macro_rules! from_slice {
        ($variant:ident) => {
            Tensor::from_slice(
                &column.name,
                shape,
                &collect(scalar, elements, |value| match value {
                    Value::$variant(value) => Some(*value),
                    _ => None,
                })?,
            )?
        };
    }
    Ok(match scalar {
        DataType::Boolean => from_slice!(Boolean),
        DataType::TinyInt => from_slice!(TinyInt),
        DataType::SmallInt => from_slice!(SmallInt),
        DataType::Integer => from_slice!(Integer),
        DataType::BigInt => from_slice!(BigInt),
        DataType::Float => from_slice!(Float),
        DataType::Double => from_slice!(Double),
        DataType::String | DataType::Array(_) => {
            let texts = collect(scalar, elements, |value| match value {
                Value::String(text) => Some(text),
                _ => None,
            })?;
            Tensor::from_byte_strings(&column.name, shape, texts)?
        }
    })
}

/// Why elements do not make a tensor.
#[derive(Debug, thiserror::Error)]
enum ConversionError {
    #[error("expected {expected}, found {found}")]
    Kind {
        expected: DataType,
        found: &'static str,
    },
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

fn collect<'a, T>(
    expected: &DataType,
    elements: &[&'a Value],
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Vec<T>, ConversionError> {
    let read_one = |value: &&'a Value| {
        read(value).ok_or_else(|| ConversionError::Kind {
            expected: expected.clone(),
            found: value.kind(),
        })
    };
    elements.iter().map(read_one).collect()
}

/// The type of the scalars within any arrays.
fn scalar_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Array(element) => scalar_type(element),
        scalar => scalar,
    }
}

/// The value of an output tensor.
pub(crate) fn value(column: &Column, tensor: &Tensor, batched: bool) -> Result<Value, Error> {
    let output_error = |message: String| {
        Error::new(
            ErrorKind::Output,
            format!("output '{}': {message}", column.name),
        )
    };
    let shape = tensor.shape();
    let shape = match (batched, shape) {
        (false, shape) | (true, [1, shape @ ..]) => shape,
        (true, _) => {
            let message = format!("expected a batch of one, found shape {shape:?}");
            return Err(output_error(message));
        }
    };
    let rank = column.data_type.rank();
    let one_scalar = rank == 0 && shape.iter().all(|size| *size == 1);
    if !one_scalar && rank != shape.len() {
        let message = format!("expected {}, found shape {shape:?}", column.data_type);
        return Err(output_error(message));
    }
    let scalars = scalars(scalar_type(&column.data_type), tensor).map_err(output_error)?;
    let mut scalars = scalars.into_iter();
    nest(&shape[..rank], &mut scalars)
        .ok_or_else(|| output_error(format!("its shape {shape:?} does not hold its elements")))
}

/// Groups scalars into arrays of the sizes in `shape`.
fn nest(shape: &[usize], scalars: &mut impl Iterator<Item = Value>) -> Option<Value> {
    match shape {
        [] => scalars.next(),
        [size, inner @ ..] => {
            let values = (0..*size).map(|_| nest(inner, &mut *scalars));
            values.collect::<Option<Vec<_>>>().map(Value::Array)
        }
    }
}

fn scalars(scalar: &DataType, tensor: &Tensor) -> Result<Vec<Value>, String> {
    fn all<T: TensorElement>(
        tensor: &Tensor,
        wrap: fn(T) -> Value,
    ) -> Result<Vec<Value>, TensorError> {
        Ok(tensor.values::<T>()?.iter().copied().map(wrap).collect())
    }
    let values = match scalar {
        DataType::Boolean => all(tensor, Value::Boolean),
        DataType::TinyInt => all(tensor, Value::TinyInt),
        DataType::SmallInt => all(tensor, Value::SmallInt),
        DataType::Integer => all(tensor, Value::Integer),
        DataType::BigInt => all(tensor, Value::BigInt),
        DataType::Float => all(tensor, Value::Float),
        DataType::Double => all(tensor, Value::Double),
        DataType::String | DataType::Array(_) => {
            let texts = tensor.byte_strings().map_err(|error| error.to_string())?;
            let text = |(index, bytes): (usize, &[u8])| {
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| format!("element {index} is not UTF-8, which a STRING must be"))?;
                Ok(Value::String(text.to_owned()))
            };
            return texts.enumerate().map(text).collect();
        }
    };
    values.map_err(|error| error.to_string())
}
