//! Outliers in streams of readings: the smallest model whose state is worth keeping.

use std::time::Duration;

use crate::{
    DataType, Model, ModelConfig, ModelError, ModelRequest, SequenceBatching, SequenceStrategy,
    Tensor,
};

/// `anomaly`: scores each FP32 `reading` of a sequence against the readings before it, as the
/// outputs `z_score` and, true beyond three standard deviations, `anomaly`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anomaly;

/// The mean and sample variance of the readings seen so far (Welford's method).
#[derive(Debug, Clone, Default)]
pub struct RunningStatistics {
    count: u64,
    mean: f64,
    squared_distance: f64,
}

/// A reading further than this many standard deviations from the mean is an anomaly.
const THRESHOLD: f64 = 3.0;

impl Model for Anomaly {
    type State = RunningStatistics;

    fn config(&self) -> ModelConfig {
        ModelConfig::new("anomaly")
            .max_batch_size(8)
            .input("reading", DataType::Fp32, [-1])
            .output("z_score", DataType::Fp32, [-1])
            .output("anomaly", DataType::Bool, [-1])
            .sequence_batching(SequenceBatching {
                max_sequence_idle: Duration::from_secs(5),
                strategy: SequenceStrategy::Oldest {
                    max_candidate_sequences: 256,
                },
            })
    }

    fn execute(
        &self,
        request: &ModelRequest,
        statistics: &mut RunningStatistics,
    ) -> Result<Vec<Tensor>, ModelError> {
        let reading = request.input("reading")?;
        let scores: Vec<f64> = reading
            .values::<f32>()?
            .iter()
            .map(|value| statistics.score_then_learn(f64::from(*value)))
            .collect();
        let z_score: Vec<f32> = scores.iter().map(|score| *score as f32).collect();
        let anomaly: Vec<bool> = scores.iter().map(|score| score.abs() > THRESHOLD).collect();
        Ok(vec![
            Tensor::new("z_score", reading.shape.clone(), z_score),
            Tensor::new("anomaly", reading.shape.clone(), anomaly),
        ])
    }
}

impl RunningStatistics {
    /// The reading's z-score among those before it; 0 where none is defined.
    fn score_then_learn(&mut self, reading: f64) -> f64 {
        // One such reading would turn the mean into NaN for the rest of the sequence.
        if !reading.is_finite() {
            return reading;
        }
        let score = match self.deviation() {
            Some(deviation) if deviation > 0.0 => (reading - self.mean) / deviation,
            _ => 0.0,
        };
        self.count += 1;
        let distance = reading - self.mean;
        self.mean += distance / self.count as f64;
        self.squared_distance += distance * (reading - self.mean);
        score
    }

    /// The sample standard deviation, which two readings are needed for.
    fn deviation(&self) -> Option<f64> {
        let freedom = self.count.checked_sub(1).filter(|freedom| *freedom > 0)?;
        Some((self.squared_distance / freedom as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_scored_against_those_before_it() {
        let mut statistics = RunningStatistics::default();
        let scores: Vec<f64> = [1.0, 3.0, 4.0, 100.0]
            .into_iter()
            .map(|reading| statistics.score_then_learn(reading))
            .collect();
        assert_eq!(scores[..2], [0.0, 0.0]);
        // Mean 2, deviation √2; then mean 8/3, deviation √(7/3).
        assert!((scores[2] - 2.0_f64.sqrt()).abs() < 1e-12);
        assert!((scores[3] - (100.0 - 8.0 / 3.0) / (7.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn equal_readings_and_readings_that_are_no_numbers_spoil_nothing() {
        let mut statistics = RunningStatistics::default();
        assert!(statistics.score_then_learn(f64::NAN).is_nan());
        for _ in 0..3 {
            assert_eq!(statistics.score_then_learn(5.0), 0.0);
        }
        assert_eq!(statistics.score_then_learn(f64::INFINITY), f64::INFINITY);
        assert_eq!(statistics.score_then_learn(6.0), 0.0);
    }
}
