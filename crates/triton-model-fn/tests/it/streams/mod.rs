//! Rows that a model answers any number of times.

mod breaking;
mod real;
mod server;

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::sync::mpsc::unbounded_channel;
use triton_model_fn::{
    AnswerSink, AnswerStream, DataType, Error, InferenceFunction, Prediction, Schema, Value,
};

use crate::{options, schema};

const STREAM: (&str, &str) = ("decoupled", "stream");
const COLUMN: (&str, &str) = ("on-error", "column");

/// The columns of a countdown.
fn countdown() -> Schema {
    schema(
        &[("from", DataType::Integer)],
        &[("left", DataType::Integer)],
    )
}

/// The columns of a countdown, and what the function says of each of its rows.
fn told_countdown() -> Schema {
    let outputs = [
        ("prediction_index", DataType::BigInt),
        ("left", DataType::Integer),
        ("prediction_last", DataType::Boolean),
        ("prediction_status", DataType::String),
        ("prediction_error", DataType::String),
    ];
    schema(&[("from", DataType::Integer)], &outputs)
}

fn shown(result: &Result<Prediction, Error>) -> String {
    let prediction = match result {
        Ok(prediction) => prediction,
        Err(error) => return format!("{:?}: {}", error.kind(), error.with_causes()),
    };
    let values = prediction.row.iter().map(|value| match value {
        Value::Null => "-".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::BigInt(value) => value.to_string(),
        Value::String(value) => value.clone(),
        other => format!("{other:?}"),
    });
    let row = values.collect::<Vec<_>>().join(" | ");
    let last = if prediction.is_last { ", last" } else { "" };
    format!("{}{last}: {row}", prediction.part)
}

/// All answers of a stream, one a line.
async fn streamed(answers: AnswerStream) -> String {
    let answers: Vec<_> = answers.collect().await;
    answers.iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// All answers that a sink gets to some rows, one a line, the rows in their order.
async fn told(function: &InferenceFunction, rows: &[Value]) -> String {
    let (sender, mut answers) = unbounded_channel();
    let sink: Arc<dyn AnswerSink> = Arc::new(sender);
    for (number, row) in (0..).zip(rows) {
        function.submit_to(number, std::slice::from_ref(row), &sink);
    }
    let (mut texts, mut left) = (vec![String::new(); rows.len()], rows.len());
    while left > 0 {
        for answer in answers.recv().await.unwrap() {
            let text = &mut texts[usize::try_from(answer.number).unwrap()];
            if let Ok(prediction) = &answer.result {
                assert_eq!(
                    (answer.part, answer.is_last),
                    (prediction.part, prediction.is_last)
                );
            }
            let (number, part) = (answer.number, answer.part);
            writeln!(text, "row {number}, {part} = {}", shown(&answer.result)).unwrap();
            left -= usize::from(answer.is_last);
        }
    }
    assert!(answers.try_recv().is_err(), "nothing comes after the last");
    texts.concat()
}

async fn open(
    endpoint: &str,
    model: &str,
    schema: Schema,
    extra: &[(&str, &str)],
) -> InferenceFunction {
    let extra = [&[STREAM][..], extra].concat();
    crate::open(options(endpoint, model, &extra), schema, 0, 1).await
}
