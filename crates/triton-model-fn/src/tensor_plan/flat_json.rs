//! Rows and answers as the flat JSON of generation, which has neither shapes nor a binary form.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md)

use serde_json::{Map, Number, Value as Json};
use triton_client::{Datatype, Generated, Tensor, TensorElement};

use super::{EncodedRow, PlannedColumn, TensorPlan};
use crate::{Error, ErrorKind, Value, row_codec};

impl TensorPlan {
    /// The members of a request for a row.
    pub(crate) fn members(&self, row: &EncodedRow) -> Result<Map<String, Json>, Error> {
        let mut members = Map::new();
        for (planned, cell) in self.inputs.iter().zip(row.cells()) {
            let Some(cell) = cell else { continue };
            let tensor = planned.tensor(cell.shape.clone(), cell.data.clone())?;
            let elements = elements(&tensor).map_err(|message| {
                let message = format!("column '{}': {message}", planned.column.name);
                Error::new(ErrorKind::Input, message)
            })?;
            let value = match (planned.column.data_type.rank(), elements) {
                (0, mut elements) if elements.len() == 1 => elements.swap_remove(0),
                (_, elements) => Json::Array(elements),
            };
            members.insert(planned.tensor_name.clone(), value);
        }
        Ok(members)
    }

    /// The output row of an answer.
    pub(crate) fn generated_row(&self, generated: &Generated) -> Result<Vec<Value>, Error> {
        let values = self.outputs.iter().map(|planned| {
            let name = &planned.tensor_name;
            let failed = |message: String| {
                Error::new(ErrorKind::Output, format!("output '{name}': {message}"))
            };
            let Some(json) = generated.output(name) else {
                return Err(failed("the answer does not have it".to_owned()));
            };
            // An array of one element comes as that.
            let elements = json
                .as_array()
                .map_or(std::slice::from_ref(json), Vec::as_slice);
            let tensor = planned.generated(elements, self.batched).map_err(failed)?;
            let mut values = row_codec::decode(planned, &tensor, self.batched, 1)?;
            values
                .pop()
                .ok_or_else(|| failed("it has no value".to_owned()))
        });
        values.collect()
    }
}

impl PlannedColumn {
    /// The tensor of elements that came without a shape.
    fn generated(&self, elements: &[Json], batched: bool) -> Result<Tensor, String> {
        let rest = match self.column.data_type.rank() {
            0 => self.scalar_shape(),
            _ => self.shape_of(elements.len())?,
        };
        let shape: Vec<usize> = batched.then_some(1).into_iter().chain(rest).collect();
        let datatype = self.column.data_type.tensor_datatype();
        tensor(&self.tensor_name, datatype, shape, elements)
    }

    /// The shape of an array of so many elements: what is left goes to the size that is open.
    fn shape_of(&self, count: usize) -> Result<Vec<usize>, String> {
        let known = self.dimensions.iter();
        let known = known.filter_map(|size| usize::try_from(*size).ok());
        // One that is too large for a number divides no count.
        let known = known.fold(1, usize::saturating_mul);
        let left = match (known, count) {
            (0, _) | (_, 0) => 0,
            (known, count) if count % known == 0 => count / known,
            _ => {
                let shape = &self.dimensions;
                return Err(format!("expected shape {shape:?}, found {count} elements"));
            }
        };
        let sizes = self.dimensions.iter();
        Ok(sizes
            .map(|size| usize::try_from(*size).unwrap_or(left))
            .collect())
    }
}

/// The elements of a tensor.
fn elements(tensor: &Tensor) -> Result<Vec<Json>, String> {
    fn all<T: TensorElement>(
        tensor: &Tensor,
        json: impl Fn(T) -> Option<Json>,
    ) -> Result<Vec<Json>, String> {
        let values = tensor.values::<T>().map_err(|error| error.to_string())?;
        let values = values.iter().copied().map(json);
        values.collect::<Option<_>>().ok_or_else(|| {
            "NaN and infinite numbers cannot be sent where the option 'decoupled' is 'stream'"
                .to_owned()
        })
    }
    fn of<T: TensorElement + Into<Json>>(tensor: &Tensor) -> Result<Vec<Json>, String> {
        all::<T>(tensor, |value| Some(value.into()))
    }
    let finite = |value: f64| Number::from_f64(value).map(Json::Number);
    match tensor.datatype() {
        Datatype::Bool => of::<bool>(tensor),
        Datatype::Int8 => of::<i8>(tensor),
        Datatype::Int16 => of::<i16>(tensor),
        Datatype::Int32 => of::<i32>(tensor),
        Datatype::Int64 => of::<i64>(tensor),
        Datatype::Uint8 => of::<u8>(tensor),
        Datatype::Uint16 => of::<u16>(tensor),
        Datatype::Uint32 => of::<u32>(tensor),
        Datatype::Uint64 => of::<u64>(tensor),
        Datatype::Fp32 => all::<f32>(tensor, |value| finite(value.into())),
        Datatype::Fp64 => all::<f64>(tensor, finite),
        Datatype::Bytes => {
            let texts = tensor.strings().map_err(|error| error.to_string())?;
            Ok(texts.map(Json::from).collect())
        }
        other => Err(format!("JSON cannot carry {other}")),
    }
}

/// The tensor of elements; an error says which one is none of its datatype.
fn tensor(
    name: &str,
    datatype: Datatype,
    shape: Vec<usize>,
    elements: &[Json],
) -> Result<Tensor, String> {
    let found = elements.len();
    let fitting = shape.iter().copied().fold(1, usize::saturating_mul);
    if found != fitting {
        let noun = if fitting == 1 { "element" } else { "elements" };
        return Err(format!("expected {fitting} {noun}, found {found}"));
    }
    let from = Elements {
        name,
        datatype,
        shape,
        elements,
    };
    match datatype {
        Datatype::Bool => from.read(Json::as_bool),
        Datatype::Int8 => from.read(signed::<i8>),
        Datatype::Int16 => from.read(signed::<i16>),
        Datatype::Int32 => from.read(signed::<i32>),
        Datatype::Int64 => from.read(signed::<i64>),
        Datatype::Uint8 => from.read(unsigned::<u8>),
        Datatype::Uint16 => from.read(unsigned::<u16>),
        Datatype::Uint32 => from.read(unsigned::<u32>),
        Datatype::Uint64 => from.read(unsigned::<u64>),
        // It was written as a double, from which it comes back as it was.
        Datatype::Fp32 => from.read(|json| Some(float(json)? as f32)),
        Datatype::Fp64 => from.read(float),
        Datatype::Bytes => {
            let texts = from.values(Json::as_str)?;
            let tensor = Tensor::from_byte_strings(name, from.shape, texts);
            tensor.map_err(|error| error.to_string())
        }
        other => Err(format!("JSON cannot carry {other}")),
    }
}

struct Elements<'a> {
    name: &'a str,
    datatype: Datatype,
    shape: Vec<usize>,
    elements: &'a [Json],
}

impl<'a> Elements<'a> {
    fn values<T>(&self, read: impl Fn(&'a Json) -> Option<T>) -> Result<Vec<T>, String> {
        let values = self.elements.iter().enumerate().map(|(index, element)| {
            read(element).ok_or_else(|| {
                let datatype = self.datatype;
                format!("its element {index} is {element}, which is no {datatype}")
            })
        });
        values.collect()
    }

    fn read<T: TensorElement>(self, read: impl Fn(&Json) -> Option<T>) -> Result<Tensor, String> {
        let tensor = Tensor::from_vec(self.name, self.shape.clone(), self.values(read)?);
        tensor.map_err(|error| error.to_string())
    }
}

fn signed<T: TryFrom<i64>>(json: &Json) -> Option<T> {
    T::try_from(json.as_i64()?).ok()
}

fn unsigned<T: TryFrom<u64>>(json: &Json) -> Option<T> {
    T::try_from(json.as_u64()?).ok()
}

/// A number, or the text that the client makes of what JSON lacks.
fn float(json: &Json) -> Option<f64> {
    match json.as_str() {
        None => json.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}
