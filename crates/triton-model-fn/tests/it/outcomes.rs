//! Rows that say what happened to them: the columns that the function fills in, and `on-error`.

use std::error::Error as _;
use std::slice;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{Array as _, ArrayRef, Float32Array, Int32Array, RecordBatch, StringArray};
use tokio::sync::mpsc::unbounded_channel;
use triton_client::{Client, InferRequest, Sequence, SequenceId, Tensor as ClientTensor};
use triton_embedded::{
    DataType as TensorType, Fault, FaultScript, Model, ModelConfig, ModelError, ModelRequest,
    Tensor,
};
use triton_model_fn::{
    AnswerSink, DataType, Error, ErrorKind, InferenceFunction, ModelFunction as _, Prediction,
    PredictionStatus, Schema, Subtask, Value,
};
use triton_options::TritonOptions;
use triton_test_support::{EmbeddedTriton, live_endpoint};

use crate::{open, options, schema};

const COLUMN: (&str, &str) = ("on-error", "column");

const STATUS: (&str, DataType) = ("prediction_status", DataType::String);
const ERROR: (&str, DataType) = ("prediction_error", DataType::String);
const HTTP: (&str, DataType) = ("prediction_http_status", DataType::Integer);
const ID: (&str, DataType) = ("sequence_id", DataType::String);

/// The echo model, with what the function fills in around its column.
fn echo() -> Schema {
    let outputs = [STATUS, ("echo", DataType::Float), ERROR, HTTP, ID];
    schema(&[("value", DataType::Float)], &outputs)
}

fn accumulate() -> Schema {
    let outputs = [
        ("sum", DataType::Integer),
        ("sequence_restarted", DataType::Boolean),
        STATUS,
        ERROR,
        ("prediction_http_status", DataType::BigInt),
        ID,
    ];
    let inputs = [("sensor", DataType::String), ("value", DataType::Integer)];
    schema(&inputs, &outputs)
}

/// The values of a row, one behind the other.
fn shown(row: &[Value]) -> String {
    let values = row.iter().map(|value| match value {
        Value::Null => "-".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::BigInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(value) => value.clone(),
        other => format!("{other:?}"),
    });
    values.collect::<Vec<_>>().join(" | ")
}

fn all_shown(rows: impl IntoIterator<Item = Result<Prediction, Error>>) -> String {
    let rows = rows.into_iter().map(|row| shown(&row.unwrap().row));
    rows.collect::<Vec<_>>().join("\n")
}

/// The rows by `predict`, by a sink and in a record batch, which must not differ but in the last
/// one's type.
async fn three_ways(function: &InferenceFunction) -> String {
    let rows = [
        [Value::Float(1.5)],
        [Value::Null],
        [Value::String("2".to_owned())],
    ];
    let mut alone = Vec::new();
    for row in &rows {
        alone.push(function.predict(row).await);
    }
    let alone = all_shown(alone);

    let (sender, mut answers) = unbounded_channel();
    let sink: Arc<dyn AnswerSink> = Arc::new(sender);
    for (number, row) in (0..).zip(&rows) {
        function.submit_to(number, row, &sink);
    }
    let mut numbered = Vec::new();
    while numbered.len() < rows.len() {
        numbered.extend(answers.recv().await.unwrap());
    }
    numbered.sort_by_key(|answer| answer.number);
    let from_sink = all_shown(numbered.into_iter().map(|answer| answer.result));
    assert_eq!(from_sink, alone);

    let values: ArrayRef = Arc::new(Float32Array::from(vec![Some(1.5), None]));
    let batch = RecordBatch::try_from_iter([("value", values)]).unwrap();
    let batch = function.predict_batch(&batch).await.unwrap();
    assert!(batch.failures.is_empty());
    let types = echo().outputs;
    let row = |index: usize| {
        let columns = batch.outputs.columns().iter().zip(&types);
        let values = columns
            .map(|(array, column)| Value::from_arrow(&column.data_type, array, index).unwrap());
        shown(&values.collect::<Vec<_>>())
    };
    let from_batch = [row(0), row(1)].join("\n");
    assert_eq!(
        from_batch,
        alone.lines().take(2).collect::<Vec<_>>().join("\n")
    );
    alone
}

// Holds F54, F55, F58.
#[tokio::test]
async fn bad_rows_say_why_in_every_way_on_both_servers() {
    let server = EmbeddedTriton::start().unwrap();
    for endpoint in [server.endpoint(), live_endpoint()] {
        let (batch, cache) = (("batch-size", "4"), ("cache-max-bytes", "1 mb"));
        for ways in [
            &[COLUMN][..],
            &[COLUMN, batch],
            // An answer that is known has its columns filled in again.
            &[COLUMN, cache],
            &[COLUMN, batch, cache],
        ] {
            let function = open(options(&endpoint, "echo", ways), echo(), 0, 1).await;
            let shown = three_ways(&function).await;
            insta::allow_duplicates! {
                insta::assert_snapshot!(shown, @"
                answered | 1.5 | - | 200 | -
                failed | - | subtask 0 of 1, attempt 0: column 'value': expected FLOAT, found NULL | - | -
                failed | - | subtask 0 of 1, attempt 0: column 'value': expected FLOAT, found a STRING | - | -
                ");
            }
            function.close().await.unwrap();
        }
        let default = [("default-value", "-1")];
        let function = open(options(&endpoint, "echo", &default), echo(), 0, 1).await;
        let shown = three_ways(&function).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @"
            answered | 1.5 | - | 200 | -
            defaulted | -1 | subtask 0 of 1, attempt 0: column 'value': expected FLOAT, found NULL | - | -
            defaulted | -1 | subtask 0 of 1, attempt 0: column 'value': expected FLOAT, found a STRING | - | -
            ");
        }
    }
}

fn failed(status: u16) -> Fault {
    Fault::Status {
        status,
        text: "out of order".to_owned(),
    }
}

// Holds F55.
#[tokio::test]
async fn what_the_server_does_is_told_row_by_row() {
    let faults = FaultScript::new(0)
        .request(1, failed(500))
        .request(2, failed(429))
        .request(3, Fault::Truncate { bytes: 10 })
        .request(4, Fault::Garbage)
        .request(5, failed(401));
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(faults)
        .start()
        .unwrap();
    let breaker = [
        COLUMN,
        ("circuit-breaker-enabled", "true"),
        ("circuit-breaker-failure-threshold", "1"),
    ];
    let endpoint = server.endpoint();
    let function = open(options(&endpoint, "echo", &breaker), echo(), 0, 1).await;
    let mut rows = Vec::new();
    for _ in 0..6 {
        rows.push(function.predict(&[Value::Float(1.0)]).await);
    }
    let error = rows[0].as_ref().unwrap().status.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Call);
    assert!(error.source().is_some());
    let shown = all_shown(rows).replace(&endpoint, "http://server");
    insta::assert_snapshot!(shown, @"
    failed | - | subtask 0 of 1, attempt 0: the row was not answered: infer with model 'echo' at http://server/: status 500: out of order | 500 | -
    failed | - | subtask 0 of 1, attempt 0: the row was not answered: infer with model 'echo' at http://server/: status 429: out of order | 429 | -
    failed | - | subtask 0 of 1, attempt 0: the row was not answered: infer with model 'echo' at http://server/: the connection broke before the answer was complete: client error (SendRequest): connection closed before message completed | - | -
    failed | - | subtask 0 of 1, attempt 0: the row was not answered: infer with model 'echo' at http://server/: the answer says that 161 of its bytes are JSON, and has 23 in all | - | -
    failed | - | subtask 0 of 1, attempt 0: the row was not answered: infer with model 'echo' at http://server/: status 401: out of order | 401 | -
    answered | 1 | - | 200 | -
    ");

    // Until the breaker is open.
    server.set_faults(FaultScript::new(0).rate(1.0, failed(500)));
    let mut last = None;
    for _ in 0..200 {
        last = Some(function.predict(&[Value::Float(1.0)]).await.unwrap());
        if last.as_ref().unwrap().status.http_status().is_none() {
            break;
        }
    }
    let last = last.unwrap();
    assert_eq!(last.status.error().unwrap().kind(), ErrorKind::CircuitOpen);
    assert_eq!(last.row[3], Value::Null);

    // What is no row's fault stays an error.
    function.close().await.unwrap();
    let closed = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::State);
}

fn keyed(endpoint: &str, recovery: &str, extra: (&str, &str)) -> TritonOptions {
    let keyed = [
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-id-scope", "run"),
        ("sequence-key", "sensor"),
        ("sequence-recovery", recovery),
        extra,
    ];
    options(endpoint, "accumulate", &keyed)
}

fn reading(value: i32) -> [Value; 2] {
    [Value::String("a".to_owned()), Value::Integer(value)]
}

/// Ends a sequence behind the function's back.
async fn end(endpoint: &str, id: &str) {
    let client = Client::new(endpoint).unwrap();
    let sequence = Sequence {
        id: SequenceId::text(id).unwrap(),
        start: false,
        end: true,
    };
    let value = ClientTensor::from_slice("value", [1, 1], &[0]).unwrap();
    let request = InferRequest::new("accumulate".parse().unwrap()).input(value);
    client.infer(&request.sequence(sequence)).await.unwrap();
}

// Holds F56.
#[tokio::test]
async fn a_lost_sequence_is_a_row_and_the_next_one_begins_anew_on_both_servers() {
    let server = EmbeddedTriton::start().unwrap();
    for endpoint in [server.endpoint(), live_endpoint()] {
        for extra in [COLUMN, ("default-value", "-1")] {
            let options = keyed(&endpoint, "fail", extra);
            let function = open(options, accumulate(), 0, 1).await;
            let first = function.predict(&reading(1)).await.unwrap();
            let id = first.sequence_id.clone().unwrap();
            end(&endpoint, &id).await;
            let lost = function.predict(&reading(2)).await.unwrap();
            assert_eq!(lost.sequence_id.as_deref(), Some(&*id));
            let null = [reading(0)[0].clone(), Value::Null];
            let null = function.predict(&null).await.unwrap();
            let next = function.predict(&reading(4)).await.unwrap();
            let next_id = next.sequence_id.clone().unwrap();
            let shown = all_shown([first, lost, null, next].map(Ok))
                .replace(&endpoint, "http://server")
                .replace(&id, "ID-1")
                .replace(&next_id, "ID-2");
            match extra {
                COLUMN => insta::allow_duplicates! {
                    insta::assert_snapshot!(shown, @"
                    1 | false | answered | - | 200 | ID-1
                    - | false | failed | subtask 0 of 1, attempt 0, key 'a', sequence 'ID-1', its row 1: the server no longer knows the sequence, so the row was not answered: infer with model 'accumulate' at http://server/: status 400: inference request for sequence ID-1 to model 'accumulate' must specify the START flag on the first request of the sequence | 400 | ID-1
                    - | false | failed | subtask 0 of 1, attempt 0, key 'a': column 'value': expected INT, found NULL | - | -
                    4 | true | answered | - | 200 | ID-2
                    ");
                },
                _ => insta::allow_duplicates! {
                    insta::assert_snapshot!(shown, @"
                    1 | false | answered | - | 200 | ID-1
                    -1 | false | defaulted | subtask 0 of 1, attempt 0, key 'a', sequence 'ID-1', its row 1: the server no longer knows the sequence, so the row was not answered: infer with model 'accumulate' at http://server/: status 400: inference request for sequence ID-1 to model 'accumulate' must specify the START flag on the first request of the sequence | 400 | ID-1
                    -1 | false | defaulted | subtask 0 of 1, attempt 0, key 'a': column 'value': expected INT, found NULL | - | -
                    4 | true | answered | - | 200 | ID-2
                    ");
                },
            }
        }
    }
}

// Holds F56, F58.
#[tokio::test]
async fn rows_of_keys_fail_alike_in_sinks_and_record_batches_on_both_servers() {
    let server = EmbeddedTriton::start().unwrap();
    for endpoint in [server.endpoint(), live_endpoint()] {
        let values = [Some(1), None, Some(3)];
        let function = open(keyed(&endpoint, "fail", COLUMN), accumulate(), 0, 1).await;
        let (sender, mut answers) = unbounded_channel();
        let sink: Arc<dyn AnswerSink> = Arc::new(sender);
        for (number, value) in (0..).zip(values) {
            let value = value.map_or(Value::Null, Value::Integer);
            function.submit_to(number, &[Value::String("sunk".to_owned()), value], &sink);
        }
        let mut from_sink = Vec::new();
        while from_sink.len() < values.len() {
            let group = answers.recv().await.unwrap();
            from_sink.extend(group.into_iter().map(|answer| answer.result.unwrap()));
        }
        let sums: Vec<_> = from_sink.iter().map(|it| shown(&it.row[..3])).collect();
        assert_eq!(sums, EXPECTED);

        let sensors: ArrayRef = Arc::new(StringArray::from(vec!["batch"; 3]));
        let values: ArrayRef = Arc::new(Int32Array::from(values.to_vec()));
        let batch = RecordBatch::try_from_iter([("sensor", sensors), ("value", values)]).unwrap();
        let answered = function.predict_batch(&batch).await.unwrap();
        assert!(answered.failures.is_empty());
        let sums = (0..3).map(|index| {
            let columns = accumulate().outputs.into_iter().take(3).zip(0..);
            let values = columns.map(|(column, place)| {
                let array = answered.outputs.column(place);
                Value::from_arrow(&column.data_type, array, index).unwrap()
            });
            shown(&values.collect::<Vec<_>>())
        });
        assert_eq!(sums.collect::<Vec<_>>(), EXPECTED);
    }
}

/// The sum, whether the sequence was restarted, and the status, where the second of three rows is bad.
const EXPECTED: [&str; 3] = [
    "1 | false | answered",
    "- | false | failed",
    "4 | false | answered",
];

// Holds F58.
#[tokio::test]
async fn a_request_that_fails_fails_its_rows_of_a_record_batch_in_columns() {
    // Neither the request nor its halves are answered.
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(0).rate(1.0, failed(500)))
        .start()
        .unwrap();
    let endpoint = server.endpoint();
    let function = open(options(&endpoint, "echo", &[COLUMN]), echo(), 0, 1).await;
    let values: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0]));
    let batch = RecordBatch::try_from_iter([("value", values)]).unwrap();
    let failed = function.predict_batch(&batch).await.unwrap();
    assert!(failed.failures.is_empty());
    let nulls = failed
        .outputs
        .columns()
        .iter()
        .map(|array| array.null_count());
    assert_eq!(nulls.collect::<Vec<_>>(), [0, 2, 0, 0, 2]);
    let statuses = failed.outputs.column(3).as_primitive::<Int32Type>();
    assert_eq!(statuses.values(), &[500, 500]);
}

/// Has outputs of the names that the function would fill in.
struct Telling;

impl Model for Telling {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("telling")
            .max_batch_size(4)
            .input("value", TensorType::Fp32, [1])
            .output("prediction_status", TensorType::Fp32, [1])
            .output("sequence_id", TensorType::Fp32, [1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let input = request.input("value")?;
        let values = input.values::<f32>()?;
        let output = |name| Tensor::new(name, input.shape.clone(), values.to_vec());
        Ok(vec![output("prediction_status"), output("sequence_id")])
    }
}

// Holds F54.
#[tokio::test]
async fn an_output_of_the_model_wins() {
    let server = EmbeddedTriton::builder().model(Telling).start().unwrap();
    let status = ("prediction_status", DataType::Float);
    let value = ("value", DataType::Float);
    let telling = |extra: &[(&str, &str)]| options(&server.endpoint(), "telling", extra);
    let columns = schema(slice::from_ref(&value), &[status.clone(), ERROR]);
    let function = open(telling(&[COLUMN]), columns, 0, 1).await;
    let answered = function.predict(&[Value::Float(2.0)]).await.unwrap();
    assert_eq!(answered.row, [Value::Float(2.0), Value::Null]);

    let columns = schema(slice::from_ref(&value), &[status]);
    insta::assert_snapshot!(not_opened(telling(&[COLUMN]), columns).await, @"subtask 0 of 1, attempt 0: option 'on-error' is 'column', but nothing would say which rows failed, because the model itself has an output 'prediction_status': add 'prediction_error STRING'");

    // The model's output can have another name, too.
    let named = [COLUMN, ("output-names", "said:prediction_status")];
    let columns = schema(&[value], &[("said", DataType::Float), ID, ERROR]);
    insta::assert_snapshot!(not_opened(telling(&named), columns).await, @"subtask 0 of 1, attempt 0: model 'telling' does not fit the schema and options: output column 'sequence_id' is STRING, which needs BYTES of one element; the model's is FP32 [1]");
}

async fn not_opened(options: TritonOptions, schema: Schema) -> Error {
    let function = InferenceFunction::new(options, schema).unwrap();
    let opened = function.open(Subtask::new(0, 1, 0).unwrap()).await;
    opened.unwrap_err()
}

// Holds F57.
#[tokio::test]
async fn failures_that_nothing_would_tell_are_refused() {
    let server = EmbeddedTriton::start().unwrap();
    let echo = |columns: &[(&str, DataType)]| schema(&[("value", DataType::Float)], columns);
    let column = || options(&server.endpoint(), "echo", &[COLUMN]);
    let value = ("echo", DataType::Float);
    let silent = InferenceFunction::new(column(), echo(&[value.clone(), HTTP, ID]));
    insta::assert_snapshot!(silent.unwrap_err(), @"option 'on-error' is 'column', but no output column says which rows failed: add 'prediction_status STRING' or 'prediction_error STRING'");
    let wrong = [
        value,
        ("prediction_status", DataType::Boolean),
        ("prediction_http_status", DataType::SmallInt),
    ];
    insta::assert_snapshot!(not_opened(column(), echo(&wrong)).await, @"subtask 0 of 1, attempt 0: output column 'prediction_status' is BOOLEAN, but the function fills it in and needs STRING: the model has no output of that name; output column 'prediction_http_status' is SMALLINT, but the function fills it in and needs INT or BIGINT: the model has no output of that name");
    insta::assert_snapshot!(not_opened(column(), echo(&[STATUS])).await, @"subtask 0 of 1, attempt 0: OUTPUT has no column of the model: name at least one tensor");
}

// Holds F58.
#[tokio::test]
async fn a_status_holds_the_error_with_its_source() {
    let faults = FaultScript::new(0).rate(1.0, failed(500));
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(faults)
        .start()
        .unwrap();
    let default = [("default-value", "0")];
    let options = options(&server.endpoint(), "echo", &default);
    let function = open(options, crate::echo_schema(), 0, 1).await;
    let defaulted = function.predict(&[Value::Float(1.0)]).await.unwrap();
    assert_eq!(defaulted.row, [Value::Float(0.0)]);
    let PredictionStatus::Defaulted(error) = &defaulted.status else {
        panic!("{:?}", defaulted.status);
    };
    assert_eq!(error.client_error().unwrap().status(), Some(500));
    assert_eq!(defaulted.status.name(), "defaulted");
    assert_eq!(defaulted.status.http_status(), Some(500));
}

/// Answers three numbers for a row and a text that is none where the value is 7; fails at negative
/// ones.
struct Mixed;

impl Model for Mixed {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("mixed")
            .max_batch_size(8)
            .input("value", TensorType::Fp32, [1])
            .output("three", TensorType::Fp32, [3])
            .output("text", TensorType::Bytes, [1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let input = request.input("value")?;
        let values = input.values::<f32>()?;
        if values.iter().any(|value| *value < 0.0) {
            return Err(ModelError::new("negative"));
        }
        let rows = values.len();
        let numbers: Vec<f32> = values.iter().flat_map(|value| [*value; 3]).collect();
        let texts: Vec<Vec<u8>> = values
            .iter()
            .map(|value| match *value == 7.0 {
                true => vec![0xff],
                false => value.to_string().into_bytes(),
            })
            .collect();
        Ok(vec![
            Tensor::new("three", vec![rows, 3], numbers),
            Tensor::new("text", vec![rows, 1], texts),
        ])
    }
}

fn mixed() -> Schema {
    let outputs = [
        ERROR,
        ("text", DataType::String),
        HTTP,
        ("three", crate::array(DataType::Float)),
        STATUS,
        ID,
    ];
    schema(&[("value", DataType::Float)], &outputs)
}

// Holds F5, F58.
#[tokio::test]
async fn columns_of_a_record_batch_stand_where_the_schema_says_and_no_row_fails_for_another() {
    let server = EmbeddedTriton::builder().model(Mixed).start().unwrap();
    let options = |extra: &[(&str, &str)]| options(&server.endpoint(), "mixed", extra);
    let function = open(options(&[COLUMN]), mixed(), 0, 1).await;
    let mut rows = Vec::new();
    for values in [
        vec![],
        vec![Some(-1.0), None],
        vec![Some(1.0), Some(7.0), Some(2.0)],
    ] {
        let count = values.len();
        let values: ArrayRef = Arc::new(Float32Array::from(values));
        let batch = RecordBatch::try_from_iter([("value", values)]).unwrap();
        let answered = function.predict_batch(&batch).await.unwrap();
        assert!(answered.failures.is_empty());
        insta::allow_duplicates! {
            let schema = answered.outputs.schema();
            let types = schema.fields().iter().map(|it| it.data_type().to_string());
            insta::assert_snapshot!(types.collect::<Vec<_>>().join(", "), @"Utf8, Utf8, Int32, FixedSizeList(3 x Float32), Utf8, Utf8");
        }
        rows.extend((0..count).map(|index| {
            let columns = answered.outputs.columns().iter().zip(mixed().outputs);
            let values = columns
                .map(|(array, column)| Value::from_arrow(&column.data_type, array, index).unwrap());
            shown(&values.collect::<Vec<_>>())
        }));
    }
    let shown_rows = rows.join("\n").replace(&server.endpoint(), "http://server");
    insta::assert_snapshot!(shown_rows, @"
    subtask 0 of 1, attempt 0: the row was not answered: infer with model 'mixed' at http://server/: status 500: negative | - | 500 | - | failed | -
    subtask 0 of 1, attempt 0: column 'value': expected FLOAT, found NULL | - | - | - | failed | -
    - | 1 | 200 | Array([Float(1.0), Float(1.0), Float(1.0)]) | answered | -
    subtask 0 of 1, attempt 0: output 'text': element 0 is not UTF-8, which a STRING must be; make the column BYTES | - | 200 | - | failed | -
    - | 2 | 200 | Array([Float(2.0), Float(2.0), Float(2.0)]) | answered | -
    ");

    let function = open(options(&[COLUMN, ("batch-size", "4")]), mixed(), 0, 1).await;
    let answers = [1.0, 7.0, 2.0, 3.0].map(|value| function.submit(&[Value::Float(value)]));
    let mut statuses = Vec::new();
    for answer in answers {
        statuses.push(answer.await.unwrap().status.name());
    }
    assert_eq!(statuses, ["answered", "failed", "answered", "answered"]);
}

// Holds F36.
#[tokio::test]
async fn a_row_of_a_batch_that_is_given_up_is_not_counted_again() {
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let delay = Fault::Delay {
        time: std::time::Duration::from_millis(200),
    };
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(0).rate(1.0, delay))
        .start()
        .unwrap();
    let batch = [COLUMN, ("batch-size", "2")];
    let function = open(options(&server.endpoint(), "echo", &batch), echo(), 0, 1).await;
    let kept = function.submit(&[Value::Float(1.0)]);
    let given_up = function.submit(&[Value::Float(2.0)]);
    // By then the request has left.
    let wait = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(wait, given_up).await.is_err());
    let late = Error::new(ErrorKind::Call, "it took too long");
    let late = function.conclude_unusable(late).unwrap();
    assert_eq!(late.status.name(), "failed");
    kept.await.unwrap();
    drop(guard);
    insta::assert_snapshot!(crate::monitoring::counted(&snapshots, "triton_function_rows_total"), @"
    triton_function_rows_total{model=echo,subtask=0,result=answered} 1
    triton_function_rows_total{model=echo,subtask=0,result=default} 0
    triton_function_rows_total{model=echo,subtask=0,result=failed} 1
    ");
}
