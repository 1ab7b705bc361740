//! The configuration that a load request may bring along, as JSON.

use std::time::Duration;

use crate::correlation_id_control::{CORRELATION_ID_CONTROL, is_possible};
use crate::json::{self, Json};
use crate::model_config::{
    CorrelationIdControl, DynamicBatching, ModelConfig, QueuePolicy, SequenceBatching,
    SequenceStrategy, TensorConfig, TimeoutAction,
};
use crate::tensor::DataType;

/// Every field of Triton's `ModelConfig`; the real server refuses any other.
const FIELDS: &[&str] = &[
    "name",
    "platform",
    "backend",
    "runtime",
    "version_policy",
    "max_batch_size",
    "input",
    "output",
    "batch_input",
    "batch_output",
    "optimization",
    "dynamic_batching",
    "sequence_batching",
    "ensemble_scheduling",
    "instance_group",
    "default_model_filename",
    "cc_model_filenames",
    "metric_tags",
    "parameters",
    "model_warmup",
    "model_operations",
    "model_transaction_policy",
    "model_repository_agents",
    "response_cache",
    "model_metrics",
];

/// The configuration that the JSON describes, with the tensors of `base` where it has none;
/// `None` where it cannot be used. Fields without a meaning here have no effect.
pub(crate) fn apply(base: &ModelConfig, text: &[u8]) -> Option<ModelConfig> {
    let document = json::read(text).ok()?;
    let members = document.as_object().ok()?;
    let known = |(key, _): &(Vec<u8>, Json)| FIELDS.iter().any(|field| field.as_bytes() == key);
    if !members.iter().all(known) {
        return None;
    }
    if let Some(name) = document.get("name")
        && name.as_text().ok()? != base.name.as_bytes()
    {
        return None;
    }
    let mut config = ModelConfig {
        max_batch_size: unsigned(&document, "max_batch_size")? as usize,
        ..base.clone()
    };
    if let Some(inputs) = document.get("input") {
        config.inputs = tensors(inputs)?;
    }
    if let Some(outputs) = document.get("output") {
        config.outputs = tensors(outputs)?;
    }
    config.sequence_batching = match document.get("sequence_batching") {
        Some(batching) => Some(sequence_batching(batching)?),
        None => None,
    };
    config.correlation_id_control = match document.get("sequence_batching") {
        Some(batching) => correlation_id_control(batching)?,
        None => None,
    };
    let preferred = ["dynamic_batching", "sequence_batching"]
        .iter()
        .filter_map(|field| document.get(field))
        .filter_map(|batching| {
            batching
                .get("oldest")
                .unwrap_or(batching)
                .get("preferred_batch_size")
        });
    for sizes in preferred {
        for size in sizes.as_array().ok()? {
            // The real server refuses a preferred batch beyond the largest.
            usize::try_from(size.as_unsigned().ok()?)
                .ok()
                .filter(|size| *size <= config.max_batch_size)?;
        }
    }
    config.dynamic_batching = match document.get("dynamic_batching") {
        Some(batching) => Some(dynamic_batching(batching)?),
        None => None,
    };
    Some(config)
}

fn tensors(list: &Json) -> Option<Vec<TensorConfig>> {
    let tensor = |tensor: &Json| {
        let name = String::from_utf8(tensor.get("name")?.as_text().ok()?.to_vec()).ok()?;
        let datatype = tensor.get("data_type")?.as_text().ok()?;
        let datatype = DataType::from_configuration_name(datatype)?;
        let dims = tensor.get("dims")?.as_array().ok()?;
        let dims: Option<Vec<i64>> = dims.iter().map(|size| size.as_signed().ok()).collect();
        let mut config = TensorConfig::new(name, datatype, dims?);
        config.optional = boolean(tensor, "optional")?;
        Some(config)
    };
    list.as_array().ok()?.iter().map(tensor).collect()
}

fn sequence_batching(batching: &Json) -> Option<SequenceBatching> {
    let default = SequenceBatching::default();
    let max_sequence_idle = match unsigned(batching, "max_sequence_idle_microseconds")? {
        0 => default.max_sequence_idle,
        idle => Duration::from_micros(idle),
    };
    let strategy = match batching.get("oldest") {
        Some(oldest) => SequenceStrategy::Oldest {
            max_candidate_sequences: unsigned(oldest, "max_candidate_sequences")? as usize,
        },
        None => default.strategy,
    };
    Some(SequenceBatching {
        max_sequence_idle,
        strategy,
    })
}

/// The control of the sequence's ID, where the model has one; `None` where it cannot be used.
fn correlation_id_control(batching: &Json) -> Option<Option<CorrelationIdControl>> {
    let Some(inputs) = batching.get("control_input") else {
        return Some(None);
    };
    for input in inputs.as_array().ok()? {
        let Some(controls) = input.get("control") else {
            continue;
        };
        for control in controls.as_array().ok()? {
            if control.get("kind")?.as_text().ok()? != CORRELATION_ID_CONTROL.as_bytes() {
                continue;
            }
            let name = input.get("name")?.as_text().ok()?.to_vec();
            let datatype = control.get("data_type")?.as_text().ok()?;
            let control = CorrelationIdControl {
                name: String::from_utf8(name).ok()?,
                datatype: DataType::from_configuration_name(datatype)?,
            };
            return is_possible(&control).then_some(Some(control));
        }
    }
    Some(None)
}

fn dynamic_batching(batching: &Json) -> Option<DynamicBatching> {
    let config = DynamicBatching {
        max_queue_delay: microseconds(batching, "max_queue_delay_microseconds")?,
        priority_levels: unsigned(batching, "priority_levels")?,
        default_priority_level: unsigned(batching, "default_priority_level")?,
        queue_policy: match batching.get("default_queue_policy") {
            Some(policy) => queue_policy(policy)?,
            None => QueuePolicy::default(),
        },
    };
    // The real server refuses priorities without a default among them.
    let levels = config.priority_levels;
    let has_default = (1..=levels).contains(&config.default_priority_level);
    (levels == 0 || has_default).then_some(config)
}

fn queue_policy(policy: &Json) -> Option<QueuePolicy> {
    let timeout_action = match policy.get("timeout_action") {
        Some(action) => match action.as_text().ok()? {
            b"REJECT" => TimeoutAction::Reject,
            b"DELAY" => TimeoutAction::Delay,
            _ => return None,
        },
        None => TimeoutAction::default(),
    };
    Some(QueuePolicy {
        max_queue_size: unsigned(policy, "max_queue_size")? as usize,
        default_timeout: microseconds(policy, "default_timeout_microseconds")?,
        allow_timeout_override: boolean(policy, "allow_timeout_override")?,
        timeout_action,
    })
}

/// A field's value; 0 where it is absent, as in every protocol buffer.
fn unsigned(object: &Json, field: &str) -> Option<u64> {
    object
        .get(field)
        .map_or(Some(0), |value| value.as_unsigned().ok())
}

fn microseconds(object: &Json, field: &str) -> Option<Duration> {
    unsigned(object, field).map(Duration::from_micros)
}

fn boolean(object: &Json, field: &str) -> Option<bool> {
    object
        .get(field)
        .map_or(Some(false), |value| value.as_bool().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::model_config;

    #[test]
    fn what_the_config_endpoint_shows_can_be_loaded_again() {
        let config = ModelConfig::new("m")
            .max_batch_size(4)
            .input("a", DataType::Bytes, [1])
            .optional_input("b", DataType::Fp32, [-1, 2])
            .output("c", DataType::Int8, [1]);
        let sequences = config.clone().sequence_batching(SequenceBatching {
            max_sequence_idle: Duration::from_millis(250),
            strategy: SequenceStrategy::Oldest {
                max_candidate_sequences: 3,
            },
        });
        let control = sequences
            .clone()
            .correlation_id_control("id", DataType::Uint32);
        let queue = config.dynamic_batching(DynamicBatching {
            queue_policy: QueuePolicy {
                max_queue_size: 2,
                ..QueuePolicy::default()
            },
            ..DynamicBatching::default()
        });
        for config in [sequences, control, queue] {
            let shown = model_config(&config).to_bytes();
            assert_eq!(apply(&config, &shown), Some(config));
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_used_is_none() {
        let base = ModelConfig::new("m");
        for text in ["{", "[]", r#"{"zzz":1}"#, r#"{"name":"other"}"#] {
            assert_eq!(apply(&base, text.as_bytes()), None, "{text}");
        }
        let levels = r#"{"dynamic_batching":{"priority_levels":3}}"#;
        assert_eq!(apply(&base, levels.as_bytes()), None);
        let control = r#"{"sequence_batching":{"control_input":[{"name":"id","control":[
            {"kind":"CONTROL_SEQUENCE_CORRID","data_type":"TYPE_FP32"}]}]}}"#;
        assert_eq!(apply(&base, control.as_bytes()), None);
    }
}
