//! Inference: the request, the response, and the sequence a request belongs to.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#inference),
//! [sequence extension](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_sequence.md)

use std::fmt;
use std::num::NonZeroU64;

use triton_options::MAX_SEQUENCE_ID_BYTES;

use crate::{Client, Error, InvalidValue, ModelId, Tensor, TensorError, TensorMetadata, wire};

/// The ID of a sequence (the server's correlation ID).
///
/// A number and the text of that number are different sequences to the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SequenceId {
    /// A number; 0 would mean that there is no sequence.
    Number(NonZeroU64),
    /// A text that the server takes as it is: see [`SequenceId::text`].
    Text(SequenceText),
}

/// The text of a [`SequenceId`], known to be valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SequenceText(String);

impl SequenceId {
    /// An ID from a text.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] when the text is empty (the server takes that as no sequence), holds a
    /// NUL (the server cuts it there, so that IDs collide) or has more than 128 bytes (which the
    /// server refuses).
    ///
    /// ```
    /// use triton_client::SequenceId;
    ///
    /// assert_eq!(SequenceId::text("call-7")?.to_string(), "call-7");
    /// assert!(SequenceId::text("").is_err());
    /// # Ok::<(), triton_client::InvalidValue>(())
    /// ```
    pub fn text(text: impl Into<String>) -> Result<Self, InvalidValue> {
        let text = text.into();
        if text.is_empty() || text.contains('\0') || text.len() > MAX_SEQUENCE_ID_BYTES {
            return Err(InvalidValue {
                expected: format!(
                    "a sequence ID of 1 to {MAX_SEQUENCE_ID_BYTES} bytes without NUL, found {} \
                     bytes: '{}'",
                    text.len(),
                    text[..text.floor_char_boundary(MAX_SEQUENCE_ID_BYTES)].escape_debug()
                ),
            });
        }
        Ok(Self::Text(SequenceText(text)))
    }
}

impl fmt::Display for SequenceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => formatter.write_str(&text.0),
        }
    }
}

/// The place of a request in a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// Which sequence it is.
    pub id: SequenceId,
    /// Whether the request is the first one of the sequence.
    pub start: bool,
    /// Whether the request is the last one of the sequence.
    pub end: bool,
}

/// A request for inference.
#[derive(Debug, Clone, PartialEq)]
pub struct InferRequest {
    pub(crate) model: ModelId,
    pub(crate) id: Option<String>,
    pub(crate) sequence: Option<Sequence>,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) outputs: Vec<String>,
}

impl InferRequest {
    /// A request to `model`, as yet without inputs.
    #[must_use]
    pub fn new(model: ModelId) -> Self {
        Self {
            model,
            id: None,
            sequence: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Adds an input.
    #[must_use]
    pub fn input(mut self, tensor: Tensor) -> Self {
        self.inputs.push(tensor);
        self
    }

    /// Asks for an output by name; without any, the model returns all it has.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.outputs.push(name.into());
        self
    }

    /// Names the request, for logs and traces; the server echoes it. It is not a sequence ID.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Places the request in a sequence of a stateful model.
    #[must_use]
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        self.sequence = Some(sequence);
        self
    }
}

/// The answer to an [`InferRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InferResponse {
    /// The model that answered.
    pub model_name: String,
    /// The version that answered.
    pub model_version: String,
    /// The request's own `id`, when it had one.
    pub id: Option<String>,
    /// The outputs in the model's order, whatever the order in which they were asked for.
    pub outputs: Vec<Tensor>,
}

impl InferResponse {
    /// The output called `name`.
    ///
    /// # Errors
    ///
    /// [`TensorError::Missing`] naming the outputs there are. An output that the request asked
    /// for by name is always there.
    pub fn output(&self, name: &str) -> Result<&Tensor, TensorError> {
        let found = self.outputs.iter().find(|output| output.name() == name);
        found.ok_or_else(|| TensorError::Missing {
            name: name.to_owned(),
            present: self
                .outputs
                .iter()
                .map(|output| output.name().to_owned())
                .collect(),
        })
    }
}

impl Client {
    /// Runs a model once.
    ///
    /// The request is sent at most once. Dropping the future closes its connection, but the
    /// server goes on: a sequence advances all the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) when a tensor cannot be
    /// sent, [`ErrorKind::SequenceNotStarted`](crate::ErrorKind::SequenceNotStarted) when the
    /// server does not know the sequence, [`ErrorKind::Protocol`](crate::ErrorKind::Protocol)
    /// when the answer is malformed or lacks an output that was asked for, and any other failure
    /// of the call.
    pub async fn infer(&self, request: &InferRequest) -> Result<InferResponse, Error> {
        let operation = request.model.operation("infer with");
        let transport = &self.transport;
        let body = wire::infer::encode(transport, &operation, request)?;
        let path = request.model.path("/infer");
        let answer = transport.call(&operation, &path, Some(body)).await?;
        wire::infer::decode(transport, &operation, request, &answer)
    }
}

impl TensorMetadata {
    /// Whether a tensor of this shape fits: as many dimensions, each equal or variable.
    #[must_use]
    pub fn accepts_shape(&self, shape: &[usize]) -> bool {
        self.shape.len() == shape.len()
            && self
                .shape
                .iter()
                .zip(shape)
                .all(|(expected, found)| *expected < 0 || usize::try_from(*expected) == Ok(*found))
    }
}
