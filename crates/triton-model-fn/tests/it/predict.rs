//! Rows in, rows out, and the sequence IDs that go with them.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use triton_model_fn::{DataType, ErrorKind, ModelFunction as _, Subtask, Value};
use triton_test_support::{TritonVersion, on_both_servers};

use crate::{AUTO_INCREMENT, accumulate_schema, array, echo_schema, open, options, schema};

on_both_servers!(
    a_stateless_model_answers_without_a_sequence,
    subtasks_number_their_own_sequences,
    ids_follow_the_order_of_rows,
    the_counter_begins_at_zero_on_every_open,
    a_static_sequence_carries_state_from_row_to_row,
    arrays_travel_in_order,
    a_model_version_can_be_named,
);

async fn a_stateless_model_answers_without_a_sequence(endpoint: &str) {
    let function = open(options(endpoint, "echo", &[]), echo_schema(), 0, 1).await;
    let prediction = function.predict(&[Value::Float(-2.5)]).await.unwrap();
    assert_eq!(prediction.row, [Value::Float(-2.5)]);
    assert_eq!(prediction.sequence_id, None);
}

async fn subtasks_number_their_own_sequences(endpoint: &str) {
    const SUBTASKS: u32 = 3;
    const ROWS: i32 = 40;
    let mut ids = BTreeSet::new();
    for index in 0..SUBTASKS {
        let options = options(endpoint, "accumulate", &AUTO_INCREMENT);
        let function = open(options, accumulate_schema(), index, SUBTASKS).await;
        let predictions = join_all((0..ROWS).map(|value| {
            let function = &function;
            async move { function.predict(&[Value::Integer(value)]).await.unwrap() }
        }));
        for (value, prediction) in (0..ROWS).zip(predictions.await) {
            let id = prediction.sequence_id.unwrap();
            // No row sees the sum of another, and the server saw the ID that was sent.
            assert_eq!(
                prediction.row,
                [Value::Integer(value), Value::String(id.clone())]
            );
            ids.insert(id);
        }
    }
    if TritonVersion::of(endpoint).takes_text_ids() {
        let expected = (0..SUBTASKS).flat_map(|index| {
            (0..ROWS).map(move |counter| format!("flink-job-123-{index}-{counter}"))
        });
        assert_eq!(ids, expected.collect());
    } else {
        let are_numbers = ids.iter().all(|id| id.parse::<i64>().is_ok());
        assert!(
            are_numbers && ids.len() == SUBTASKS as usize * ROWS as usize,
            "{ids:?}"
        );
    }
}

// Holds F16.
async fn ids_follow_the_order_of_rows(endpoint: &str) {
    let auto = [&AUTO_INCREMENT[..], &[("max-in-flight", "3")]].concat();
    let function = open(
        options(endpoint, "accumulate", &auto),
        accumulate_schema(),
        0,
        1,
    )
    .await;
    // Every third row cannot be encoded, and takes no ID.
    let row = |value| match value % 3 {
        2 => Value::Null,
        _ => Value::Integer(value),
    };
    let mut rows: Vec<_> = (0..60)
        .map(|value| function.submit(&[row(value)]))
        .collect();
    // However they are polled; and one that is never polled has its ID all the same.
    rows.reverse();
    rows.pop();
    let mut answers = join_all(rows).await;
    answers.reverse();
    let mut counter = 1;
    for (value, answer) in (1..60).zip(answers) {
        if value % 3 == 2 {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::NullInput);
            continue;
        }
        let id = format!("flink-job-123-0-{counter}");
        assert_eq!(
            answer.unwrap().row,
            [Value::Integer(value), Value::String(id)]
        );
        counter += 1;
    }
}

async fn the_counter_begins_at_zero_on_every_open(endpoint: &str) {
    let options = options(endpoint, "accumulate", &AUTO_INCREMENT);
    let function = open(options, accumulate_schema(), 1, 2).await;
    for attempt in 1..=2 {
        for counter in 0..3 {
            let prediction = function.predict(&[Value::Integer(5)]).await.unwrap();
            let id = format!("flink-job-123-1-{counter}");
            assert_eq!(prediction.row, [Value::Integer(5), Value::String(id)]);
        }
        function.close().await.unwrap();
        function
            .open(Subtask::new(1, 2, attempt).unwrap())
            .await
            .unwrap();
    }
}

async fn a_static_sequence_carries_state_from_row_to_row(endpoint: &str) {
    let id = [("sequence-id", "static-sequence")];
    let start = [id[0], ("sequence-start", "true")];
    let schema = schema(
        &[("value", DataType::Integer)],
        &[("sum", DataType::Integer)],
    );
    let starting = open(
        options(endpoint, "accumulate", &start),
        schema.clone(),
        0,
        1,
    )
    .await;
    let going_on = [id[0], ("sequence-start", "false")];
    let going_on = open(options(endpoint, "accumulate", &going_on), schema, 0, 1).await;
    for (function, value, sum) in [(&starting, 1, 1), (&going_on, 2, 3), (&going_on, 3, 6)] {
        let prediction = function.predict(&[Value::Integer(value)]).await.unwrap();
        assert_eq!(prediction.row, [Value::Integer(sum)]);
        assert_eq!(prediction.sequence_id.as_deref(), Some("static-sequence"));
    }
}

async fn arrays_travel_in_order(endpoint: &str) {
    let schema = schema(
        &[("reading", array(DataType::Float))],
        &[
            ("anomaly", array(DataType::Boolean)),
            ("z_score", array(DataType::Float)),
        ],
    );
    let function = open(options(endpoint, "anomaly", &AUTO_INCREMENT), schema, 0, 1).await;
    let readings = [1.0_f32, 2.0, 1.0, 2.0, 100.0].map(Value::Float).to_vec();
    let row = function
        .predict(&[Value::Array(readings.into())])
        .await
        .unwrap()
        .row;
    let flags = [false, false, false, false, true]
        .map(Value::Boolean)
        .to_vec();
    assert_eq!(row[0], Value::Array(flags.into()));
    let Value::Array(scores) = &row[1] else {
        panic!("{row:?}")
    };
    // Mean 1.5, sample deviation √(1/3): (100 − 1.5) / 0.57735 = 170.607.
    let Some(Value::Float(last)) = scores.get(4) else {
        panic!("{row:?}")
    };
    assert!((last - 170.607).abs() < 1e-2, "{last}");
}

async fn a_model_version_can_be_named(endpoint: &str) {
    let versioned = options(endpoint, "echo", &[("model-version", "1")]);
    let function = open(versioned, echo_schema(), 0, 1).await;
    assert!(function.predict(&[Value::Float(1.0)]).await.is_ok());
}
