//! What a model is told about the ID of a sequence by a control, mistakes of the real server included.
//!
//! The real server copies the ID into the control's tensor byte by byte, whatever the two are: a
//! number as its 8 bytes, a text as its length and its bytes. A model then reads as many of them as
//! its type has, so a text becomes a number, and a number the length of a text.

use crate::model::{CorrelationId, ModelRequest};
use crate::model_config::{CorrelationIdControl, ModelConfig};
use crate::model_error::{ModelError, ModelErrorKind};
use crate::tensor::{DataType, Tensor, TensorData};

/// The kind of control in a model's configuration.
pub(crate) const CORRELATION_ID_CONTROL: &str = "CONTROL_SEQUENCE_CORRID";

/// What a control of text has room for, without the length in front.
const LONGEST_TEXT: usize = 128;

/// The bytes of the length of a text.
const LENGTH: usize = size_of::<u32>();

/// Whether a real server has controls of that type.
pub(crate) fn is_possible(control: &CorrelationIdControl) -> bool {
    matches!(
        control.datatype,
        DataType::Uint64 | DataType::Int64 | DataType::Uint32 | DataType::Int32 | DataType::Bytes
    )
}

/// Adds the control to the inputs of a request of a model that has one.
///
/// # Errors
/// Those of the real server, which come before the model sees anything.
pub(crate) fn add_to(request: &mut ModelRequest, config: &ModelConfig) -> Result<(), ModelError> {
    let (Some(control), Some(sequence)) = (&config.correlation_id_control, &request.sequence)
    else {
        return Ok(());
    };
    let bytes = bytes_of(&sequence.id);
    let low = [bytes[0], bytes[1], bytes[2], bytes[3]];
    let high = [bytes[4], bytes[5], bytes[6], bytes[7]];
    let (low, high) = (u32::from_le_bytes(low), u32::from_le_bytes(high));
    let whole = u64::from(high) << 32 | u64::from(low);
    let data = match control.datatype {
        DataType::Uint64 => TensorData::from(vec![whole]),
        DataType::Int64 => TensorData::from(vec![whole.cast_signed()]),
        DataType::Uint32 => TensorData::from(vec![low]),
        DataType::Int32 => TensorData::from(vec![low.cast_signed()]),
        _ => return Err(refusal_of_text(config, control, low)),
    };
    let dimensions = if config.max_batch_size > 0 { 2 } else { 1 };
    let tensor = Tensor::new(&control.name, vec![1; dimensions], data);
    request.inputs.push(tensor);
    Ok(())
}

/// The beginning of what the real server copies. What it leaves behind a short text is chance, and
/// zero here.
fn bytes_of(id: &CorrelationId) -> [u8; 8] {
    let text = match id {
        CorrelationId::Number(number) => return number.to_le_bytes(),
        CorrelationId::Text(text) => text.as_bytes(),
    };
    let mut bytes = [0; 8];
    // An ID is never as long as the type of its length allows.
    bytes[..LENGTH].copy_from_slice(&(text.len() as u32).to_le_bytes());
    let shown = text.len().min(bytes.len() - LENGTH);
    bytes[LENGTH..][..shown].copy_from_slice(&text[..shown]);
    bytes
}

/// A control of text never reaches a model: the tensor is as long as the longest ID, and the real
/// server takes what is behind a shorter one for another text.
fn refusal_of_text(
    config: &ModelConfig,
    control: &CorrelationIdControl,
    length: u32,
) -> ModelError {
    let name = &control.name;
    let text = match LONGEST_TEXT.checked_sub(length as usize) {
        None => format!(
            "incomplete string data for inference input '{name}', expecting string of length \
             {length} but only {LONGEST_TEXT} bytes available"
        ),
        // Too little is left for another length, and the process of the model dies of it.
        Some(left) if left < LENGTH => {
            let name = &config.name;
            return ModelError::new(format!("Stub process '{name}_0_0' is not healthy."));
        }
        Some(_) => format!(
            "unexpected number of string elements 2 for inference input '{name}', expecting 1"
        ),
    };
    ModelError::with_kind(ModelErrorKind::InvalidArgument, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sequence;

    fn told(id: CorrelationId, datatype: DataType) -> Result<TensorData, String> {
        let config = ModelConfig::new("m").correlation_id_control("CORRID", datatype);
        let mut request = ModelRequest::new(Vec::new());
        request.sequence = Some(Sequence {
            id,
            start: true,
            end: true,
        });
        add_to(&mut request, &config).map_err(|error| error.text)?;
        Ok(request.inputs.remove(0).data)
    }

    #[test]
    fn what_is_chance_or_death_on_a_real_server_is_always_the_same_here() {
        let short = told(CorrelationId::Text("0".to_owned()), DataType::Uint64);
        assert_eq!(short, Ok(vec![1 | u64::from(b'0') << 32].into()));
        for length in 125..=128 {
            let dead = Err("Stub process 'm_0_0' is not healthy.".to_owned());
            assert_eq!(told(CorrelationId::Number(length), DataType::Bytes), dead);
            let text = CorrelationId::Text("x".repeat(length as usize));
            assert_eq!(told(text, DataType::Bytes), dead);
        }
        // A text that is longer than the buffer corrupts the memory of a real server.
        let long = told(CorrelationId::Text("x".repeat(128)), DataType::Int32);
        assert_eq!(long, Ok(vec![128_i32].into()));
    }
}
