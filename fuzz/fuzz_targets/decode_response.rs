//! No answer of a server, however malformed, may crash the client or make it lie.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use triton_client::{Datatype, InferResponse, Tensor};

fuzz_target!(|input: &[u8]| {
    // The first two bytes say how much of the rest is JSON; the largest number means all of it.
    let Some((length, body)) = input.split_first_chunk::<2>() else {
        return;
    };
    let json_length = match u16::from_le_bytes(*length) {
        u16::MAX => None,
        length => Some(usize::from(length)),
    };
    // An offset, so that tensors are met where they are not aligned.
    let mut shifted = vec![0];
    shifted.extend_from_slice(body);
    let body = Bytes::from(shifted).slice(1..);
    let Ok(response) = InferResponse::decode(body, json_length) else {
        return;
    };
    for output in &response.outputs {
        let found = response.output(output.name()).expect("names are unique");
        assert_eq!(found, output);
        check(output);
    }
});

/// Reads a tensor as what it says it is: there must be as many elements as its shape holds.
fn check(tensor: &Tensor) {
    let expected: usize = tensor.shape().iter().product();
    let found = match tensor.datatype() {
        // A byte that is neither 0 nor 1 is an error of its own.
        Datatype::Bool => tensor.values::<bool>().map_or(expected, |values| values.len()),
        Datatype::Fp32 => tensor.values::<f32>().expect("any bits are a float").len(),
        Datatype::Fp64 => tensor.values::<f64>().expect("any bits are a float").len(),
        Datatype::Int64 => tensor.values::<i64>().expect("any bits are a number").len(),
        Datatype::Bytes => {
            // Whether they are classes is for the model to say; reading them must not crash.
            let _ = tensor.classes();
            tensor.byte_strings().expect("checked when decoded").count()
        }
        datatype => tensor.raw().len() / datatype.element_size().unwrap_or(1),
    };
    assert_eq!(found, expected);
}
