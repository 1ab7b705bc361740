//! Decoupled models of a real Triton, and models that are none.

use futures_util::{StreamExt as _, stream};
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;
use triton_client::{Client, LoadModel};
use triton_model_fn::{
    DataType, ErrorKind, InferenceFunction, ModelFunction as _, PredictStream as _, Schema,
    Subtask, Value,
};
use triton_test_support::{EmbeddedTriton, live_endpoint};

use super::{COLUMN, countdown, open, shown, streamed, told, told_countdown};
use crate::{array, echo_schema, options, schema};

/// One load for all tests of this process, under names that no other program has.
static LOADED: OnceCell<()> = OnceCell::const_new();

/// Sends everything back, once for each element of `times`.
const REPEAT: &str = "
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            tensors = [(name, pb_utils.get_input_tensor_by_name(request, name)) for name in NAMES]
            times = tensors[0][1].as_numpy().size
            for _ in range(times):
                outputs = [pb_utils.Tensor('o_' + name, it.as_numpy()) for name, it in tensors if it]
                sender.send(pb_utils.InferenceResponse(outputs))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

NAMES = ['times', 'pairs', 'words', 'flag', 'large', 'single', 'grid', 'half']
";

const REPEATED: &[(&str, &str, &[i64])] = &[
    ("times", "TYPE_FP64", &[-1]),
    ("pairs", "TYPE_INT64", &[-1, 2]),
    ("words", "TYPE_STRING", &[-1]),
    ("flag", "TYPE_BOOL", &[1]),
    ("large", "TYPE_UINT64", &[1]),
    ("single", "TYPE_FP32", &[2, 2]),
    ("grid", "TYPE_INT32", &[-1, -1]),
    ("half", "TYPE_FP16", &[1]),
];

fn repeat(max_batch_size: u32) -> Json {
    let tensors = |prefix: &str, is_input: bool| -> Vec<Json> {
        let tensors = REPEATED.iter().map(|(name, data_type, dims)| {
            let mut tensor =
                json!({"name": format!("{prefix}{name}"), "data_type": data_type, "dims": dims});
            if is_input {
                tensor["optional"] = (*name != "times").into();
            }
            tensor
        });
        tensors.collect()
    };
    json!({
        "backend": "python",
        "max_batch_size": max_batch_size,
        "input": tensors("", true),
        "output": tensors("o_", false),
        "model_transaction_policy": {"decoupled": true},
    })
}

async fn endpoint() -> String {
    let endpoint = live_endpoint();
    LOADED.get_or_init(|| load(&endpoint)).await;
    endpoint
}

async fn load(endpoint: &str) {
    let client = Client::new(endpoint).unwrap();
    let config = include_str!("../../../../triton-client/tests/models/countdown/config.json");
    let config: Json = serde_json::from_str(config).unwrap();
    let source = include_str!("../../../../triton-client/tests/models/countdown/1/model.py");
    let mut named = config.clone();
    named["input"][0]["name"] = "parameters".into();
    let models = [
        ("streams_countdown", config, source),
        ("streams_parameters", named, source),
        ("streams_repeat", repeat(0), REPEAT),
        ("streams_repeat_rows", repeat(4), REPEAT),
    ];
    for (name, mut config, source) in models {
        config["name"] = name.into();
        let model = LoadModel::new().config(&config).file("1/model.py", source);
        client
            .load_model(&name.parse().unwrap(), &model)
            .await
            .unwrap();
    }
}

// Holds F76.
#[tokio::test(flavor = "multi_thread")]
async fn each_response_is_a_row_with_its_number_and_the_last_one_marked() {
    let function = open(&endpoint().await, "streams_countdown", countdown(), &[]).await;
    let stream = |from| streamed(function.predict_many(&[Value::Integer(from)]));
    insta::assert_snapshot!(stream(3).await, @"
    0: 3
    1: 2
    2, last: 1
    ");
    insta::assert_snapshot!(stream(1).await, @"0, last: 1");
    insta::assert_snapshot!(stream(0).await, @"");
    let rows = [4, 0, 1].map(Value::Integer);
    insta::assert_snapshot!(told(&function, &rows).await, @"
    row 0, 0 = 0: 4
    row 0, 1 = 1: 3
    row 0, 2 = 2: 2
    row 0, 3 = 3, last: 1
    row 1, 0 = 0, last: -
    row 2, 0 = 0, last: 1
    ");
    function.close().await.unwrap();
}

// Holds F75.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_rows_has_all_answers_to_each_in_order() {
    let function = open(&endpoint().await, "streams_countdown", countdown(), &[]).await;
    let rows = [3, 0, 2].map(|from| vec![Value::Integer(from)]);
    let answers = function.predict_stream(stream::iter(rows));
    let answers: Vec<_> = answers.collect().await;
    let answers: Vec<_> = answers.iter().map(shown).collect();
    insta::assert_snapshot!(answers.join("\n"), @"
    0: 3
    1: 2
    2, last: 1
    0, last: -
    0: 2
    1, last: 1
    ");
    function.close().await.unwrap();
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_midway_says_how_many_rows_came() {
    let endpoint = endpoint().await;
    let function = open(
        &endpoint,
        "streams_countdown",
        countdown(),
        &[("max-retries", "3")],
    )
    .await;
    let stream = |from| streamed(function.predict_many(&[Value::Integer(from)]));
    insta::assert_snapshot!(stream(-3).await.replace(&endpoint, "URL"), @"
    0: 3
    Call: subtask 0 of 1, attempt 0: the stream broke after 1 row; what came is given out, so the row is not sent again: stream from model 'streams_countdown' at URL/: status 200: the countdown was called off
    ");
    insta::assert_snapshot!(streamed(function.predict_many(&[Value::Null])).await, @"NullInput: subtask 0 of 1, attempt 0: column 'from': expected INT, found NULL");
    let function = open(&endpoint, "streams_countdown", told_countdown(), &[COLUMN]).await;
    let rows = [Value::Integer(2), Value::Integer(-2), Value::Null];
    insta::assert_snapshot!(told(&function, &rows).await.replace(&endpoint, "URL"), @"
    row 0, 0 = 0: 0 | 2 | false | answered | -
    row 0, 1 = 1, last: 1 | 1 | true | answered | -
    row 1, 0 = 0: 0 | 2 | false | answered | -
    row 1, 1 = 1, last: 1 | - | true | failed | subtask 0 of 1, attempt 0: the stream broke after 1 row; what came is given out, so the row is not sent again: stream from model 'streams_countdown' at URL/: status 200: the countdown was called off
    row 2, 0 = 0, last: 0 | - | true | failed | subtask 0 of 1, attempt 0: column 'from': expected INT, found NULL
    ");
}

/// The columns of the repeated tensors of these names.
fn columns(names: &[(&str, DataType)]) -> Schema {
    let outputs: Vec<_> = names
        .iter()
        .map(|(name, data_type)| (format!("o_{name}"), data_type.clone()))
        .collect();
    let outputs: Vec<_> = outputs
        .iter()
        .map(|(name, data_type)| (name.as_str(), data_type.clone()))
        .collect();
    schema(names, &outputs)
}

/// An array of values that are none of numbers.
fn values(values: Vec<Value>) -> Value {
    Value::Array(values.into())
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

// Holds F78.
#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_were_sent() {
    let columns = columns(&[
        ("times", array(DataType::Double)),
        ("pairs", array(array(DataType::BigInt))),
        ("words", array(DataType::String)),
        ("flag", DataType::Boolean),
        ("large", DataType::UnsignedBigInt),
        ("single", array(array(DataType::Float))),
    ]);
    let doubles = vec![0.1, -1e-300, f64::MAX, 5e-324, 8.41e21];
    let pair = |a: i64, b: i64| Value::from(vec![a, b]);
    let single = values(vec![
        Value::from(vec![0.1_f32, f32::MIN_POSITIVE]),
        Value::from(vec![-1.5_f32, 7.038_531e-26]),
    ]);
    let rows = [
        [
            Value::from(doubles),
            values(vec![pair(i64::MIN, 1), pair(2, i64::MAX)]),
            values(vec![text("größe"), text("\"\n\0")]),
            Value::Boolean(true),
            Value::UnsignedBigInt(u64::MAX),
            single.clone(),
        ],
        [
            Value::from(vec![1.0_f64]),
            values(vec![pair(1, 2)]),
            values(vec![text("")]),
            Value::Boolean(false),
            Value::UnsignedBigInt(0),
            single,
        ],
    ];
    for model in ["streams_repeat", "streams_repeat_rows"] {
        let function = open(&endpoint().await, model, columns.clone(), &[]).await;
        for row in &rows {
            use futures_util::TryStreamExt as _;
            let answers: Vec<_> = function.predict_many(row).try_collect().await.unwrap();
            let Value::Array(times) = &row[0] else {
                panic!()
            };
            assert_eq!(answers.len(), times.len(), "{model}");
            for answer in answers {
                assert_eq!(answer.row, row, "{model}");
            }
        }
    }
}

// Holds F78.
#[tokio::test(flavor = "multi_thread")]
async fn what_generation_cannot_carry_is_refused_by_name() {
    let endpoint = endpoint().await;
    let refusal = async |model: &str, columns: Schema| {
        let options = options(&endpoint, model, &[super::STREAM]);
        let function = InferenceFunction::new(options, columns).unwrap();
        let error = function
            .open(Subtask::new(0, 1, 0).unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        error.to_string()
    };
    let wrong = columns(&[
        ("times", array(DataType::Double)),
        ("words", array(DataType::Bytes)),
        ("grid", array(array(DataType::Integer))),
        ("half", DataType::Float16),
    ]);
    insta::assert_snapshot!(refusal("streams_repeat", wrong).await, @"subtask 0 of 1, attempt 0: model 'streams_repeat' does not fit the schema and options: input column 'words' (ARRAY<BYTES>) cannot be in the flat JSON that option 'decoupled' = 'stream' sends and gets: it is text; make the column STRING, if that is what it holds; input column 'grid' (ARRAY<ARRAY<INT>>) cannot be in the flat JSON that option 'decoupled' = 'stream' sends and gets: it has no shapes, and of [-1, -1] more than one size is open; input column 'half' (FLOAT16) cannot be in the flat JSON that option 'decoupled' = 'stream' sends and gets: the server has no JSON form of it; output column 'o_words' (ARRAY<BYTES>) cannot be in the flat JSON that option 'decoupled' = 'stream' sends and gets: it is text; make the column STRING, if that is what it holds; output column 'o_grid' (ARRAY<ARRAY<INT>>) cannot be in the flat JSON that option 'decoupled' = 'stream' sends and gets: it has no shapes, and of [-1, -1] more than one size is open; output column 'o_half' (FLOAT16) cannot be in the flat JSON that option 'decoupled' = 'stream' sends and gets: the server has no JSON form of it");
    insta::assert_snapshot!(refusal("accumulate", crate::accumulate_schema()).await, @"subtask 0 of 1, attempt 0: model 'accumulate' does not fit the schema and options: it keeps a state for each sequence, and option 'decoupled' is 'stream', which carries no sequences: leave the option out");
    let parameters = schema(
        &[("parameters", DataType::Integer)],
        &[("left", DataType::Integer)],
    );
    insta::assert_snapshot!(refusal("streams_parameters", parameters).await, @"subtask 0 of 1, attempt 0: model 'streams_parameters' does not fit the schema and options: input column 'parameters' (INT) cannot be in the flat JSON that option 'decoupled' = 'stream' sends and gets: a member named 'parameters' means something else there");
    // What cannot be sent of a row fails that row alone.
    let columns = columns(&[("times", array(DataType::Double))]);
    let function = open(&endpoint, "streams_repeat", columns, &[]).await;
    let rows = [vec![f64::NAN], vec![1.0], vec![]].map(Value::from);
    insta::assert_snapshot!(told(&function, &rows).await, @"
    row 0, 0 = Input: subtask 0 of 1, attempt 0: column 'times': NaN and infinite numbers cannot be sent where the option 'decoupled' is 'stream'
    row 1, 0 = 0, last: Array([Double(1.0)])
    row 2, 0 = 0, last: -
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_decoupled_has_one_answer() {
    let embedded = EmbeddedTriton::start().unwrap();
    for endpoint in [embedded.endpoint(), live_endpoint()] {
        for function in [
            open(&endpoint, "echo", echo_schema(), &[]).await,
            // Whatever can stream can do without.
            crate::open(options(&endpoint, "echo", &[]), echo_schema(), 0, 1).await,
        ] {
            let answers = streamed(function.predict_many(&[Value::Float(1.5)]));
            assert_eq!(answers.await, "0, last: Float(1.5)");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_room_for_one_answer_name_those_that_have_more() {
    let embedded = EmbeddedTriton::start().unwrap();
    let function = open(&embedded.endpoint(), "echo", echo_schema(), &[]).await;
    let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Options);
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: option 'decoupled' is 'stream', so a row may have any number of answers, and this call has room for one: call predict_many, submit_to or predict_stream");
    #[cfg(feature = "arrow")]
    {
        let schema = std::sync::Arc::new(arrow_schema::Schema::empty());
        let batch = arrow_array::RecordBatch::new_empty(schema);
        let error = function.predict_batch(&batch).await.unwrap_err();
        insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: option 'decoupled' is 'stream', so a row may have any number of answers, and this call has room for one: call predict_many for each row");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoupled_model_is_refused_unless_its_answers_are_to_be_rows() {
    let options = options(&endpoint().await, "streams_countdown", &[]);
    let function = InferenceFunction::new(options, countdown()).unwrap();
    let error = function
        .open(Subtask::new(0, 1, 0).unwrap())
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: model 'streams_countdown' is decoupled: a request may have any number of responses, which only a stream can carry: set the option 'decoupled' to 'stream', and each response is an output row");
}
