//! What the tests of sequences per key share: the rows of many keys, and what the models must
//! answer to them.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::future::Either;
use futures_util::stream;
use triton_model_fn::{
    DataType, Error, InferenceFunction, ModelFunction as _, Prediction, Schema, Subtask, Value,
};
use triton_options::{OptionMap, TritonOptions};

use crate::schema;

pub(crate) const SUBTASKS: u32 = 3;

/// A key, and the number of its row from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) key: u32,
    pub(crate) row: u32,
}

/// The rows of all keys: shuffled, but in order within each key.
pub(crate) fn shuffled(keys: u32, rows: u32, seed: u64) -> Vec<Place> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut keys_of_rows: Vec<u32> = (0..keys).flat_map(|key| vec![key; rows as usize]).collect();
    random.shuffle(&mut keys_of_rows);
    let mut next = BTreeMap::<u32, u32>::new();
    let place = |key| {
        let next = next.entry(key).or_default();
        *next += 1;
        Place {
            key,
            row: *next - 1,
        }
    };
    keys_of_rows.into_iter().map(place).collect()
}

/// A model, and what it answers to the rows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stateful {
    /// The running sum of the values.
    Accumulate,
    /// The distance of each reading from the mean of those before it, in standard deviations.
    Anomaly,
}

impl Stateful {
    pub(crate) fn model(self) -> &'static str {
        match self {
            Stateful::Accumulate => "accumulate",
            Stateful::Anomaly => "anomaly",
        }
    }

    pub(crate) fn schema(self) -> Schema {
        let restarted = ("sequence_restarted", DataType::Boolean);
        let key = ("sensor", DataType::String);
        match self {
            Stateful::Accumulate => schema(
                &[key, ("value", DataType::Integer)],
                &[
                    ("sum", DataType::Integer),
                    ("correlation_id", DataType::String),
                    restarted,
                ],
            ),
            Stateful::Anomaly => schema(
                &[key, ("reading", DataType::Float)],
                &[
                    ("z_score", DataType::Float),
                    ("anomaly", DataType::Boolean),
                    restarted,
                ],
            ),
        }
    }

    /// The number that a row brings to the model: no two keys have the same ones.
    pub(crate) fn number(self, place: Place) -> i32 {
        let Place { key, row } = place;
        let spread = (u64::from(key) * 7919 + u64::from(row) * 104_729) % 1009;
        spread as i32 + if row % 17 == 16 { 5000 } else { 0 }
    }

    pub(crate) fn row(self, place: Place) -> Vec<Value> {
        let number = self.number(place);
        let key = Value::String(format!("sensor-{}", place.key));
        let value = match self {
            Stateful::Accumulate => Value::Integer(number),
            Stateful::Anomaly => Value::Float(number as f32),
        };
        vec![key, value]
    }

    /// What the model answers to the last of some rows of one key, computed without any server.
    pub(crate) fn reference(self, numbers: &[i32]) -> f64 {
        match self {
            Stateful::Accumulate => f64::from(numbers.iter().sum::<i32>()),
            Stateful::Anomaly => z_score(numbers),
        }
    }

    pub(crate) fn answer(self, prediction: &Prediction) -> f64 {
        match &prediction.row[0] {
            Value::Integer(sum) => f64::from(*sum),
            Value::Float(score) => f64::from(*score),
            other => panic!("unexpected {other:?}"),
        }
    }

    pub(crate) fn agrees(self, answer: f64, reference: f64) -> bool {
        (answer - reference).abs() <= 1e-5 * reference.abs().max(1.0)
    }
}

/// In two passes over the readings before the last, unlike the model, which keeps running sums.
fn z_score(readings: &[i32]) -> f64 {
    let (last, before) = readings.split_last().unwrap();
    let count = before.len() as f64;
    if count < 2.0 {
        return 0.0;
    }
    let mean = before
        .iter()
        .map(|reading| f64::from(*reading))
        .sum::<f64>()
        / count;
    let squares = before
        .iter()
        .map(|reading| (f64::from(*reading) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / (count - 1.0)).sqrt();
    if deviation > 0.0 {
        (f64::from(*last) - mean) / deviation
    } else {
        0.0
    }
}

/// The options of a sequence for each sensor.
pub(crate) fn keyed_options(
    endpoint: &str,
    model: Stateful,
    extra: &[(&str, &str)],
) -> TritonOptions {
    let common = [
        ("endpoint", endpoint),
        ("model-name", model.model()),
        ("sequence-id", "keyed"),
        ("sequence-id-auto-increment", "true"),
        // Tests share the server, and each may use its counters from 0.
        ("sequence-key", "sensor"),
    ];
    let mut map: OptionMap = common.iter().chain(extra).copied().collect();
    // A machine that is busy with other tests may be slow.
    map.set("timeout", "1 min");
    map.parse().unwrap()
}

/// Opens the function in every subtask.
pub(crate) async fn open_all(options: &TritonOptions, model: Stateful) -> Vec<InferenceFunction> {
    let mut functions = Vec::new();
    for index in 0..SUBTASKS {
        let function = InferenceFunction::new(options.clone(), model.schema()).unwrap();
        // Bounded: how long a key waits for its next row says nothing here.
        let function = function.for_bounded_input();
        let subtask = Subtask::new(index, SUBTASKS, 0).unwrap();
        function.open(subtask).await.unwrap();
        functions.push(function);
    }
    functions
}

/// Hands over all rows in order, each key to its subtask, and ends the sequence of each key.
pub(crate) async fn run(
    functions: &[InferenceFunction],
    model: Stateful,
    places: &[Place],
    rows_per_key: u32,
    answered: impl Fn(),
) -> Vec<Result<Prediction, Error>> {
    let answers = stream::iter(places).map(|place| {
        let function = &functions[(place.key % SUBTASKS) as usize];
        let row = model.row(*place);
        match place.row + 1 == rows_per_key {
            true => Either::Left(function.submit_last(&row)),
            false => Either::Right(function.submit(&row)),
        }
    });
    let mut answers = answers.buffered(256);
    let mut results = Vec::new();
    while let Some(result) = answers.next().await {
        results.push(result);
        answered();
    }
    results
}
