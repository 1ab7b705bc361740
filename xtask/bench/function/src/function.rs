//! The model function: a row for each request, or rows of a sink that share one, or rows of keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bench_rounds::{Case, Expected, Format, Lane, Peer};
use tokio::sync::{OnceCell, mpsc};
use triton_model_fn::{
    AnswerSink, Array, Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask,
    TritonOptions, Value,
};

/// Everything that pipelines turn on: an ID for each request, retries, and the circuit breaker.
pub(super) const GUARDED: &[(&str, &str)] = &[
    ("sequence-id", "bench"),
    ("sequence-id-auto-increment", "true"),
    ("max-retries", "3"),
    ("circuit-breaker-enabled", "true"),
];

/// A function for the model of a case, which is asked for when the first row comes.
pub(super) struct Function {
    function: InferenceFunction,
    opened: OnceCell<()>,
}

impl Function {
    pub(super) fn new(endpoint: &str, case: &Case, extra: &[(&str, &str)]) -> Result<Self, String> {
        let format = match case.format {
            Format::Binary => "binary",
            Format::Json => "json",
        };
        let rows = case.rows().to_string();
        let mut options = vec![
            ("endpoint", endpoint),
            ("model-name", case.model),
            ("tensor-format", format),
            ("batch-size", &rows),
        ];
        options.extend(extra);
        let scalar = DataType::Float;
        let data_type = match case.elements {
            1 => scalar,
            _ => DataType::Array(Box::new(scalar)),
        };
        let mut inputs = vec![Column::new("value", data_type.clone())];
        if let Lane::Keyed(_) = case.lane {
            options.extend([
                ("sequence-id", "bench"),
                ("sequence-id-auto-increment", "true"),
                ("sequence-key", "key"),
            ]);
            inputs.push(Column::new("key", DataType::BigInt));
        }
        let schema = Schema {
            inputs,
            outputs: vec![Column::new("echo", data_type)],
        };
        let options = TritonOptions::parse(options).map_err(|error| error.to_string())?;
        Ok(Self {
            function: InferenceFunction::new(options, schema).map_err(|error| error.to_string())?,
            opened: OnceCell::new(),
        })
    }

    pub(super) async fn opened(&self) -> Result<&InferenceFunction, String> {
        let open = || async {
            let subtask = Subtask::new(0, 1, 0).map_err(|error| error.to_string())?;
            let opened = self.function.open(subtask).await;
            opened.map_err(|error| error.to_string())
        };
        self.opened.get_or_try_init(open).await?;
        Ok(&self.function)
    }
}

pub(super) fn run(endpoint: &str, case: &Case, extra: &[(&str, &str)]) -> Result<(), String> {
    let function = || Function::new(endpoint, case, extra);
    let expected = Expected::new(case.values());
    match case.lane {
        Lane::Alone | Lane::Keyed(_) => {
            let connect = || {
                let values = case.values();
                let value = match values.as_slice() {
                    [only] => Value::Float(*only),
                    _ => Array::from(values).into(),
                };
                Ok(Rows {
                    function: function()?,
                    value,
                    expected,
                    keys: match case.lane {
                        Lane::Keyed(keys) => keys as i64,
                        _ => 0,
                    },
                    asked: AtomicI64::new(0),
                })
            };
            bench_rounds::run(connect, case.in_flight)
        }
        Lane::Batched(_) => {
            let connect = || {
                Ok(Together {
                    function: function()?,
                    rows: case
                        .values()
                        .into_iter()
                        .map(|it| [Value::Float(it)])
                        .collect(),
                    expected,
                })
            };
            bench_rounds::run(connect, case.in_flight)
        }
    }
}

/// Rows in requests of their own.
struct Rows {
    function: Function,
    value: Value,
    expected: Expected<f32>,
    /// How many keys take turns; none where rows have no key.
    keys: i64,
    asked: AtomicI64,
}

impl Peer for Rows {
    async fn ask(&self) -> Result<(), String> {
        let function = self.function.opened().await?;
        let answer = match self.keys {
            0 => function.predict(std::slice::from_ref(&self.value)).await,
            keys => {
                let key = self.asked.fetch_add(1, Ordering::Relaxed) % keys;
                let row = [self.value.clone(), Value::BigInt(key)];
                function.predict(&row).await
            }
        };
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

/// Rows of a sink, as many as a request takes.
struct Together {
    function: Function,
    rows: Vec<[Value; 1]>,
    expected: Expected<f32>,
}

impl Peer for Together {
    async fn ask(&self) -> Result<(), String> {
        let function = self.function.opened().await?;
        let (sink, mut answers) = mpsc::unbounded_channel();
        let sink: Arc<dyn AnswerSink> = Arc::new(sink);
        for (number, row) in (0..).zip(&self.rows) {
            function.submit_to(number, row, &sink);
        }
        let mut values = vec![f32::NAN; self.rows.len()];
        let mut answered = 0;
        while answered < self.rows.len() {
            let group = answers.recv().await.ok_or("no more answers")?;
            answered += group.len();
            for answer in group {
                let row = answer.result.map_err(|error| error.to_string())?.row;
                let [Value::Float(value)] = row[..] else {
                    return Err(format!("expected a number, found {row:?}"));
                };
                values[answer.number as usize] = value;
            }
        }
        self.expected.check(&values)
    }
}
