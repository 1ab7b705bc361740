//! Inference requests as bytes: JSON, then the tensors that travel in binary form.

use bytes::Bytes;

use super::plan::{EncodingPlan, OutputForm, PlannedOutput};
use super::{data_writer, json_text};
use crate::parameter::{name_fault, tensor_name_fault, value_fault};
use crate::{
    Datatype, InferRequest, Parameter, RequestedOutput, SharedMemory, Tensor, TensorFormat,
};

/// Bodies up to this size are put in one piece, which is cheaper than to send several.
const ONE_PIECE: usize = 16 << 10;

/// The body of an inference request.
///
/// ```
/// use triton_protocol::{InferRequest, ModelId, Tensor, TensorFormat};
///
/// let request = InferRequest::new(ModelId::latest("echo".parse()?))
///     .input(Tensor::from_slice("value", [1, 1], &[2.0_f32])?);
/// let encoded = request.encode(TensorFormat::Binary)?;
/// let json_length = encoded.json_length().expect("the tensor is in binary form");
/// assert_eq!(encoded.into_bytes()[json_length..], 2.0_f32.to_le_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct EncodedRequest {
    chunks: Vec<Bytes>,
    json_length: Option<usize>,
}

impl EncodedRequest {
    /// How many bytes of the body are JSON, where tensors in binary form follow: the header
    /// `Inference-Header-Content-Length`.
    #[must_use]
    pub fn json_length(&self) -> Option<usize> {
        self.json_length
    }

    /// The pieces of the body; those of large tensors are the tensors' own memory.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The body in one piece.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        match self.chunks.len() {
            1 => self.chunks.swap_remove(0),
            _ => self.chunks.concat().into(),
        }
    }

    /// The pieces of the body, and how many bytes of it are JSON where tensors follow.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Bytes>, Option<usize>) {
        (self.chunks, self.json_length)
    }
}

/// Why a request cannot be sent as it is.
///
/// ```
/// use triton_protocol::{InferRequest, ModelId, Tensor, TensorFormat};
///
/// let request = InferRequest::new(ModelId::latest("echo".parse()?)).parameter("triton_x", 1);
/// assert_eq!(
///     request.encode(TensorFormat::Json).unwrap_err().to_string(),
///     "parameter 'triton_x' cannot be sent: its name begins with 'triton_', which the server \
///      keeps for itself"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} '{name}' cannot be sent: {reason}")]
pub struct EncodeError {
    subject: &'static str,
    name: String,
    reason: String,
}

fn unwritable(tensor: &Tensor, reason: &data_writer::Unwritable) -> EncodeError {
    EncodeError {
        subject: "input",
        name: tensor.name().to_owned(),
        reason: reason.to_string(),
    }
}

impl InferRequest {
    /// The body of the request, as a call with this format would send it uncompressed.
    ///
    /// Nobody is asked what the server can do: [`TensorFormat::Auto`] means binary here.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a tensor or a parameter cannot be sent in this form.
    ///
    /// ```
    /// use triton_protocol::{InferRequest, ModelId, Tensor, TensorFormat};
    ///
    /// let request = InferRequest::new(ModelId::latest("echo".parse()?))
    ///     .input(Tensor::from_slice("value", [1, 1], &[2.0_f32])?);
    /// let body = request.encode(TensorFormat::Json)?.into_bytes();
    /// assert_eq!(
    ///     body,
    ///     r#"{"inputs":[{"name":"value","shape":[1,1],"datatype":"FP32","data":[2.0]}]}"#
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode(&self, format: TensorFormat) -> Result<EncodedRequest, EncodeError> {
        self.encode_as(&EncodingPlan::new(self, format))
    }

    /// Looks whether the tensors can be sent in this form, before anybody is asked anything.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a tensor cannot be sent as JSON, or when the classes of an output are
    /// wanted in shared memory.
    pub fn check_inputs(&self, format: TensorFormat) -> Result<(), EncodeError> {
        let mut outputs = self.outputs.iter();
        let contradiction =
            |output: &&RequestedOutput| output.classes.is_some() && output.memory.is_some();
        if let Some(output) = outputs.find(contradiction) {
            return Err(EncodeError {
                subject: "output",
                name: output.name.clone(),
                reason: "its classes are wanted, and they cannot be put into shared memory"
                    .to_owned(),
            });
        }
        if format != TensorFormat::Json {
            return Ok(());
        }
        self.inputs.iter().try_for_each(|tensor| {
            data_writer::check(tensor).map_err(|reason| unwritable(tensor, &reason))
        })
    }

    /// The body of the request, as `plan` has it.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a tensor or a parameter cannot be sent.
    pub fn encode_as(&self, plan: &EncodingPlan<'_>) -> Result<EncodedRequest, EncodeError> {
        self.check_inputs(plan.format)?;
        let binary = plan.format != TensorFormat::Json;
        let mut json = Vec::with_capacity(512);
        json.push(b'{');
        if let Some(id) = plan.id {
            json_text::name(&mut json, "id");
            json_text::string(&mut json, id);
        }
        self.write_parameters(&mut json, binary && plan.outputs.is_empty())?;
        json_text::name(&mut json, "inputs");
        json.push(b'[');
        for tensor in &self.inputs {
            json_text::separate(&mut json);
            json.push(b'{');
            write_description(&mut json, tensor.name(), tensor.shape(), tensor.datatype());
            let own = tensor.parameters();
            if binary || !own.is_empty() {
                json_text::name(&mut json, "parameters");
                json.push(b'{');
                if binary {
                    json_text::name(&mut json, "binary_data_size");
                    json_text::number(&mut json, tensor.raw().len());
                }
                Bearer::Input(tensor.name()).write_all(&mut json, &own.iter())?;
                json.push(b'}');
            }
            if !binary {
                json_text::name(&mut json, "data");
                data_writer::write(&mut json, tensor)
                    .map_err(|reason| unwritable(tensor, &reason))?;
            }
            json.push(b'}');
        }
        for tensor in &self.shared_inputs {
            json_text::separate(&mut json);
            json.push(b'{');
            write_description(&mut json, tensor.name(), tensor.shape(), tensor.datatype());
            json_text::name(&mut json, "parameters");
            json.push(b'{');
            write_memory(&mut json, tensor.memory());
            json.extend_from_slice(b"}}");
        }
        json.push(b']');
        write_outputs(&mut json, &plan.outputs)?;
        json.push(b'}');
        Ok(self.with_tensors(json, binary && !self.inputs.is_empty()))
    }

    /// The JSON and, in binary form, the tensors behind it.
    fn with_tensors(&self, mut json: Vec<u8>, binary: bool) -> EncodedRequest {
        if !binary {
            return EncodedRequest {
                chunks: vec![json.into()],
                json_length: None,
            };
        }
        let json_length = Some(json.len());
        let tensors = self.inputs.iter().map(|tensor| tensor.raw());
        let total = tensors.clone().map(Bytes::len).sum::<usize>();
        let chunks = if json.len() + total <= ONE_PIECE {
            json.reserve_exact(total);
            tensors.for_each(|tensor| json.extend_from_slice(tensor));
            vec![json.into()]
        } else {
            std::iter::once(json.into())
                .chain(tensors.cloned())
                .collect()
        };
        EncodedRequest {
            chunks,
            json_length,
        }
    }

    fn write_parameters(&self, json: &mut Vec<u8>, all_binary: bool) -> Result<(), EncodeError> {
        let start = json.len();
        json_text::name(json, "parameters");
        json.push(b'{');
        let empty = json.len();
        if let Some(sequence) = &self.sequence {
            json_text::name(json, "sequence_id");
            sequence.id.write_json(json);
            json_text::name(json, "sequence_start");
            json_text::number(json, sequence.start);
            json_text::name(json, "sequence_end");
            json_text::number(json, sequence.end);
        }
        if let Some(priority) = self.priority {
            json_text::name(json, "priority");
            json_text::number(json, priority);
        }
        if let Some(timeout) = self.server_timeout {
            json_text::name(json, "timeout");
            // Zero would be the server's word for none.
            let microseconds = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
            let microseconds = microseconds.max(1);
            json_text::number(json, microseconds);
        }
        if all_binary {
            json_text::name(json, "binary_data_output");
            json_text::number(json, true);
        }
        let own = self.parameters.iter().map(|(name, value)| (name, value));
        Bearer::Request.write_all(json, &own)?;
        match json.len() == empty {
            true => json.truncate(start),
            false => json.push(b'}'),
        }
        Ok(())
    }
}

fn write_description(json: &mut Vec<u8>, name: &str, shape: &[usize], datatype: Datatype) {
    json_text::name(json, "name");
    json_text::string(json, name);
    json_text::name(json, "shape");
    json_text::value(json, &shape);
    json_text::name(json, "datatype");
    json_text::string(json, datatype.name());
}

fn write_memory(json: &mut Vec<u8>, memory: &SharedMemory) {
    json_text::name(json, "shared_memory_region");
    json_text::string(json, &memory.region);
    json_text::name(json, "shared_memory_byte_size");
    json_text::number(json, memory.byte_size);
    if memory.offset > 0 {
        json_text::name(json, "shared_memory_offset");
        json_text::number(json, memory.offset);
    }
}

/// Whose parameter it is.
#[derive(Clone, Copy)]
enum Bearer<'a> {
    Request,
    Input(&'a str),
    Output(&'a str),
}

impl Bearer<'_> {
    fn write_all<'p>(
        self,
        json: &mut Vec<u8>,
        parameters: &(impl Iterator<Item = (&'p String, &'p Parameter)> + Clone),
    ) -> Result<(), EncodeError> {
        for (index, (name, value)) in parameters.clone().enumerate() {
            let name_fault = match self {
                Self::Request => name_fault(name),
                Self::Input(_) | Self::Output(_) => tensor_name_fault(name),
            };
            let name_fault = name_fault.map(|fault| format!("its name {fault}"));
            let value_fault = || value_fault(value).map(|fault| format!("its value {fault}"));
            // The server would take the first one without a word.
            let is_repeated = || {
                let mut before = parameters.clone().take(index);
                let is_there = before.any(|(other, _)| other == name);
                is_there.then(|| "it is set twice".to_owned())
            };
            if let Some(reason) = name_fault.or_else(value_fault).or_else(is_repeated) {
                let bearer = match self {
                    Self::Request => String::new(),
                    Self::Input(tensor) => format!("; it is one of input '{tensor}'"),
                    Self::Output(tensor) => format!("; it is one of output '{tensor}'"),
                };
                return Err(EncodeError {
                    subject: "parameter",
                    name: name.clone(),
                    reason: reason + &bearer,
                });
            }
            json_text::name(json, name);
            json_text::value(json, value);
        }
        Ok(())
    }
}

fn write_outputs(json: &mut Vec<u8>, outputs: &[PlannedOutput<'_>]) -> Result<(), EncodeError> {
    if outputs.is_empty() {
        return Ok(());
    }
    json_text::name(json, "outputs");
    json.push(b'[');
    for output in outputs {
        json_text::separate(json);
        json.push(b'{');
        json_text::name(json, "name");
        json_text::string(json, &output.name);
        let (classes, format, memory) = match output.form {
            OutputForm::Tensor(format) => (None, Some(format), None),
            OutputForm::Classes(count, format) => (Some(count), Some(format), None),
            OutputForm::Shared(memory) => (None, None, Some(memory)),
        };
        // JSON is what the server does unless it is told otherwise.
        let is_binary = format.is_some_and(|format| format != TensorFormat::Json);
        let own = output.parameters;
        if classes.is_some() || is_binary || memory.is_some() || !own.is_empty() {
            json_text::name(json, "parameters");
            json.push(b'{');
            if let Some(count) = classes {
                json_text::name(json, "classification");
                json_text::number(json, count);
            }
            if is_binary {
                json_text::name(json, "binary_data");
                json_text::number(json, true);
            }
            if let Some(memory) = memory {
                write_memory(json, memory);
            }
            let own = own.iter().map(|(name, value)| (name, value));
            Bearer::Output(&output.name).write_all(json, &own)?;
            json.push(b'}');
        }
        json.push(b'}');
    }
    json.push(b']');
    Ok(())
}
