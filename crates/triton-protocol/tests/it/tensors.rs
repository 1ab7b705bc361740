//! A tensor's memory, and what is shown of it.

use triton_protocol::{Tensor, TensorError};

use crate::{decode, output};

#[test]
fn a_vector_comes_back_without_a_copy_unless_it_is_shared() {
    let values = vec![1.5_f32; 1000];
    let address = values.as_ptr().addr();
    let tensor = Tensor::from_vec("x", [1000], values).unwrap();
    let shared = tensor.clone();
    let copied = tensor.into_vec::<f32>().unwrap();
    assert_ne!(copied.as_ptr().addr(), address);
    let raw = shared.raw().clone();
    let copied = shared.clone().into_vec::<f32>().unwrap();
    assert_ne!(copied.as_ptr().addr(), address);
    drop(raw);
    let own = shared.into_vec::<f32>().unwrap();
    assert_eq!((own.as_ptr().addr(), own), (address, copied));
}

#[test]
fn a_vector_is_had_only_of_what_the_elements_are() {
    let tensor = Tensor::from_vec("x", [1], vec![1_u8]).unwrap();
    insta::assert_snapshot!(tensor.into_vec::<i8>().unwrap_err(), @"tensor 'x': expected datatype INT8, found UINT8");
    let tensor = Tensor::from_slice("x", [2], &[1_i64, -2]).unwrap();
    assert_eq!(tensor.into_vec::<i64>().unwrap(), [1, -2]);
}

#[test]
fn elements_of_json_are_had_without_a_copy() {
    let tensor = output(r#""name":"x","datatype":"FP64","shape":[2],"data":[1,2.5]"#).unwrap();
    let address = tensor.raw().as_ptr().addr();
    let values = tensor.into_vec::<f64>().unwrap();
    assert_eq!((values.as_ptr().addr(), values), (address, vec![1.0, 2.5]));
}

#[test]
fn an_output_can_be_taken_once() {
    let one =
        |name: &str| format!(r#"{{"name":"{name}","datatype":"INT8","shape":[1],"data":[1]}}"#);
    let mut response = decode(format!(r#"{{"outputs":[{},{}]}}"#, one("a"), one("b"))).unwrap();
    assert_eq!(response.take_output("a").unwrap().name(), "a");
    insta::assert_snapshot!(response.take_output("a").unwrap_err(), @"no tensor 'a' among: b");
    assert_eq!(response.outputs.len(), 1);
}

#[test]
fn strings_are_text_or_name_the_element_that_is_none() {
    let tensor = Tensor::from_byte_strings("word", [2, 1], ["to", "bé"]).unwrap();
    assert_eq!(tensor.strings().unwrap().collect::<Vec<_>>(), ["to", "bé"]);
    let tensor = Tensor::from_byte_strings("word", [2], [&b"to"[..], b"\xff"]).unwrap();
    let error = tensor.strings().map(|_| ()).unwrap_err();
    assert!(matches!(error, TensorError::NotText { index: 1, .. }));
    insta::assert_snapshot!(error, @"tensor 'word': expected UTF-8, found other bytes in element 1");
    let tensor = Tensor::from_slice("x", [1], &[1_u8]).unwrap();
    assert!(tensor.strings().is_err());
}

#[test]
fn a_tensor_is_shown_without_its_megabytes() {
    let values: Vec<f32> = (0..150_528_u32).map(|index| index as f32 / 2.0).collect();
    let image = Tensor::from_vec("image", [3, 224, 224], values).unwrap();
    insta::assert_debug_snapshot!(image, @r#"
    Tensor {
        name: "image",
        datatype: Fp32,
        shape: [3, 224, 224],
        elements: [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, … 150,528 in all],
    }
    "#);
    let flags = Tensor::from_slice("flags", [2], &[true, false]).unwrap();
    insta::assert_snapshot!(format!("{flags:?}"), @r#"Tensor { name: "flags", datatype: Bool, shape: [2], elements: [true, false] }"#);
    let long = "é".repeat(100);
    let texts = Tensor::from_byte_strings("texts", [3], [long.as_bytes(), b"\xff\n", b""]).unwrap();
    insta::assert_snapshot!(format!("{texts:?}"), @r#"Tensor { name: "texts", datatype: Bytes, shape: [3], elements: ["éééééééééééééééééééééééééééééééééééééééé"…, "�\n", ""] }"#);
    let empty = Tensor::from_slice::<f64>("empty", [0, 4], &[]).unwrap();
    insta::assert_snapshot!(format!("{empty:?}"), @r#"Tensor { name: "empty", datatype: Fp64, shape: [0, 4], elements: [] }"#);
}

#[test]
fn a_zero_anywhere_in_a_shape_is_no_elements() {
    let large = 1_usize << 40;
    for shape in [[1024, 1024, 0], [0, large, 1024], [1024, 0, large]] {
        let tensor = Tensor::from_slice::<f32>("x", shape, &[]).unwrap();
        assert_eq!(tensor.shape(), shape);
        assert!(Tensor::from_slice("x", shape, &[1_u8]).is_err());
    }
}

#[test]
fn a_bool_that_is_neither_true_nor_false_is_found_before_anything_is_asked() {
    use triton_protocol::{Datatype, InferRequest, TensorFormat};
    let flags = Tensor::from_raw("flags", Datatype::Bool, [2], vec![1, 2].into()).unwrap();
    let request = InferRequest::new("m".parse().unwrap()).input(flags);
    let fault = request.check_inputs(TensorFormat::Json).unwrap_err();
    insta::assert_snapshot!(fault, @"input 'flags' cannot be sent: tensor 'flags': its bytes are not whole BOOL elements");
    assert_eq!(request.encode(TensorFormat::Json).unwrap_err(), fault);
}

#[test]
fn datatypes_are_the_same_where_all_of_their_names_are() {
    let datatype = |name: &str| {
        let json = serde_json::to_string(name).unwrap();
        serde_json::from_str::<triton_protocol::Datatype>(&json).unwrap()
    };
    let long = "A_NAME_OF_26_CHARACTERS_IN";
    assert_ne!(datatype(&format!("{long}1")), datatype(&format!("{long}2")));
    assert_eq!(datatype(&format!("{long}1")), datatype(&format!("{long}1")));
    assert_eq!(datatype(&format!("{long}1")).name(), long);
}

#[test]
fn a_short_server_timeout_is_not_none() {
    use std::time::Duration;
    let body = |timeout: Duration| {
        let request = triton_protocol::InferRequest::new("m".parse().unwrap());
        let request = request.server_timeout(timeout);
        let body = request.encode(triton_protocol::TensorFormat::Json).unwrap();
        String::from_utf8(body.into_bytes().to_vec()).unwrap()
    };
    assert!(body(Duration::from_nanos(999)).contains(r#""timeout":1"#));
    assert!(body(Duration::ZERO).contains(r#""timeout":1"#));
    assert!(body(Duration::from_nanos(2999)).contains(r#""timeout":2"#));
}
