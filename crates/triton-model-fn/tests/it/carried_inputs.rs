//! Rows that carry those before them, for models that read more of a row than its key and its value.

use triton_embedded::{
    DataType as TensorType, EmbeddedTriton, Model, ModelConfig, ModelError, ModelRequest,
    SequenceBatching, SequenceStrategy, Tensor,
};
use triton_model_fn::{
    DataType, ErrorKind, InferenceFunction, ModelFunction as _, Prediction, Schema, Subtask, Value,
};

use crate::{array, open, options, schema};

/// Adds up value × step; it can do without a note.
struct Stepped;

impl Model for Stepped {
    type State = i64;

    fn config(&self) -> ModelConfig {
        ModelConfig::new("stepped")
            .max_batch_size(8)
            .input("value", TensorType::Int32, [1])
            .input("n", TensorType::Int64, [1])
            .optional_input("note", TensorType::Bytes, [1])
            .output("sum", TensorType::Int32, [1])
            .sequence_batching(SequenceBatching {
                max_sequence_idle: std::time::Duration::from_secs(5),
                strategy: SequenceStrategy::Oldest {
                    max_candidate_sequences: 16,
                },
            })
    }

    fn execute(&self, request: &ModelRequest, sum: &mut i64) -> Result<Vec<Tensor>, ModelError> {
        let value = request.values::<i32>("value")?[0];
        *sum += i64::from(value) * request.values::<i64>("n")?[0];
        let shape = request.input("value")?.shape.clone();
        Ok(vec![Tensor::new("sum", shape, vec![*sum as i32])])
    }
}

fn server() -> EmbeddedTriton {
    EmbeddedTriton::builder().model(Stepped).start().unwrap()
}

fn carried(inputs: &[(&str, DataType)]) -> Schema {
    let all = [
        &[("sensor", DataType::String), ("value", DataType::Integer)],
        inputs,
    ];
    schema(
        &all.concat(),
        &[
            ("sum", DataType::Integer),
            ("sequence_restarted", DataType::Boolean),
        ],
    )
}

fn carrying<'a>(histories: &'a str, extra: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let carrying = [
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "sensor"),
        ("sequence-recovery", "replay"),
        ("sequence-position-column", "n"),
        ("sequence-history-columns", histories),
    ];
    [&carrying, extra].concat()
}

fn integers(values: impl IntoIterator<Item = i32>) -> Value {
    Value::Array(values.into_iter().map(Value::Integer).collect())
}

fn sum(answered: &Prediction) -> Value {
    assert!(!answered.sequence_restarted);
    answered.row[0].clone()
}

// Holds S40.
#[tokio::test]
async fn a_history_is_whole_where_the_model_reads_which_row_it_is() {
    let server = server();
    let columns = carried(&[
        ("n", DataType::BigInt),
        ("history", array(DataType::Integer)),
    ]);
    let extra = carrying("value:history", &[]);
    let options = options(&server.endpoint(), "stepped", &extra);
    let mut sums = Vec::new();
    for n in 1..=3 {
        // Each row meets a function that has seen nothing, as after a failover.
        let function = open(options.clone(), columns.clone(), 0, 1).await;
        let key = Value::String("a".to_owned());
        let history = integers((1..=n).map(|value| 10 * value));
        let row = [
            key,
            Value::Integer(10 * n),
            Value::BigInt(n.into()),
            history,
        ];
        sums.push(sum(&function.predict(&row).await.unwrap()));
        function.close().await.unwrap();
    }
    let expected = [10, 10 + 20 * 2, 10 + 20 * 2 + 30 * 3].map(Value::Integer);
    assert_eq!(sums, expected);
}

// Holds S40.
#[tokio::test]
async fn a_history_that_the_model_reads_itself_is_refused() {
    let server = server();
    let columns = carried(&[
        ("n", DataType::BigInt),
        ("values", array(DataType::Integer)),
    ]);
    let extra = carrying("value:values", &[("input-names", "values:note")]);
    let options = options(&server.endpoint(), "stepped", &extra);
    let function = InferenceFunction::new(options, columns).unwrap();
    let opened = function.open(Subtask::new(0, 1, 0).unwrap()).await;
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'values' (option 'sequence-history-columns') holds earlier rows, and the model has an input of that name: the rows that it holds could not be sent again as they were; give the column another name, and what the model is to see another column with a history of its own");
}

/// A text that is none came from a row that had failed for it, also where the model could do without it.
// Holds S40, J3.
#[tokio::test]
async fn a_row_that_could_not_be_sent_is_left_out_although_the_input_is_optional() {
    let server = server();
    let columns = carried(&[
        ("n", DataType::BigInt),
        ("note", DataType::String),
        ("values", array(DataType::Integer)),
        ("notes", array(DataType::String)),
    ]);
    let extra = carrying("value:values,note:notes", &[]);
    let options = options(&server.endpoint(), "stepped", &extra);
    let function = open(options, columns, 0, 1).await;
    let text = |text: &str| Value::String(text.to_owned());
    let notes = [text("x"), Value::Bytes(vec![0xff]), Value::Null, text("z")];
    let row = [
        text("a"),
        Value::Integer(8),
        Value::BigInt(4),
        text("z"),
        integers([1, 2, 4, 8]),
        Value::Array(notes.into_iter().collect()),
    ];
    let answered = function.predict(&row).await.unwrap();
    assert_eq!(sum(&answered), Value::Integer(1 + 4 * 3 + 8 * 4));
    function.close().await.unwrap();
}
