//! Reads the body of an inference request, without looking at the model's configuration.
//!
//! The order of the checks is the real server's, because it decides which of several faults a
//! client is told of. Binary tensors will enter here, beside [`Content::data`].

use crate::error::ApiError;
use crate::json::{self, Json, WrongType};
use crate::json_tensor::read_values;
use crate::model::{CorrelationId, Parameter};
use crate::tensor::{DataType, TensorData};

/// The longest text that may be the ID of a sequence, in bytes.
const LONGEST_CORRELATION_ID: usize = 128;

/// What an inference request says.
#[derive(Debug, Default)]
pub(crate) struct InferenceRequest {
    pub(crate) id: Vec<u8>,
    pub(crate) sequence_id: Option<CorrelationId>,
    pub(crate) sequence_start: bool,
    pub(crate) sequence_end: bool,
    pub(crate) parameters: Vec<(String, Parameter)>,
    pub(crate) inputs: Vec<InputTensor>,
    /// The names of the outputs asked for; none means all.
    pub(crate) outputs: Vec<Vec<u8>>,
}

/// An input as the request describes it; whether the model has it is not known yet.
#[derive(Debug)]
pub(crate) struct InputTensor {
    pub(crate) name: Vec<u8>,
    pub(crate) datatype: DataType,
    pub(crate) shape: Vec<u64>,
    pub(crate) data: TensorData,
}

impl InferenceRequest {
    /// Reads the body into `self`, which keeps what was read before a fault was met.
    pub(crate) fn read(&mut self, body: &[u8]) -> Result<(), ApiError> {
        if body.is_empty() {
            // The real server takes it for the binary data of a single input.
            return Err(ApiError::not_built("raw binary requests"));
        }
        let document = json::read(body).map_err(|error| {
            ApiError::internal(format!("failed to parse the request JSON buffer: {error}"))
        })?;
        if let Some(id) = document.get("id") {
            self.id = id.as_text().map_err(unreadable("id"))?.to_vec();
        }
        if let Some(parameters) = document.get("parameters") {
            self.read_parameters(parameters)?;
        }
        for input in member(&document, "inputs", Json::as_array)? {
            self.read_input(input)?;
        }
        if let Some(outputs) = document.get("outputs") {
            for output in outputs.as_array().map_err(unreadable("outputs"))? {
                self.read_output(output)?;
            }
        }
        Ok(())
    }

    /// The request's id as error texts show it in front.
    pub(crate) fn log_prefix(&self) -> Vec<u8> {
        let id: &[u8] = match self.id.is_empty() {
            true => b"<id_unknown>",
            false => &self.id,
        };
        [b"[request id: ", id, b"] "].concat()
    }

    fn read_parameters(&mut self, parameters: &Json) -> Result<(), ApiError> {
        let Json::Object(members) = parameters else {
            return Err(ApiError::internal(
                "failed to get request params.: attempt to get members for non-object",
            ));
        };
        for (position, (key, value)) in members.iter().enumerate() {
            let repeated = members[..position]
                .iter()
                .any(|(earlier, _)| earlier == key);
            if !repeated {
                self.read_parameter(key, value)?;
            }
        }
        Ok(())
    }

    fn read_parameter(&mut self, key: &[u8], value: &Json) -> Result<(), ApiError> {
        match key {
            b"sequence_id" => self.sequence_id = read_correlation_id(value)?,
            b"sequence_start" => {
                self.sequence_start = value.as_bool().map_err(unreadable("sequence_start"))?;
            }
            b"sequence_end" => {
                self.sequence_end = value.as_bool().map_err(unreadable("sequence_end"))?;
            }
            // Both are checked and have no effect: there is one queue without time limits.
            b"priority" => drop(value.as_unsigned().map_err(unreadable("priority"))?),
            b"timeout" => drop(value.as_unsigned().map_err(unreadable("timeout"))?),
            b"binary_data_output" => {
                if value.as_bool().map_err(unreadable("binary_data_output"))? {
                    return Err(ApiError::not_built("binary outputs"));
                }
            }
            _ => {
                let parameter = read_custom_parameter(key, value)?;
                self.parameters.push((lossy(key), parameter));
            }
        }
        Ok(())
    }

    fn read_input(&mut self, input: &Json) -> Result<(), ApiError> {
        let content = Content::of(input)?;
        let name = member(input, "name", Json::as_text)?;
        let datatype = member(input, "datatype", Json::as_text)?;
        let shape = member(input, "shape", Json::as_array)?
            .iter()
            .map(|size| size.as_unsigned().map_err(unreadable("shape")))
            .collect::<Result<Vec<u64>, ApiError>>()?;
        let datatype = DataType::from_protocol_name(datatype).ok_or_else(|| {
            ApiError::bad_request([b"invalid datatype for input ", name].concat())
        })?;
        if self.inputs.iter().any(|earlier| earlier.name == name) {
            let text = [b"input '", name, b"' already exists in request"].concat();
            return Err(ApiError::bad_request([self.log_prefix(), text].concat()));
        }
        let data = read_values(name, datatype, element_count(&shape), content.data)?;
        self.inputs.push(InputTensor {
            name: name.to_vec(),
            datatype,
            shape,
            data,
        });
        Ok(())
    }

    fn read_output(&mut self, output: &Json) -> Result<(), ApiError> {
        let name = member(output, "name", Json::as_text)?;
        if let Some(parameters) = output.get("parameters") {
            if let Some(binary) = parameters.get("binary_data")
                && binary.as_bool().map_err(unreadable("binary_data"))?
            {
                return Err(ApiError::not_built("binary outputs"));
            }
            if parameters
                .get("classification")
                .is_some_and(|classes| *classes != Json::Unsigned(0))
            {
                return Err(ApiError::not_built("the classification extension"));
            }
            if parameters.get("shared_memory_region").is_some() {
                return Err(ApiError::not_built("shared memory"));
            }
        }
        self.outputs.push(name.to_vec());
        Ok(())
    }
}

/// Where the values of an input are; so far always in its `data`.
struct Content<'input> {
    data: &'input Json,
}

impl Content<'_> {
    fn of(input: &Json) -> Result<Content<'_>, ApiError> {
        let parameter = |key| input.get("parameters").and_then(|all| all.get(key));
        let fields = [
            ("data", input.get("data")),
            ("binary_data_size", parameter("binary_data_size")),
            ("shared_memory_region", parameter("shared_memory_region")),
        ];
        let set: Vec<_> = fields
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .collect();
        match set[..] {
            [("data", data)] => Ok(Content { data }),
            [("binary_data_size", _)] => Err(ApiError::not_built("binary inputs")),
            [(_, _)] => Err(ApiError::not_built("shared memory")),
            _ => {
                let but = match set.is_empty() {
                    true => "no field is set".to_owned(),
                    false => {
                        let names: Vec<_> =
                            set.iter().map(|(name, _)| format!("'{name}'")).collect();
                        format!("set {}", names.join(" "))
                    }
                };
                Err(ApiError::bad_request(format!(
                    "Input must set only one of the following fields: 'data', \
                     'binary_data_size' in 'parameters', 'shared_memory_region' in \
                     'parameters'. But {but}"
                )))
            }
        }
    }
}

/// The number of values a shape holds. The real server gives an empty shape no values; it crashes
/// on sizes that no memory could hold, which here match no data.
fn element_count(shape: &[u64]) -> usize {
    if shape.is_empty() || shape.contains(&0) {
        return 0;
    }
    shape
        .iter()
        .try_fold(1, |count: usize, size| {
            count.checked_mul(usize::try_from(*size).ok()?)
        })
        .unwrap_or(usize::MAX)
}

fn read_correlation_id(value: &Json) -> Result<Option<CorrelationId>, ApiError> {
    if let Json::Unsigned(number) = value {
        return Ok((*number != 0).then_some(CorrelationId::Number(*number)));
    }
    let text = value.as_text().map_err(unreadable("sequence_id"))?;
    // A C string inside the real server ends at the first NUL, so such IDs can collide.
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.len() > LONGEST_CORRELATION_ID {
        return Err(ApiError::new(
            501,
            format!(
                "string correlation ID cannot be longer than {LONGEST_CORRELATION_ID} characters"
            ),
        ));
    }
    Ok((!text.is_empty()).then(|| CorrelationId::Text(lossy(text))))
}

fn read_custom_parameter(key: &[u8], value: &Json) -> Result<Parameter, ApiError> {
    if key.starts_with(b"triton_") {
        return Err(ApiError::bad_request(
            "parameter keys starting with 'triton_' are reserved for Triton usage and should not \
             be specified.",
        ));
    }
    Ok(match value {
        Json::Bool(value) => Parameter::Bool(*value),
        Json::Text(value) => Parameter::Text(lossy(value)),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            let explanation: &[u8] =
                b"' has invalid type. It should be either 'int', 'bool', or 'string'.";
            return Err(ApiError::bad_request(
                [b"parameter '", key, explanation].concat(),
            ));
        }
        number => match (number.as_signed(), number.as_double()) {
            (Ok(value), _) => Parameter::Integer(value),
            (_, value) => Parameter::Double(value.unwrap_or(f64::NAN)),
        },
    })
}

fn member<'json, Value>(
    object: &'json Json,
    key: &'static str,
    convert: impl Fn(&'json Json) -> Result<Value, WrongType>,
) -> Result<Value, ApiError> {
    let value = object.get(key).ok_or_else(|| {
        ApiError::internal(format!(
            "Unable to parse '{key}': attempt to access non-existing object member '{key}'"
        ))
    })?;
    convert(value).map_err(unreadable(key))
}

fn unreadable(key: &'static str) -> impl Fn(WrongType) -> ApiError {
    move |error| ApiError::internal(format!("Unable to parse '{key}': {error}"))
}

/// Names and IDs are text to models; the real server passes on bytes that are none.
fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
