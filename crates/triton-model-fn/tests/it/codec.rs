//! Rows to tensors and back, schemas of models, and values of Rust's own types.

use bytes::Bytes;
use triton_model_fn::triton_client::{ModelConfig, ModelMetadata};
use triton_model_fn::{
    Array, DataType, ErrorKind, ModelFacts, Schema, TensorCodec, Value, client_from_options,
};
use triton_test_support::{EmbeddedTriton, live_endpoint};

use crate::{options, schema};

/// A model with such tensors in the form `name TYPE [shape]`, and so many rows in a request at most.
fn facts(
    inputs: &[(&str, &str, &[i64])],
    outputs: &[(&str, &str, &[i64])],
    rows: u32,
) -> ModelFacts {
    let tensors = |tensors: &[(&str, &str, &[i64])]| -> Vec<serde_json::Value> {
        let tensors = tensors.iter().map(|(name, datatype, shape)| {
            serde_json::json!({"name": name, "datatype": datatype, "shape": shape})
        });
        tensors.collect()
    };
    let metadata = serde_json::json!({
        "name": "m", "versions": ["1"], "platform": "",
        "inputs": tensors(inputs), "outputs": tensors(outputs),
    });
    let config = serde_json::json!({"name": "m", "max_batch_size": rows});
    let metadata: ModelMetadata = serde_json::from_value(metadata).unwrap();
    let config: ModelConfig = serde_json::from_value(config).unwrap();
    ModelFacts::configured(metadata, config)
}

fn columns(schema: &Schema) -> String {
    let sides = [("in", &schema.inputs), ("out", &schema.outputs)].into_iter();
    let lines = sides.flat_map(|(side, columns)| {
        let line = move |column: &triton_model_fn::Column| {
            format!("{side} {} {}", column.name, column.data_type)
        };
        columns.iter().map(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

// Holds F73.
#[test]
fn every_tensor_of_a_model_becomes_a_column() {
    let inputs: [(&str, &str, &[i64]); 4] = [
        ("one", "FP32", &[-1, 1]),
        ("any", "INT64", &[-1, -1]),
        ("fixed", "FP16", &[-1, 3, 224, 224]),
        ("text", "BYTES", &[-1, 1]),
    ];
    let outputs: [(&str, &str, &[i64]); 2] =
        [("flag", "BOOL", &[-1, 1]), ("id", "UINT64", &[-1, 4])];
    let schema = Schema::of_model(&facts(&inputs, &outputs, 8)).unwrap();
    insta::assert_snapshot!(columns(&schema), @"
    in one FLOAT
    in any ARRAY<BIGINT>
    in fixed ARRAY<ARRAY<ARRAY<FLOAT16>>>
    in text STRING
    out flag BOOLEAN
    out id ARRAY<BIGINT UNSIGNED>
    ");
    // The only element of several dimensions is a scalar, too, and the codec takes it for one.
    let sole: [(&str, &str, &[i64]); 1] = [("sole", "FP32", &[-1, 1, 1])];
    let facts_of_sole = facts(&sole, &sole, 8);
    let schema = Schema::of_model(&facts_of_sole).unwrap();
    assert_eq!(columns(&schema), "in sole FLOAT\nout sole FLOAT");
    let options = options("http://localhost:8000", "m", &[]);
    let codec = TensorCodec::agree(&options, &schema, &facts_of_sole).unwrap();
    let tensors = codec.encode(&[Value::Float(0.5)]).unwrap();
    assert_eq!(tensors[0].shape(), [1, 1, 1]);
    // Without a dimension for rows each dimension is the model's own.
    let schema = Schema::of_model(&facts(&inputs, &outputs, 0)).unwrap();
    insta::assert_snapshot!(columns(&schema), @"
    in one ARRAY<ARRAY<FLOAT>>
    in any ARRAY<ARRAY<BIGINT>>
    in fixed ARRAY<ARRAY<ARRAY<ARRAY<FLOAT16>>>>
    in text ARRAY<ARRAY<STRING>>
    out flag ARRAY<ARRAY<BOOLEAN>>
    out id ARRAY<ARRAY<BIGINT UNSIGNED>>
    ");
}

// Holds F73.
#[test]
fn a_tensor_of_a_type_that_no_column_has_is_named() {
    let odd: [(&str, &str, &[i64]); 2] = [("x", "FP8", &[-1, 1]), ("y", "FP32", &[-1, 1])];
    let error = Schema::of_model(&facts(&odd, &odd, 8)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    insta::assert_snapshot!(error, @"model 'm' has no schema: input 'x' is FP8, which is the type of no column: leave it out of a schema of your own; output 'x' is FP8, which is the type of no column: leave it out of a schema of your own");
    let error = Schema::of_model(&facts(&odd, &[], 8)).unwrap_err();
    insta::assert_snapshot!(error, @"model 'm' has no schema: the server does not say which tensors it takes and gives: name its columns in a schema of your own");
}

// Holds F73.
#[tokio::test]
async fn rows_go_through_a_model_and_come_back() {
    let embedded = EmbeddedTriton::start().unwrap();
    for endpoint in [embedded.endpoint(), live_endpoint()] {
        let options = options(&endpoint, "echo", &[]);
        let client = client_from_options(&options).unwrap();
        let facts = ModelFacts::look_up(&client, &options).await.unwrap();
        let schema = Schema::of_model(&facts).unwrap();
        assert_eq!(
            columns(&schema),
            "in value ARRAY<FLOAT>\nout echo ARRAY<FLOAT>"
        );
        let codec = TensorCodec::agree(&options, &schema, &facts).unwrap();
        assert_eq!(codec.most_rows(), 64);
        let row = |first: f32| vec![Value::from([first, 0.5])];
        let request = codec.request(codec.encode(&row(0.25)).unwrap());
        let response = client.infer(&request).await.unwrap();
        assert_eq!(codec.decode(&response).unwrap(), row(0.25));
        let rows = [row(1.0), row(2.0), row(3.0)];
        let request = codec.request(codec.encode_rows(&rows).unwrap());
        let response = client.infer(&request).await.unwrap();
        assert_eq!(codec.decode_rows(&response, 3).unwrap(), rows);
        let error = codec.decode(&response).unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"output 'echo': expected a batch of 1, found shape [3, 2]");
        }
    }
}

// Holds F73.
#[test]
fn rows_that_make_no_request_are_refused() {
    let tensors: [(&str, &str, &[i64]); 1] = [("x", "FP32", &[-1, -1])];
    let facts = facts(&tensors, &tensors, 2);
    let options = options("http://localhost:8000", "m", &[]);
    let arrays = Schema::of_model(&facts).unwrap();
    let codec = TensorCodec::agree(&options, &arrays, &facts).unwrap();
    let refused = |rows: &[Vec<Value>]| {
        let error = codec.encode_rows(rows).unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::Input | ErrorKind::NullInput
        ));
        error
    };
    let row = |length: usize| vec![Value::from(vec![1.0_f32; length])];
    insta::assert_snapshot!(refused(&[]), @"a request carries from 1 to 2 rows, found 0");
    insta::assert_snapshot!(refused(&[row(1), row(1), row(1)]), @"a request carries from 1 to 2 rows, found 3");
    insta::assert_snapshot!(refused(&[row(1), row(2)]), @"row 1: its arrays have another shape than those of the rows before it: send it in a request of its own");
    insta::assert_snapshot!(refused(&[row(1), vec![Value::Null]]), @"row 1: column 'x': expected an ARRAY, found NULL");
    insta::assert_snapshot!(refused(&[row(1), vec![]]), @"row 1: expected 1 value, found 0");
    let twice = schema(&[("x", array()), ("x", array())], &[("x", array())]);
    insta::assert_snapshot!(TensorCodec::agree(&options, &twice, &facts).unwrap_err(), @"INPUT has two columns named 'x'");
    let other = Schema::of_inputs([("x", DataType::Double.array())]);
    insta::assert_snapshot!(TensorCodec::agree(&options, &other, &facts).unwrap_err(), @"model 'm' does not fit the schema and options: input column 'x' is ARRAY<DOUBLE>, which needs FP64 of 1 dimension; the model's is FP32 [-1]");
}

fn array() -> DataType {
    DataType::Float.array()
}

#[test]
fn rust_values_become_values() {
    let row: Vec<Value> = vec![
        true.into(),
        1_i8.into(),
        1_i16.into(),
        1_i32.into(),
        1_i64.into(),
        1_u8.into(),
        1_u16.into(),
        1_u32.into(),
        1_u64.into(),
        half::f16::from_f32(0.5).into(),
        half::bf16::from_f32(0.5).into(),
        0.5_f32.into(),
        0.5_f64.into(),
        "text".into(),
        "text".to_owned().into(),
        Bytes::from_static(b"bytes").into(),
        Some(1_i32).into(),
        None::<&str>.into(),
        vec![1_i32, 2].into(),
        [1_i32, 2].into(),
        ["a", "b"].into_iter().collect(),
        vec![Value::Integer(1), Value::Null].into(),
    ];
    let expected = [
        Value::Boolean(true),
        Value::TinyInt(1),
        Value::SmallInt(1),
        Value::Integer(1),
        Value::BigInt(1),
        Value::UnsignedTinyInt(1),
        Value::UnsignedSmallInt(1),
        Value::UnsignedInteger(1),
        Value::UnsignedBigInt(1),
        Value::Float16(0.5),
        Value::BFloat16(0.5),
        Value::Float(0.5),
        Value::Double(0.5),
        Value::String("text".to_owned()),
        Value::String("text".to_owned()),
        Value::Bytes(b"bytes".to_vec()),
        Value::Integer(1),
        Value::Null,
        Value::Array(Array::from(vec![1_i32, 2])),
        Value::Array(Array::from(vec![1_i32, 2])),
        Value::Array(Array::from(vec![Value::from("a"), Value::from("b")])),
        Value::Array(Array::from(vec![Value::Integer(1), Value::Null])),
    ];
    assert_eq!(row, expected);
}

/// As many tensors as a model may name: what is planned for each does not go through all others again
/// and again, nor through the configuration.
#[test]
fn a_model_of_as_many_tensors_as_it_may_have_is_planned() {
    let names: Vec<String> = (0..4096).map(|index| format!("x{index}")).collect();
    let tensors: Vec<(&str, &str, &[i64])> = names
        .iter()
        .map(|name| (name.as_str(), "FP32", &[1][..]))
        .collect();
    let optional: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| serde_json::json!({"name": name, "optional": index % 2 == 1}))
        .collect();
    let config = serde_json::json!({"name": "m", "input": optional});
    let metadata = facts(&tensors, &tensors, 0).metadata;
    let facts = ModelFacts::configured(metadata, serde_json::from_value(config).unwrap());
    let schema = Schema::of_model(&facts).unwrap();
    assert_eq!((schema.inputs.len(), schema.outputs.len()), (4096, 4096));
    let options = options("http://localhost", "m", &[]);
    let codec = TensorCodec::agree(&options, &schema, &facts).unwrap();
    let row: Vec<Value> = (0..4096)
        .map(|index| match index % 2 {
            0 => Value::Float(0.5),
            _ => Value::Null,
        })
        .collect();
    assert_eq!(codec.encode(&row).unwrap().len(), 2048);
    // Every other input is needed, and has no column here.
    let one = Schema::new([("x1", DataType::Float)], [("x0", DataType::Float)]);
    let refused = TensorCodec::agree(&options, &one, &facts).unwrap_err();
    assert_eq!(refused.to_string().matches("has no column").count(), 2048);
}

/// How many elements such a tensor has is no number, so no array can have as many.
#[test]
fn an_array_cannot_stand_for_a_tensor_whose_elements_cannot_be_counted() {
    let large = 1_i64 << 40;
    let shape: &[i64] = &[large, large];
    let facts = facts(&[("x", "FP32", shape)], &[("y", "FP32", shape)], 0);
    let columns = |name: &str, rank: usize| {
        let data_type = (0..rank).fold(DataType::Float, |element, _| element.array());
        [(name.to_owned(), data_type)]
    };
    let options = options("http://localhost", "m", &[]);
    let flat = Schema::new(columns("x", 1), columns("y", 1));
    let refused = TensorCodec::agree(&options, &flat, &facts).unwrap_err();
    insta::assert_snapshot!(refused, @"model 'm' does not fit the schema and options: input column 'x' is ARRAY<FLOAT>, which needs FP32 of 1 dimension; the model's is FP32 [1099511627776, 1099511627776]; output column 'y' is ARRAY<FLOAT>, which needs FP32 of 1 dimension; the model's is FP32 [1099511627776, 1099511627776]");
    let deep = Schema::new(columns("x", 2), columns("y", 2));
    let codec = TensorCodec::agree(&options, &deep, &facts).unwrap();
    let row = [Value::Array([Value::from([1.0_f32])].into_iter().collect())];
    insta::assert_snapshot!(codec.encode(&row).unwrap_err(), @"column 'x': the model takes shape [1099511627776, 1099511627776], found [1, 1]");
}
