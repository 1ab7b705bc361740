//! Checks an inference request against the model's configuration, in the real server's order.

use crate::binary_tensor::{count_strings, from_bytes};
use crate::error::ApiError;
use crate::inference_request::{InferenceRequest, InputData, InputTensor};
use crate::model::{ModelRequest, Sequence};
use crate::model_config::{ModelConfig, TensorConfig};
use crate::tensor::{DataType, Tensor};

/// Returns the size of the batch, 1 for a model without a batch dimension.
pub(crate) fn validate(
    config: &ModelConfig,
    request: &InferenceRequest,
) -> Result<usize, ApiError> {
    Validation { config, request }.run()
}

impl InferenceRequest {
    /// The request as the model sees it; only after validation, which proves the names to be text
    /// and the sizes to fit.
    pub(crate) fn into_model_request(self) -> ModelRequest {
        let mut request = ModelRequest::new(self.inputs.into_iter().map(input_tensor).collect());
        request.id = String::from_utf8_lossy(&self.id).into_owned();
        request.parameters = self.parameters;
        request.sequence = self.sequence_id.map(|id| Sequence {
            id,
            start: self.sequence_start,
            end: self.sequence_end,
        });
        request
    }
}

fn input_tensor(input: InputTensor) -> Tensor {
    Tensor {
        name: String::from_utf8_lossy(&input.name).into_owned(),
        shape: input.shape.into_iter().map(|size| size as usize).collect(),
        data: match input.data {
            InputData::Values(values) => values,
            InputData::Binary(bytes) => from_bytes(input.datatype, &bytes),
        },
    }
}

struct Validation<'request> {
    config: &'request ModelConfig,
    request: &'request InferenceRequest,
}

impl Validation<'_> {
    fn run(&self) -> Result<usize, ApiError> {
        self.outputs()?;
        self.number_of_inputs()?;
        let batch_size = self.batch_size()?;
        for input in &self.request.inputs {
            self.input(input)?;
        }
        Ok(batch_size)
    }

    fn outputs(&self) -> Result<(), ApiError> {
        for output in &self.request.outputs {
            if find(&self.config.outputs, &output.name).is_none() {
                return Err(self.unexpected("output", &output.name));
            }
        }
        Ok(())
    }

    fn number_of_inputs(&self) -> Result<(), ApiError> {
        let (inputs, most) = (&self.request.inputs, self.config.inputs.len());
        let required = || self.config.inputs.iter().filter(|input| !input.optional);
        let least = required().count();
        if (least..=most).contains(&inputs.len()) {
            return Ok(());
        }
        let expected = match least == most {
            true => format!("expected {most} inputs"),
            false => format!("expected number of inputs between {least} and {most}"),
        };
        // The real server lists them out of a hash map, which here comes to the reverse order.
        let got: Vec<_> = inputs
            .iter()
            .rev()
            .map(|input| quoted(&input.name))
            .collect();
        let missing: Vec<_> = required()
            .filter(|input| {
                !inputs
                    .iter()
                    .any(|given| given.name == input.name.as_bytes())
            })
            .map(|input| quoted(input.name.as_bytes()))
            .collect();
        // Without a missing input the real text lacks the opening bracket.
        let missing = match missing.is_empty() {
            true => "]".to_owned(),
            false => format!("[{}]", missing.join(",")),
        };
        Err(self.refuse(format!(
            "{expected} but got {} inputs for model '{}'. Got input(s) [{}], but missing required \
             input(s) {missing}. Please provide all required input(s).",
            inputs.len(),
            self.config.name,
            got.join(","),
        )))
    }

    fn batch_size(&self) -> Result<usize, ApiError> {
        let (model, most) = (&self.config.name, self.config.max_batch_size);
        if most == 0 {
            return Ok(1);
        }
        let mut batch_size = None;
        for input in &self.request.inputs {
            let name = quoted(&input.name);
            let Some(size) = input.shape.first() else {
                return Err(self.refuse(format!(
                    "input {name} has no shape but model requires batch dimension for '{model}'"
                )));
            };
            if *batch_size.get_or_insert(*size) != *size {
                return Err(self.refuse(format!(
                    "input {name} batch size does not match other inputs for '{model}'"
                )));
            }
        }
        match usize::try_from(batch_size.unwrap_or(1)) {
            Ok(size) if size <= most => Ok(size),
            _ => Err(self.refuse(format!(
                "inference request batch-size must be <= {most} for '{model}'"
            ))),
        }
    }

    fn input(&self, input: &InputTensor) -> Result<(), ApiError> {
        let (model, name) = (&self.config.name, quoted(&input.name));
        let Some(expected) = find(&self.config.inputs, &input.name) else {
            return Err(self.unexpected("input", &input.name));
        };
        if input.datatype != expected.datatype {
            return Err(self.refuse(format!(
                "inference input {name} data-type is '{}', but model '{model}' expects '{}'",
                input.datatype, expected.datatype
            )));
        }
        let shape = self.config.shape_of(expected);
        if !shape_fits(&input.shape, &shape) {
            let note = match self.config.max_batch_size {
                0 => "",
                _ => BATCH_NOTE,
            };
            return Err(self.refuse(format!(
                "unexpected shape for input {name} for model '{model}'. Expected {}, got {}. {note}",
                list(&shape),
                list(&input.shape)
            )));
        }
        self.byte_size(input)
    }

    /// What is left to check of the number of values once the shape fits.
    fn byte_size(&self, input: &InputTensor) -> Result<(), ApiError> {
        let (model, name) = (&self.config.name, quoted(&input.name));
        let mismatch = |expected: u64, given: usize| {
            Err(self.refuse(format!(
                "input byte size mismatch for input {name} for model '{model}'. Expected \
                 {expected}, got {given}"
            )))
        };
        let size_of_one = input.datatype.byte_size() as u64;
        if self.config.max_batch_size > 0 && input.shape.first() == Some(&0) {
            let one = product(&input.shape[1..]).saturating_mul(size_of_one);
            // Asked for an empty batch of empty tensors, the real server never answers at all.
            return mismatch(one, 0);
        }
        let expected = product(&input.shape);
        let given = match (&input.data, input.datatype) {
            (InputData::Values(values), DataType::Bytes) => values.len() as u64,
            (InputData::Values(_), _) => return Ok(()),
            (InputData::Binary(bytes), DataType::Bytes) => match count_strings(bytes) {
                Ok(count) => count,
                Err(left) => {
                    return Err(self.refuse(format!(
                        "incomplete string length indicator for inference input {name} for model \
                         '{model}', expecting 4 bytes but only {left} bytes available. Please \
                         make sure the string length indicator is in one buffer."
                    )));
                }
            },
            (InputData::Binary(bytes), _) => {
                let expected = expected.saturating_mul(size_of_one);
                return match bytes.len() as u64 == expected {
                    true => Ok(()),
                    false => mismatch(expected, bytes.len()),
                };
            }
        };
        if given == expected {
            Ok(())
        } else if given < expected {
            Err(self.refuse(format!(
                "expected {expected} string elements for inference input {name} for model \
                 '{model}', got {given}"
            )))
        } else {
            // The real server stops counting at the first that is too many.
            Err(self.refuse(format!(
                "unexpected number of string elements {} for inference input {name} for model \
                 '{model}', expecting {expected}",
                expected + 1
            )))
        }
    }

    fn unexpected(&self, what: &str, name: &[u8]) -> ApiError {
        ApiError::bad_request(format!(
            "unexpected inference {what} {} for model '{}'",
            quoted(name),
            self.config.name
        ))
    }

    fn refuse(&self, text: String) -> ApiError {
        ApiError::bad_request([self.request.log_prefix(), text.into_bytes()].concat())
    }
}

const BATCH_NOTE: &str = "NOTE: Setting a non-zero max_batch_size in the model config requires a \
     batch dimension to be prepended to each input shape. If you want to specify the full shape \
     including the batch dim in your input dims config, try setting max_batch_size to zero. See \
     the model configuration docs for more info on max_batch_size.";

fn find<'config>(tensors: &'config [TensorConfig], name: &[u8]) -> Option<&'config TensorConfig> {
    tensors.iter().find(|tensor| tensor.name.as_bytes() == name)
}

fn shape_fits(given: &[u64], expected: &[i64]) -> bool {
    given.len() == expected.len()
        && given
            .iter()
            .zip(expected)
            .all(|(given, expected)| *expected < 0 || i64::try_from(*given) == Ok(*expected))
}

/// The number of values of that shape; sizes beyond all bounds must not end in a panic.
fn product(shape: &[u64]) -> u64 {
    shape
        .iter()
        .fold(1, |product: u64, size| product.saturating_mul(*size))
}

fn quoted(name: &[u8]) -> String {
    format!("'{}'", String::from_utf8_lossy(name))
}

/// A shape as error texts show it: `[-1,2]`.
fn list<Size: ToString>(shape: &[Size]) -> String {
    let sizes: Vec<_> = shape.iter().map(Size::to_string).collect();
    format!("[{}]", sizes.join(","))
}
