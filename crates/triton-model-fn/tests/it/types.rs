//! Names, shapes and defaults between a row and a model.

use triton_embedded::{
    DataType as TensorType, Model, ModelConfig, ModelError, ModelRequest, Tensor,
};
use triton_model_fn::{
    Column, DataType, ErrorKind, InferenceFunction, ModelFunction as _, Subtask, Value,
};
use triton_test_support::EmbeddedTriton;

use crate::{accumulate_schema, array, echo_schema, open, options, schema};

#[tokio::test]
async fn columns_may_have_other_names_than_tensors() {
    let server = EmbeddedTriton::start().unwrap();
    let names = [
        ("input-names", "speed:value"),
        ("output-names", "same:echo"),
    ];
    let renamed = schema(&[("speed", DataType::Float)], &[("same", DataType::Float)]);
    let function = open(options(&server.endpoint(), "echo", &names), renamed, 0, 1).await;
    let prediction = function.predict(&[Value::Float(2.5)]).await.unwrap();
    assert_eq!(prediction.row, [Value::Float(2.5)]);
    let error = function.predict(&[Value::Double(2.5)]).await.unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'speed': expected FLOAT, found a DOUBLE");
}

#[tokio::test]
async fn names_that_fit_nothing_are_refused() {
    let server = EmbeddedTriton::start().unwrap();
    let names = [
        ("input-names", "value:INPUT,spede:value"),
        ("output-names", "echo:OUT"),
    ];
    let function =
        InferenceFunction::new(options(&server.endpoint(), "echo", &names), echo_schema()).unwrap();
    let error = function
        .open(Subtask::new(0, 1, 0).unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: model 'echo' does not fit the schema and options: option 'input-names' names the column 'spede', which is no input column; input column 'value' (tensor 'INPUT') is no input of the model, which has: value; output column 'echo' (tensor 'OUT') is no output of the model, which has: echo; the model's input 'value' (FP32 [-1, -1]) has no column");
}

/// Adds two vectors of three numbers, without a batch dimension.
struct Add;

impl Model for Add {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("add")
            .input("left", TensorType::Int64, [3])
            .optional_input("right", TensorType::Int64, [3])
            .output("sum", TensorType::Int64, [3])
            .output("count", TensorType::Uint8, [1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let left = request.values::<i64>("left")?;
        let right = match request.values::<i64>("right") {
            Ok(right) => right.to_vec(),
            Err(_) => vec![0; 3],
        };
        let sum: Vec<i64> = left
            .iter()
            .zip(right)
            .map(|(left, right)| left + right)
            .collect();
        Ok(vec![
            Tensor::new("sum", [3], sum),
            Tensor::new("count", [1], vec![3_u8]),
        ])
    }
}

fn numbers(numbers: &[i64]) -> Value {
    Value::Array(numbers.iter().copied().map(Value::BigInt).collect())
}

#[tokio::test]
async fn several_columns_each_way_and_an_optional_input() {
    let server = EmbeddedTriton::builder().model(Add).start().unwrap();
    let outputs = [
        ("count", DataType::UnsignedTinyInt),
        ("sum", array(DataType::BigInt)),
    ];
    let left = ("left", array(DataType::BigInt));
    let both = schema(
        &[("right", array(DataType::BigInt)), left.clone()],
        &outputs,
    );
    let add = options(&server.endpoint(), "add", &[]);
    let function = open(add.clone(), both, 0, 1).await;
    let row = [numbers(&[1, 2, 3]), numbers(&[i64::MAX - 1, 0, -3])];
    let answer = function.predict(&row).await.unwrap().row;
    assert_eq!(
        answer,
        [Value::UnsignedTinyInt(3), numbers(&[i64::MAX, 2, 0])]
    );

    let function = open(add, schema(&[left], &outputs), 0, 1).await;
    let answer = function.predict(&[numbers(&[1, 2, 3])]).await.unwrap().row;
    assert_eq!(answer[1], numbers(&[1, 2, 3]));
    let error = function.predict(&[numbers(&[1, 2])]).await.unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'left': the model takes shape [3], found [2]");
}

#[tokio::test]
async fn a_leading_dimension_of_one_is_dropped_where_asked_for() {
    let server = EmbeddedTriton::builder().model(Add).start().unwrap();
    let nested = schema(
        &[("left", array(array(DataType::BigInt)))],
        &[("sum", array(DataType::BigInt))],
    );
    let flatten = [("flatten-batch-dim", "true")];
    let function = open(
        options(&server.endpoint(), "add", &flatten),
        nested.clone(),
        0,
        1,
    )
    .await;
    let one = Value::Array(vec![numbers(&[1, 2, 3])].into());
    assert_eq!(
        function.predict(&[one]).await.unwrap().row,
        [numbers(&[1, 2, 3])]
    );
    let two = Value::Array(vec![numbers(&[1, 2, 3]), numbers(&[1, 2, 3])].into());
    assert_eq!(
        function.predict(&[two]).await.unwrap_err().kind(),
        ErrorKind::Input
    );

    let function = InferenceFunction::new(options(&server.endpoint(), "add", &[]), nested).unwrap();
    let error = function
        .open(Subtask::new(0, 1, 0).unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
}

// Holds F2, F17.
#[tokio::test]
async fn a_bad_row_gets_the_default_where_there_is_one() {
    let server = EmbeddedTriton::start().unwrap();
    let default = [("default-value", "-1")];
    let function = open(
        options(&server.endpoint(), "echo", &default),
        echo_schema(),
        0,
        1,
    )
    .await;
    let row = function.predict(&[Value::Null]).await.unwrap().row;
    assert_eq!(row, [Value::Float(-1.0)]);
    // So does a value of another type.
    let row = function.predict(&[Value::Integer(1)]).await.unwrap().row;
    assert_eq!(row, [Value::Float(-1.0)]);
    assert!(server.requests().is_empty());
}

// Holds F17.
#[tokio::test]
async fn a_failed_call_gets_the_default() {
    let server = EmbeddedTriton::start().unwrap();
    let default = [
        ("sequence-id", "never-started"),
        ("sequence-start", "false"),
        ("default-value", r#"{"sum": 0, "correlation_id": null}"#),
    ];
    let options = options(&server.endpoint(), "accumulate", &default);
    let function = open(options, accumulate_schema(), 0, 1).await;
    let prediction = function.predict(&[Value::Integer(1)]).await.unwrap();
    assert_eq!(prediction.row, [Value::Integer(0), Value::Null]);
    assert_eq!(prediction.sequence_id.as_deref(), Some("never-started"));
}

#[tokio::test]
async fn a_default_that_does_not_fit_is_refused_as_soon_as_its_columns_are_known() {
    let server = EmbeddedTriton::start().unwrap();
    let default = [("default-value", "none")];
    let options = options(&server.endpoint(), "echo", &default);
    let error = InferenceFunction::new(options.clone(), echo_schema()).unwrap_err();
    insta::assert_snapshot!(error, @"option 'default-value': expected FLOAT for the output column 'echo', found 'none'");

    // The model could have an output of this name.
    let mut schema = echo_schema();
    let status = Column::new("prediction_status", DataType::String);
    schema.outputs.push(status);
    let function = InferenceFunction::new(options, schema).unwrap();
    let subtask = Subtask::new(0, 1, 0).unwrap();
    let error = function.open(subtask).await.unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: option 'default-value': expected FLOAT for the output column 'echo', found 'none'");
}
