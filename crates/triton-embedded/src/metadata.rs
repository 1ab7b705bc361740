//! What the server tells about itself and its models.

use std::time::Duration;

use crate::correlation_id_control::CORRELATION_ID_CONTROL;
use crate::json::Json;
use crate::model_config::{
    CorrelationIdControl, DynamicBatching, ModelConfig, QueuePolicy, SequenceBatching,
    SequenceStrategy, TensorConfig, TimeoutAction,
};

/// The only version every model has here.
pub(crate) const VERSION: i64 = 1;

/// The extensions that the release names whose behaviour this crate follows.
const EXTENSIONS: &[&str] = &[
    "classification",
    "sequence",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "model_configuration",
    "system_shared_memory",
    "cuda_shared_memory",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging",
];

/// The answer to `GET /v2`. It names the shared memory extensions, too, as newer servers do that
/// refuse them.
pub(crate) fn server_metadata() -> Json {
    Json::object([
        ("name", Json::text("triton")),
        ("version", Json::text("2.51.0")),
        (
            "extensions",
            Json::Array(EXTENSIONS.iter().map(Json::text).collect()),
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
/// like this one.
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
    // The real server shows the largest batch as the preferred one where none was configured.
    let preferred = (config.max_batch_size > 0).then_some(config.max_batch_size as u64);
    let preferred = Json::array(preferred);
    if let Some(batching) = &config.sequence_batching {
        let control = config.correlation_id_control.as_ref();
        let batching = sequence_batching(batching, control, preferred);
        members.push((b"sequence_batching".to_vec(), batching));
    } else if let Some(batching) = &config.dynamic_batching {
        let batching = dynamic_batching(batching, preferred);
        members.push((b"dynamic_batching".to_vec(), batching));
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

fn sequence_batching(
    batching: &SequenceBatching,
    control: Option<&CorrelationIdControl>,
    preferred: Json,
) -> Json {
    let strategy = match batching.strategy {
        SequenceStrategy::Direct => (
            "direct",
            Json::object([
                ("max_queue_delay_microseconds", Json::Unsigned(0)),
                ("minimum_slot_utilization", Json::Unsigned(0)),
            ]),
        ),
        SequenceStrategy::Oldest {
            max_candidate_sequences,
        } => (
            "oldest",
            Json::object([
                (
                    "max_candidate_sequences",
                    Json::from(max_candidate_sequences as u64),
                ),
                ("preferred_batch_size", preferred),
                ("max_queue_delay_microseconds", Json::Unsigned(0)),
                ("preserve_ordering", Json::Bool(false)),
            ]),
        ),
    };
    Json::object([
        strategy,
        (
            "max_sequence_idle_microseconds",
            microseconds(batching.max_sequence_idle),
        ),
        ("control_input", Json::array(control.map(control_input))),
        ("state", Json::Array(Vec::new())),
        ("iterative_sequence", Json::Bool(false)),
    ])
}

fn control_input(control: &CorrelationIdControl) -> Json {
    let none = || Json::Array(Vec::new());
    let kind = Json::object([
        ("kind", Json::text(CORRELATION_ID_CONTROL)),
        ("int32_false_true", none()),
        ("fp32_false_true", none()),
        ("bool_false_true", none()),
        (
            "data_type",
            Json::text(control.datatype.configuration_name()),
        ),
    ]);
    Json::object([
        ("name", Json::text(&control.name)),
        ("control", Json::Array(vec![kind])),
    ])
}

fn dynamic_batching(batching: &DynamicBatching, preferred: Json) -> Json {
    let Json::Object(mut members) = Json::object([
        ("preferred_batch_size", preferred),
        (
            "max_queue_delay_microseconds",
            microseconds(batching.max_queue_delay),
        ),
        ("preserve_ordering", Json::Bool(false)),
        ("priority_levels", Json::Unsigned(batching.priority_levels)),
        (
            "default_priority_level",
            Json::Unsigned(batching.default_priority_level),
        ),
    ]) else {
        return Json::Null;
    };
    let policy = &batching.queue_policy;
    if *policy != QueuePolicy::default() {
        let action = match policy.timeout_action {
            TimeoutAction::Reject => "REJECT",
            TimeoutAction::Delay => "DELAY",
        };
        let policy = Json::object([
            ("timeout_action", Json::text(action)),
            (
                "default_timeout_microseconds",
                microseconds(policy.default_timeout),
            ),
            (
                "allow_timeout_override",
                Json::Bool(policy.allow_timeout_override),
            ),
            ("max_queue_size", Json::from(policy.max_queue_size as u64)),
        ]);
        members.push((b"default_queue_policy".to_vec(), policy));
    }
    members.push((b"priority_queue_policy".to_vec(), Json::object([])));
    Json::Object(members)
}

fn microseconds(time: Duration) -> Json {
    Json::from(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
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
