//! Whatever a tensor holds, the wire form of it is read as the same tensor.

use bytes::Bytes;
use proptest::prelude::*;
use triton_client::{Datatype, InferRequest, InferResponse, ModelId, Tensor, TensorFormat};

/// Any datatype, a shape of up to three dimensions, and any bytes that are elements of it.
fn tensors() -> impl Strategy<Value = Tensor> {
    let shape = prop::collection::vec(0_usize..5, 0..4);
    (prop::sample::select(Datatype::ALL), shape, any::<String>()).prop_flat_map(
        |(datatype, shape, name)| {
            let count: usize = shape.iter().product();
            let element = prop::collection::vec(any::<u8>(), 0..9);
            let bytes = prop::collection::vec(any::<u8>(), 8 * count);
            let strings = prop::collection::vec(element, count);
            (bytes, strings).prop_map(move |(bytes, strings)| {
                let name = name.clone();
                match datatype.element_size() {
                    None => Tensor::from_byte_strings(name, shape.clone(), strings).unwrap(),
                    Some(size) => {
                        let mut data = bytes[..size * count].to_vec();
                        if datatype == Datatype::Bool {
                            data.iter_mut().for_each(|byte| *byte &= 1);
                        }
                        let data = Bytes::from(data);
                        Tensor::from_raw(name, datatype, shape.clone(), data).unwrap()
                    }
                }
            })
        },
    )
}

/// A request's tensors look as a response's do, so a request is read as the response to itself.
fn there_and_back(tensors: &[Tensor], format: TensorFormat) -> Vec<Tensor> {
    let mut request = InferRequest::new(ModelId::latest("m".parse().unwrap()));
    for tensor in tensors {
        request = request.input(tensor.clone());
    }
    let encoded = request.encode(format).unwrap();
    let json_length = encoded.json_length();
    let body = encoded.into_bytes();
    let split = json_length.unwrap_or(body.len());
    let json = String::from_utf8(body[..split].to_vec()).unwrap();
    let json = json.replacen("\"inputs\":", "\"outputs\":", 1);
    let length = json_length.map(|_| json.len());
    let body = [json.as_bytes(), &body[split..]].concat();
    InferResponse::decode(body.into(), length).unwrap().outputs
}

/// Whether JSON can carry the tensor at all.
fn fits_json(tensor: &Tensor) -> bool {
    match tensor.datatype() {
        Datatype::Fp16 | Datatype::Bf16 => false,
        Datatype::Bytes => {
            let mut strings = tensor.byte_strings().unwrap();
            strings.all(|string| std::str::from_utf8(string).is_ok())
        }
        _ => true,
    }
}

/// The elements, where one NaN is as good as another: JSON has a single word for them.
fn comparable(tensor: &Tensor) -> Vec<u8> {
    match tensor.datatype() {
        Datatype::Fp32 => {
            let values = tensor.values::<f32>().unwrap();
            let values = values
                .iter()
                .map(|value| if value.is_nan() { f32::NAN } else { *value });
            values.flat_map(f32::to_le_bytes).collect()
        }
        Datatype::Fp64 => {
            let values = tensor.values::<f64>().unwrap();
            let values = values
                .iter()
                .map(|value| if value.is_nan() { f64::NAN } else { *value });
            values.flat_map(f64::to_le_bytes).collect()
        }
        _ => tensor.raw().to_vec(),
    }
}

/// Tensors whose names differ.
fn several() -> impl Strategy<Value = Vec<Tensor>> {
    prop::collection::vec(tensors(), 1..5).prop_map(|mut tensors| {
        let mut names = std::collections::BTreeSet::new();
        tensors.retain(|tensor| names.insert(tensor.name().to_owned()));
        tensors
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn binary_tensors_come_back_bit_for_bit(tensors in several()) {
        prop_assert_eq!(there_and_back(&tensors, TensorFormat::Binary), tensors);
    }

    #[test]
    fn json_tensors_come_back_as_they_were(tensors in several()) {
        let tensors: Vec<_> = tensors.into_iter().filter(fits_json).collect();
        let found = there_and_back(&tensors, TensorFormat::Json);
        prop_assert_eq!(found.len(), tensors.len());
        for (found, tensor) in found.iter().zip(&tensors) {
            prop_assert_eq!(found.name(), tensor.name());
            prop_assert_eq!(found.shape(), tensor.shape());
            prop_assert_eq!(comparable(found), comparable(tensor));
        }
    }

    #[test]
    fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200), length in 0_usize..250) {
        let body = Bytes::from(body);
        let _ = InferResponse::decode(body.clone(), None);
        let _ = InferResponse::decode(body, Some(length));
    }
}
