//! Sequence IDs as numbers: what is logged, what is sent and what the model sees are the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use triton_model_fn::{
    Column, DataType, InferenceFunction, ModelFunction as _, Prediction, Schema, Subtask, Value,
};
use triton_options::{OptionMap, TritonOptions};
use triton_test_support::{OwnTriton, corrid_models, embedded_corrid_models};

use super::Log;

const SUBTASKS: u32 = 3;
const KEYS: usize = 200;
const ROWS: usize = 4;

/// The models with a numeric control, and the largest number that each sees as it is sent.
const MODELS: [(&str, u64); 4] = [
    ("accumulate_uint64", i64::MAX as u64),
    ("accumulate_int64", i64::MAX as u64),
    ("accumulate_uint32", u32::MAX as u64),
    ("accumulate_int32", i32::MAX as u64),
];

fn options(endpoint: &str, model: &str, extra: &[(&str, &str)]) -> TritonOptions {
    let mut map = OptionMap::new()
        .with("endpoint", endpoint)
        .with("model-name", model)
        .with("timeout", "1 min")
        // Enough for the time that a killed server takes to come back.
        .with("max-retries", "300")
        .with("retry-initial-backoff", "10 ms")
        .with("retry-max-backoff", "300 ms");
    for (key, value) in extra {
        map.set(*key, *value);
    }
    map.parse().unwrap()
}

fn schema() -> Schema {
    Schema {
        inputs: vec![
            Column::new("sensor", DataType::String),
            Column::new("value", DataType::Integer),
        ],
        outputs: vec![
            Column::new("sum", DataType::Integer),
            Column::new("corrid", DataType::BigInt),
            Column::new("correlation_id", DataType::String),
        ],
    }
}

/// The function in each subtask of a job that tells its names.
async fn open_all(options: &TritonOptions, base: &str, is_keyed: bool) -> Vec<InferenceFunction> {
    let mut functions = Vec::new();
    for index in 0..SUBTASKS {
        let mut schema = schema();
        if !is_keyed {
            schema.inputs.remove(0);
        }
        let function = InferenceFunction::new(options.clone(), schema).unwrap();
        let function = function.for_bounded_input();
        let subtask = Subtask::new(index, SUBTASKS, 0).unwrap();
        let subtask = subtask.in_job(base).unwrap().in_operator("score").unwrap();
        let subtask = subtask.in_execution("graph-1").unwrap();
        function.open(subtask).await.unwrap();
        functions.push(function);
    }
    functions
}

fn value_of(key: usize, row: usize) -> i32 {
    (key * 31 + row * 17) as i32 % 1000
}

/// The sum in an answer, once the ID is the same wherever it shows.
fn checked_sum(prediction: &Prediction, largest: u64, logged: &BTreeMap<u64, String>) -> i32 {
    let [
        Value::Integer(sum),
        Value::BigInt(seen),
        Value::String(read),
    ] = &prediction.row[..]
    else {
        panic!("{prediction:?}");
    };
    let sent: u64 = prediction.sequence_id.as_ref().unwrap().parse().unwrap();
    assert!((1..=largest).contains(&sent), "{sent}");
    assert_eq!(*seen as u64, sent, "what the control says");
    assert_eq!(*read, sent.to_string(), "what the request says");
    assert!(logged.contains_key(&sent), "{sent} was never logged");
    *sum
}

/// By number the text of each ID that was taken for a base, as the log says it.
fn logged(log: &Log, base: &str) -> BTreeMap<u64, String> {
    let bytes = log.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    let mut logged = BTreeMap::new();
    let marker = format!("took a sequence ID sequence_id={base}-");
    for line in text.lines().filter(|line| line.contains(&marker)) {
        let name = line.split("sequence_id=").nth(1).unwrap();
        let mut words = name.split_whitespace();
        let (text, equals, number) = (words.next(), words.next(), words.next());
        assert_eq!(equals, Some("="), "{line}");
        let number = number.unwrap().parse().unwrap();
        let before = logged.insert(number, text.unwrap().to_owned());
        assert_eq!(before, None, "{number} was taken twice");
    }
    logged
}

/// All rows of all keys in one model, by one lane; every answer and every ID must be right.
async fn run(log: &Log, endpoint: &str, lane: (&str, u64, bool), answered: &AtomicUsize) {
    let (model, largest, is_keyed) = lane;
    let place = endpoint.rsplit(':').next().unwrap().trim_matches('/');
    let base = format!("{model}-{is_keyed}-{place}");
    let mut extra = vec![
        ("sequence-id", base.as_str()),
        ("sequence-id-auto-increment", "true"),
        ("sequence-id-scope", "run"),
    ];
    if is_keyed {
        extra.extend([("sequence-key", "sensor"), ("sequence-recovery", "replay")]);
    }
    let functions = open_all(&options(endpoint, model, &extra), &base, is_keyed).await;
    let places = (0..KEYS * ROWS).map(|place| (place % KEYS, place / KEYS));
    let answers = stream::iter(places.clone()).map(|(key, row)| {
        let function = &functions[key % SUBTASKS as usize];
        let value = Value::Integer(value_of(key, row));
        let answer = match is_keyed {
            true => {
                let cells = [Value::String(format!("sensor-{key}")), value];
                match row + 1 == ROWS {
                    true => futures_util::future::Either::Left(function.submit_last(&cells)),
                    false => futures_util::future::Either::Right(function.submit(&cells)),
                }
            }
            false => futures_util::future::Either::Right(function.submit(&[value])),
        };
        async move {
            let answer = answer.await;
            answered.fetch_add(1, Ordering::Relaxed);
            answer
        }
    });
    let answers: Vec<_> = answers.buffered(128).collect().await;
    let logged = logged(log, &base);
    let mut sums = vec![0; KEYS];
    for ((key, row), answer) in places.zip(answers) {
        let answer = answer.unwrap();
        let value = value_of(key, row);
        sums[key] += value;
        let expected = if is_keyed { sums[key] } else { value };
        let sum = checked_sum(&answer, largest, &logged);
        assert_eq!(sum, expected, "{model}, row {row} of key {key}: {answer:?}");
    }
    let texts: std::collections::BTreeSet<_> = logged.values().collect();
    assert_eq!(texts.len(), logged.len(), "no two numbers are of one ID");
    for function in functions {
        function.close().await.unwrap();
    }
}

/// Every model by both lanes, at the same time.
async fn run_all(log: &Log, endpoint: &str, answered: &AtomicUsize) {
    let lanes = MODELS
        .into_iter()
        .flat_map(|(model, largest)| [true, false].map(|is_keyed| (model, largest, is_keyed)));
    join_all(lanes.map(|lane| run(log, endpoint, lane, answered))).await;
}

// Holds S62, S63.
#[tokio::test(flavor = "multi_thread")]
async fn models_of_the_embedded_server_see_the_numbers_that_are_logged() {
    let server = embedded_corrid_models().start().unwrap();
    run_all(&Log::begin(), &server.endpoint(), &AtomicUsize::new(0)).await;
}

// Holds S28, S62, S63.
#[tokio::test(flavor = "multi_thread")]
async fn models_of_a_real_server_that_is_killed_see_the_numbers_that_are_logged() {
    let log = Log::begin();
    let start = || OwnTriton::start("corrid-numbers", &corrid_models());
    let triton = tokio::task::spawn_blocking(start).await.unwrap();
    let triton = Arc::new(triton);
    let answered = AtomicUsize::new(0);
    let rows = KEYS * ROWS * MODELS.len() * 2;
    let troubles = async {
        for trouble in 1..=2 {
            while answered.load(Ordering::Relaxed) < rows * trouble / 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let triton = Arc::clone(&triton);
            let crash = move || triton.crash_and_restart();
            tokio::task::spawn_blocking(crash).await.unwrap();
        }
    };
    let runs = run_all(&log, triton.endpoint(), &answered);
    tokio::join!(runs, troubles);
}

// Holds S56, F27.
#[tokio::test]
async fn what_would_be_mixed_is_refused_when_it_opens() {
    let server = embedded_corrid_models().start().unwrap();
    let refused = async |model: &str, extra: &[(&str, &str)]| {
        let auto = [
            ("sequence-id", "job"),
            ("sequence-id-auto-increment", "true"),
        ];
        let options = options(&server.endpoint(), model, &[&auto[..], extra].concat());
        let mut schema = schema();
        schema.inputs.remove(0);
        let function = InferenceFunction::new(options, schema).unwrap();
        let opened = function.open(Subtask::new(0, 1, 0).unwrap()).await;
        opened.unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused("accumulate_int64", &[("sequence-id-type", "text")]).await, @"subtask 0 of 1, attempt 0: 'sequence-id-type' is 'text', but sequence IDs are handed over by the control input 'CORRID' of model 'accumulate_int64', which is TYPE_INT64: of a text the server would hand over nothing but its length and its first four letters, without a word, so that different sequences would be one to the model, and a text of more than 20 bytes can crash the server; leave 'sequence-id-type' out for numbers, or take the control out of the model");
    insta::assert_snapshot!(refused("accumulate_string", &[]).await, @"subtask 0 of 1, attempt 0: sequence IDs are handed over by the control input 'CORRID' of model 'accumulate_string', which is TYPE_STRING, which no Triton up to 2.51 can do (it answers 400 'unexpected number of string elements'): make the control TYPE_UINT64 in the model's config.pbtxt, or leave it out and let the model read the ID of its request; where the server is known to do it right, set 'sequence-id-type' to 'text'");
    let nanos = ("sequence-id-counter-init-strategy", "NANO_TIME");
    insta::assert_snapshot!(refused("accumulate_uint32", &[nanos]).await, @"subtask 0 of 1, attempt 0: sequence IDs are numbers of 32 bits, because of the control input 'CORRID' of model 'accumulate_uint32', which is TYPE_UINT32, but 'sequence-id-counter-init-strategy' = 'NANO_TIME' needs a counter of 61 bits: leave it out and set 'sequence-id-scope' to 'run'");
    assert_eq!(server.requests().len(), 0, "nothing was tried on a model");
}

#[tokio::test]
async fn a_static_sequence_of_digits_is_sent_as_its_number() {
    let server = embedded_corrid_models().start().unwrap();
    let options = options(
        &server.endpoint(),
        "accumulate_int64",
        &[("sequence-id", "4711")],
    );
    let function = InferenceFunction::new(options, {
        let mut schema = schema();
        schema.inputs.remove(0);
        schema
    })
    .unwrap();
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    for expected in [5, 10] {
        let answer = function.predict(&[Value::Integer(5)]).await.unwrap();
        assert_eq!(
            answer.row[..2],
            [Value::Integer(expected), Value::BigInt(4711)]
        );
        assert_eq!(answer.sequence_id.as_deref(), Some("4711"));
    }
    function.close().await.unwrap();
}
