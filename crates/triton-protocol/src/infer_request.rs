//! The request for inference: a model, its inputs, and what is wanted back.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#inference)

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Compression, ModelId, Parameter, Sequence, SharedMemory, SharedTensor, Tensor};

/// The form in which tensors travel
/// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md)).
///
/// ```
/// assert_eq!(triton_protocol::TensorFormat::default(), triton_protocol::TensorFormat::Auto);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TensorFormat {
    /// Binary where the server lists the extension, which it is asked before the first inference,
    /// or has once answered in binary form; JSON elsewhere, because a server that does not know
    /// the binary form may fail in any way.
    #[default]
    Auto,
    /// Binary, and no question asked.
    Binary,
    /// JSON, which people can read. Outputs that are FP16 or BF16 come in binary form all the
    /// same, because the server fails to write them as JSON after the model has run: the model's
    /// outputs are looked up once for that.
    Json,
}

/// A request for inference.
///
/// ```
/// use std::time::Duration;
/// use triton_protocol::{InferRequest, ModelId, RequestedOutput, Tensor, TensorFormat};
///
/// let request = InferRequest::new(ModelId::latest("densenet".parse()?))
///     .input(Tensor::from_vec("image", [3, 224, 224], vec![0.0_f32; 150_528])?)
///     .output(RequestedOutput::classification("class", std::num::NonZeroU32::MIN))
///     .output(RequestedOutput::new("features").format(TensorFormat::Json))
///     .priority(1)
///     .server_timeout(Duration::from_millis(50))
///     .timeout(Duration::from_millis(200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InferRequest {
    /// The model that is to answer.
    pub model: ModelId,
    /// The name of the request; `None` lets whoever sends it find one.
    pub id: Option<String>,
    /// The place in a sequence.
    pub sequence: Option<Sequence>,
    /// The place in the queue of a model that has priorities.
    pub priority: Option<u64>,
    /// The longest wait in the server's queue.
    pub server_timeout: Option<Duration>,
    /// Parameters of the model's own.
    pub parameters: Vec<(String, Parameter)>,
    /// The tensors that the model gets.
    pub inputs: Vec<Tensor>,
    /// The tensors that the model gets out of shared memory.
    pub shared_inputs: Vec<SharedTensor>,
    /// What is asked for; without any, all outputs.
    pub outputs: Vec<RequestedOutput>,
    /// The form of the tensors; `None` is what whoever sends it does.
    pub format: Option<TensorFormat>,
    /// How the body is compressed.
    pub request_compression: Option<Compression>,
    /// How the answer may be compressed.
    pub response_compression: Option<Compression>,
    /// Headers of this request alone.
    pub headers: HeaderMap,
    /// The longest time the call may take.
    pub timeout: Option<Duration>,
}

impl InferRequest {
    /// A request to `model`, as yet without inputs.
    #[must_use]
    pub fn new(model: ModelId) -> Self {
        Self {
            model,
            id: None,
            sequence: None,
            priority: None,
            server_timeout: None,
            parameters: Vec::new(),
            inputs: Vec::new(),
            shared_inputs: Vec::new(),
            outputs: Vec::new(),
            format: None,
            request_compression: None,
            response_compression: None,
            headers: HeaderMap::new(),
            timeout: None,
        }
    }

    /// Adds an input.
    #[must_use]
    pub fn input(mut self, tensor: Tensor) -> Self {
        self.inputs.push(tensor);
        self
    }

    /// Adds an input that the server takes out of a registered region of shared memory.
    ///
    /// Nothing may write to that part until the answer is there. Newer servers do not let clients
    /// use shared memory unless they are started so.
    #[must_use]
    pub fn shared_input(mut self, tensor: SharedTensor) -> Self {
        self.shared_inputs.push(tensor);
        self
    }

    /// Asks for an output, for example by its name; without any, the model returns all it has.
    #[must_use]
    pub fn output(mut self, output: impl Into<RequestedOutput>) -> Self {
        self.outputs.push(output.into());
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

    /// The request's place in the queue of a model that has priorities: 1 is the highest, larger
    /// is lower, 0 is the model's default
    /// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_schedule_policy.md)).
    #[must_use]
    pub fn priority(mut self, priority: u64) -> Self {
        self.priority = Some(priority);
        self
    }

    /// How long the request may wait in the server's queue, in whole microseconds and
    /// at least one, where the model allows requests to say so. It never interrupts an execution.
    #[must_use]
    pub fn server_timeout(mut self, timeout: Duration) -> Self {
        self.server_timeout = Some(timeout);
        self
    }

    /// Adds a parameter of the model's own
    /// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_parameters.md)).
    ///
    /// The names of the protocol's own parameters, those that begin with `triton_`, and one that is
    /// set twice make the call fail before anything is sent.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Parameter>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// The form of this request's tensors and of its outputs, whatever the client's is.
    #[must_use]
    pub fn format(mut self, format: TensorFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Compresses the body, for a network that is slower than the compression.
    #[must_use]
    pub fn request_compression(mut self, compression: Compression) -> Self {
        self.request_compression = Some(compression);
        self
    }

    /// Asks for a compressed answer.
    #[must_use]
    pub fn response_compression(mut self, compression: Compression) -> Self {
        self.response_compression = Some(compression);
        self
    }

    /// Sends a header with this request only, in place of the client's of that name; neither a
    /// log nor `Debug` shows its value.
    #[must_use]
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.insert(name, value);
        self
    }

    /// The longest time the call may take, in place of the client's timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// An output that a request asks for.
///
/// ```
/// use triton_protocol::{RequestedOutput, TensorFormat};
///
/// let by_name: RequestedOutput = "score".into();
/// let as_json = RequestedOutput::new("score").format(TensorFormat::Json);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RequestedOutput {
    /// The output's name.
    pub name: String,
    /// The form in which it comes; `None` is the request's.
    pub format: Option<TensorFormat>,
    /// How many of the largest elements are wanted in its place.
    pub classes: Option<NonZeroU32>,
    /// Where the server is to put it.
    pub memory: Option<SharedMemory>,
    /// What else the request says of it.
    pub parameters: Vec<(String, Parameter)>,
}

impl RequestedOutput {
    /// The output as a tensor.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            format: None,
            classes: None,
            memory: None,
            parameters: Vec::new(),
        }
    }

    /// The `count` largest elements of the output with their labels, which come as a `BYTES`
    /// tensor that [`Tensor::classes`] reads
    /// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md)).
    ///
    /// The model's outputs are looked up before each such request, because the server does not
    /// survive to be asked for classes of a `BYTES` output.
    #[must_use]
    pub fn classification(name: impl Into<String>, count: NonZeroU32) -> Self {
        Self {
            classes: Some(count),
            ..Self::new(name)
        }
    }

    /// Lets the server put the output into a part of a registered region of shared memory. The
    /// answer then has it among its [`shared_outputs`](crate::InferResponse::shared_outputs).
    ///
    /// A part that is too small makes the request fail, but only after the model has run. After
    /// a call that failed for another reason, an answer may still be written there.
    ///
    /// ```
    /// use triton_protocol::{RequestedOutput, SharedMemory};
    ///
    /// let output = RequestedOutput::new("echo").shared_memory(SharedMemory::new("outputs", 12));
    /// ```
    #[must_use]
    pub fn shared_memory(mut self, memory: SharedMemory) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Says something of this output to a server that knows what it means, for example MLServer's
    /// `content_type`.
    ///
    /// The names by which a tensor says how it travels, such as `binary_data`, make the call fail
    /// before anything is sent.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Parameter>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// The form in which this output comes, whatever the request's is.
    #[must_use]
    pub fn format(mut self, format: TensorFormat) -> Self {
        self.format = Some(format);
        self
    }
}

impl From<&str> for RequestedOutput {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<&String> for RequestedOutput {
    fn from(name: &String) -> Self {
        Self::new(name)
    }
}

impl From<String> for RequestedOutput {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}
