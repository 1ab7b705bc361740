//! The model function, a row for each request.

use bench_rounds::{Case, Expected, Format, Peer, values};
use tokio::sync::OnceCell;
use triton_model_fn::{
    Array, Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, TritonOptions,
    Value,
};

/// Everything that pipelines turn on: an ID for each request, retries, and the circuit breaker.
pub(super) const GUARDED: &[(&str, &str)] = &[
    ("sequence-id", "bench"),
    ("sequence-id-auto-increment", "true"),
    ("max-retries", "3"),
    ("circuit-breaker-enabled", "true"),
];

struct Rows {
    function: InferenceFunction,
    /// The server is asked for the model when the first row comes.
    opened: OnceCell<()>,
    row: Vec<Value>,
    expected: Expected<f32>,
}

pub(super) fn run(endpoint: &str, case: &Case, extra: &[(&str, &str)]) -> Result<(), String> {
    let connect = || {
        let format = match case.format {
            Format::Binary => "binary",
            Format::Json => "json",
        };
        let common = [
            ("endpoint", endpoint),
            ("model-name", case.model),
            ("tensor-format", format),
        ];
        let options = TritonOptions::parse(common.iter().chain(extra).copied());
        let options = options.map_err(|error| error.to_string())?;
        let values = values(case.elements);
        let (data_type, value) = match values.as_slice() {
            [only] => (DataType::Float, Value::Float(*only)),
            _ => {
                let array = Array::from(values.clone());
                (DataType::Array(Box::new(DataType::Float)), array.into())
            }
        };
        let schema = Schema {
            inputs: vec![Column::new("value", data_type.clone())],
            outputs: vec![Column::new("echo", data_type)],
        };
        Ok(Rows {
            function: InferenceFunction::new(options, schema).map_err(|error| error.to_string())?,
            opened: OnceCell::new(),
            row: vec![value],
            expected: Expected::new(values),
        })
    };
    bench_rounds::run(connect, case.in_flight)
}

impl Peer for Rows {
    async fn ask(&self) -> Result<(), String> {
        let open = || async {
            let subtask = Subtask::new(0, 1, 0).map_err(|error| error.to_string())?;
            let opened = self.function.open(subtask).await;
            opened.map_err(|error| error.to_string())
        };
        self.opened.get_or_try_init(open).await?;
        let answer = self.function.predict(&self.row).await;
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.row.as_slice() {
            [Value::Float(only)] => self.expected.check(&[*only]),
            [Value::Array(array)] => {
                let values = array.values::<f32>().ok_or("expected floats")?;
                self.expected.check(&values)
            }
            other => Err(format!("expected one column, found {other:?}")),
        }
    }
}
