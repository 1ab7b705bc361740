//! What a model is: a configuration and a function, with state where its sequences need it.

use std::time::Duration;

use crate::clock::Timekeeper;
use crate::model_config::ModelConfig;
use crate::model_error::{ModelError, ModelErrorKind};
use crate::tensor::{Element, Tensor};

/// A model for [`EmbeddedTriton`](crate::EmbeddedTriton).
///
/// A stateless model has `()` as its state:
///
/// ```
/// use triton_embedded::{DataType, Model, ModelConfig, ModelError, ModelRequest, Tensor};
///
/// struct Doubler;
///
/// impl Model for Doubler {
///     type State = ();
///
///     fn config(&self) -> ModelConfig {
///         ModelConfig::new("doubler")
///             .input("value", DataType::Fp32, [-1])
///             .output("doubled", DataType::Fp32, [-1])
///     }
///
///     fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
///         let value = request.input("value")?;
///         let doubled: Vec<f32> = value.values()?.iter().map(|v: &f32| v * 2.0).collect();
///         Ok(vec![Tensor::new("doubled", value.shape.clone(), doubled)])
///     }
/// }
/// ```
///
/// A stateful one names the state of one sequence and asks for sequence batching. The server owns
/// the states: the model is handed the one that belongs to the request, fresh after every START.
///
/// ```
/// use triton_embedded::{
///     DataType, Model, ModelConfig, ModelError, ModelRequest, SequenceBatching, Tensor,
/// };
///
/// struct Counter;
///
/// impl Model for Counter {
///     type State = u32;
///
///     fn config(&self) -> ModelConfig {
///         ModelConfig::new("counter")
///             .output("requests", DataType::Uint32, [1])
///             .sequence_batching(SequenceBatching::default())
///     }
///
///     fn execute(&self, _: &ModelRequest, seen: &mut u32) -> Result<Vec<Tensor>, ModelError> {
///         *seen += 1;
///         Ok(vec![Tensor::new("requests", [1], vec![*seen])])
///     }
/// }
/// ```
///
/// A panic in `execute` is answered like an exception in a Python model: status 500 with its
/// text, and the server goes on. The same holds for a panic in `State::default`.
pub trait Model: Send + 'static {
    /// What the model remembers between the requests of one sequence. It begins as the default at
    /// each START and is dropped after END, or once the sequence has been idle for too long.
    /// Without sequence batching every request gets a new one.
    type State: Default + Send + 'static;

    /// The model's name, tensors and batching; asked once, when the server starts.
    fn config(&self) -> ModelConfig;

    /// Answers one request. The requests of a model are executed one at a time, in the order of
    /// their arrival, on a thread that belongs to the model; it may block.
    ///
    /// The inputs have been checked against the configuration; the outputs are sent in the order
    /// given here, without those the request did not ask for.
    ///
    /// # Errors
    /// The model's own. The sequence stays open, with the state as this call left it, unless the
    /// request carried END (protocol page, section 5).
    fn execute(
        &self,
        request: &ModelRequest,
        state: &mut Self::State,
    ) -> Result<Vec<Tensor>, ModelError>;
}

/// A request as a model sees it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ModelRequest {
    /// The request's id; empty where it has none. It is not the sequence's.
    pub id: String,
    /// The inputs, in the order of the request.
    pub inputs: Vec<Tensor>,
    /// The sequence the request belongs to, if it names one.
    pub sequence: Option<Sequence>,
    /// The request's other parameters, in its order.
    pub parameters: Vec<(String, Parameter)>,
    /// The time of the server that executes the request.
    pub(crate) timekeeper: Timekeeper,
}

impl ModelRequest {
    /// A request with these inputs and nothing else, for the unit tests of a model.
    pub fn new(inputs: Vec<Tensor>) -> ModelRequest {
        ModelRequest {
            inputs,
            ..ModelRequest::default()
        }
    }

    /// Waits on the server's clock, for models that take their time.
    ///
    /// # Errors
    /// When the server stops meanwhile.
    pub fn wait(&self, time: Duration) -> Result<(), ModelError> {
        match self.timekeeper.wait(time) {
            true => Ok(()),
            false => Err(ModelError::with_kind(
                ModelErrorKind::Unavailable,
                "the server is stopping",
            )),
        }
    }

    /// The input of that name.
    ///
    /// # Errors
    /// When the request has no such input, which only happens with optional inputs.
    pub fn input(&self, name: &str) -> Result<&Tensor, ModelError> {
        self.inputs
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| ModelError::new(format!("the request has no input '{name}'")))
    }

    /// The values of the input of that name, for instance as `values::<f32>("reading")`.
    ///
    /// # Errors
    /// When the request has no such input or its values are of another type.
    pub fn values<Value: Element>(&self, name: &str) -> Result<&[Value], ModelError> {
        self.input(name)?.values()
    }
}

/// The sequence a request belongs to and its place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sequence {
    /// Tells the sequences of a model apart.
    pub id: CorrelationId,
    /// Whether the request opens the sequence.
    pub start: bool,
    /// Whether the request closes the sequence.
    pub end: bool,
}

/// The ID of a sequence. The number `5` and the text `"5"` are different ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CorrelationId {
    /// Never 0, which means "no sequence".
    Number(u64),
    /// Never empty, which means "no sequence", and at most 128 bytes.
    Text(String),
}

impl std::fmt::Display for CorrelationId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CorrelationId::Number(number) => number.fmt(formatter),
            CorrelationId::Text(text) => text.fmt(formatter),
        }
    }
}

/// The value of a parameter that a request passes to the model.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Parameter {
    Bool(bool),
    Integer(i64),
    Double(f64),
    Text(String),
}
