//! Record batches of every kind of array, and answers that are not as long as the model said.

use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray,
    Float32Array, Int8Array, LargeListArray, LargeListViewArray, ListArray, ListViewArray,
    NullArray, RecordBatch, StringArray, UInt8Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType as ArrowType, Field};
use metrics_util::debugging::DebuggingRecorder;
use triton_embedded::{
    DataType as TensorType, Model, ModelConfig, ModelError, ModelRequest, SequenceBatching, Tensor,
};
use triton_model_fn::{DataType, ErrorKind, InferenceFunction, ModelFunction as _, Value};
use triton_test_support::EmbeddedTriton;

use crate::monitoring::counted;
use crate::{array, open, options, schema};

/// Answers three numbers for a row, or more when the value is more; fails at negative ones.
struct Triple {
    stateful: bool,
}
impl Model for Triple {
    type State = ();
    fn config(&self) -> ModelConfig {
        let config = ModelConfig::new("triple")
            .max_batch_size(8)
            .input("value", TensorType::Fp32, [1])
            .output("three", TensorType::Fp32, [3]);
        match self.stateful {
            true => config.sequence_batching(SequenceBatching::default()),
            false => config,
        }
    }
    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let input = request.input("value")?;
        let values = input.values::<f32>()?;
        if values.iter().any(|value| *value < 0.0) {
            return Err(ModelError::new("negative"));
        }
        let longest = values.iter().copied().fold(3.0_f32, f32::max) as usize;
        let rows = values.len();
        let numbers: Vec<f32> = (0..rows * longest).map(|number| number as f32).collect();
        Ok(vec![Tensor::new("three", vec![rows, longest], numbers)])
    }
}

fn floats(values: &[f32]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Float32Array::from(values.to_vec()));
    RecordBatch::try_from_iter([("value", column)]).unwrap()
}

async fn triple(server: &EmbeddedTriton, extra: &[(&str, &str)]) -> InferenceFunction {
    let columns = schema(
        &[("value", DataType::Float)],
        &[("three", array(DataType::Float))],
    );
    open(options(&server.endpoint(), "triple", extra), columns, 0, 1).await
}

// Holds F17.
#[tokio::test]
async fn a_default_of_another_length_has_room() {
    let server = EmbeddedTriton::builder()
        .model(Triple { stateful: false })
        .start()
        .unwrap();
    let function = triple(&server, &[("default-value", "[0]")]).await;
    let row = function.predict(&[Value::Float(-1.0)]).await.unwrap();
    assert_eq!(row.status.name(), "defaulted");
    let prediction = function
        .predict_batch(&floats(&[1.0, -1.0, 2.0]))
        .await
        .unwrap();
    assert!(!prediction.outputs.column(0).is_null(0));
}

// Holds F52, S32.
#[tokio::test]
async fn a_row_whose_answer_has_another_length_is_no_part_of_its_sequence() {
    let server = EmbeddedTriton::builder()
        .model(Triple { stateful: true })
        .start()
        .unwrap();
    let columns = schema(
        &[("key", DataType::Integer), ("value", DataType::Float)],
        &[("three", array(DataType::Float))],
    );
    let sequences = [
        ("sequence-id", "x"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "key"),
        ("sequence-recovery", "replay"),
    ];
    let options = options(&server.endpoint(), "triple", &sequences);
    let function = open(options, columns, 0, 1).await;
    let batch = |values: &[f32]| {
        let keys: ArrayRef = Arc::new(arrow_array::Int32Array::from(vec![1; values.len()]));
        let values: ArrayRef = Arc::new(Float32Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("key", keys), ("value", values)]).unwrap()
    };
    let prediction = function
        .predict_batch(&batch(&[1.0, 5.0, 2.0]))
        .await
        .unwrap();
    assert_eq!(prediction.failures.len(), 1);
    assert_eq!(prediction.failures[0].0, 1);
    let error = function
        .predict(&[Value::Integer(1), Value::Float(6.0)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output, "{error}");
    let sent = server.requests();
    let times = |value: f32| {
        let bytes = value.to_le_bytes();
        let has = sent
            .iter()
            .filter(|it| it.body.windows(4).any(|part| part == bytes));
        has.count()
    };
    // What failed is not sent again with those that its sequence is recovered by.
    assert_eq!((times(5.0), times(6.0)), (1, 1));
}

/// Says of rows that they are so long, whatever the model was asked for.
struct Turned;
impl Model for Turned {
    type State = ();
    fn config(&self) -> ModelConfig {
        ModelConfig::new("turned")
            .max_batch_size(8)
            .input("value", TensorType::Fp32, [1])
            .output("table", TensorType::Fp32, [2, 3])
    }
    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let value = request.values::<f32>("value")?[0];
        let shape = match value {
            1.0 => vec![1, 2, 3],
            2.0 => vec![1, 3, 2],
            3.0 => vec![1, 6],
            _ => vec![1, 1, 2, 3],
        };
        Ok(vec![Tensor::new("table", shape, vec![0_f32; 6])])
    }
}

// Holds F50.
#[tokio::test]
async fn a_flat_array_is_not_taken_from_a_tensor_of_another_shape() {
    let server = EmbeddedTriton::builder().model(Turned).start().unwrap();
    let columns = schema(
        &[("value", DataType::Float)],
        &[("table", array(DataType::Float))],
    );
    let options = options(&server.endpoint(), "turned", &[]);
    let function = open(options, columns, 0, 1).await;
    for (value, is_right) in [(1.0, true), (2.0, false), (3.0, true), (4.0, false)] {
        let answer = function.predict(&[Value::Float(value)]).await;
        match answer {
            Ok(_) => assert!(is_right, "{value}"),
            Err(error) => assert!(!is_right && error.kind() == ErrorKind::Output, "{error}"),
        }
    }
}

// Holds F52.
#[tokio::test]
async fn an_answer_of_another_length_fails_its_row_alone() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let server = EmbeddedTriton::builder()
        .model(Triple { stateful: true })
        .start()
        .unwrap();
    let function = triple(
        &server,
        &[
            ("sequence-id", "x"),
            ("sequence-id-auto-increment", "true"),
            ("sequence-start", "true"),
            ("sequence-end", "true"),
        ],
    )
    .await;
    let prediction = function
        .predict_batch(&floats(&[1.0, 5.0, 2.0]))
        .await
        .unwrap();
    let [(1, failure)] = &prediction.failures[..] else {
        panic!("{:?}", prediction.failures);
    };
    insta::assert_snapshot!(failure, @"subtask 0 of 1, attempt 0, sequence 'x-0-1': output 'three': the model says that its shape is [3], found [5]");
    assert!(prediction.outputs.column(0).is_null(1));
    assert!(!prediction.outputs.column(0).is_null(0));
    drop(guard);
    insta::assert_snapshot!(counted(&snapshots, "triton_function_rows_total"), @"
    triton_function_rows_total{model=triple,subtask=0,result=answered} 2
    triton_function_rows_total{model=triple,subtask=0,result=default} 0
    triton_function_rows_total{model=triple,subtask=0,result=failed} 1
    ");
}

// Holds F52, F64.
#[tokio::test]
async fn an_answer_of_another_length_that_is_known_fails_its_rows_alone() {
    let server = EmbeddedTriton::builder()
        .model(Triple { stateful: false })
        .start()
        .unwrap();
    let function = triple(&server, &[("cache-max-bytes", "1 mb")]).await;
    // Each length is a request of its own.
    for values in [&[1.0][..], &[5.0, 5.0], &[1.0, 5.0, 1.0]] {
        let prediction = function.predict_batch(&floats(values)).await.unwrap();
        let failed: Vec<usize> = prediction.failures.iter().map(|(row, _)| *row).collect();
        let long = values.iter().enumerate();
        let long = long.filter_map(|(row, value)| (*value > 3.0).then_some(row));
        assert_eq!(failed, long.collect::<Vec<_>>());
        for (_, failure) in &prediction.failures {
            assert_eq!(failure.kind(), ErrorKind::Output);
        }
    }
}

/// Answers more than the metadata say.
struct Wide;
impl Model for Wide {
    type State = ();
    fn config(&self) -> ModelConfig {
        ModelConfig::new("wide")
            .max_batch_size(8)
            .input("value", TensorType::Fp32, [1])
            .output("six", TensorType::Fp32, [2, 3])
    }
    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let rows = request.input("value")?.shape[0];
        Ok(vec![Tensor::new(
            "six",
            vec![rows, 4, 4],
            vec![1.0_f32; rows * 16],
        )])
    }
}

// Holds F50.
#[tokio::test]
async fn a_flat_answer_has_as_many_elements_as_the_shape_holds() {
    let server = EmbeddedTriton::builder().model(Wide).start().unwrap();
    let columns = schema(
        &[("value", DataType::Float)],
        &[("six", array(DataType::Float))],
    );
    let function = open(options(&server.endpoint(), "wide", &[]), columns, 0, 1).await;
    let batch = function.predict_batch(&floats(&[1.0])).await.unwrap();
    assert_eq!(batch.failures.len(), 1);
    let answer = function.predict(&[Value::Float(1.0)]).await;
    assert!(answer.is_err(), "{answer:?}");
}

async fn same(model: &str, data_type: DataType, column: ArrayRef) {
    let server = EmbeddedTriton::builder().model(Matrix).start().unwrap();
    same_of(&server, model, data_type, column).await;
}

struct Matrix;
impl Model for Matrix {
    type State = ();
    fn config(&self) -> ModelConfig {
        ModelConfig::new("matrix")
            .max_batch_size(8)
            .input("value", TensorType::Fp32, [-1, -1])
            .output("echo", TensorType::Fp32, [-1, -1])
    }
    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let input = request.input("value")?;
        Ok(vec![Tensor::new(
            "echo",
            input.shape.clone(),
            input.values::<f32>()?.to_vec(),
        )])
    }
}

macro_rules! echoing {
    ($name:ident, $model:literal, $tensor:ident, $dims:expr) => {
        struct $name;
        impl Model for $name {
            type State = ();
            fn config(&self) -> ModelConfig {
                ModelConfig::new($model)
                    .max_batch_size(8)
                    .input("value", TensorType::$tensor, $dims)
                    .output("echo", TensorType::$tensor, $dims)
            }
            fn execute(
                &self,
                request: &ModelRequest,
                _: &mut (),
            ) -> Result<Vec<Tensor>, ModelError> {
                let mut tensor = request.input("value")?.clone();
                tensor.name = "echo".to_owned();
                Ok(vec![tensor])
            }
        }
    };
}
echoing!(Bools, "bools", Bool, [-1]);
echoing!(Bytes, "bytes", Bytes, [-1]);
echoing!(Fixed, "fixed", Fp32, [3]);
echoing!(Varying, "varying", Fp32, [-1]);
echoing!(Halves, "halves", Bf16, [-1]);
echoing!(Cube, "cube", Fp32, [2, -1]);
echoing!(Bytes2, "bytes2", Bytes, [2, 2]);

/// What a record batch answers is what its rows answer.
async fn same_of(server: &EmbeddedTriton, model: &str, data_type: DataType, column: ArrayRef) {
    let columns = schema(
        &[("value", data_type.clone())],
        &[("echo", data_type.clone())],
    );
    let function = open(options(&server.endpoint(), model, &[]), columns, 0, 1).await;
    let batch = RecordBatch::try_from_iter([("value", Arc::clone(&column))]).unwrap();
    let prediction = function.predict_batch(&batch).await.unwrap();
    assert_eq!(prediction.outputs.num_rows(), column.len());
    let out = prediction.outputs.column(0);
    let again = function.predict_batch(&batch.slice(0, 0)).await.unwrap();
    assert_eq!(again.outputs.schema(), prediction.outputs.schema());
    for index in 0..column.len() {
        let value = Value::from_arrow(&data_type, &column, index).unwrap();
        let expected = function.predict(std::slice::from_ref(&value)).await;
        let failed = prediction.failures.iter().find(|(row, _)| *row == index);
        match expected {
            Ok(answer) => {
                assert!(failed.is_none(), "{model} {index} {value:?} {failed:?}");
                let got = Value::from_arrow(&data_type, out, index).unwrap();
                assert_eq!(
                    format!("{got:?}"),
                    format!("{:?}", answer.row[0]),
                    "{index}"
                );
            }
            Err(error) => {
                let (_, found) = failed.expect("fails");
                assert_eq!(found.kind(), error.kind(), "{index} {found} {error}");
                assert_eq!(found.to_string(), error.to_string());
                assert!(out.is_null(index));
            }
        }
    }
}

// Holds F52.
#[tokio::test]
async fn lists_within_lists_are_what_their_rows_are() {
    let item = Arc::new(Field::new("item", ArrowType::Float32, true));
    let numbers: ArrayRef = Arc::new(Float32Array::from(
        (0..40)
            .map(|i| if i == 17 { None } else { Some(i as f32) })
            .collect::<Vec<_>>(),
    ));
    let inner = ListArray::new(
        Arc::clone(&item),
        OffsetBuffer::new(ScalarBuffer::from(vec![
            0, 2, 4, 4, 4, 5, 8, 8, 12, 16, 20, 22, 24,
        ])),
        Arc::clone(&numbers),
        Some(NullBuffer::from(vec![
            true, true, true, true, true, true, false, true, true, true, true, true,
        ])),
    );
    let outer_item = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let outer = ListArray::new(
        outer_item,
        OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 4, 4, 6, 7, 8, 10, 12])),
        Arc::new(inner),
        Some(NullBuffer::from(vec![
            true, true, true, true, true, true, true, false,
        ])),
    );
    same(
        "matrix",
        array(array(DataType::Float)),
        Arc::new(outer.clone()),
    )
    .await;
    same(
        "matrix",
        array(array(DataType::Float)),
        Arc::new(outer.slice(1, 6)),
    )
    .await;
    // Fixed within varying, and with nulls.
    let plain: ArrayRef = Arc::new(Float32Array::from_iter_values((0..24).map(|i| i as f32)));
    let fixed = FixedSizeListArray::new(
        Arc::clone(&item),
        2,
        Arc::clone(&plain),
        Some(NullBuffer::from(
            (0..12).map(|i| i != 3).collect::<Vec<_>>(),
        )),
    );
    let fixed_item = Arc::new(Field::new("item", fixed.data_type().clone(), true));
    let varying = ListArray::new(
        Arc::clone(&fixed_item),
        OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 4, 4, 6, 12])),
        Arc::new(fixed.clone()),
        None,
    );
    same(
        "matrix",
        array(array(DataType::Float)),
        Arc::new(varying.slice(1, 4)),
    )
    .await;
    let both = FixedSizeListArray::new(fixed_item, 3, Arc::new(fixed), None);
    same(
        "matrix",
        array(array(DataType::Float)),
        Arc::new(both.slice(1, 3)),
    )
    .await;
    let no = FixedSizeListArray::new(Arc::clone(&item), 2, Arc::clone(&plain), None);
    let no_item = Arc::new(Field::new("item", no.data_type().clone(), true));
    let no = FixedSizeListArray::new(
        no_item,
        3,
        Arc::new(no),
        Some(NullBuffer::from(vec![true, false, true, true])),
    );
    same(
        "matrix",
        array(array(DataType::Float)),
        Arc::new(no.slice(1, 3)),
    )
    .await;
    same(
        "matrix",
        array(array(DataType::Float)),
        Arc::new(no.slice(2, 2)),
    )
    .await;
    // Views, overlapping and out of order, of views.
    let views = ListViewArray::new(
        Arc::clone(&item),
        ScalarBuffer::from(vec![10, 0, 10, 4, 4, 4]),
        ScalarBuffer::from(vec![2, 2, 2, 2, 0, 0]),
        Arc::clone(&plain),
        None,
    );
    let views_item = Arc::new(Field::new("item", views.data_type().clone(), true));
    let views = LargeListViewArray::new(
        views_item,
        ScalarBuffer::from(vec![2_i64, 0, 1, 4, 5]),
        ScalarBuffer::from(vec![2_i64, 2, 3, 2, 0]),
        Arc::new(views),
        None,
    );
    same(
        "matrix",
        array(array(DataType::Float)),
        Arc::new(views.slice(1, 4)),
    )
    .await;
    same("matrix", array(array(DataType::Float)), Arc::new(views)).await;
}

// Holds F52.
#[tokio::test]
async fn other_columns_are_what_their_rows_are() {
    let server = EmbeddedTriton::builder()
        .model(Bools)
        .model(Bytes)
        .model(Fixed)
        .model(Halves)
        .model(Cube)
        .model(Bytes2)
        .start()
        .unwrap();
    let bool_item = Arc::new(Field::new("item", ArrowType::Boolean, true));
    let bools: ArrayRef = Arc::new(
        BooleanArray::from(
            (0..20)
                .map(|i| if i == 9 { None } else { Some(i % 3 == 0) })
                .collect::<Vec<_>>(),
        )
        .slice(3, 15),
    );
    let list = ListArray::new(
        Arc::clone(&bool_item),
        OffsetBuffer::new(ScalarBuffer::from(vec![1, 3, 5, 5, 8, 10, 12])),
        Arc::clone(&bools),
        None,
    );
    same_of(
        &server,
        "bools",
        array(DataType::Boolean),
        Arc::new(list.slice(1, 5)),
    )
    .await;
    same_of(
        &server,
        "bools",
        array(DataType::Boolean),
        Arc::new(FixedSizeListArray::new(bool_item, 3, bools, None).slice(1, 4)),
    )
    .await;
    // Byte strings of fixed size, within a dictionary with null values, in lists.
    let fsb = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        [Some([1_u8, 0]), None, Some([3, 255]), Some([0, 0])].into_iter(),
        2,
    )
    .unwrap();
    let keys = Int8Array::from(vec![Some(0), Some(1), None, Some(3), Some(2), Some(0)]);
    let dictionary: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(fsb)));
    let d_item = Arc::new(Field::new("item", dictionary.data_type().clone(), true));
    let list = LargeListArray::new(
        d_item,
        OffsetBuffer::new(ScalarBuffer::from(vec![0_i64, 1, 2, 3, 5, 5, 6])),
        dictionary,
        None,
    );
    same_of(
        &server,
        "bytes",
        array(DataType::Bytes),
        Arc::new(list.slice(1, 5)),
    )
    .await;
    // Lists within a dictionary.
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(1.0), Some(2.0), Some(3.0)]),
        None,
        Some(vec![Some(4.0), None, Some(5.0)]),
        Some(vec![Some(6.0)]),
    ]);
    let dictionary = DictionaryArray::new(
        UInt8Array::from(vec![Some(3), Some(0), Some(1), None, Some(2), Some(0)]),
        Arc::new(lists),
    );
    same_of(
        &server,
        "fixed",
        array(DataType::Float),
        Arc::new(dictionary.slice(1, 5)),
    )
    .await;
    same_of(
        &server,
        "fixed",
        array(DataType::Float),
        Arc::new(dictionary),
    )
    .await;
    // Brain floats.
    let halves = ListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(0.1), Some(f32::NAN), Some(f32::MAX)]),
        Some(vec![]),
        Some(vec![Some(f32::MIN_POSITIVE), Some(-0.0)]),
    ]);
    same_of(
        &server,
        "halves",
        array(DataType::BFloat16),
        Arc::new(halves),
    )
    .await;
    // A first dimension that is known, with rows of no elements.
    let item = Arc::new(Field::new("item", ArrowType::Float32, true));
    let plain: ArrayRef = Arc::new(Float32Array::from_iter_values((0..24).map(|i| i as f32)));
    let inner = ListArray::new(
        Arc::clone(&item),
        OffsetBuffer::new(ScalarBuffer::from(vec![0, 0, 0, 2, 4, 5, 6, 6])),
        plain,
        None,
    );
    let inner_item = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let outer = ListArray::new(
        inner_item,
        OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 4, 6, 7])),
        Arc::new(inner),
        None,
    );
    same_of(
        &server,
        "cube",
        array(array(DataType::Float)),
        Arc::new(outer),
    )
    .await;
    // Texts that lie flat in a shape.
    let texts = StringArray::from(vec!["a", "", "größe", "d", "e", "f", "g", "h", "i"]);
    let t_item = Arc::new(Field::new("item", ArrowType::Utf8, true));
    let flat = ListArray::new(
        t_item,
        OffsetBuffer::new(ScalarBuffer::from(vec![0, 4, 8, 9])),
        Arc::new(texts),
        None,
    );
    same_of(&server, "bytes2", array(DataType::String), Arc::new(flat)).await;
}

// Holds F52.
#[tokio::test]
async fn lists_of_no_elements_are_what_their_rows_are() {
    let server = EmbeddedTriton::builder()
        .model(Fixed)
        .model(Bools)
        .model(Halves)
        .model(Varying)
        .start()
        .unwrap();
    let item = Arc::new(Field::new("item", ArrowType::Float32, true));
    let none: ArrayRef = Arc::new(Float32Array::from(Vec::<f32>::new()));
    let zero = FixedSizeListArray::try_new_with_length(item, 0, none, None, 4).unwrap();
    same_of(
        &server,
        "varying",
        array(DataType::Float),
        Arc::new(zero.clone()),
    )
    .await;
    same_of(
        &server,
        "fixed",
        array(DataType::Float),
        Arc::new(zero.slice(1, 2)),
    )
    .await;
}

// Holds F52.
#[tokio::test]
async fn answers_keep_their_order_among_failures() {
    let server = EmbeddedTriton::builder().model(Fixed).start().unwrap();
    let values = (0..50).map(|i| match i % 7 {
        3 => None,
        5 => Some(vec![Some(1.0), None, Some(2.0)]),
        6 => Some(vec![Some(1.0)]),
        _ => Some(vec![Some(i as f32); 3]),
    });
    let list = ListArray::from_iter_primitive::<Float32Type, _, _>(values);
    same_of(&server, "fixed", array(DataType::Float), Arc::new(list)).await;
}

/// Answers no elements, in a shape whose other dimension is beyond all memory.
struct Endless;

impl Model for Endless {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("endless")
            .max_batch_size(8)
            .input("value", TensorType::Fp32, [1])
            .output("echo", TensorType::Fp32, [-1, -1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let rows = request.input("value")?.shape[0];
        let shape = vec![rows, 1 << 40, 0];
        Ok(vec![Tensor::new("echo", shape, Vec::<f32>::new())])
    }
}

#[tokio::test]
async fn a_shape_beyond_all_memory_fails_its_rows() {
    let server = EmbeddedTriton::builder().model(Endless).start().unwrap();
    let columns = schema(
        &[("value", DataType::Float)],
        &[("echo", array(array(DataType::Float)))],
    );
    let function = open(options(&server.endpoint(), "endless", &[]), columns, 0, 1).await;
    let prediction = function.predict_batch(&floats(&[1.0])).await.unwrap();
    let error = &prediction.failures[0].1;
    assert_eq!(error.kind(), ErrorKind::Call);
    let causes = std::iter::successors(std::error::Error::source(error), |it| it.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    let named = |cause: &String| cause.contains("tensor 'echo'");
    assert!(causes.iter().any(named), "{causes:?}");
}

// Holds F52.
#[tokio::test]
async fn a_column_of_nothing_but_null_is_of_any_type() {
    let server = EmbeddedTriton::builder()
        .model(Triple { stateful: false })
        .start()
        .unwrap();
    let function = triple(&server, &[]).await;
    let column: ArrayRef = Arc::new(NullArray::new(3));
    let batch = RecordBatch::try_from_iter([("value", column)]).unwrap();
    let prediction = function.predict_batch(&batch).await.unwrap();
    let failed = prediction
        .failures
        .iter()
        .map(|(row, error)| (*row, error.kind()));
    let expected = (0..3).map(|row| (row, ErrorKind::NullInput));
    assert!(failed.eq(expected), "{:?}", prediction.failures);
    assert_eq!(prediction.outputs.column(0).null_count(), 3);
}
