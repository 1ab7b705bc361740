//! What a server that refuses a request may dislike in it, where its own words say nothing of that.

use crate::{Compression, Datatype, Error, InferRequest, Tensor};

/// Adds to a refusal what may be its reason: a compression that this server has not taken yet, and
/// numbers that JSON does not have.
pub(super) fn advised(
    error: Error,
    request: &InferRequest,
    compression: Option<Compression>,
    is_json: bool,
) -> Error {
    let status = error.status();
    let mut error = error;
    if let Some(compression) = compression.filter(|_| matches!(status, Some(400 | 415 | 422))) {
        error = error.with_advice(&format!(
            "the request was compressed with {}, which not every server takes: try it without \
             'compression'",
            compression.name()
        ));
    }
    if is_json
        && matches!(status, Some(400 | 422 | 500))
        && let Some(input) = request.inputs.iter().find(|input| holds_not_finite(input))
    {
        error = error.with_advice(&format!(
            "input '{}' holds NaN or an infinity, for which JSON has no number and not every \
             server takes a word: 'tensor-format' = 'binary' carries them, where the server has it",
            input.name()
        ));
    }
    error
}

fn holds_not_finite(tensor: &Tensor) -> bool {
    match tensor.datatype() {
        Datatype::Fp32 => tensor
            .values::<f32>()
            .is_ok_and(|values| values.iter().any(|value| !value.is_finite())),
        Datatype::Fp64 => tensor
            .values::<f64>()
            .is_ok_and(|values| values.iter().any(|value| !value.is_finite())),
        _ => false,
    }
}
