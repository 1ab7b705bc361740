//! Rows that say which number they have and carry those before them, as the windows of an engine
//! give them: whatever becomes of functions and orders, each answer is that of the row's history.

use futures_util::future::join_all;
use triton_embedded::{EmbeddedTriton, Fault, FaultScript};
use triton_model_fn::{
    DataType, Error, ErrorKind, InferenceFunction, ModelFunction as _, Prediction, Schema, Subtask,
    Value,
};
use triton_options::TritonOptions;
use triton_test_support::live_endpoint;

use crate::keyed::{Place, Stateful, keyed_options, shuffled};
use crate::{array, schema};

const KEYS: u32 = 12;
const ROWS: u32 = 26;

/// A sequence ends after so many rows.
const LENGTH: u32 = 12;

const HISTORY: [(&str, &str); 4] = [
    ("sequence-recovery", "replay"),
    ("sequence-max-length", "12"),
    ("sequence-position-column", "n"),
    ("max-retries", "5"),
];

/// The model's schema with a column for the row's number and one for its history.
fn schema_of(model: Stateful) -> Schema {
    let mut schema = model.schema();
    let value = schema.inputs[1].data_type.clone();
    schema.inputs.extend([
        triton_model_fn::Column::new("n", DataType::BigInt),
        triton_model_fn::Column::new("history", array(value)),
    ]);
    schema
}

fn options_of(endpoint: &str, model: Stateful) -> TritonOptions {
    let value = &model.schema().inputs[1].name;
    let history = format!("{value}:history");
    let mut extra = HISTORY.to_vec();
    extra.push(("sequence-history-columns", &history));
    keyed_options(endpoint, model, &extra)
}

/// A row as a window over the last twelve rows of its key hands it over.
fn row_of(model: Stateful, place: Place) -> Vec<Value> {
    let mut row = model.row(place);
    let first = (place.row + 1).saturating_sub(LENGTH);
    let history = (first..=place.row).map(|row| model.row(Place { row, ..place }).remove(1));
    row.push(Value::BigInt(i64::from(place.row) + 1));
    row.push(Value::Array(history.collect()));
    row
}

async fn open(options: &TritonOptions, model: Stateful, attempt: u32) -> Vec<InferenceFunction> {
    let open = (0..2).map(async |index| {
        let function = InferenceFunction::new(options.clone(), schema_of(model)).unwrap();
        let function = function.for_engine_without_state();
        let subtask = Subtask::new(index, 2, attempt).unwrap();
        function.open(subtask).await.unwrap();
        function
    });
    join_all(open).await
}

fn check(model: Stateful, place: Place, answered: &Prediction) {
    let first = place.row - place.row % LENGTH;
    let numbers: Vec<i32> = (first..=place.row)
        .map(|row| model.number(Place { row, ..place }))
        .collect();
    let answer = model.answer(answered);
    let reference = model.reference(&numbers);
    assert!(
        model.agrees(answer, reference),
        "{place:?}: {answer} {reference}"
    );
    assert!(!answered.sequence_restarted, "{place:?}");
}

async fn failovers(endpoint: &str, model: Stateful) {
    let options = options_of(endpoint, model);
    let places = shuffled(KEYS, ROWS, 7);
    let mut random = fastrand::Rng::with_seed(11);
    let mut functions = open(&options, model, 0).await;
    for (part, places) in places.chunks(80).enumerate() {
        // In a random order, as rows come back that were in flight at a failover, and some twice.
        let mut places = places.to_vec();
        if part % 2 == 1 {
            random.shuffle(&mut places);
            places.extend_from_within(..20);
        }
        // Which subtask has a key is another one after each failover.
        let subtask = |place: &Place| (place.key as usize + part) % 2;
        let answers = places.iter().map(|place| {
            let row = row_of(model, *place);
            functions[subtask(place)].submit(&row)
        });
        for (place, answer) in places.iter().zip(join_all(answers).await) {
            check(model, *place, &answer.unwrap());
        }
        for function in &functions {
            function.close().await.unwrap();
        }
        functions = open(&options, model, part as u32 + 1).await;
    }
}

// Holds S40.
#[tokio::test]
async fn rows_that_carry_their_history_outlive_any_failover() {
    let embedded = EmbeddedTriton::builder().built_in_models().start().unwrap();
    for endpoint in [embedded.endpoint(), live_endpoint()] {
        for model in [Stateful::Accumulate, Stateful::Anomaly] {
            failovers(&endpoint, model).await;
        }
    }
}

/// Answers two keys whose rows tell where sequences end, with the history of that, too.
// Holds S39, S40.
#[tokio::test]
async fn ends_are_found_in_the_history() {
    let model = Stateful::Accumulate;
    let endpoint = live_endpoint();
    let options = keyed_options(
        &endpoint,
        model,
        &[
            ("sequence-recovery", "replay"),
            ("sequence-end-column", "last"),
            ("sequence-history-columns", "value:values,last:lasts"),
        ],
    );
    let schema = schema(
        &[
            ("sensor", DataType::String),
            ("value", DataType::Integer),
            ("last", DataType::Boolean),
            ("values", array(DataType::Integer)),
            ("lasts", array(DataType::Boolean)),
        ],
        &[("sum", DataType::Integer)],
    );
    let lasts = [false, false, true, false, true, false];
    let row = |number: usize| {
        let values = (1..=number).map(|value| Value::Integer(value as i32));
        let ends = lasts[..number].iter().map(|last| Value::Boolean(*last));
        vec![
            Value::String("a".to_owned()),
            Value::Integer(number as i32),
            Value::Boolean(lasts[number - 1]),
            Value::Array(values.collect()),
            Value::Array(ends.collect()),
        ]
    };
    // Each row goes to a function that has never seen any other.
    let mut sums = Vec::new();
    for number in 1..=lasts.len() {
        let function = InferenceFunction::new(options.clone(), schema.clone()).unwrap();
        function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
        sums.push(function.predict(&row(number)).await.unwrap().row);
        function.close().await.unwrap();
    }
    let expected = [1, 1 + 2, 1 + 2 + 3, 4, 4 + 5, 6];
    assert_eq!(sums, expected.map(|sum| vec![Value::Integer(sum)]));
}

/// Answers the last of some rows of one key, which carries the others.
async fn sum(function: &InferenceFunction, values: &[Option<i32>]) -> Value {
    let value = |value: &Option<i32>| value.map_or(Value::Null, Value::Integer);
    let row = [
        Value::String("a".to_owned()),
        values.last().map_or(Value::Null, value),
        Value::BigInt(values.len() as i64),
        Value::Array(values.iter().map(value).collect()),
    ];
    let mut answered = function.predict(&row).await.unwrap();
    assert!(!answered.sequence_restarted);
    answered.row.swap_remove(0)
}

/// Answers rows of one key, one after the other.
async fn sums(function: &InferenceFunction, values: &[Option<i32>]) -> Vec<Value> {
    let mut sums = Vec::new();
    for count in 1..=values.len() {
        sums.push(sum(function, &values[..count]).await);
    }
    sums
}

async fn open_with_default(server: &EmbeddedTriton) -> InferenceFunction {
    let model = Stateful::Accumulate;
    let mut extra = HISTORY.to_vec();
    extra.extend([
        ("sequence-history-columns", "value:history"),
        ("default-value", "{\"sum\": -1, \"correlation_id\": \"\"}"),
        ("max-retries", "0"),
    ]);
    let options = keyed_options(&server.endpoint(), model, &extra);
    let function = InferenceFunction::new(options, schema_of(model)).unwrap();
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    function
}

// Holds S41.
#[tokio::test]
async fn a_row_that_cannot_be_sent_is_no_part_of_a_history() {
    let server = EmbeddedTriton::builder().built_in_models().start().unwrap();
    let values = [None, Some(5), None, Some(7)];
    let expected = [-1, 5, -1, 12].map(Value::Integer);
    let function = open_with_default(&server).await;
    assert_eq!(sums(&function, &values).await, expected);
    // None of it was sent twice: rows without a value disturb nothing.
    let sent = server.requests().len();
    assert_eq!(sent, 2, "{:?}", server.requests());
    // Each row again, as after a failover: what comes before it is replayed.
    for count in 1..=values.len() {
        let function = open_with_default(&server).await;
        assert_eq!(sum(&function, &values[..count]).await, expected[count - 1]);
    }
}

// Holds S41.
#[tokio::test]
async fn a_row_that_failed_is_in_the_answers_of_those_that_carry_it() {
    let fault = || Fault::Status {
        status: 500,
        text: "out of memory".to_owned(),
    };
    // The second row fails, and so does the replay before its second attempt.
    let script = FaultScript::new(0).request(2, fault()).request(3, fault());
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(script)
        .start()
        .unwrap();
    let function = open_with_default(&server).await;
    let values = [1, 2, 3, 4].map(Some);
    let expected = [1, -1, 1 + 2 + 3, 1 + 2 + 3 + 4].map(Value::Integer);
    assert_eq!(sums(&function, &values).await, expected);
}

fn refused(extra: &[(&str, &str)], columns: &[(&str, DataType)]) -> String {
    let model = Stateful::Accumulate;
    let options = keyed_options("http://localhost:8000", model, extra);
    let mut schema = model.schema();
    let columns = columns
        .iter()
        .map(|(name, data_type)| triton_model_fn::Column::new(*name, data_type.clone()));
    schema.inputs.extend(columns);
    InferenceFunction::new(options, schema)
        .unwrap_err()
        .to_string()
}

#[test]
fn columns_that_cannot_be_what_they_are_to_be_are_refused() {
    let replay = ("sequence-recovery", "replay");
    let position = ("sequence-position-column", "n");
    let history = |names| ("sequence-history-columns", names);
    let integers = array(DataType::Integer);
    insta::assert_snapshot!(refused(&[position], &[]), @"option 'sequence-position-column' names the column 'n', which is no input column: there are sensor, value");
    insta::assert_snapshot!(refused(&[position], &[("n", DataType::Double)]), @"option 'sequence-position-column': column 'n' is DOUBLE, expected BIGINT or INT or SMALLINT");
    insta::assert_snapshot!(refused(&[replay, history("value:xs")], &[("xs", DataType::Integer)]), @"option 'sequence-history-columns': column 'xs' is INT, expected ARRAY<INT>, because it is to hold values of 'value'");
    insta::assert_snapshot!(refused(&[replay, history("sensor:xs")], &[("xs", array(DataType::String))]), @"option 'sequence-history-columns' names the column 'sensor', which is the same or known in every row of a key and has no history: leave it out");
    insta::assert_snapshot!(refused(&[replay, history("value:xs")], &[("xs", integers), ("y", DataType::Float)]), @"option 'sequence-history-columns' names no history of the column 'y': every input column that is no key needs one, such as 'y:ys' where 'ys' is ARRAY_AGG(y) over a window of the key");
}

#[tokio::test]
async fn a_window_that_is_not_what_it_should_be_is_named() {
    let server = EmbeddedTriton::builder().built_in_models().start().unwrap();
    let model = Stateful::Accumulate;
    let options = options_of(&server.endpoint(), model);
    let functions = open(&options, model, 0).await;
    let answer = async |position: Value, history: Value| -> Result<Prediction, Error> {
        let mut row = model.row(Place { key: 0, row: 0 });
        row.extend([position, history]);
        functions[0].predict(&row).await
    };
    let value = model.row(Place { key: 0, row: 0 }).remove(1);
    let refused = async |position: Value, history: &[Value]| {
        let error = answer(position, Value::Array(history.to_vec().into())).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    };
    let (one, other) = (Value::BigInt(1), Value::Integer(-5));
    insta::assert_snapshot!(refused(Value::BigInt(0), std::slice::from_ref(&value)).await, @"subtask 0 of 2, attempt 0: the column of option 'sequence-position-column': expected the number of the row in its key, from 1 on, found 0");
    insta::assert_snapshot!(refused(Value::Null, std::slice::from_ref(&value)).await, @"subtask 0 of 2, attempt 0: the column of option 'sequence-position-column': expected the number of the row in its key, from 1 on, found NULL");
    insta::assert_snapshot!(refused(one.clone(), &[]).await, @"subtask 0 of 2, attempt 0: column 'history' (option 'sequence-history-columns'): expected the values of the rows of the key so far, the last one that of this row; found no element: does its window end at the current row?");
    insta::assert_snapshot!(refused(one.clone(), &[value.clone(), other]).await, @"subtask 0 of 2, attempt 0: column 'history' (option 'sequence-history-columns'): expected the values of the rows of the key so far, the last one that of this row; its last element is another value: does its window end at the current row?");
    insta::assert_snapshot!(refused(one.clone(), &[value.clone(), value.clone()]).await, @"subtask 0 of 2, attempt 0: the column of option 'sequence-position-column' says that it is row 1 of its key, and its history has 1 rows before it: both must be of one window");
    let error = answer(one, Value::Null).await.unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 2, attempt 0: column 'history' (option 'sequence-history-columns'): expected the values of the rows of the key so far, the last one that of this row; found NULL: does its window end at the current row?");
}
