//! Finds columns that JSON cannot carry where tensors travel as JSON, before any row fails by it.

use triton_client::Datatype;
use triton_options::{OptionValue as _, TENSOR_FORMAT, TensorFormat, TritonOptions};

use super::PlannedColumn;
use crate::{Column, ModelFacts};

/// The extension that carries tensors in binary form.
const BINARY_TENSORS: &str = "binary_tensor_data";

/// Why columns cannot be sent, or their tensors not be answered.
pub(super) fn json_mismatch(
    options: &TritonOptions,
    facts: &ModelFacts,
    inputs: &[PlannedColumn],
    outputs: &[PlannedColumn],
) -> Option<String> {
    let key = TENSOR_FORMAT.key();
    let binary = TensorFormat::Binary.canonical();
    // What the server says of itself is asked for where it keeps no configuration; Tritons do.
    let lacks_binary = facts
        .server
        .as_ref()
        .filter(|server| !server.extensions.iter().any(|name| name == BINARY_TENSORS));
    let (columns, why) = match (options.tensor_format, lacks_binary) {
        (TensorFormat::Json, None) => (
            // A server that can is asked for the others in binary form all the same.
            vec![("input", inputs)],
            format!("'{key}' is 'json': leave '{key}' out, or set it to '{binary}'"),
        ),
        (TensorFormat::Json | TensorFormat::Auto, Some(_)) => (
            vec![("input", inputs), ("output", outputs)],
            format!(
                "{} does not list the extension '{BINARY_TENSORS}', so tensors are JSON: where it \
                 takes the binary form all the same, as KServe does, set '{key}' to '{binary}'; \
                 else give the model a tensor of another type, FP32 for example",
                facts.server_name()
            ),
        ),
        _ => return None,
    };
    let columns = columns
        .into_iter()
        .flat_map(|(side, columns)| columns.iter().map(move |planned| (side, &planned.column)));
    let only_binary = columns.filter(|(_, column)| {
        let datatype = column.data_type.tensor_datatype();
        matches!(datatype, Datatype::Fp16 | Datatype::Bf16)
    });
    let only_binary: Vec<String> = only_binary
        .map(|(side, Column { name, data_type })| format!("{side} column '{name}' ({data_type})"))
        .collect();
    let columns = only_binary.join(", ");
    (!columns.is_empty()).then(|| format!("JSON cannot carry {columns}, and {why}"))
}
