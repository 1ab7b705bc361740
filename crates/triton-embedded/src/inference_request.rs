//! Reads the body of an inference request, without looking at the model's configuration.
//!
//! The order of the checks is the real server's, because it decides which of several faults a
//! client is told of.

use bytes::Bytes;

use crate::error::ApiError;
use crate::json::{self, Json, WrongType};
use crate::json_tensor::read_values;
use crate::model::{CorrelationId, Parameter};
use crate::tensor::{DataType, TensorData};

/// What an inference request says.
#[derive(Debug, Default)]
pub(crate) struct InferenceRequest {
    pub(crate) id: Vec<u8>,
    pub(crate) sequence_id: Option<CorrelationId>,
    pub(crate) sequence_start: bool,
    pub(crate) sequence_end: bool,
    pub(crate) parameters: Vec<(String, Parameter)>,
    pub(crate) inputs: Vec<InputTensor>,
    /// The outputs asked for; none means all.
    pub(crate) outputs: Vec<RequestedOutput>,
    /// How the outputs are sent where the request does not list them.
    pub(crate) binary_data_output: bool,
    /// What `timeout` says, in microseconds; 0 means nothing.
    pub(crate) timeout: u64,
    /// What `priority` says; 0 means nothing.
    pub(crate) priority: u64,
}

/// An output as the request asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestedOutput {
    pub(crate) name: Vec<u8>,
    pub(crate) binary: bool,
    /// How many of the highest values to send, with their labels, instead of all; 0 means all.
    pub(crate) classes: u64,
}

/// An input as the request describes it; whether the model has it is not known yet.
#[derive(Debug)]
pub(crate) struct InputTensor {
    pub(crate) name: Vec<u8>,
    pub(crate) datatype: DataType,
    pub(crate) shape: Vec<u64>,
    pub(crate) data: InputData,
}

/// The values of an input, in the form they came in.
#[derive(Debug)]
pub(crate) enum InputData {
    /// From JSON, with as many values as the shape says; for strings that is not certain yet.
    Values(TensorData),
    /// Bytes of which nothing is known yet.
    Binary(Bytes),
}

impl InferenceRequest {
    /// Reads the body, of which the first `header_length` bytes are JSON, into `self`, which keeps
    /// what was read before a fault was met.
    pub(crate) fn read(
        &mut self,
        model: &str,
        mut body: Bytes,
        header_length: usize,
    ) -> Result<(), ApiError> {
        let document = read_document(&body.split_to(header_length))?;
        self.read_id(&document)?;
        if let Some(parameters) = document.get("parameters") {
            self.read_parameters(parameters)?;
        }
        for input in member(&document, "inputs", Json::as_array)? {
            self.read_input(model, input, &mut body)?;
        }
        if !body.is_empty() {
            return Err(ApiError::bad_request(format!(
                "unexpected additional input data for model '{model}'"
            )));
        }
        if let Some(outputs) = document.get("outputs") {
            for output in outputs.as_array().map_err(unreadable("outputs"))? {
                self.read_output(output)?;
            }
        }
        Ok(())
    }

    /// Reads the request's own id.
    pub(crate) fn read_id(&mut self, document: &Json) -> Result<(), ApiError> {
        if let Some(id) = document.get("id") {
            self.id = until_nul(id.as_text().map_err(unreadable("id"))?).to_vec();
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

    fn read_input(&mut self, model: &str, input: &Json, tail: &mut Bytes) -> Result<(), ApiError> {
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
        self.check_unique(name)?;
        let data = match content {
            Content::Data(data) => {
                InputData::Values(read_values(name, datatype, element_count(&shape), data)?)
            }
            Content::Binary(size) => {
                let size = size.as_unsigned().map_err(unreadable("binary_data_size"))?;
                InputData::Binary(take(model, name, size, tail)?)
            }
            Content::SharedMemory(region) => return Err(no_shared_memory(region)),
        };
        self.inputs.push(InputTensor {
            name: name.to_vec(),
            datatype,
            shape,
            data,
        });
        Ok(())
    }

    /// Refuses a second input of one name.
    pub(crate) fn check_unique(&self, name: &[u8]) -> Result<(), ApiError> {
        if self.inputs.iter().any(|earlier| earlier.name == name) {
            let text = [b"input '", name, b"' already exists in request"].concat();
            return Err(ApiError::bad_request([self.log_prefix(), text].concat()));
        }
        Ok(())
    }

    fn read_output(&mut self, output: &Json) -> Result<(), ApiError> {
        let parameters = output.get("parameters");
        let parameter = |key| parameters.and_then(|all: &Json| all.get(key));
        let classification = parameter("classification");
        let region = parameter("shared_memory_region");
        if classification.is_some() && region.is_some() {
            return Err(ApiError::bad_request(
                "Output can't set both 'shared_memory_region' and 'classification'",
            ));
        }
        let name = member(output, "name", Json::as_text)?;
        let classes = match classification {
            Some(classes) => classes.as_unsigned().map_err(|error| {
                ApiError::internal(format!("Unable to set 'classification': {error}"))
            })?,
            None => 0,
        };
        if let Some(region) = region {
            return Err(no_shared_memory(region));
        }
        let binary = match parameter("binary_data") {
            Some(binary) => binary.as_bool().map_err(unreadable("binary_data"))?,
            None => false,
        };
        self.outputs.push(RequestedOutput {
            name: name.to_vec(),
            binary,
            classes,
        });
        Ok(())
    }
}

/// Reads the JSON of a request to any endpoint.
pub(crate) fn read_document(document: &[u8]) -> Result<Json, ApiError> {
    json::read(document).map_err(|error| {
        ApiError::internal(format!("failed to parse the request JSON buffer: {error}"))
    })
}

/// Where the values of an input are.
enum Content<'input> {
    Data(&'input Json),
    Binary(&'input Json),
    SharedMemory(&'input Json),
}

impl Content<'_> {
    fn of(input: &Json) -> Result<Content<'_>, ApiError> {
        let parameter = |key| input.get("parameters").and_then(|all| all.get(key));
        let fields = [
            ("data", input.get("data").map(Content::Data)),
            (
                "binary_data_size",
                parameter("binary_data_size").map(Content::Binary),
            ),
            (
                "shared_memory_region",
                parameter("shared_memory_region").map(Content::SharedMemory),
            ),
        ];
        let mut set = fields
            .into_iter()
            .filter_map(|(name, content)| Some((name, content?)));
        let (first, second) = (set.next(), set.next());
        let but = match (first, second) {
            (Some((_, content)), None) => return Ok(content),
            (Some((first, _)), Some((second, _))) => {
                let third = set.next().map(|(name, _)| format!(" '{name}'"));
                format!("set '{first}' '{second}'{}", third.unwrap_or_default())
            }
            _ => "no field is set".to_owned(),
        };
        Err(ApiError::bad_request(format!(
            "Input must set only one of the following fields: 'data', 'binary_data_size' in \
             'parameters', 'shared_memory_region' in 'parameters'. But {but}"
        )))
    }
}

/// The next `size` bytes behind the JSON.
fn take(model: &str, input: &[u8], size: u64, tail: &mut Bytes) -> Result<Bytes, ApiError> {
    match usize::try_from(size) {
        Ok(size) if size <= tail.len() => Ok(tail.split_to(size)),
        _ => {
            let missing = size - tail.len() as u64;
            Err(ApiError::bad_request(format!(
                "unexpected size for input '{}', expecting {missing} additional bytes for model \
                 '{model}'",
                lossy(input)
            )))
        }
    }
}

/// No region can be registered here, so none is ever found; the text is the real server's.
fn no_shared_memory(region: &Json) -> ApiError {
    match region.as_text() {
        Ok(region) => {
            let text = [b"Unable to find shared memory region: '", region, b"'"].concat();
            ApiError::new(404, text)
        }
        Err(error) => unreadable("shared_memory_region")(error),
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

pub(crate) fn unreadable(key: &'static str) -> impl Fn(WrongType) -> ApiError {
    move |error| ApiError::internal(format!("Unable to parse '{key}': {error}"))
}

/// A C string inside the real server ends at the first NUL, so IDs of sequences can collide.
pub(crate) fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Names and IDs are text to models; the real server passes on bytes that are none.
pub(crate) fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
