//! Servers that keep no configurations: MLServer and KServe's own as they are, and scripted ones
//! for what those two do not show.

use triton_model_fn::{
    DataType, ErrorKind, FunctionBase, InferenceFunction, ModelFunction as _, Opening, Schema,
    Subtask, Value,
};

use triton_test_support::{EmbeddedTriton, ScriptedAnswer, on_other_servers, scripted_server};

use crate::errors::{open_error, words};
use crate::{AUTO_INCREMENT, array, echo_schema, open, options, schema};

on_other_servers!(
    rows_are_answered_one_by_one,
    rows_travel_together_where_an_option_says_how_many,
    the_columns_say_what_a_server_does_not,
    arrays_are_whole_tensors_where_there_is_no_dimension_for_rows,
    a_bad_row_fails_alone,
    every_mismatch_is_named,
    an_unknown_model_is_an_error,
);

/// What the models `sums` and `bare` take and give.
pub(crate) fn sums() -> Schema {
    schema(
        &[("x", DataType::Float), ("y", DataType::Float)],
        &[("sum", DataType::Float), ("rows", DataType::BigInt)],
    )
}

/// The sums of so many rows at once, and how many rows each one's request had.
async fn answers(function: &InferenceFunction, rows: u8) -> (Vec<f32>, Vec<i64>) {
    let rows: Vec<_> = (0..rows)
        .map(|x| [Value::Float(x.into()), Value::Float(0.5)])
        .collect();
    let answers = rows.iter().map(|row| function.predict(row));
    let answers = futures_util::future::join_all(answers).await;
    let answers = answers.into_iter().map(|answer| {
        let row = answer.unwrap().row;
        let [Value::Float(sum), Value::BigInt(rows)] = row.as_slice() else {
            panic!("{row:?}");
        };
        (*sum, *rows)
    });
    answers.unzip()
}

// Holds F45.
async fn rows_are_answered_one_by_one(endpoint: &str) {
    let options = options(endpoint, "sums", &[]);
    let function = open(options, sums(), 0, 1).await;
    let (sums, rows) = answers(&function, 4).await;
    assert_eq!((sums, rows), (vec![0.5, 1.5, 2.5, 3.5], vec![1; 4]));
}

// Holds F46.
async fn rows_travel_together_where_an_option_says_how_many(endpoint: &str) {
    let extra = [("model-max-batch-size", "3"), ("batch-size", "8")];
    for model in ["sums", "bare"] {
        let mut extra = extra.to_vec();
        extra.push(("batch-timeout", "10 s"));
        let options = options(endpoint, model, &extra);
        let function = open(options, sums(), 0, 1).await;
        let (sums, rows) = answers(&function, 6).await;
        assert_eq!(sums, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
        assert_eq!(rows, [3; 6]);
    }
}

// Holds F47.
async fn the_columns_say_what_a_server_does_not(endpoint: &str) {
    let function = open(options(endpoint, "bare", &[]), sums(), 0, 1).await;
    assert_eq!(answers(&function, 2).await, (vec![0.5, 1.5], vec![1, 1]));

    // An array is a row of features, and a name may stand for another.
    let inputs = [("values", array(DataType::Float))];
    let extra = [
        ("input-names", "values:features"),
        ("output-names", "count:rows"),
    ];
    let outputs = [("sum", DataType::Float), ("count", DataType::BigInt)];
    let extended = options(endpoint, "bare", &extra);
    let function = open(extended, schema(&inputs, &outputs), 0, 1).await;
    let features = Value::from(vec![1.0_f32, 2.0, 4.0]);
    let answer = function.predict(&[features]).await.unwrap().row;
    assert_eq!(answer, [Value::Float(7.0), Value::BigInt(1)]);
}

async fn arrays_are_whole_tensors_where_there_is_no_dimension_for_rows(endpoint: &str) {
    let inputs = [
        ("numbers", array(DataType::Float)),
        ("counts", array(DataType::BigInt)),
        ("words", array(DataType::String)),
    ];
    let names = "n:numbers,c:counts,w:words";
    let outputs = [
        ("n", array(DataType::Float)),
        ("c", array(DataType::BigInt)),
        ("w", array(DataType::String)),
    ];
    let row = [
        Value::from(vec![1.5_f32, -0.0]),
        Value::from(vec![i64::MIN]),
        Value::Array(vec![Value::String("é".into()); 3].into()),
    ];
    // The shapes are [-1]: without the option either reading of it will do.
    for extra in [
        &[("output-names", names)][..],
        &[("output-names", names), ("model-max-batch-size", "0")],
    ] {
        let options = options(endpoint, "echo", extra);
        let function = open(options, schema(&inputs, &outputs), 0, 1).await;
        assert_eq!(function.predict(&row).await.unwrap().row, row);
    }
    let extra = [("output-names", names), ("model-max-batch-size", "1")];
    let (kind, _) = open_error(endpoint, "echo", &extra, schema(&inputs, &outputs)).await;
    assert_eq!(kind, ErrorKind::Mismatch);
}

// Holds F5.
async fn a_bad_row_fails_alone(endpoint: &str) {
    let extra = [
        ("model-max-batch-size", "4"),
        ("batch-size", "4"),
        ("batch-timeout", "10 s"),
    ];
    let function = open(options(endpoint, "sums", &extra), sums(), 0, 1).await;
    // JSON has no word for what is no number: one server refuses that in the request, the other one
    // answers with `null`.
    for bad in [-1.0, f32::NAN] {
        let rows = [1.0, bad, 2.0, 3.0].map(|x| [Value::Float(x), Value::Float(0.5)]);
        let answers = rows.iter().map(|row| function.predict(row));
        let answers = futures_util::future::join_all(answers).await;
        let failed: Vec<bool> = answers.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, true, false, false], "{bad}");
        let error = answers[1].as_ref().unwrap_err();
        assert!(bad.is_nan() || words(error, endpoint).contains("x must not be negative"));
    }
}

async fn every_mismatch_is_named(endpoint: &str) {
    let wrong = schema(
        &[("x", DataType::Double), ("z", DataType::Float)],
        &[("sum", DataType::Float), ("total", DataType::Float)],
    );
    let (kind, text) = open_error(endpoint, "sums", &AUTO_INCREMENT, wrong).await;
    assert_eq!(kind, ErrorKind::Mismatch);
    let text = text
        .replace("mlserver 1.7.1", "NAME")
        .replace("kserve 0.21.0", "NAME");
    // The one gives its output two dimensions, the other one.
    let text = text.replace("[-1, 1]", "[-1]");
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @"subtask 1 of 4, attempt 2: model 'sums' does not fit the schema and options: input column 'x' is DOUBLE, which needs FP64 of one element; the model's is FP32 [-1], with or without the first for rows; input column 'z' is no input of the model, which has: x, y; output column 'total' is no output of the model, which has: sum, rows; the model's input 'y' (FP32 [-1]) has no column; option 'sequence-id' is for models that keep a state for each sequence, but the server (NAME) has none: it does not name the extension 'sequence'; leave the option out");
    }
}

// Holds F49.
async fn an_unknown_model_is_an_error(endpoint: &str) {
    let extra = [("open-wait", "1 min")];
    let (kind, text) = open_error(endpoint, "ghost", &extra, sums()).await;
    assert_eq!(kind, ErrorKind::Call);
    // Each says it in its own words.
    let text = text.replace(
        "Model with name ghost does not exist.",
        "Model ghost not found",
    );
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @"
        subtask 1 of 4, attempt 2: the model could not be looked up
          caused by: read metadata of model 'ghost' at http://server/: status 404: Model ghost not found
        ");
    }
}

const MODEL: ScriptedAnswer = (
    "/v2/models/m",
    200,
    r#"{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[]}]}"#,
);
const SERVER: ScriptedAnswer = ("/v2", 200, r#"{"name":"s","extensions":[]}"#);
const READY: ScriptedAnswer = ("/v2/models/m/ready", 200, "");

fn one_column() -> Schema {
    schema(&[("x", DataType::Float)], &[("y", DataType::Float)])
}

// Holds F49.
#[tokio::test]
async fn a_model_that_is_still_being_loaded_is_waited_for() {
    let endpoint = scripted_server(&[MODEL, SERVER, ("/v2/models/m/ready", 400, "")]);
    let (kind, text) = open_error(&endpoint, "m", &[], one_column()).await;
    assert_eq!(kind, ErrorKind::Call);
    insta::assert_snapshot!(text, @"
    subtask 1 of 4, attempt 2: the model could not be looked up
      caused by: look up model 'm' at http://server/: the server says it is not ready
    ");

    let loading = ("/v2/models/m/ready#1", 503, "");
    let endpoint = scripted_server(&[MODEL, SERVER, loading, READY]);
    let options = options(&endpoint, "m", &[("open-wait", "1 min")]);
    open(options, one_column(), 0, 1).await;
}

// Holds F48.
#[tokio::test]
async fn a_sequence_is_sent_where_nothing_says_that_there_is_none() {
    // What is logged of it is held by tests/logging.rs.
    let silent = ("/v2", 200, r#"{"name":"s","version":"1"}"#);
    let names_it = ("/v2", 200, r#"{"name":"s","extensions":["sequence"]}"#);
    let hidden = ("/v2", 403, "");
    for server in [silent, names_it, hidden] {
        let endpoint = scripted_server(&[MODEL, READY, server]);
        let options = options(&endpoint, "m", &AUTO_INCREMENT);
        open(options, one_column(), 0, 1).await;
    }
    let names_others = ("/v2", 200, r#"{"name":"s","extensions":["statistics"]}"#);
    let endpoint = scripted_server(&[MODEL, READY, names_others]);
    let (kind, text) = open_error(&endpoint, "m", &AUTO_INCREMENT, one_column()).await;
    assert_eq!(kind, ErrorKind::Mismatch);
    insta::assert_snapshot!(text, @"subtask 1 of 4, attempt 2: model 'm' does not fit the schema and options: option 'sequence-id' is for models that keep a state for each sequence, but the server (s) has none: it does not name the extension 'sequence'; leave the option out");
}

// Holds F46.
#[tokio::test]
async fn what_an_option_says_of_a_batch_agrees_with_the_configuration_and_the_shapes() {
    let server = EmbeddedTriton::start().unwrap();
    for agreeing in [&[][..], &[("model-max-batch-size", "64")]] {
        let options = options(&server.endpoint(), "echo", agreeing);
        open(options, echo_schema(), 0, 1).await;
    }
    let extra = [("model-max-batch-size", "9")];
    let (kind, text) = open_error(&server.endpoint(), "echo", &extra, echo_schema()).await;
    assert_eq!(kind, ErrorKind::Mismatch);
    insta::assert_snapshot!(text, @"subtask 1 of 4, attempt 2: model 'echo' does not fit the schema and options: option 'model-max-batch-size' is 9, but the server's configuration of the model says 64 (max_batch_size): leave the option out, it is for servers that keep no configuration");

    let fixed = (
        "/v2/models/m",
        200,
        r#"{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[3]}]}"#,
    );
    let inputs = schema(&[("x", array(DataType::Float))], &[("y", DataType::Float)]);
    let endpoint = scripted_server(&[fixed, READY, SERVER]);
    for fitting in [&[][..], &[("model-max-batch-size", "0")]] {
        open(options(&endpoint, "m", fitting), inputs.clone(), 0, 1).await;
    }
    let (kind, text) = open_error(&endpoint, "m", &extra, inputs).await;
    assert_eq!(kind, ErrorKind::Mismatch);
    insta::assert_snapshot!(text, @"subtask 1 of 4, attempt 2: model 'm' does not fit the schema and options: the first dimension of the model's input 'x' [3] is not for any number of rows (-1), but option 'model-max-batch-size' is 9: set it to 0, or leave it out");
}

const TOLD: &str = r#"{"name":"m","versions":["1"],"platform":"python","inputs":[{"name":"value","datatype":"INT32","shape":[-1,1]}],"outputs":[{"name":"sum","datatype":"INT32","shape":[-1,1]}]}"#;

// Holds F48, F40.
#[tokio::test]
async fn a_server_without_sequences_is_refused_for_a_function_of_your_own() {
    let endpoint = scripted_server(&[("/v2/models/m", 200, TOLD), READY, SERVER]);
    let options = options(&endpoint, "m", &AUTO_INCREMENT);
    let base = FunctionBase::<()>::new(options);
    let opening: Opening<'_, ()> = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    let agreed = opening.subtask().agree_on_sequence_ids().await;
    assert_eq!(agreed.unwrap_err().kind(), ErrorKind::Mismatch);
}

// Holds F46.
#[tokio::test]
async fn the_largest_batch_sizes_work() {
    let answer = (
        "/v2/models/m/infer",
        200,
        r#"{"model_name":"m","outputs":[{"name":"sum","datatype":"INT32","shape":[1,1],"data":[7]}]}"#,
    );
    let endpoint = scripted_server(&[("/v2/models/m", 200, TOLD), READY, SERVER, answer]);
    let extra = [
        ("model-max-batch-size", "4294967295"),
        ("batch-size", "4294967295"),
    ];
    let columns = schema(
        &[("value", DataType::Integer)],
        &[("sum", DataType::Integer)],
    );
    let function: InferenceFunction = open(options(&endpoint, "m", &extra), columns, 0, 1).await;
    let answer = function.predict(&[Value::Integer(1)]).await.unwrap();
    assert_eq!(answer.row, [Value::Integer(7)]);
}

#[tokio::test]
async fn what_json_cannot_carry_is_refused_at_open() {
    let half = (
        "/v2/models/m",
        200,
        r#"{"name":"m","inputs":[{"name":"x","datatype":"FP16","shape":[-1]}],"outputs":[{"name":"y","datatype":"BF16","shape":[-1]}]}"#,
    );
    let halves = || schema(&[("x", DataType::Float16)], &[("y", DataType::BFloat16)]);
    let endpoint = scripted_server(&[half, SERVER, READY]);
    let (kind, text) = open_error(&endpoint, "m", &[], halves()).await;
    assert_eq!(kind, ErrorKind::Mismatch);
    insta::assert_snapshot!(text, @"subtask 1 of 4, attempt 2: model 'm' does not fit the schema and options: JSON cannot carry input column 'x' (FLOAT16), output column 'y' (BFLOAT16), and the server (s) does not list the extension 'binary_tensor_data', so tensors are JSON: where it takes the binary form all the same, as KServe does, set 'tensor-format' to 'binary'; else give the model a tensor of another type, FP32 for example");
    // Whoever knows the server better is believed.
    let binary = options(&endpoint, "m", &[("tensor-format", "binary")]);
    open(binary, halves(), 0, 1).await;

    let config = (
        "/v2/models/m/config",
        200,
        r#"{"name":"m","max_batch_size":4}"#,
    );
    let endpoint = scripted_server(&[half, config, SERVER, READY]);
    let json = [("tensor-format", "json")];
    let (_, text) = open_error(&endpoint, "m", &json, halves()).await;
    insta::assert_snapshot!(text, @"subtask 1 of 4, attempt 2: model 'm' does not fit the schema and options: JSON cannot carry input column 'x' (FLOAT16), and 'tensor-format' is 'json': leave 'tensor-format' out, or set it to 'binary'");
    open(options(&endpoint, "m", &[]), halves(), 0, 1).await;
}

#[tokio::test]
async fn a_mismatch_blames_only_what_is_wrong() {
    let image = (
        "/v2/models/m",
        200,
        r#"{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-1,3,2]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1]}]}"#,
    );
    let endpoint = scripted_server(&[image, SERVER, READY]);
    let doubles = || {
        let doubles = DataType::Array(Box::new(DataType::Double));
        schema(&[("x", doubles)], &[("y", DataType::Integer)])
    };
    let rows = [("model-max-batch-size", "4")];
    let (_, text) = open_error(&endpoint, "m", &rows, doubles()).await;
    insta::assert_snapshot!(text, @"subtask 1 of 4, attempt 2: model 'm' does not fit the schema and options: input column 'x' is ARRAY<DOUBLE>, which needs FP64; the model's is FP32 [3, 2] for a row, because option 'model-max-batch-size' takes the first of [-1, 3, 2] for rows; output column 'y' is INT, which needs INT32 of one element; the model's is FP32 [] for a row, because option 'model-max-batch-size' takes the first of [-1] for rows");
}
