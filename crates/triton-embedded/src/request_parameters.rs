//! Reads the parameters of an inference request: its sequence, its place in the queue, and what is
//! for the model alone.

use crate::error::ApiError;
use crate::inference_request::{InferenceRequest, lossy, unreadable, until_nul};
use crate::json::Json;
use crate::model::{CorrelationId, Parameter};

/// The longest text that may be the ID of a sequence, in bytes.
const LONGEST_CORRELATION_ID: usize = 128;

impl InferenceRequest {
    pub(crate) fn read_parameters(&mut self, parameters: &Json) -> Result<(), ApiError> {
        let members = parameters.as_object().map_err(|error| {
            ApiError::internal(format!("failed to get request params.: {error}"))
        })?;
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
            b"priority" => self.priority = value.as_unsigned().map_err(unreadable("priority"))?,
            b"timeout" => self.timeout = value.as_unsigned().map_err(unreadable("timeout"))?,
            b"binary_data_output" => {
                self.binary_data_output =
                    value.as_bool().map_err(unreadable("binary_data_output"))?;
            }
            _ if key.starts_with(b"triton_") => {
                return Err(ApiError::bad_request(
                    "parameter keys starting with 'triton_' are reserved for Triton usage and \
                     should not be specified.",
                ));
            }
            _ => self.add_custom_parameter(key, value)?,
        }
        Ok(())
    }

    /// Passes a parameter on to the model.
    pub(crate) fn add_custom_parameter(
        &mut self,
        key: &[u8],
        value: &Json,
    ) -> Result<(), ApiError> {
        let parameter = read_custom_parameter(key, value)?;
        self.parameters.push((lossy(key), parameter));
        Ok(())
    }
}

fn read_correlation_id(value: &Json) -> Result<Option<CorrelationId>, ApiError> {
    if let Json::Unsigned(number) = value {
        return Ok((*number != 0).then_some(CorrelationId::Number(*number)));
    }
    let text = value.as_text().map_err(unreadable("sequence_id"))?;
    let text = until_nul(text);
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
