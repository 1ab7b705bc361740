//! The text of a cell, as a value, as a tensor, and back.

use std::sync::LazyLock;

use serde_json::json;
use triton::fuzzing::{cell as read, cell_text as write};
use triton_model_fn::{DataType, ModelFacts, Schema, TensorCodec, TritonOptions, Value};
use triton_protocol::{InferResponse, Tensor};

/// How deep arrays are nested at most.
const DEEPEST: u8 = 4;

/// For each type, by its rank and its number among the scalars, what makes tensors of its values.
static CODECS: LazyLock<Vec<(DataType, TensorCodec)>> = LazyLock::new(|| {
    let ranks = (0..DEEPEST).flat_map(|rank| DataType::SCALARS.iter().map(move |it| (rank, it)));
    ranks
        .map(|(rank, scalar)| {
            let data_type = (0..rank).fold(scalar.clone(), |element, _| element.array());
            let codec = codec(&data_type, rank);
            (data_type, codec)
        })
        .collect()
});

fn codec(data_type: &DataType, rank: u8) -> TensorCodec {
    let options = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
    let options = TritonOptions::parse(options).expect("these are options");
    let datatype = data_type.tensor_datatype();
    let shape = vec![-1; usize::from(rank.max(1))];
    let tensor = json!({"name": "v", "datatype": datatype.to_string(), "shape": shape});
    let metadata = json!({"name": "m", "inputs": [tensor], "outputs": [tensor]});
    let metadata = serde_json::from_value(metadata).expect("this is metadata");
    let config = serde_json::from_value(json!({"name": "m"})).expect("this is a configuration");
    let schema = Schema::new([("v", data_type.clone())], [("v", data_type.clone())]);
    let facts = ModelFacts::configured(metadata, config);
    TensorCodec::agree(&options, &schema, &facts).expect("the schema is that of the model")
}

/// A cell; the first byte says of which type, and whether its text is JSON.
pub(crate) fn cell(input: &[u8]) {
    let Some((first, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let (data_type, codec) = &CODECS[usize::from(first >> 1) % CODECS.len()];
    let is_json = first & 1 == 1;
    let Ok(value) = read(data_type, text, is_json) else {
        return;
    };
    let Ok(tensors) = codec.encode(&[value]) else {
        return;
    };
    let mut response = empty();
    response.outputs.extend(tensors.clone());
    let decoded = codec
        .decode(&response)
        .expect("what was encoded can be decoded");
    // A half-precision number has its digits up to here, and in the tensor no more than it can hold.
    let encoded = codec
        .encode(&decoded)
        .expect("what was decoded can be encoded");
    assert_eq!(encoded, tensors, "{decoded:?}");
    // What is written of an answer is read as the same.
    let answer = &decoded[0];
    let written = write(answer, is_json);
    let again = match read(data_type, &written, is_json) {
        Ok(again) => again,
        // The shortest text of a large number may be a whole one that it is not exactly, and such a text
        // is refused, as it could be a number that would be changed.
        Err(said) if is_float(data_type) && said.contains("a whole number") => return,
        Err(said) => panic!("{answer:?} became {written:?}, which cannot be read: {said}"),
    };
    assert!(
        is_same(&again, answer),
        "{answer:?} became {again:?} by {written:?}"
    );
}

/// Makes the values of an output, of each type that a column of it could have, and writes them as the
/// text of cells: what a server says of the shape decides how long that takes.
pub(crate) fn answered(output: &Tensor) {
    let shape = output.shape();
    let fits = |data_type: &DataType| {
        data_type.tensor_datatype() == output.datatype() && data_type.rank().max(1) == shape.len()
    };
    for (data_type, codec) in CODECS.iter().filter(|(data_type, _)| fits(data_type)) {
        let data = output.raw().clone();
        let named = Tensor::from_raw("v", output.datatype(), shape, data);
        let named = named.expect("it was one under another name");
        let mut response = empty();
        response.outputs.push(named);
        // A byte that is no text or no truth value is an error of its own.
        let Ok(row) = codec.decode(&response) else {
            continue;
        };
        let depth = data_type.rank();
        for is_json in [false, true] {
            let text = write(&row[0], is_json);
            assert!(depth == 0 || text.starts_with('['), "{text}");
        }
    }
}

fn empty() -> InferResponse {
    InferResponse::decode(br#"{"outputs":[]}"#[..].into(), None).expect("this is a response")
}

/// Whether it is a type of floating-point numbers, or of arrays of them.
fn is_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::Array(element) => is_float(element),
        DataType::Float16 | DataType::BFloat16 | DataType::Float | DataType::Double => true,
        _ => false,
    }
}

/// Equal, and NaN is NaN.
fn is_same(left: &Value, right: &Value) -> bool {
    left == right || format!("{left:?}") == format!("{right:?}")
}
