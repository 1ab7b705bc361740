//! The model function with a record batch for each request.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use bench_rounds::{Case, Expected, Peer};

use crate::function::Function;

struct RecordBatches {
    function: Function,
    batch: RecordBatch,
    expected: Expected<f32>,
}

pub(super) fn run(endpoint: &str, case: &Case) -> Result<(), String> {
    let connect = || {
        let values: ArrayRef = Arc::new(Float32Array::from(case.values()));
        let batch = RecordBatch::try_from_iter([("value", values)]);
        Ok(RecordBatches {
            function: Function::new(endpoint, case, &[])?,
            batch: batch.map_err(|error| error.to_string())?,
            expected: Expected::new(case.values()),
        })
    };
    bench_rounds::run(connect, case.in_flight)
}

impl Peer for RecordBatches {
    async fn ask(&self) -> Result<(), String> {
        let function = self.function.opened().await?;
        let answer = function.predict_batch(&self.batch).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if let Some((row, error)) = answer.failures.first() {
            return Err(format!("row {row}: {error}"));
        }
        let echo = answer.outputs.column(0).as_primitive::<Float32Type>();
        self.expected.check(echo.values())
    }
}
