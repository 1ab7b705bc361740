//! In which form each tensor of a request travels, as far as it depends on the model's outputs.
//!
//! What JSON cannot carry fails only after the model has run, and a classification of byte strings
//! ends the server: so the model's outputs are looked up before either is asked for.

use std::borrow::Cow;

use crate::{Datatype, InferRequest, Parameter, RequestedOutput, SharedMemory, TensorFormat};

/// The form of each tensor of a request.
///
/// ```
/// use triton_protocol::wire::{EncodingPlan, Lookup};
/// use triton_protocol::{Datatype, InferRequest, ModelId, TensorFormat};
///
/// let request = InferRequest::new(ModelId::latest("echo".parse()?)).output("half");
/// let mut plan = EncodingPlan::new(&request, TensorFormat::Json);
/// assert_eq!(plan.lookup(), Some(Lookup::Known));
/// // JSON cannot carry it, so the plan now asks for it in binary form.
/// assert_eq!(plan.settle(&[("half".to_owned(), Datatype::Fp16)]), Ok(true));
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Debug)]
pub struct EncodingPlan<'a> {
    pub(super) format: TensorFormat,
    /// The `id` of the request.
    pub(super) id: Option<&'a str>,
    /// What is asked for by name; with none, the model returns all its outputs.
    pub(super) outputs: Vec<PlannedOutput<'a>>,
}

/// What a plan must know of a model's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Their datatypes, perhaps as they were some time ago: a wrong one makes the request fail.
    Known,
    /// Their datatypes as they are now: a wrong one would end the server.
    Fresh,
}

/// The form of one output.
#[derive(Debug)]
pub(super) struct PlannedOutput<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) form: OutputForm<'a>,
    pub(super) parameters: &'a [(String, Parameter)],
}

/// What an output is to come as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputForm<'a> {
    Tensor(TensorFormat),
    Classes(u32, TensorFormat),
    Shared(&'a SharedMemory),
}

impl<'a> EncodingPlan<'a> {
    /// Everything in `format`, but for the outputs with a wish of their own.
    #[must_use]
    pub fn new(request: &'a InferRequest, format: TensorFormat) -> Self {
        let form = |output: &'a RequestedOutput| {
            let format = output.format.unwrap_or(format);
            match (output.classes, &output.memory) {
                (Some(count), _) => OutputForm::Classes(count.get(), format),
                (None, Some(memory)) => OutputForm::Shared(memory),
                (None, None) => OutputForm::Tensor(format),
            }
        };
        let outputs = request.outputs.iter().map(|output| PlannedOutput {
            name: output.name.as_str().into(),
            form: form(output),
            parameters: &output.parameters,
        });
        Self {
            format,
            id: request.id.as_deref(),
            outputs: outputs.collect(),
        }
    }

    /// Sends the request under this `id`, which takes the place of its own.
    #[must_use]
    pub fn with_id(self, id: &'a str) -> Self {
        let id = Some(id);
        Self { id, ..self }
    }

    /// The form of the outputs that leave it open to what the server can do.
    pub fn open_forms(&mut self) -> impl Iterator<Item = &mut TensorFormat> {
        let forms = self
            .outputs
            .iter_mut()
            .filter_map(|output| match &mut output.form {
                OutputForm::Tensor(form) | OutputForm::Classes(_, form) => Some(form),
                OutputForm::Shared(_) => None,
            });
        forms.filter(|form| **form == TensorFormat::Auto)
    }

    /// What must be known of the model's outputs before the request may be sent.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        let has_json = match self.outputs.is_empty() {
            true => self.format == TensorFormat::Json,
            false => self.outputs.iter().any(PlannedOutput::is_json),
        };
        if self.outputs.iter().any(PlannedOutput::is_classification) {
            Some(Lookup::Fresh)
        } else {
            has_json.then_some(Lookup::Known)
        }
    }

    /// Asks in binary form for what JSON cannot carry, now that the datatypes of the model's
    /// outputs are known; says whether there is such an output.
    ///
    /// # Errors
    ///
    /// A sentence when the classes of an output are wanted that has none.
    pub fn settle(&mut self, datatypes: &[(String, Datatype)]) -> Result<bool, String> {
        let only_binary = |datatype: Datatype| matches!(datatype, Datatype::Fp16 | Datatype::Bf16);
        let mut needs_binary = false;
        if self.outputs.is_empty() && datatypes.iter().any(|(_, datatype)| only_binary(*datatype)) {
            self.outputs = datatypes
                .iter()
                .map(|(name, _)| PlannedOutput::json(name.clone()))
                .collect();
        }
        for output in &mut self.outputs {
            let found = datatypes.iter().find(|(name, _)| *name == output.name);
            let Some(datatype) = found.map(|(_, datatype)| *datatype) else {
                // The server has words of its own for an output that it does not know.
                continue;
            };
            if output.is_classification() && datatype == Datatype::Bytes {
                return Err(format!(
                    "expected a classification of numbers, found that output '{}' is {datatype}: \
                     ask for the output itself",
                    output.name
                ));
            }
            if output.is_json() && only_binary(datatype) {
                output.form = OutputForm::Tensor(TensorFormat::Binary);
                needs_binary = true;
            }
        }
        Ok(needs_binary)
    }
}

impl PlannedOutput<'_> {
    fn json(name: String) -> Self {
        Self {
            name: name.into(),
            form: OutputForm::Tensor(TensorFormat::Json),
            parameters: &[],
        }
    }

    fn is_json(&self) -> bool {
        self.form == OutputForm::Tensor(TensorFormat::Json)
    }

    fn is_classification(&self) -> bool {
        matches!(self.form, OutputForm::Classes(..))
    }
}
