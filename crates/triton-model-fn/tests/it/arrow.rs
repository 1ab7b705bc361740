//! Record batches in and out.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Int8Type, Int32Type, Int64Type, UInt8Type};
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array,
    Int8Array, Int32Array, LargeListArray, LargeStringArray, ListArray, ListViewArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow_schema::{DataType as ArrowType, Field};
use triton_embedded::{
    DataType as TensorType, Model, ModelConfig, ModelError, ModelRequest, Tensor,
};
use triton_model_fn::{DataType, ErrorKind};
use triton_test_support::{EmbeddedTriton, on_both_servers, on_other_servers};

use crate::{AUTO_INCREMENT, accumulate_schema, array, echo_schema, open, options, schema};

on_both_servers!(
    numbers_come_back_in_order,
    lists_of_fixed_and_of_varying_size,
    every_kind_of_list_and_text_is_taken,
    rows_of_keys_are_answered_in_order,
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

// Holds S6.
async fn rows_of_keys_are_answered_in_order(endpoint: &str) {
    let keyed = [
        ("sequence-id", "of-batches"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "key"),
        ("sequence-end-column", "last"),
    ];
    let columns = schema(
        &[
            ("key", DataType::String),
            ("value", DataType::Integer),
            ("last", DataType::Boolean),
        ],
        &[("sum", DataType::Integer)],
    );
    let function = open(options(endpoint, "accumulate", &keyed), columns, 0, 1).await;
    let keys: DictionaryArray<Int8Type> = ["a", "b", "a", "b", "a", "a"].into_iter().collect();
    let last = [false, false, false, true, true, false].map(Some).to_vec();
    let batch = RecordBatch::try_from_iter([
        ("last", Arc::new(BooleanArray::from(last)) as ArrayRef),
        ("value", Arc::new(Int32Array::from_iter_values(1..7))),
        ("key", Arc::new(keys)),
    ]);
    let prediction = function.predict_batch(&batch.unwrap()).await.unwrap();
    assert!(prediction.failures.is_empty(), "{:?}", prediction.failures);
    let sums = prediction.outputs.column(0).as_primitive::<Int32Type>();
    assert_eq!(sums.values(), &[1, 2, 4, 6, 9, 6]);
}

// Holds F52.
async fn every_kind_of_list_and_text_is_taken(endpoint: &str) {
    let columns = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    let function = open(options(endpoint, "echo", &[]), columns, 0, 1).await;
    let lists = [
        Some(vec![Some(1.0), Some(2.0)]),
        None,
        Some(vec![Some(3.0)]),
    ];
    let of_lists = |array: ArrayRef| {
        let function = &function;
        async move {
            let prediction = function
                .predict_batch(&batch("value", array))
                .await
                .unwrap();
            let failed: Vec<usize> = prediction.failures.iter().map(|(row, _)| *row).collect();
            assert_eq!(failed, [1]);
            let lists = prediction.outputs.column(0).as_list::<i32>().clone();
            assert!(lists.is_null(1));
            let values = |row| {
                lists
                    .value(row)
                    .as_primitive::<Float32Type>()
                    .values()
                    .to_vec()
            };
            assert_eq!((values(0), values(2)), (vec![1.0, 2.0], vec![3.0]));
        }
    };
    let list = ListArray::from_iter_primitive::<Float32Type, _, _>(lists.clone());
    of_lists(Arc::new(list.clone())).await;
    of_lists(Arc::new(ListViewArray::from(list.clone()))).await;
    let large = LargeListArray::from_iter_primitive::<Float32Type, _, _>(lists);
    of_lists(Arc::new(large)).await;
    let keys = Int8Array::from(vec![Some(0), Some(1), Some(2)]);
    of_lists(Arc::new(DictionaryArray::new(keys, Arc::new(list)))).await;
}

/// Echoes texts, and how many bytes each has.
struct Words;

impl Model for Words {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("words")
            .max_batch_size(8)
            .input("word", TensorType::Bytes, [1])
            .output("echo", TensorType::Bytes, [1])
            .output("letters", TensorType::Uint8, [2])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let words = request.values::<Vec<u8>>("word")?.to_vec();
        let ends = |word: &Vec<u8>| [word.first(), word.last()].map(|it| *it.unwrap_or(&0));
        let letters: Vec<u8> = words.iter().flat_map(ends).collect();
        let count = words.len();
        Ok(vec![
            Tensor::new("echo", [count, 1], words),
            Tensor::new("letters", [count, 2], letters),
        ])
    }
}

// Holds F52.
#[tokio::test]
async fn texts_with_null_among_them_fill_requests() {
    let server = EmbeddedTriton::builder().model(Words).start().unwrap();
    let columns = schema(
        &[("word", DataType::String)],
        &[
            ("echo", DataType::String),
            ("letters", array(DataType::UnsignedTinyInt)),
        ],
    );
    let function = open(options(&server.endpoint(), "words", &[]), columns, 0, 1).await;
    let words: Vec<Option<String>> = (0..24)
        .map(|row| (row % 5 != 3).then(|| format!("{}:{row}", "x".repeat(row))))
        .collect();
    let dictionary: DictionaryArray<Int8Type> = words.iter().map(Option::as_deref).collect();
    let arrays: [ArrayRef; 4] = [
        Arc::new(StringArray::from(words.clone())),
        Arc::new(LargeStringArray::from(words.clone())),
        Arc::new(StringViewArray::from_iter(
            words.iter().map(Option::as_deref),
        )),
        Arc::new(dictionary),
    ];
    for (turn, array) in arrays.into_iter().enumerate() {
        let prediction = function.predict_batch(&batch("word", array)).await.unwrap();
        let failed: Vec<usize> = prediction.failures.iter().map(|(row, _)| *row).collect();
        assert_eq!(failed, [3, 8, 13, 18, 23]);
        let echo = prediction.outputs.column(0).as_string::<i32>();
        assert!(echo.iter().eq(words.iter().map(Option::as_deref)));
        // Where the model says how long its arrays are, so do the lists.
        let letters = prediction.outputs.column(1).as_fixed_size_list();
        assert_eq!(letters.value(4).as_primitive::<UInt8Type>().values(), b"x4");
        assert!(letters.is_null(3));
        // 19 rows, at most 8 in each request.
        assert_eq!(server.requests().len(), 3 * (turn + 1));
    }
}

// Holds F52.
#[tokio::test]
async fn one_null_or_lists_of_many_lengths_do_not_send_each_row_alone() {
    let server = EmbeddedTriton::start().unwrap();
    let numbers = open(
        options(&server.endpoint(), "echo", &[]),
        echo_schema(),
        0,
        1,
    )
    .await;
    let values = (0_u16..128).map(|row| (row != 77).then(|| f32::from(row)));
    let values: Vec<Option<f32>> = values.collect();
    let column = Arc::new(Float32Array::from(values.clone()));
    let prediction = numbers
        .predict_batch(&batch("value", column))
        .await
        .unwrap();
    assert_eq!(prediction.failures.len(), 1);
    let echo = prediction.outputs.column(0).as_primitive::<Float32Type>();
    assert!(echo.iter().eq(values));
    assert_eq!(server.requests().len(), 2);

    let columns = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    let lists = open(options(&server.endpoint(), "echo", &[]), columns, 0, 1).await;
    let rows = (0_u16..128).map(|row| {
        let length = 1 + usize::from(row) % 4;
        Some(vec![Some(f32::from(row)); length])
    });
    let column = ListArray::from_iter_primitive::<Float32Type, _, _>(rows.clone());
    let prediction = lists
        .predict_batch(&batch("value", Arc::new(column.clone())))
        .await;
    let outputs = prediction.unwrap().outputs;
    assert_eq!(outputs.column(0).as_list::<i32>(), &column);
    assert_eq!(server.requests().len(), 2 + 4);
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
