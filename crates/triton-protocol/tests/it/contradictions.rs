//! Answers that are not what the protocol promises: each is a sentence that names the place.

use triton_protocol::{Datatype, InferResponse};

use crate::{decode, output};

fn fault(members: &str) -> String {
    let error = output(members).unwrap_err().to_string();
    // What every sentence has around it is shown once, in a test of its own.
    let error = error.strip_prefix("the answer is not what the protocol promises: ");
    let error = error.unwrap();
    error.split_once("; its ").unwrap().0.to_owned()
}

fn data_fault(datatype: &str, data: &str) -> String {
    fault(&format!(
        r#""name":"x","datatype":"{datatype}","shape":[3],"data":{data}"#
    ))
}

#[test]
fn a_sentence_shows_what_the_answer_begins_with() {
    let error = decode("<html>").unwrap_err();
    insta::assert_snapshot!(error, @"the answer is not what the protocol promises: expected an inference response, found < at byte 0; its 6 bytes begin with '<html>'");
    insta::assert_snapshot!(decode("").unwrap_err(), @"the answer is not what the protocol promises: expected an inference response, found the end at byte 0; its 0 bytes begin with ''");
    insta::assert_snapshot!(decode("{}").unwrap_err(), @"the answer is not what the protocol promises: missing field `outputs`; its 2 bytes begin with '{}'");
    insta::assert_snapshot!(decode("{\"outputs\":[]}\u{1}").unwrap_err(), @r#"the answer is not what the protocol promises: expected the end of the JSON, found \u{1} at byte 14; its 15 bytes begin with '{\"outputs\":[]}\u{1}'"#);
}

#[test]
fn an_element_that_is_none_is_named() {
    insta::assert_snapshot!(data_fault("INT8", "[1,300,3]"), @"output 'x': element 1 of its data: expected INT8, found 300 at byte 64");
    insta::assert_snapshot!(data_fault("INT32", "[[1,2],[1.5]]"), @"output 'x': element 2 of its data: expected INT32, found 1.5 at byte 70");
    insta::assert_snapshot!(data_fault("INT64", "[1,99999999999999999999999]"), @"output 'x': element 1 of its data: expected INT64, found 99999999999999999999999 at byte 65");
    insta::assert_snapshot!(data_fault("UINT8", "[-1]"), @"output 'x': element 0 of its data: expected UINT8, found -1 at byte 63");
    insta::assert_snapshot!(data_fault("BOOL", "[true,1]"), @"output 'x': element 1 of its data: expected BOOL, found 1 at byte 67");
    insta::assert_snapshot!(data_fault("FP32", "[0.5,\"half\"]"), @r#"output 'x': element 1 of its data: expected FP32, found "half" at byte 66"#);
    insta::assert_snapshot!(data_fault("FP32", "[1,1e39]"), @"output 'x': element 1 of its data: expected FP32, found 1e39 at byte 64");
    insta::assert_snapshot!(data_fault("FP64", "[1e400]"), @"output 'x': element 0 of its data: expected FP64, found 1e400 at byte 62");
    insta::assert_snapshot!(data_fault("FP64", "[01]"), @"output 'x': element 0 of its data: expected FP64, found 01 at byte 62");
    insta::assert_snapshot!(data_fault("BYTES", "[\"a\",5]"), @"output 'x': element 1 of its data: expected BYTES, found 5 at byte 67");
    insta::assert_snapshot!(data_fault("FP16", "[1.0]"), @"output 'x': expected FP16 in binary form, found 1.0 at byte 62");
    insta::assert_snapshot!(data_fault("INT8", "[1 2]"), @"output 'x': expected ',' or ']', found 2 at byte 64");
    insta::assert_snapshot!(data_fault("INT8", "[null]"), @"output 'x': element 0 of its data: expected INT8, found null at byte 62");
    insta::assert_snapshot!(data_fault("INT8", &format!("[\"{}\"]", "é".repeat(100))), @r#"output 'x': element 0 of its data: expected INT8, found "ééééééééééééééééééééééééééééééééééééééé… at byte 62"#);
}

#[test]
fn data_before_its_datatype_is_read_as_well_and_named_as_well() {
    let tensor = output(r#""data":[[1,2],[3,4]],"shape":[2,2],"name":"x","datatype":"UINT8""#);
    assert_eq!(tensor.unwrap().raw()[..], [1, 2, 3, 4]);
    let fault = fault(r#""data":[1,-2],"datatype":"UINT8","shape":[2],"name":"x""#);
    insta::assert_snapshot!(fault, @"output 'x': element 1 of its data: expected UINT8, found -2 at byte 23");
}

#[test]
fn members_are_needed_and_come_once() {
    insta::assert_snapshot!(fault(r#""name":"x","shape":[1],"data":[1]"#), @"output 'x': missing field `datatype`");
    insta::assert_snapshot!(fault(r#""name":"x","datatype":"INT8","data":[1]"#), @"output 'x': missing field `shape`");
    insta::assert_snapshot!(fault(r#""datatype":"INT8","shape":[1],"data":[1]"#), @"output 0: missing field `name`");
    let error = output(r#""name":"x","datatype":"INT8","shape":[1]"#).unwrap_err();
    insta::assert_snapshot!(error, @"output 'x' has no data");
    let error = output(r#""name":"x","datatype":"INT8","shape":[1],"data":null"#).unwrap_err();
    insta::assert_snapshot!(error, @"output 'x' has no data");
    insta::assert_snapshot!(fault(r#""name":"x","datatype":"INT8","shape":[1],"data":[1],"data":[2]"#), @"output 'x': expected each member once, found 'data' again before byte 72");
    insta::assert_snapshot!(fault(r#""name":"x","datatype":"INT8","datatype":"INT16","shape":[1],"data":[1]"#), @"output 'x': expected each member once, found 'datatype' again before byte 53");
    insta::assert_snapshot!(fault(r#""name":"x","datatype":"INT8","shape":[1],"data":[1],"parameters":{"binary_data_size":1}"#), @"output 'x': it has data and binary data, too");
    insta::assert_snapshot!(fault(r#""name":5,"datatype":"INT8","shape":[1],"data":[1]"#), @"output 0: invalid type: integer `5`, expected a string at byte 20");
    insta::assert_snapshot!(fault(r#""name":"x","datatype":"INT8","shape":[-1],"data":[1]"#), @"output 'x': invalid value: integer `-1`, expected usize at byte 50");
    insta::assert_snapshot!(decode(r#"{"id":"a","outputs":[],"id":"b"}"#).unwrap_err(), @r#"the answer is not what the protocol promises: expected each member once, found 'id' again before byte 28; its 32 bytes begin with '{\"id\":\"a\",\"outputs\":[],\"id\":\"b\"}'"#);
}

#[test]
fn a_parameter_has_one_value() {
    // A real server says the place in a sequence once for each output of an ensemble.
    let response = decode(r#"{"parameters":{"a":1,"b":true,"a":1},"outputs":[]}"#).unwrap();
    assert_eq!(response.parameters["a"], 1.into());
    assert!(
        output(
            r#""name":"x","datatype":"INT8","shape":[1],"parameters":{"a":[],"a":[]},"data":[1]"#
        )
        .is_ok()
    );
    insta::assert_snapshot!(fault(r#""name":"x","datatype":"INT8","shape":[1],"parameters":{"a":1,"a":2},"data":[1]"#), @"output 'x': expected one value of a parameter, found another one of 'a' before byte 79");
    insta::assert_snapshot!(decode(r#"{"parameters":{"a":[],"a":1},"outputs":[]}"#).unwrap_err(), @r#"the answer is not what the protocol promises: expected one value of a parameter, found another one of 'a' before byte 27; its 42 bytes begin with '{\"parameters\":{\"a\":[],\"a\":1},\"outputs\":[]}'"#);
    let metadata = r#"{"name":"x","datatype":"INT8","shape":[1],"parameters":{"a":1,"a":2}}"#;
    let error = serde_json::from_str::<triton_protocol::TensorMetadata>(metadata).unwrap_err();
    insta::assert_snapshot!(error, @"expected one value of a parameter, found another one of 'a' at line 1 column 68");
}

#[test]
fn members_that_nobody_knows_may_hold_anything() {
    let body = r#"{"new":[{"a":NaN}],"new":null,"parameters":{"p":Infinity,"q":[1],"r":true},
        "outputs":[{"more":{"deep":[[1]]},"name":"x","datatype":"INT8","shape":[1],"data":[1]}]}"#;
    let response = decode(body).unwrap();
    assert_eq!(response.output("x").unwrap().datatype(), Datatype::Int8);
    assert_eq!(response.parameters["r"], true.into());
}

#[test]
fn nothing_nested_without_end_is_followed() {
    for opened in ["[", "{\"a\":", "[[{\"a\":"] {
        let deep = opened.repeat(100_000);
        let first = [
            format!(r#""new":{deep}"#),
            format!(r#""data":{deep}"#),
            format!(r#""parameters":{deep}"#),
        ];
        for member in first {
            assert!(output(&member).is_err());
            assert!(output(&format!(r#""datatype":"INT8",{member}"#)).is_err());
        }
    }
    let nested = |depth: usize| {
        let data = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#""name":"x","datatype":"INT8","shape":[1],"data":{data}"#)
    };
    assert!(output(&nested(100)).is_ok());
    insta::assert_snapshot!(fault(&nested(101)), @"output 'x': expected at most 100 arrays and objects in each other, found more at byte 161");
}

#[test]
fn a_shape_that_lies_sets_nothing_aside() {
    let lies = [
        "[4294967296,4294967296]",
        "[18446744073709551615]",
        "[1000000000000]",
    ];
    for shape in lies {
        for datatype in Datatype::ALL {
            let members = format!(r#""name":"x","shape":{shape},"datatype":"{datatype}","#);
            assert!(output(&format!("{members}\"data\":[]")).is_err());
            let body = format!(
                r#"{{"outputs":[{{{members}"parameters":{{"binary_data_size":18446744073709551615}}}}]}}"#
            );
            assert!(InferResponse::decode(body.clone().into(), Some(body.len())).is_err());
        }
    }
}

/// A size of 0 leaves no element by which the other sizes could be checked.
#[test]
fn a_shape_whose_zero_hides_sizes_beyond_all_numbers_is_refused() {
    let hiding = [
        "[1,268435456,0]",
        "[1048577,0]",
        "[1,8589934592,8589934592,0]",
        "[0,8589934592,8589934592]",
        "[8589934592,0,8589934592]",
    ];
    for shape in hiding {
        for datatype in Datatype::ALL {
            let members = format!(r#""name":"x","shape":{shape},"datatype":"{datatype}","#);
            let error = output(&format!("{members}\"data\":[]")).unwrap_err();
            if !matches!(datatype, Datatype::Fp16 | Datatype::Bf16) {
                let error = error.to_string();
                assert!(error.contains("holds no elements, so"), "{error}");
            }
            let body =
                format!(r#"{{"outputs":[{{{members}"parameters":{{"binary_data_size":0}}}}]}}"#);
            let decoded = InferResponse::decode(body.clone().into(), Some(body.len()));
            let error = decoded.unwrap_err().to_string();
            assert!(error.contains("holds no elements, so"), "{error}");
        }
    }
    // As many empty lists as a large batch has rows, and an empty batch of images, are usual.
    for shape in ["[1048576,0]", "[0,3,224,224]", "[0]", "[1024,1024,0,4]"] {
        let members = format!(r#""name":"x","shape":{shape},"datatype":"FP32","data":[]"#);
        assert!(output(&members).is_ok(), "{shape}");
    }
    let members = r#""name":"x","shape":[1,268435456,0],"datatype":"FP32","data":[]"#;
    insta::assert_snapshot!(output(members).unwrap_err(), @"the answer contradicts itself: tensor 'x': shape [1, 268435456, 0] holds no elements, so its other sizes may be at most 1048576 before the first 0 and 18446744073709551615 in all, each times the others");
}

/// Readers go into a tensor dimension by dimension, whose number is the server's.
#[test]
fn a_shape_of_more_dimensions_than_anything_is_nested_is_refused() {
    let of = |rank: usize| {
        let shape = vec!["1"; rank].join(",");
        let members = format!(r#""name":"x","datatype":"INT8","shape":[{shape}]"#);
        let body =
            format!(r#"{{"outputs":[{{{members},"parameters":{{"binary_data_size":1}}}}]}}"#);
        let length = body.len();
        InferResponse::decode((body + "7").into(), Some(length))
    };
    assert!(of(100).is_ok());
    let error = of(101).unwrap_err().to_string();
    insta::assert_snapshot!(error.split("; its ").next().unwrap(), @"the answer is not what the protocol promises: output 'x': expected a shape of at most 100 dimensions, found 101");
    assert!(of(1_000_000).unwrap_err().to_string().len() < 1000);
}

/// Whoever reads an answer looks outputs up by their names, one among all.
#[test]
fn more_outputs_than_a_model_can_have_are_refused() {
    let one =
        |index: usize| format!(r#"{{"name":"{index}","datatype":"INT8","shape":[0],"data":[]}}"#);
    let of = |count: usize| {
        let outputs: Vec<_> = (0..count).map(one).collect();
        decode(format!(r#"{{"outputs":[{}]}}"#, outputs.join(",")))
    };
    assert_eq!(of(4096).unwrap().outputs.len(), 4096);
    let error = of(4097).unwrap_err().to_string();
    assert!(
        error.contains(": expected at most 4096 outputs, found more; "),
        "{error}"
    );
}

#[test]
fn many_shapes_that_lie_set_no_more_aside_than_one() {
    let one = |index: usize| {
        format!(r#"{{"name":"{index}","datatype":"INT64","shape":[99999999999],"data":[1]}}"#)
    };
    let outputs: Vec<_> = (0..4096).map(one).collect();
    let error = decode(format!(r#"{{"outputs":[{}]}}"#, outputs.join(","))).unwrap_err();
    insta::assert_snapshot!(error, @"the answer contradicts itself: tensor '0': shape [99999999999] does not hold 1 elements");
}

/// Each takes many times its text.
#[test]
fn more_parameters_than_an_answer_may_have_are_refused() {
    let of = |count: usize| {
        let parameters: Vec<_> = (2..count).map(|index| format!(r#""{index}":1"#)).collect();
        let output =
            r#"{"name":"x","datatype":"INT8","shape":[0],"data":[],"parameters":{"a":1,"b":1}}"#;
        let parameters = parameters.join(",");
        decode(format!(
            r#"{{"parameters":{{{parameters}}},"outputs":[{output}]}}"#
        ))
    };
    assert_eq!(of(16_384).unwrap().parameters.len(), 16_382);
    let error = of(16_385).unwrap_err().to_string();
    let expected = "expected at most 16384 parameters in an answer, found more; ";
    assert!(error.contains(expected), "{error}");
}
