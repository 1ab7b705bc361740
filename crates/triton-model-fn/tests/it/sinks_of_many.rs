//! Rows that are handed over together, and whose answers come column by column.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use triton_embedded::{
    DataType as TensorType, Fault, FaultScript, Model, ModelConfig, ModelError, ModelRequest,
    Tensor,
};
use triton_model_fn::{AnswerSink, AnsweredRows, DataType, InferenceFunction, RowAnswer, Value};
use triton_test_support::EmbeddedTriton;

use crate::{array, open, options, schema};

/// Adds its two inputs, and refuses a request that holds a negative number.
struct Adds;

impl Model for Adds {
    type State = ();
    fn config(&self) -> ModelConfig {
        ModelConfig::new("adds")
            .max_batch_size(16)
            .input("a", TensorType::Int32, [1])
            .input("b", TensorType::Int32, [1])
            .output("sum", TensorType::Int32, [1])
    }
    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let (a, b) = (request.input("a")?, request.input("b")?);
        let (left, right) = (a.values::<i32>()?, b.values::<i32>()?);
        if left.iter().any(|value| *value < 0) {
            return Err(ModelError::new("a negative number"));
        }
        let sums: Vec<i32> = left.iter().zip(right.iter()).map(|(a, b)| a + b).collect();
        Ok(vec![Tensor::new("sum", a.shape.clone(), sums)])
    }
}

/// Keeps what it is told of each row, and counts how.
#[derive(Default)]
struct Kept {
    answers: Mutex<BTreeMap<u64, Result<Value, String>>>,
    together: AtomicUsize,
}

impl Kept {
    fn keep(&self, number: u64, answer: Result<Value, String>) {
        let before = self.answers.lock().unwrap().insert(number, answer);
        assert!(before.is_none(), "{number} is answered twice");
    }

    async fn wait_for(&self, rows: usize) {
        let all = async {
            while self.answers.lock().unwrap().len() < rows {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), all).await.expect("hangs");
    }
}

impl AnswerSink for Kept {
    fn take(&self, answers: Vec<RowAnswer>) {
        for answer in answers {
            let result = answer.result.map(|prediction| prediction.row[0].clone());
            self.keep(answer.number, result.map_err(|error| error.to_string()));
        }
    }

    fn take_rows(&self, answers: AnsweredRows) {
        let numbers: Vec<u64> = answers.numbers.into_iter().flatten().collect();
        self.together.fetch_add(numbers.len(), Ordering::SeqCst);
        let [column, status] = &answers.columns[..] else {
            panic!("two columns")
        };
        assert_eq!((column.len(), status.len()), (numbers.len(), numbers.len()));
        assert!(
            status
                .iter()
                .all(|it| *it == Value::String("answered".into()))
        );
        for (number, value) in numbers.into_iter().zip(column) {
            self.keep(number, Ok(value.clone()));
        }
    }
}

async fn function(server: &EmbeddedTriton, extra: &[(&str, &str)]) -> InferenceFunction {
    let columns = schema(
        &[("a", DataType::Integer), ("b", DataType::Integer)],
        &[
            ("sum", DataType::Integer),
            ("prediction_status", DataType::String),
        ],
    );
    let extra = [&[("batch-size", "8")], extra].concat();
    open(options(&server.endpoint(), "adds", &extra), columns, 0, 1).await
}

fn sinks() -> (Arc<Kept>, Arc<dyn AnswerSink>) {
    let kept = Arc::<Kept>::default();
    (Arc::clone(&kept), kept)
}

/// The values of rows, each of which adds 1000 to its number.
fn rows(numbers: impl IntoIterator<Item = i32>) -> Vec<Value> {
    let rows = numbers.into_iter();
    rows.flat_map(|number| [Value::Integer(number), Value::Integer(1000)])
        .collect()
}

// Holds F53.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_any_chunk_are_each_answered_once_with_what_they_asked() {
    let server = EmbeddedTriton::builder().model(Adds).start().unwrap();
    let function = function(&server, &[]).await;
    let (kept, sink) = sinks();
    let mut first = 0_u64;
    for count in [1, 3, 8, 17, 0, 2, 64, 5] {
        let numbers = first as i32..first as i32 + count;
        function.submit_rows_to(first, &rows(numbers), &sink);
        first += count as u64;
    }
    kept.wait_for(100).await;
    let answers = kept.answers.lock().unwrap();
    assert_eq!(answers.len(), 100);
    for (number, answer) in &*answers {
        assert_eq!(*answer, Ok(Value::Integer(*number as i32 + 1000)));
    }
    assert_eq!(kept.together.load(Ordering::SeqCst), 100);
}

// Holds F53.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_row_is_told_of_it_alone() {
    let server = EmbeddedTriton::builder().model(Adds).start().unwrap();
    let function = function(&server, &[]).await;
    let (kept, sink) = sinks();
    let mut values = rows(0..30);
    // One cannot be sent, and the model refuses another one with all that share its request.
    values[2 * 5] = Value::Null;
    values[2 * 20] = Value::Integer(-1);
    // The last one lacks a value.
    values.pop();
    function.submit_rows_to(0, &values, &sink);
    kept.wait_for(30).await;
    let mut answers = std::mem::take(&mut *kept.answers.lock().unwrap());
    insta::assert_snapshot!(answers.remove(&5).unwrap().unwrap_err(), @"subtask 0 of 1, attempt 0: column 'a': expected INT, found NULL");
    insta::assert_snapshot!(answers.remove(&29).unwrap().unwrap_err(), @"subtask 0 of 1, attempt 0: expected 2 values, found 1");
    let refused = answers.remove(&20).unwrap().unwrap_err();
    assert!(
        refused.contains("subtask 0 of 1, attempt 0: the row was not answered"),
        "{refused}"
    );
    for (number, answer) in answers {
        assert_eq!(answer, Ok(Value::Integer(number as i32 + 1000)));
    }
}

// Holds F53, F30.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_told_of_when_abort_or_a_deadline_comes() {
    let hangs = || {
        let fault = Fault::Delay {
            time: Duration::from_secs(86_400),
        };
        let builder = EmbeddedTriton::builder().model(Adds);
        builder
            .faults(FaultScript::new(0).rate(1.0, fault))
            .start()
            .unwrap()
    };
    let server = hangs();
    let given_up = function(&server, &[("timeout", "1 h"), ("max-in-flight", "2")]).await;
    let (kept, sink) = sinks();
    given_up.submit_rows_to(0, &rows(0..100), &sink);
    sleep(Duration::from_millis(50)).await;
    given_up.abort().await;
    given_up.submit_rows_to(100, &rows(0..3), &sink);
    assert_eq!(kept.answers.lock().unwrap().len(), 103);
    assert!(kept.answers.lock().unwrap().values().all(Result::is_err));

    let limits = [
        ("timeout", "1 h"),
        ("row-deadline", "200 ms"),
        ("max-in-flight", "2"),
    ];
    let late = function(&server, &limits).await;
    let (kept, sink) = sinks();
    late.submit_rows_to(0, &rows(0..100), &sink);
    kept.wait_for(100).await;
    assert!(kept.answers.lock().unwrap().values().all(Result::is_err));
}

// Holds F53.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_knows_single_answers_gets_those_and_other_lanes_take_rows_one_by_one() {
    let server = EmbeddedTriton::start().unwrap();
    let arrays = || {
        schema(
            &[("value", array(DataType::Float))],
            &[("echo", array(DataType::Float))],
        )
    };
    for extra in [
        &[("batch-size", "4")][..],
        &[],
        &[("batch-size", "4"), ("cache-max-bytes", "1 mb")],
    ] {
        let function = open(options(&server.endpoint(), "echo", extra), arrays(), 0, 1).await;
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let sink: Arc<dyn AnswerSink> = Arc::new(sender);
        // Rows of several shapes.
        let values: Vec<Value> = (0..20)
            .map(|n| Value::from(vec![n as f32; n % 3 + 1]))
            .collect();
        function.submit_rows_to(7, &values, &sink);
        let mut seen = BTreeMap::new();
        while seen.len() < 20 {
            let group = timeout(Duration::from_secs(10), answers.recv());
            for answer in group.await.expect("hangs").unwrap() {
                let row = answer.result.unwrap().row;
                assert!(answer.is_last && seen.insert(answer.number, row).is_none());
            }
        }
        for (number, row) in seen {
            assert_eq!(row, [values[number as usize - 7].clone()], "{extra:?}");
        }
    }
}
