//! Batching: rows of a stateless model in one request, each answered for itself.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use triton_embedded::{
    DataType as TensorType, Model, ModelConfig, ModelError, ModelRequest, Tensor,
};
use triton_model_fn::{DataType, ErrorKind, ModelFunction as _, Value};
use triton_test_support::{EmbeddedTriton, on_both_servers};

use crate::{array, echo_schema, open, options, schema};

on_both_servers!(
    rows_that_travel_together_get_their_own_answers,
    arrays_of_any_length_are_sorted_out
);

const BATCHED: [(&str, &str); 2] = [("batch-size", "64"), ("batch-timeout", "20 ms")];

// Holds F3.
async fn rows_that_travel_together_get_their_own_answers(endpoint: &str) {
    let function = open(options(endpoint, "echo", &BATCHED), echo_schema(), 0, 1).await;
    let answers = join_all((0_i16..500).map(|value| {
        let function = &function;
        async move {
            function
                .predict(&[Value::Float(value.into())])
                .await
                .unwrap()
                .row
        }
    }));
    for (value, row) in (0_i16..).zip(answers.await) {
        assert_eq!(row, [Value::Float(value.into())]);
    }
    function.close().await.unwrap();
}

// Holds F4.
async fn arrays_of_any_length_are_sorted_out(endpoint: &str) {
    let arrays = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    let function = open(options(endpoint, "echo", &BATCHED), arrays, 0, 1).await;
    let row = |index: usize| {
        let length = 1 + index % 5;
        vec![Value::from(vec![index as f32; length])]
    };
    let answers = join_all((0..200).map(|index| {
        let function = &function;
        async move { function.predict(&row(index)).await.unwrap().row }
    }));
    for (index, answer) in answers.await.into_iter().enumerate() {
        assert_eq!(answer, row(index));
    }
}

/// How many rows each request carried.
fn batch_sizes(server: &EmbeddedTriton) -> Vec<u64> {
    let requests = server.requests().into_iter();
    requests
        .map(|request| {
            let length = request.header("Inference-Header-Content-Length").unwrap();
            let json = &request.body[..length.parse().unwrap()];
            let json: serde_json::Value = serde_json::from_slice(json).unwrap();
            json["inputs"][0]["shape"][0].as_u64().unwrap()
        })
        .collect()
}

// Holds F3.
#[tokio::test]
async fn a_batch_is_filled_to_its_size_and_no_further() {
    let server = EmbeddedTriton::start().unwrap();
    let batched = [("batch-size", "10"), ("batch-timeout", "1 min")];
    let function = open(
        options(&server.endpoint(), "echo", &batched),
        echo_schema(),
        0,
        1,
    )
    .await;
    let answers = (0..30).map(|_| function.predict(&[Value::Float(1.0)]));
    assert!(join_all(answers).await.iter().all(Result::is_ok));
    assert_eq!(batch_sizes(&server), [10, 10, 10]);
}

// Holds F3.
#[tokio::test]
async fn the_models_own_limit_holds() {
    let server = EmbeddedTriton::start().unwrap();
    let batched = [("batch-size", "1000"), ("batch-timeout", "20 ms")];
    let function = open(
        options(&server.endpoint(), "echo", &batched),
        echo_schema(),
        0,
        1,
    )
    .await;
    let answers = (0..200).map(|_| function.predict(&[Value::Float(1.0)]));
    assert!(join_all(answers).await.iter().all(Result::is_ok));
    let sizes = batch_sizes(&server);
    assert!(sizes.iter().all(|size| *size <= 64), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<u64>(), 200);
}

// Holds F28.
#[tokio::test]
async fn closing_answers_the_rows_that_were_handed_over() {
    let server = EmbeddedTriton::start().unwrap();
    let batched = [("batch-size", "10"), ("batch-timeout", "1 min")];
    let function = open(
        options(&server.endpoint(), "echo", &batched),
        echo_schema(),
        0,
        1,
    )
    .await;
    // Three rows wait for more that never come; closing sends them.
    let rows = join_all((0..3).map(|_| function.predict(&[Value::Float(1.0)])));
    let close = async {
        // The rows are polled first, so they are handed over before this.
        tokio::task::yield_now().await;
        function.close().await
    };
    let (rows, closed) = tokio::join!(rows, close);
    assert!(rows.iter().all(Result::is_ok), "{rows:?}");
    closed.unwrap();
    let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
}

/// Echoes batches, unless a row is negative: then it fails as a whole, as a model would that
/// raises an exception.
struct Picky;

impl Model for Picky {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("picky")
            .max_batch_size(16)
            .input("value", TensorType::Fp32, [1])
            .output("echo", TensorType::Fp32, [1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let values = request.values::<f32>("value")?.to_vec();
        if let Some(bad) = values.iter().find(|value| **value < 0.0) {
            return Err(ModelError::new(format!("{bad} is negative")));
        }
        Ok(vec![Tensor::new("echo", [values.len(), 1], values)])
    }
}

// Holds F5.
#[tokio::test]
async fn a_bad_row_fails_alone() {
    let server = EmbeddedTriton::builder().model(Picky).start().unwrap();
    let batched = [("batch-size", "16"), ("batch-timeout", "1 min")];
    let function = open(
        options(&server.endpoint(), "picky", &batched),
        echo_schema(),
        0,
        1,
    )
    .await;
    let bad = [3, 7, 8];
    let answers = join_all((0_i16..16).map(|index| {
        let value = if bad.contains(&index) { -index } else { index };
        let function = &function;
        async move { (index, function.predict(&[Value::Float(value.into())]).await) }
    }));
    let mut failed = BTreeMap::new();
    for (index, answer) in answers.await {
        match answer {
            Ok(prediction) => assert_eq!(prediction.row, [Value::Float(index.into())]),
            Err(error) => {
                let text = error.client_error().unwrap().to_string();
                assert!(text.contains(&format!("-{index} is negative")), "{text}");
                failed.insert(index, error.kind());
            }
        }
    }
    assert_eq!(failed.into_keys().collect::<Vec<_>>(), bad);
}

// Holds F5.
#[tokio::test]
async fn rows_whose_answers_have_no_room_together_are_answered_apart() {
    let server = EmbeddedTriton::start().unwrap();
    let limit = ("response-limit", "4 kb");
    let arrays = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    let options = options(&server.endpoint(), "echo", &[BATCHED[0], BATCHED[1], limit]);
    let function = open(options, arrays, 0, 1).await;
    // Two of them fit.
    let row = |index: u16| [Value::from(vec![f32::from(index); 300])];
    let answers = join_all((0..8).map(|index| {
        let function = &function;
        async move { function.predict(&row(index)).await.unwrap().row }
    }));
    for (index, answer) in (0..).zip(answers.await) {
        assert_eq!(answer, row(index));
    }
    let too_long = [Value::from(vec![0.0_f32; 2000])];
    let error = function.predict(&too_long).await.unwrap_err();
    let cause = error.client_error().unwrap();
    assert_eq!(cause.kind(), triton_client::ErrorKind::ResponseTooLarge);
}
