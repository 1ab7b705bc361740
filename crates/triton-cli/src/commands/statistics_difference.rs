//! What a model did between two looks at its statistics.

use std::time::Duration;

use serde_json::{Value, json};
use triton_client::{InferenceStatistics, ModelStatistics, Tally};

/// The work of a model, all its versions together, in some time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Difference {
    time: Duration,
    inferences: u64,
    executions: u64,
    phases: InferenceStatistics,
}

impl Difference {
    /// What happened at each server from the first to the second of its looks, all together. A version
    /// that was loaded again in between counts from its load.
    pub(crate) fn of_several<'a>(
        servers: impl Iterator<Item = (&'a [ModelStatistics], &'a [ModelStatistics])>,
        time: Duration,
    ) -> Self {
        let mut difference = Self {
            time,
            ..Self::default()
        };
        for (before, after) in servers {
            for now in after {
                let earlier = before.iter().find(|earlier| {
                    earlier.version == now.version && earlier.inference_count <= now.inference_count
                });
                difference.add(now, earlier);
            }
        }
        difference
    }

    fn add(&mut self, now: &ModelStatistics, earlier: Option<&ModelStatistics>) {
        let count =
            |read: fn(&ModelStatistics) -> u64| read(now).saturating_sub(earlier.map_or(0, read));
        // The numbers are a server's, and whatever they are, no reason to fail.
        let inferences = count(|model| model.inference_count);
        self.inferences = self.inferences.saturating_add(inferences);
        let executions = count(|model| model.execution_count);
        self.executions = self.executions.saturating_add(executions);
        let add = |total: &mut Tally, read: fn(&InferenceStatistics) -> Tally| {
            let now = read(&now.inference_stats);
            let earlier = earlier.map_or_else(Tally::default, |model| read(&model.inference_stats));
            let (count, ns) = (
                now.count.saturating_sub(earlier.count),
                now.ns.saturating_sub(earlier.ns),
            );
            total.count = total.count.saturating_add(count);
            total.ns = total.ns.saturating_add(ns);
        };
        add(&mut self.phases.success, |phases| phases.success);
        add(&mut self.phases.fail, |phases| phases.fail);
        add(&mut self.phases.queue, |phases| phases.queue);
        add(&mut self.phases.compute_input, |phases| {
            phases.compute_input
        });
        add(&mut self.phases.compute_infer, |phases| {
            phases.compute_infer
        });
        add(&mut self.phases.compute_output, |phases| {
            phases.compute_output
        });
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.time.as_secs_f64().max(f64::EPSILON)
    }

    pub(crate) fn inferences(&self) -> u64 {
        self.inferences
    }

    pub(crate) fn inferences_per_second(&self) -> f64 {
        self.per_second(self.inferences)
    }

    pub(crate) fn failures_per_second(&self) -> f64 {
        self.per_second(self.phases.fail.count)
    }

    pub(crate) fn executions_per_second(&self) -> f64 {
        self.per_second(self.executions)
    }

    /// How many inferences an execution had on average.
    pub(crate) fn mean_batch(&self) -> Option<f64> {
        (self.executions > 0).then(|| self.inferences as f64 / self.executions as f64)
    }

    /// How long a request was in the server.
    pub(crate) fn server(&self) -> Option<Duration> {
        self.phases.success.mean()
    }

    /// How long a request waited to be executed.
    pub(crate) fn queue(&self) -> Option<Duration> {
        self.phases.queue.mean()
    }

    /// How long its inputs took.
    pub(crate) fn compute_input(&self) -> Option<Duration> {
        self.phases.compute_input.mean()
    }

    /// How long a request was executed.
    pub(crate) fn compute_infer(&self) -> Option<Duration> {
        self.phases.compute_infer.mean()
    }

    /// How long its outputs took.
    pub(crate) fn compute_output(&self) -> Option<Duration> {
        self.phases.compute_output.mean()
    }

    pub(crate) fn to_json(&self) -> Value {
        let nanos = |mean: Option<Duration>| mean.map(|mean| mean.as_nanos() as u64);
        json!({
            "seconds": self.time.as_secs_f64(),
            "inferences": self.inferences,
            "executions": self.executions,
            "failures": self.phases.fail.count,
            "mean_ns": {
                "server": nanos(self.server()),
                "queue": nanos(self.queue()),
                "compute_input": nanos(self.compute_input()),
                "compute_infer": nanos(self.compute_infer()),
                "compute_output": nanos(self.compute_output()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(version: &str, inferences: u64, success_ns: u64) -> ModelStatistics {
        let document = json!({
            "name": "m", "version": version,
            "inference_count": inferences, "execution_count": inferences / 2,
            "inference_stats": {"success": {"count": inferences, "ns": success_ns}},
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn versions_are_added_up_and_a_reloaded_one_counts_from_its_load() {
        let before = [model("1", 10, 100), model("2", 50, 5000)];
        let after = [model("1", 14, 140), model("2", 6, 60), model("3", 2, 20)];
        let difference = Difference::of_several(
            [(&before[..], &after[..])].into_iter(),
            Duration::from_secs(2),
        );
        assert_eq!(difference.inferences_per_second(), 6.0);
        assert_eq!(difference.executions_per_second(), 3.0);
        assert_eq!(difference.mean_batch(), Some(2.0));
        assert_eq!(difference.server(), Some(Duration::from_nanos(10)));
        assert_eq!(difference.queue(), None);
    }
    #[test]
    fn numbers_that_have_no_sum_end_at_the_largest_one() {
        let before: [ModelStatistics; 0] = [];
        let after = [model("1", u64::MAX, u64::MAX), model("2", 4, 40)];
        let difference = Difference::of_several(
            [(&before[..], &after[..])].into_iter(),
            Duration::from_secs(1),
        );
        assert_eq!(difference.inferences(), u64::MAX);
        assert_eq!(difference.server(), Some(Duration::from_nanos(1)));
    }
}
