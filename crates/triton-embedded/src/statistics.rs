//! What a model has done so far, as `…/stats` and `/metrics` tell it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::json::Json;
use crate::metadata::VERSION;

/// The counters of one model.
#[derive(Debug, Default)]
pub(crate) struct Statistics(Mutex<Counters>);

#[derive(Debug, Default, Clone)]
pub(crate) struct Counters {
    /// Milliseconds since 1970.
    last_inference: u64,
    pub(crate) inference_count: u64,
    pub(crate) execution_count: u64,
    pub(crate) success: Total,
    pub(crate) fail: Total,
    pub(crate) queue: Total,
    pub(crate) compute: Compute,
    batches: BTreeMap<usize, Compute>,
    /// Of those that failed: the model's own refusals, and what a queue turned away.
    pub(crate) failed_in_model: u64,
    pub(crate) rejected: u64,
}

/// How often something happened and how long it took.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Total {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

/// The three parts of an execution. Handing tensors to a model and back takes no time here.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Compute {
    pub(crate) input: Total,
    pub(crate) infer: Total,
    pub(crate) output: Total,
}

/// One request of an execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Executed {
    pub(crate) batch_size: usize,
    pub(crate) queued: Duration,
    pub(crate) succeeded: bool,
}

impl Total {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.time += time;
    }

    fn to_json(self) -> Json {
        let nanoseconds = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        Json::object([
            ("count", Json::Unsigned(self.count)),
            ("ns", Json::Unsigned(nanoseconds)),
        ])
    }
}

impl Compute {
    fn add(&mut self, time: Duration) {
        self.input.add(Duration::ZERO);
        self.infer.add(time);
        self.output.add(Duration::ZERO);
    }

    fn members(self) -> [(&'static str, Json); 3] {
        [
            ("compute_input", self.input.to_json()),
            ("compute_infer", self.infer.to_json()),
            ("compute_output", self.output.to_json()),
        ]
    }
}

impl Statistics {
    /// Counts an execution of requests that took that long together.
    pub(crate) fn executed(&self, requests: &[Executed], time: Duration) {
        let mut counters = self.lock();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        counters.last_inference = since_1970.unwrap_or_default().as_millis() as u64;
        for request in requests {
            if request.succeeded {
                counters.inference_count += request.batch_size as u64;
                counters.success.add(request.queued + time);
                counters.queue.add(request.queued);
                counters.compute.add(time);
            } else {
                counters.failed_in_model += 1;
                counters.fail.add(request.queued + time);
            }
        }
        if requests.iter().any(|request| request.succeeded) {
            counters.execution_count += 1;
            let batch_size = requests.iter().map(|request| request.batch_size).sum();
            counters.batches.entry(batch_size).or_default().add(time);
        }
    }

    /// Counts a request that a queue turned away.
    pub(crate) fn rejected(&self) {
        let mut counters = self.lock();
        counters.rejected += 1;
        counters.fail.add(Duration::ZERO);
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().clone()
    }

    /// The model's entry in `model_stats`.
    pub(crate) fn to_json(&self, model: &str) -> Json {
        let counters = self.counters();
        let [compute_input, compute_infer, compute_output] = counters.compute.members();
        let totals = Json::object([
            ("success", counters.success.to_json()),
            ("fail", counters.fail.to_json()),
            ("queue", counters.queue.to_json()),
            compute_input,
            compute_infer,
            compute_output,
            ("cache_hit", Total::default().to_json()),
            ("cache_miss", Total::default().to_json()),
        ]);
        let batches = counters.batches.into_iter().map(|(size, compute)| {
            let [input, infer, output] = compute.members();
            let size = ("batch_size", Json::Unsigned(size as u64));
            Json::object([size, input, infer, output])
        });
        Json::object([
            ("name", Json::text(model)),
            ("version", Json::text(VERSION.to_string())),
            ("last_inference", Json::Unsigned(counters.last_inference)),
            ("inference_count", Json::Unsigned(counters.inference_count)),
            ("execution_count", Json::Unsigned(counters.execution_count)),
            ("inference_stats", totals),
            ("response_stats", Json::object([])),
            ("batch_stats", Json::array(batches)),
            ("memory_usage", Json::Array(Vec::new())),
        ])
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
