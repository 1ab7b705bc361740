//! `/metrics` in Prometheus text, under the names that Triton gives to what this server does.

use std::fmt::Write as _;
use std::time::Duration;

use crate::metadata::VERSION;
use crate::statistics::Counters;

/// A model, its counters and how many of its requests wait.
pub(crate) struct ModelMetrics {
    pub(crate) model: String,
    pub(crate) counters: Counters,
    pub(crate) pending: usize,
}

struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    /// A sample for each further label, which is empty or ends with a comma.
    samples: fn(&ModelMetrics) -> Vec<(&'static str, u128)>,
}

/// The real server also has metrics of processors, memory and caches, which mean nothing here.
const FAMILIES: &[Family] = &[
    Family {
        name: "nv_inference_request_success",
        help: "Number of successful inference requests, all batch sizes",
        kind: "counter",
        samples: |model| vec![("", model.counters.success.count.into())],
    },
    Family {
        name: "nv_inference_request_failure",
        help: "Number of failed inference requests, all batch sizes",
        kind: "counter",
        samples: |model| {
            vec![
                (r#"reason="OTHER","#, 0),
                (
                    r#"reason="BACKEND","#,
                    model.counters.failed_in_model.into(),
                ),
                (r#"reason="CANCELED","#, 0),
                (r#"reason="REJECTED","#, model.counters.rejected.into()),
            ]
        },
    },
    Family {
        name: "nv_inference_count",
        help: "Number of inferences performed (does not include cached requests)",
        kind: "counter",
        samples: |model| vec![("", model.counters.inference_count.into())],
    },
    Family {
        name: "nv_inference_exec_count",
        help: "Number of model executions performed (does not include cached requests)",
        kind: "counter",
        samples: |model| vec![("", model.counters.execution_count.into())],
    },
    Family {
        name: "nv_inference_request_duration_us",
        help: "Cumulative inference request duration in microseconds (includes cached requests)",
        kind: "counter",
        samples: |model| microseconds(model.counters.success.time),
    },
    Family {
        name: "nv_inference_queue_duration_us",
        help: "Cumulative inference queuing duration in microseconds (includes cached requests)",
        kind: "counter",
        samples: |model| microseconds(model.counters.queue.time),
    },
    Family {
        name: "nv_inference_compute_input_duration_us",
        help: "Cumulative compute input duration in microseconds (does not include cached \
               requests)",
        kind: "counter",
        samples: |model| microseconds(model.counters.compute.input.time),
    },
    Family {
        name: "nv_inference_compute_infer_duration_us",
        help: "Cumulative compute inference duration in microseconds (does not include cached \
               requests)",
        kind: "counter",
        samples: |model| microseconds(model.counters.compute.infer.time),
    },
    Family {
        name: "nv_inference_compute_output_duration_us",
        help: "Cumulative inference compute output duration in microseconds (does not include \
               cached requests)",
        kind: "counter",
        samples: |model| microseconds(model.counters.compute.output.time),
    },
    Family {
        name: "nv_inference_pending_request_count",
        help: "Instantaneous number of pending requests awaiting execution per-model.",
        kind: "gauge",
        samples: |model| vec![("", model.pending as u128)],
    },
];

/// The whole page.
pub(crate) fn render(models: &[ModelMetrics]) -> String {
    let mut page = String::new();
    for family in FAMILIES {
        let Family {
            name, help, kind, ..
        } = family;
        // Writing to a string cannot fail.
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for model in models {
            for (label, value) in (family.samples)(model) {
                let model = escape(&model.model);
                let labels = format!(r#"model="{model}",{label}version="{VERSION}""#);
                let _ = writeln!(page, "{name}{{{labels}}} {value}");
            }
        }
    }
    page
}

fn microseconds(time: Duration) -> Vec<(&'static str, u128)> {
    vec![("", time.as_micros())]
}

fn escape(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
