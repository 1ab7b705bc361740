//! Requests of one batch that go side by side, and rows that come back as soon as they can.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use triton_embedded::{
    DataType as TensorType, Model, ModelConfig, ModelError, ModelRequest, Tensor,
};
use triton_model_fn::{
    AnswerSink, DataType, InferenceFunction, ModelFunction as _, RowAnswer, Value,
};
use triton_test_support::EmbeddedTriton;

use crate::{array, open, options, schema};

/// Echoes its input, and waits before each execution until it may.
///
/// A row that is negative fails the whole batch; by itself, it has to wait.
struct Gated {
    gate: Mutex<mpsc::Receiver<()>>,
    /// Whether only what holds a negative row alone has to wait.
    only_bad_rows: bool,
}

impl Model for Gated {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("gated")
            .max_batch_size(16)
            .input("value", TensorType::Fp32, [-1])
            .output("echo", TensorType::Fp32, [-1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let input = request.input("value")?;
        let values = input.values::<f32>()?;
        let is_bad = values.iter().any(|value| *value < 0.0);
        if !self.only_bad_rows || (is_bad && input.shape[0] == 1) {
            // A test that has failed never opens it.
            let _ = self
                .gate
                .lock()
                .unwrap()
                .recv_timeout(Duration::from_secs(20));
        }
        match is_bad {
            true => Err(ModelError::new("a row is negative")),
            false => Ok(vec![Tensor::new(
                "echo",
                input.shape.clone(),
                values.to_vec(),
            )]),
        }
    }
}

fn gated(only_bad_rows: bool) -> (EmbeddedTriton, mpsc::Sender<()>) {
    let (open_gate, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    let model = Gated {
        gate,
        only_bad_rows,
    };
    (
        EmbeddedTriton::builder().model(model).start().unwrap(),
        open_gate,
    )
}

async fn function(server: &EmbeddedTriton, extra: &[(&str, &str)]) -> InferenceFunction {
    let arrays = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    open(options(&server.endpoint(), "gated", extra), arrays, 0, 1).await
}

/// Waits until the server has so many requests, of which it has answered none.
async fn has_requests(server: &EmbeddedTriton, count: usize) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while server.requests().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let found = format!("{} of {count} requests", server.requests().len());
    waited.await.expect(&found);
}

const BATCHED: [(&str, &str); 2] = [("batch-size", "16"), ("batch-timeout", "20 ms")];

// Holds F4.
#[tokio::test]
async fn rows_of_different_shapes_go_side_by_side() {
    let (server, open_gate) = gated(false);
    let function = function(&server, &BATCHED).await;
    let rows = (0..16).map(|index| {
        let row = [Value::from(vec![1.0_f32; 1 + index % 4])];
        function.submit(&row)
    });
    let rows: Vec<_> = rows.collect();
    let release = async {
        has_requests(&server, 4).await;
        (0..4).for_each(|_| open_gate.send(()).unwrap());
    };
    let (answers, ()) = tokio::join!(join_all(rows), release);
    for (index, answer) in answers.into_iter().enumerate() {
        let expected = [Value::from(vec![1.0_f32; 1 + index % 4])];
        assert_eq!(answer.unwrap().row, expected);
    }
    assert_eq!(server.requests().len(), 4);
}

fn sink() -> (Arc<dyn AnswerSink>, UnboundedReceiver<Vec<RowAnswer>>) {
    let (sender, receiver) = unbounded_channel();
    (Arc::new(sender), receiver)
}

// Holds F5.
#[tokio::test]
async fn the_good_rows_of_a_refused_batch_do_not_wait_for_the_bad_one() {
    let (server, open_gate) = gated(true);
    let function = function(&server, &BATCHED).await;
    let (sink, mut answers) = sink();
    for number in 0..16_u8 {
        let value = if number == 6 { -1.0 } else { f32::from(number) };
        function.submit_to(number.into(), &[Value::from(vec![value])], &sink);
    }
    // All but the last pair, of which the bad one may be with the model before the other.
    let mut good = Vec::new();
    while good.len() < 14 {
        good.extend(answers.recv().await.unwrap());
    }
    // Only now does the model come to an end with the row that it refuses.
    open_gate.send(()).unwrap();
    while good.len() < 16 {
        good.extend(answers.recv().await.unwrap());
    }
    good.sort_by_key(|answer| answer.number);
    for (number, answer) in (0..).zip(&good) {
        assert_eq!(
            (answer.number, answer.result.is_ok()),
            (number, number != 6)
        );
    }
}

// Holds F4.
#[tokio::test]
async fn requests_of_one_batch_keep_to_the_permits() {
    let (server, open_gate) = gated(false);
    let two = [BATCHED[0], BATCHED[1], ("max-in-flight", "2")];
    let function = function(&server, &two).await;
    let rows = (0..8).map(|index| function.submit(&[Value::from(vec![1.0_f32; 1 + index])]));
    let rows: Vec<_> = rows.collect();
    let release = async {
        has_requests(&server, 2).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(server.requests().len(), 2);
        (0..8).for_each(|_| open_gate.send(()).unwrap());
    };
    let (answers, ()) = tokio::join!(join_all(rows), release);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(server.requests().len(), 8);
}

// Holds F53.
#[tokio::test]
async fn each_row_of_a_sink_is_answered_once_whatever_becomes_of_the_function() {
    for end in ["close", "abort", "drop"] {
        let (server, open_gate) = gated(false);
        let function = function(&server, &BATCHED).await;
        let (sink, mut answers) = sink();
        for number in 0..40_u8 {
            let row = [Value::from(vec![1.0_f32; 1 + usize::from(number % 3)])];
            function.submit_to(number.into(), &row, &sink);
        }
        has_requests(&server, 1).await;
        match end {
            "close" => {
                (0..40).for_each(|_| open_gate.send(()).unwrap());
                function.close().await.unwrap();
            }
            "abort" => function.abort().await,
            _ => drop(function),
        }
        drop(sink);
        let mut numbers = Vec::new();
        while let Some(group) = answers.recv().await {
            for answer in group {
                assert_eq!(answer.result.is_ok(), end == "close", "{end}: {answer:?}");
                numbers.push(answer.number);
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>(), "{end}");
        drop(open_gate);
    }
}
