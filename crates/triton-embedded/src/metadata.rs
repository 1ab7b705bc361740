//! What the server tells about itself and its models.

use std::time::Duration;

use crate::json::Json;
use crate::model_config::{ModelConfig, TensorConfig};

/// The only version every model has here.
pub(crate) const VERSION: i64 = 1;

/// The answer to `GET /v2`: the release whose behaviour this crate follows, with the extensions
/// that are built.
pub(crate) fn server_metadata() -> Json {
    Json::object([
        ("name", Json::text("triton")),
        ("version", Json::text("2.51.0")),
        (
            "extensions",
            Json::Array(vec![
                Json::text("sequence"),
                Json::text("model_configuration"),
                Json::text("parameters"),
            ]),
        ),
    ])
}

/// The answer to `GET /v2/models/M`.
pub(crate) fn model_metadata(config: &ModelConfig) -> Json {
    let describe = |tensor: &TensorConfig| {
        Json::object([
            ("name", Json::text(&tensor.name)),
            ("datatype", Json::text(tensor.datatype.protocol_name())),
            ("shape", Json::array(config.shape_of(tensor))),
        ])
    };
    Json::object([
        ("name", Json::text(&config.name)),
        (
            "versions",
            Json::Array(vec![Json::text(VERSION.to_string())]),
        ),
        ("platform", Json::text(&config.backend)),
        ("inputs", Json::array(config.inputs.iter().map(describe))),
        ("outputs", Json::array(config.outputs.iter().map(describe))),
    ])
}

/// The answer to `GET /v2/models/M/config`, with every field a real server writes for a model
/// like this one, except those of batching strategies that are not built.
pub(crate) fn model_config(config: &ModelConfig) -> Json {
    let inputs = config.inputs.iter().map(input_config);
    let outputs = config.outputs.iter().map(output_config);
    let Json::Object(mut members) = Json::object([
        ("name", Json::text(&config.name)),
        ("platform", Json::text("")),
        ("backend", Json::text(&config.backend)),
        ("runtime", Json::text("")),
        ("version_policy", version_policy()),
        ("max_batch_size", Json::from(config.max_batch_size as u64)),
        ("input", Json::array(inputs)),
        ("output", Json::array(outputs)),
        ("batch_input", Json::Array(Vec::new())),
        ("batch_output", Json::Array(Vec::new())),
        ("optimization", optimization()),
    ]) else {
        return Json::Null;
    };
    if let Some(batching) = &config.sequence_batching {
        let batching = sequence_batching(batching.max_sequence_idle);
        members.push((b"sequence_batching".to_vec(), batching));
    }
    let rest = [
        (
            "instance_group",
            Json::Array(vec![instance_group(&config.name)]),
        ),
        ("default_model_filename", Json::text("model.py")),
        ("cc_model_filenames", Json::object([])),
        ("metric_tags", Json::object([])),
        ("parameters", Json::object([])),
        ("model_warmup", Json::Array(Vec::new())),
    ];
    members.extend(rest.map(|(key, value)| (key.as_bytes().to_vec(), value)));
    Json::Object(members)
}

fn input_config(tensor: &TensorConfig) -> Json {
    Json::object([
        ("name", Json::text(&tensor.name)),
        (
            "data_type",
            Json::text(tensor.datatype.configuration_name()),
        ),
        ("format", Json::text("FORMAT_NONE")),
        ("dims", Json::array(tensor.dims.iter().copied())),
        ("is_shape_tensor", Json::Bool(false)),
        ("allow_ragged_batch", Json::Bool(false)),
        ("optional", Json::Bool(tensor.optional)),
        ("is_non_linear_format_io", Json::Bool(false)),
    ])
}

fn output_config(tensor: &TensorConfig) -> Json {
    Json::object([
        ("name", Json::text(&tensor.name)),
        (
            "data_type",
            Json::text(tensor.datatype.configuration_name()),
        ),
        ("dims", Json::array(tensor.dims.iter().copied())),
        ("label_filename", Json::text("")),
        ("is_shape_tensor", Json::Bool(false)),
        ("is_non_linear_format_io", Json::Bool(false)),
    ])
}

fn version_policy() -> Json {
    let latest = Json::object([("num_versions", Json::Unsigned(1))]);
    Json::object([("latest", latest)])
}

fn optimization() -> Json {
    let pinned = || Json::object([("enable", Json::Bool(true))]);
    Json::object([
        ("priority", Json::text("PRIORITY_DEFAULT")),
        ("input_pinned_memory", pinned()),
        ("output_pinned_memory", pinned()),
        ("gather_kernel_buffer_threshold", Json::Unsigned(0)),
        ("eager_batching", Json::Bool(false)),
    ])
}

fn sequence_batching(max_idle: Duration) -> Json {
    let microseconds = u64::try_from(max_idle.as_micros()).unwrap_or(u64::MAX);
    Json::object([
        ("max_sequence_idle_microseconds", Json::from(microseconds)),
        ("control_input", Json::Array(Vec::new())),
        ("state", Json::Array(Vec::new())),
        ("iterative_sequence", Json::Bool(false)),
    ])
}

fn instance_group(model: &str) -> Json {
    Json::object([
        ("name", Json::text(format!("{model}_0"))),
        ("kind", Json::text("KIND_CPU")),
        ("count", Json::Unsigned(1)),
        ("gpus", Json::Array(Vec::new())),
        ("secondary_devices", Json::Array(Vec::new())),
        ("profile", Json::Array(Vec::new())),
        ("passive", Json::Bool(false)),
        ("host_policy", Json::text("")),
    ])
}
