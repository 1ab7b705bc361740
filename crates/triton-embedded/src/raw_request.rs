//! Raw binary requests: a body without JSON is the data of a model's only input.

use bytes::Bytes;

use crate::error::ApiError;
use crate::inference_request::{InferenceRequest, InputData, InputTensor};
use crate::model_config::ModelConfig;
use crate::tensor::DataType;

/// Takes the body for the values of the model's input, whose shape follows from their number.
pub(crate) fn raw_request(config: &ModelConfig, body: Bytes) -> Result<InferenceRequest, ApiError> {
    let model = &config.name;
    let refuse = |text: String| {
        let text = format!("[request id: <id_unknown>] {text}");
        Err(ApiError::bad_request(text))
    };
    let [input] = &config.inputs[..] else {
        return refuse(format!(
            "Raw request must only have 1 input (found 1) to be deduced but got {} inputs in \
             '{model}' model configuration",
            config.inputs.len()
        ));
    };
    let name = &input.name;
    if input.dims.iter().filter(|size| **size < 0).count() > 1 {
        return refuse(format!(
            "The shape of the raw input '{name}' can not be deduced because there are more than \
             one variable-sized dimension"
        ));
    }
    let fixed = || {
        input
            .dims
            .iter()
            .filter_map(|size| u64::try_from(*size).ok())
    };
    let elements = fixed().fold(1, u64::saturating_mul);
    let mut bytes = body;
    let mut dynamic = 0;
    if input.datatype == DataType::Bytes {
        if input.dims.iter().any(|size| *size != 1) {
            return refuse(format!(
                "For BYTE datatype raw input '{name}', the model must have input shape [1]"
            ));
        }
        let length = (bytes.len() as u32).to_le_bytes();
        bytes = [&length, &bytes[..]].concat().into();
    } else {
        let size_of_one = elements.saturating_mul(input.datatype.byte_size() as u64);
        let given = bytes.len() as u64;
        let mut expected = size_of_one;
        if input.dims.iter().any(|size| *size < 0) {
            dynamic = given.checked_div(size_of_one).unwrap_or(0);
            expected = dynamic * size_of_one;
        }
        if given != expected {
            return refuse(format!(
                "input byte size mismatch for input 'raw_input' for model '{model}'. Expected \
                 {expected}, got {given}"
            ));
        }
    }
    let batch = (config.max_batch_size > 0).then_some(1);
    let dims = input.dims.iter();
    let dims = dims.map(|size| u64::try_from(*size).unwrap_or(dynamic));
    Ok(InferenceRequest {
        inputs: vec![InputTensor {
            name: name.clone().into_bytes(),
            datatype: input.datatype,
            shape: batch.into_iter().chain(dims).collect(),
            data: InputData::Binary(bytes),
        }],
        binary_data_output: true,
        ..InferenceRequest::default()
    })
}
