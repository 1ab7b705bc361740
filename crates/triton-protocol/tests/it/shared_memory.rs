//! Tensors in shared memory: how a request says it, and how an answer is read.

use triton_protocol::{
    Datatype, InferRequest, InferResponse, ModelId, RequestedOutput, SharedMemory, SharedTensor,
    Tensor, TensorFormat,
};

fn request() -> InferRequest {
    InferRequest::new(ModelId::latest("echo".parse().unwrap()))
}

#[test]
fn a_request_says_where_its_tensors_lie() {
    let memory = SharedMemory::new("inputs", 8).at(64);
    let shared = SharedTensor::new("a", Datatype::Fp32, [1, 2], memory).unwrap();
    let output = RequestedOutput::new("sum").shared_memory(SharedMemory::new("outputs", 100));
    let request = request()
        .shared_input(shared)
        .input(Tensor::from_slice("b", [1], &[7_u8]).unwrap())
        .output(output);
    let body = request.encode(TensorFormat::Json).unwrap().into_bytes();
    insta::assert_snapshot!(String::from_utf8_lossy(&body), @r#"{"inputs":[{"name":"b","shape":[1],"datatype":"UINT8","data":[7]},{"name":"a","shape":[1,2],"datatype":"FP32","parameters":{"shared_memory_region":"inputs","shared_memory_byte_size":8,"shared_memory_offset":64}}],"outputs":[{"name":"sum","parameters":{"shared_memory_region":"outputs","shared_memory_byte_size":100}}]}"#);
    let encoded = request.encode(TensorFormat::Binary).unwrap();
    let body = encoded.clone().into_bytes();
    assert_eq!(body[encoded.json_length().unwrap()..], [7]);
}

#[test]
fn a_part_must_hold_the_tensor() {
    let new = |datatype, shape: &[usize], size| {
        SharedTensor::new("x", datatype, shape, SharedMemory::new("r", size))
    };
    assert!(new(Datatype::Int16, &[2, 3], 12).is_ok());
    insta::assert_snapshot!(new(Datatype::Int16, &[2, 3], 6).unwrap_err(), @"tensor 'x': expected a part of the shared memory region 'r' that holds INT16 elements of shape [2, 3], found 6 bytes");
    assert!(new(Datatype::Int16, &[2, 3], 13).is_err());
    assert!(new(Datatype::Bytes, &[2], 7).is_err());
    assert!(new(Datatype::Bytes, &[2], 8).is_ok());
    assert!(new(Datatype::Fp64, &[usize::MAX, 2], usize::MAX).is_err());
}

fn answer(request: &InferRequest, output: &str) -> Result<InferResponse, String> {
    let body = format!(r#"{{"outputs":[{output}]}}"#);
    let response = InferResponse::decode_for(request, body.into(), None);
    response.map_err(|error| error.to_string())
}

#[test]
fn an_output_without_data_is_where_it_was_asked_for_or_is_an_error() {
    let memory = SharedMemory::new("outputs", 100).at(4);
    let asked = request().output(RequestedOutput::new("x").shared_memory(memory));
    let output = r#"{"name":"x","datatype":"INT8","shape":[3]}"#;
    let response = answer(&asked, output).unwrap();
    let found = response.shared_output("x").unwrap();
    assert_eq!(found.memory(), &SharedMemory::new("outputs", 3).at(4));
    assert!(response.missing(&asked).is_none());
    insta::assert_snapshot!(response.output("x").unwrap_err(), @"tensor 'x': its elements are not in the answer but in the shared memory region 'outputs'; SharedTensor::read reads them there");
    insta::assert_snapshot!(response.output("y").unwrap_err(), @"no tensor 'y' among: x");
    insta::assert_snapshot!(answer(&request(), output).unwrap_err(), @"output 'x' has no data");
    // More than there is room for.
    let output = r#"{"name":"x","datatype":"FP64","shape":[30]}"#;
    insta::assert_snapshot!(answer(&asked, output).unwrap_err(), @"the answer contradicts itself: tensor 'x': expected a part of the shared memory region 'outputs' that holds FP64 elements of shape [30], found 100 bytes");
    // A server that sends it all the same.
    let output = r#"{"name":"x","datatype":"INT8","shape":[1],"data":[5]}"#;
    assert_eq!(
        answer(&asked, output).unwrap().output("x").unwrap().raw()[..],
        [5]
    );
    // An answer that says it by itself.
    let output = r#"{"name":"x","datatype":"INT8","shape":[2],"parameters":{
        "shared_memory_region":"r","shared_memory_byte_size":2,"shared_memory_offset":9}}"#;
    let memory = SharedMemory::new("r", 2).at(9);
    let asked = request().output(RequestedOutput::new("x").shared_memory(memory.clone()));
    let response = answer(&asked, output).unwrap();
    assert_eq!(response.shared_output("x").unwrap().memory(), &memory);
    let body = format!(r#"{{"outputs":[{output}]}}"#);
    let response = InferResponse::decode(body.into(), None).unwrap();
    assert_eq!(response.shared_output("x").unwrap().memory(), &memory);
}

/// Whoever reads them would take other bytes of the region for them.
#[test]
fn elements_in_another_place_than_was_asked_for_are_an_error() {
    let output = r#"{"name":"x","datatype":"INT8","shape":[2],"parameters":{
        "shared_memory_region":"r","shared_memory_byte_size":2,"shared_memory_offset":9}}"#;
    insta::assert_snapshot!(answer(&request(), output).unwrap_err(), @"the answer says that output 'x' is in shared memory, 2 bytes from 9 on of region 'r', expected in the answer");
    for other in [
        SharedMemory::new("r", 2),
        SharedMemory::new("r", 1).at(9),
        SharedMemory::new("s", 2).at(9),
    ] {
        let asked = request().output(RequestedOutput::new("x").shared_memory(other));
        assert!(answer(&asked, output).is_err());
    }
}

#[test]
fn elements_are_read_out_of_the_region() {
    let words = Tensor::from_byte_strings("x", [2], ["to", "be"]).unwrap();
    let region = [&[9; 3], &words.raw()[..], &[9; 20]].concat();
    let memory = |size: usize| SharedMemory::new("r", size).at(3);
    let shared = SharedTensor::new("x", Datatype::Bytes, [2], memory(32)).unwrap();
    assert_eq!(shared.read(&region).unwrap(), words);
    let shared = SharedTensor::new("x", Datatype::Bytes, [2], memory(11)).unwrap();
    insta::assert_snapshot!(shared.read(&region).unwrap_err(), @"tensor 'x': its bytes are not whole BYTES elements");
    let shared = SharedTensor::new("x", Datatype::Bytes, [2], memory(33)).unwrap();
    insta::assert_snapshot!(shared.read(&region).unwrap_err(), @"tensor 'x': expected a part of the shared memory region 'r' that holds BYTES elements of shape [2], found 33 bytes");
    let shared = SharedTensor::new("x", Datatype::Uint8, [0], SharedMemory::new("r", 0).at(99));
    assert!(shared.unwrap().read(&region).is_err());
}
