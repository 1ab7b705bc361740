//! Record batches in and out.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Int32Type, Int64Type};
use arrow_array::{
    Array as _, ArrayRef, FixedSizeListArray, Float32Array, Int32Array, ListArray, RecordBatch,
    StringArray,
};
use arrow_schema::{DataType as ArrowType, Field};
use triton_model_fn::{DataType, ErrorKind};
use triton_test_support::{EmbeddedTriton, on_both_servers, on_other_servers};

use crate::{AUTO_INCREMENT, accumulate_schema, array, echo_schema, open, options, schema};

on_both_servers!(
    numbers_come_back_in_order,
    lists_of_fixed_and_of_varying_size,
    stateful_models_get_a_row_at_a_time,
);

on_other_servers!(requests_have_as_many_rows_as_an_option_says);

fn batch(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).unwrap()
}

async fn numbers_come_back_in_order(endpoint: &str) {
    let function = open(options(endpoint, "echo", &[]), echo_schema(), 0, 1).await;
    let values: Vec<f32> = (0_u16..1000).map(f32::from).collect();
    // A slice begins within the memory of its array.
    let column = Float32Array::from(values.clone()).slice(3, 900);
    let prediction = function
        .predict_batch(&batch("value", Arc::new(column)))
        .await
        .unwrap();
    assert!(prediction.failures.is_empty());
    let echo = prediction.outputs.column_by_name("echo").unwrap();
    assert_eq!(echo.as_primitive::<Float32Type>().values(), &values[3..903]);
    let empty = batch("value", Arc::new(Float32Array::from(Vec::<f32>::new())));
    assert_eq!(
        function
            .predict_batch(&empty)
            .await
            .unwrap()
            .outputs
            .num_rows(),
        0
    );
}

async fn lists_of_fixed_and_of_varying_size(endpoint: &str) {
    let arrays = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    let function = open(options(endpoint, "echo", &[]), arrays, 0, 1).await;
    let numbers: ArrayRef = Arc::new(Float32Array::from_iter_values((0_u16..300).map(f32::from)));
    let item = Arc::new(Field::new("item", ArrowType::Float32, true));
    let fixed = FixedSizeListArray::new(Arc::clone(&item), 3, Arc::clone(&numbers), None);
    let fixed = batch("value", Arc::new(fixed.slice(10, 80)));
    let prediction = function.predict_batch(&fixed).await.unwrap();
    let lists = prediction.outputs.column(0).as_list::<i32>();
    assert_eq!((lists.len(), lists.value(0).len()), (80, 3));
    let first = lists.value(0);
    assert_eq!(
        first.as_primitive::<Float32Type>().values(),
        &[30.0, 31.0, 32.0]
    );

    let varying = ListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(1.0), Some(2.0)]),
        Some(vec![Some(3.0)]),
        None,
        Some(vec![Some(4.0), None]),
        Some(vec![Some(5.0), Some(6.0)]),
    ]);
    let varying = batch("value", Arc::new(varying));
    let prediction = function.predict_batch(&varying).await.unwrap();
    let failed: Vec<_> = prediction
        .failures
        .iter()
        .map(|(row, error)| (*row, error.kind()))
        .collect();
    assert_eq!(
        failed,
        [(2, ErrorKind::NullInput), (3, ErrorKind::NullInput)]
    );
    let lists = prediction.outputs.column(0).as_list::<i32>();
    assert!(lists.is_null(2) && lists.is_null(3));
    assert_eq!(
        lists.value(4).as_primitive::<Float32Type>().values(),
        &[5.0, 6.0]
    );
}

// Holds F6.
async fn stateful_models_get_a_row_at_a_time(endpoint: &str) {
    let options = options(endpoint, "accumulate", &AUTO_INCREMENT);
    let function = open(options, accumulate_schema(), 0, 1).await;
    let values = batch("value", Arc::new(Int32Array::from_iter_values(0..50)));
    let prediction = function.predict_batch(&values).await.unwrap();
    assert!(prediction.failures.is_empty());
    let sums = prediction
        .outputs
        .column_by_name("sum")
        .unwrap()
        .as_primitive::<Int32Type>();
    assert!(sums.values().iter().copied().eq(0..50));
    let ids: &StringArray = prediction
        .outputs
        .column_by_name("correlation_id")
        .unwrap()
        .as_string();
    let expected = (0..50).map(|counter| format!("flink-job-123-0-{counter}"));
    assert!(ids.iter().map(Option::unwrap).eq(expected));
}

// Holds S1.
#[tokio::test]
async fn a_static_sequence_sees_the_rows_in_order() {
    let server = EmbeddedTriton::start().unwrap();
    let schema = schema(
        &[("value", DataType::Integer)],
        &[("sum", DataType::Integer)],
    );
    let id = ("sequence-id", "in-order");
    let starting = options(
        &server.endpoint(),
        "accumulate",
        &[id, ("sequence-start", "true")],
    );
    let starting = open(starting, schema.clone(), 0, 1).await;
    let one = batch("value", Arc::new(Int32Array::from(vec![0])));
    assert!(
        starting
            .predict_batch(&one)
            .await
            .unwrap()
            .failures
            .is_empty()
    );
    let function = open(
        options(&server.endpoint(), "accumulate", &[id]),
        schema,
        0,
        1,
    )
    .await;
    let values = batch("value", Arc::new(Int32Array::from_iter_values(1..100)));
    let prediction = function.predict_batch(&values).await.unwrap();
    let expected = (1..100).scan(0, |sum, value| {
        *sum += value;
        Some(*sum)
    });
    let sums = prediction.outputs.column(0).as_primitive::<Int32Type>();
    assert!(sums.values().iter().copied().eq(expected));
}

#[tokio::test]
async fn a_batch_fills_requests_whatever_batch_size_says() {
    let server = EmbeddedTriton::start().unwrap();
    let function = open(
        options(&server.endpoint(), "echo", &[]),
        echo_schema(),
        0,
        1,
    )
    .await;
    let values = batch(
        "value",
        Arc::new(Float32Array::from_iter_values((0_u16..200).map(f32::from))),
    );
    function.predict_batch(&values).await.unwrap();
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_batch_that_lacks_a_column_or_has_it_in_another_type_is_refused() {
    let server = EmbeddedTriton::start().unwrap();
    let function = open(
        options(&server.endpoint(), "echo", &[]),
        echo_schema(),
        0,
        1,
    )
    .await;
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let missing = function
        .predict_batch(&batch("vale", Arc::clone(&values)))
        .await
        .unwrap_err();
    insta::assert_snapshot!(missing, @"subtask 0 of 1, attempt 0: the record batch has no column 'value'; it has: vale");
    let other = function
        .predict_batch(&batch("value", values))
        .await
        .unwrap_err();
    insta::assert_snapshot!(other, @"subtask 0 of 1, attempt 0: column 'value': expected FLOAT, found an Arrow array of Int32");
}

async fn requests_have_as_many_rows_as_an_option_says(endpoint: &str) {
    let column = |values: Vec<f32>| Arc::new(Float32Array::from(values)) as ArrayRef;
    let (x, y) = (vec![0.0, 1.0, 2.0, 3.0, 4.0], vec![0.5; 5]);
    let batch = RecordBatch::try_from_iter([("x", column(x)), ("y", column(y))]).unwrap();
    for (extra, expected) in [
        (&[][..], [1, 1, 1, 1, 1]),
        (&[("model-max-batch-size", "3")], [3, 3, 3, 2, 2]),
    ] {
        for model in ["sums", "bare"] {
            let function = open(
                options(endpoint, model, extra),
                crate::other_servers::sums(),
                0,
                1,
            )
            .await;
            let prediction = function.predict_batch(&batch).await.unwrap();
            assert!(prediction.failures.is_empty());
            let columns = prediction.outputs.columns();
            let sums = columns[0].as_primitive::<Float32Type>();
            assert_eq!(sums.values(), &[0.5, 1.5, 2.5, 3.5, 4.5]);
            let rows = columns[1].as_primitive::<Int64Type>();
            assert_eq!(rows.values(), &expected);
        }
    }
}
