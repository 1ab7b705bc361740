//! Every datatype in every form, and the values that are hard to carry.

use bytes::Bytes;
use triton_client::{
    Datatype, ErrorKind, InferRequest, InferResponse, RequestedOutput, Tensor, TensorFormat,
};

use super::cases;
use super::target::{Target, echo, model, only_bytes, probe};

/// Elements at the limits of a datatype, in binary form.
pub(crate) fn samples(datatype: Datatype) -> (usize, Bytes) {
    macro_rules! numbers {
        ($($number:expr),+) => {{
            let numbers = [$($number),+];
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            (numbers.len(), bytes.into())
        }};
    }
    match datatype {
        Datatype::Bool => (3, Bytes::from_static(&[0, 1, 1])),
        Datatype::Uint8 => numbers!(0_u8, 1, u8::MAX),
        Datatype::Uint16 => numbers!(0_u16, 1, u16::MAX),
        Datatype::Uint32 => numbers!(0_u32, 1, u32::MAX),
        Datatype::Uint64 => numbers!(0_u64, (1 << 53) + 1, u64::MAX),
        Datatype::Int8 => numbers!(i8::MIN, -1, i8::MAX),
        Datatype::Int16 => numbers!(i16::MIN, -1, i16::MAX),
        Datatype::Int32 => numbers!(i32::MIN, -1, i32::MAX),
        Datatype::Int64 => numbers!(i64::MIN, -((1 << 53) + 1), i64::MAX),
        // 1, -2 and the largest of each; infinities are a case of their own.
        Datatype::Fp16 => numbers!(0x3c00_u16, 0xc000, 0x7bff),
        Datatype::Bf16 => numbers!(0x3f80_u16, 0xc000, 0x7f7f),
        Datatype::Fp32 => numbers!(0.1_f32, f32::MIN_POSITIVE, f32::MAX, -0.0),
        Datatype::Fp64 => numbers!(0.1_f64, f64::MIN_POSITIVE, f64::MAX, -0.0),
        _ => {
            let texts = ["", "é\"\\\u{1}", "plain"];
            let tensor = Tensor::from_byte_strings("", [3], texts).unwrap();
            (3, tensor.raw().clone())
        }
    }
}

/// Sends the samples of a datatype and expects them back, bit for bit.
async fn there_and_back(target: &Target, datatype: Datatype, format: TensorFormat) {
    let name = datatype.name().to_lowercase();
    let (count, data) = samples(datatype);
    let tensor = Tensor::from_raw(format!("in_{name}"), datatype, [1, count], data.clone());
    let output = format!("out_{name}");
    let request = InferRequest::new(model("every_datatype"))
        .input(tensor.unwrap())
        .output(&output)
        .format(format);
    let response = target.client.infer(&request).await.unwrap();
    let output = response.output(&output).unwrap();
    assert_eq!(
        (output.datatype(), output.shape()),
        (datatype, &[1, count][..])
    );
    assert_eq!(output.raw(), &data);
}

macro_rules! datatype_cases {
    ($($binary:ident $json:ident $datatype:ident;)+ / $($only_binary:ident $only:ident;)+ / $($other:ident),+ $(,)?) => {
        $(
            async fn $binary(target: Target) {
                there_and_back(&target, Datatype::$datatype, TensorFormat::Binary).await;
            }
            async fn $json(target: Target) {
                there_and_back(&target, Datatype::$datatype, TensorFormat::Json).await;
            }
        )+
        $(
            async fn $only_binary(target: Target) {
                there_and_back(&target, Datatype::$only, TensorFormat::Binary).await;
            }
        )+
        cases!($($binary,)+ $($only_binary,)+ $($json,)+ $($other,)+);
    };
}

datatype_cases!(
    bool_in_binary bool_in_json Bool;
    uint8_in_binary uint8_in_json Uint8;
    uint16_in_binary uint16_in_json Uint16;
    uint32_in_binary uint32_in_json Uint32;
    uint64_in_binary uint64_in_json Uint64;
    int8_in_binary int8_in_json Int8;
    int16_in_binary int16_in_json Int16;
    int32_in_binary int32_in_json Int32;
    int64_in_binary int64_in_json Int64;
    fp32_in_binary fp32_in_json Fp32;
    fp64_in_binary fp64_in_json Fp64;
    bytes_in_binary bytes_in_json Bytes;
    /
    fp16_in_binary Fp16;
    bf16_in_binary Bf16;
    /
    outputs_in_json_and_binary_at_once,
    fp16_is_never_sent_as_json,
    fp16_is_never_asked_for_as_json,
    a_model_with_fp16_outputs_answers_in_json_where_it_can,
    no_elements_in_binary,
    no_elements_in_json,
    many_inputs_keep_their_order,
    nan_and_infinities_in_binary,
    nan_and_infinities_in_json,
    byte_strings_that_are_no_text_in_binary,
    byte_strings_that_are_no_text_in_json,
    byte_strings_with_nul_in_json,
    byte_strings_that_are_no_text_are_not_sent_as_json,
    an_image_of_150528_numbers_in_binary,
    an_image_of_150528_numbers_in_json,
    floats_that_are_hard_to_read_in_json,
    tensors_are_lent_without_a_copy,
);

fn every(datatypes: &[Datatype]) -> InferRequest {
    let mut request = InferRequest::new(model("every_datatype"));
    for datatype in datatypes {
        let name = datatype.name().to_lowercase();
        let (count, data) = samples(*datatype);
        let tensor = Tensor::from_raw(format!("in_{name}"), *datatype, [1, count], data);
        request = request.input(tensor.unwrap()).output(format!("out_{name}"));
    }
    request
}

fn raw<'a>(response: &'a InferResponse, output: &str) -> &'a [u8] {
    response.output(output).unwrap().raw()
}

async fn outputs_in_json_and_binary_at_once(target: Target) {
    let mut request = InferRequest::new(model("every_datatype"));
    for datatype in [Datatype::Int16, Datatype::Fp16, Datatype::Fp64] {
        let name = datatype.name().to_lowercase();
        let (count, data) = samples(datatype);
        let input = Tensor::from_raw(format!("in_{name}"), datatype, [1, count], data).unwrap();
        let format = match datatype {
            Datatype::Int16 => TensorFormat::Json,
            _ => TensorFormat::Binary,
        };
        let output = RequestedOutput::new(format!("out_{name}")).format(format);
        request = request.input(input).output(output);
    }
    let response = target.client.infer(&request).await.unwrap();
    for datatype in [Datatype::Int16, Datatype::Fp16, Datatype::Fp64] {
        let output = format!("out_{}", datatype.name().to_lowercase());
        assert_eq!(raw(&response, &output), samples(datatype).1);
    }
}

async fn fp16_is_never_sent_as_json(target: Target) {
    let request = every(&[Datatype::Fp16]).format(TensorFormat::Json);
    let error = target.client.infer(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::InvalidRequest, false)
    );
}

async fn fp16_is_never_asked_for_as_json(target: Target) {
    let (count, data) = samples(Datatype::Fp16);
    let request = InferRequest::new(model("every_datatype"))
        .input(Tensor::from_raw("in_fp16", Datatype::Fp16, [1, count], data.clone()).unwrap())
        .output(RequestedOutput::new("out_fp16").format(TensorFormat::Json));
    let response = target.client.infer(&request).await.unwrap();
    assert_eq!(raw(&response, "out_fp16"), data);
}

async fn a_model_with_fp16_outputs_answers_in_json_where_it_can(target: Target) {
    let (count, data) = samples(Datatype::Int8);
    let request = InferRequest::new(model("every_datatype"))
        .input(Tensor::from_raw("in_int8", Datatype::Int8, [1, count], data.clone()).unwrap())
        .output("out_int8")
        .format(TensorFormat::Json);
    let response = target.client.infer(&request).await.unwrap();
    assert_eq!(raw(&response, "out_int8"), data);
}

async fn empty(target: &Target, format: TensorFormat) {
    let tensor = Tensor::from_slice::<f32>("in_fp32", [1, 0], &[]).unwrap();
    let request = InferRequest::new(model("every_datatype"))
        .input(tensor)
        .output("out_fp32")
        .format(format);
    let response = target.client.infer(&request).await.unwrap();
    let output = response.output("out_fp32").unwrap();
    assert_eq!((output.shape(), output.raw().len()), (&[1, 0][..], 0));
}

async fn no_elements_in_binary(target: Target) {
    empty(&target, TensorFormat::Binary).await;
}

async fn no_elements_in_json(target: Target) {
    empty(&target, TensorFormat::Json).await;
}

async fn many_inputs_keep_their_order(target: Target) {
    let datatypes = [
        Datatype::Fp64,
        Datatype::Bool,
        Datatype::Bytes,
        Datatype::Int64,
        Datatype::Uint8,
        Datatype::Fp32,
    ];
    let request = every(&datatypes).format(TensorFormat::Binary);
    let response = target.client.infer(&request).await.unwrap();
    for datatype in datatypes {
        let output = format!("out_{}", datatype.name().to_lowercase());
        assert_eq!(raw(&response, &output), samples(datatype).1, "{output}");
    }
}

async fn not_finite(target: &Target, format: TensorFormat) {
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
    let response = target
        .client
        .infer(&echo(&values).format(format))
        .await
        .unwrap();
    let found = response.output("echo").unwrap().values::<f32>().unwrap();
    assert!(found[0].is_nan());
    assert_eq!(found[1..], values[1..]);
}

async fn nan_and_infinities_in_binary(target: Target) {
    not_finite(&target, TensorFormat::Binary).await;
}

async fn nan_and_infinities_in_json(target: Target) {
    not_finite(&target, TensorFormat::Json).await;
}

async fn hex(target: &Target, hex: &str, format: TensorFormat) -> Vec<u8> {
    let request = probe(&format!("hex:{hex}")).format(format);
    only_bytes(&target.client.infer(&request).await.unwrap(), "result").to_vec()
}

async fn byte_strings_that_are_no_text_in_binary(target: Target) {
    let found = hex(&target, "ff00fe80", TensorFormat::Binary).await;
    assert_eq!(found, b"\xff\0\xfe\x80");
}

async fn byte_strings_that_are_no_text_in_json(target: Target) {
    let found = hex(&target, "ff61fe80", TensorFormat::Json).await;
    assert_eq!(found, b"\xffa\xfe\x80");
}

async fn byte_strings_with_nul_in_json(target: Target) {
    assert_eq!(hex(&target, "610062", TensorFormat::Json).await, b"a\0b");
}

async fn byte_strings_that_are_no_text_are_not_sent_as_json(target: Target) {
    let command = Tensor::from_byte_strings("command", [1], [b"\xff"]).unwrap();
    let request = InferRequest::new(model("probe"))
        .input(command)
        .format(TensorFormat::Json);
    let error = target.client.infer(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

async fn image(target: &Target, format: TensorFormat) {
    let values: Vec<f32> = (0..150_528_u32).map(|index| index as f32 / 255.0).collect();
    let response = target
        .client
        .infer(&echo(&values).format(format))
        .await
        .unwrap();
    assert_eq!(
        *response.output("echo").unwrap().values::<f32>().unwrap(),
        values
    );
}

async fn an_image_of_150528_numbers_in_binary(target: Target) {
    image(&target, TensorFormat::Binary).await;
}

async fn an_image_of_150528_numbers_in_json(target: Target) {
    image(&target, TensorFormat::Json).await;
}

async fn floats_that_are_hard_to_read_in_json(target: Target) {
    // The shortest texts of the first two are next to the middle between two elements.
    let hard = [
        0x15ae_43fd_u32,
        0x0889_8b53,
        1,
        0x7f7f_ffff,
        0x0080_0000,
        0x4c00_0004,
    ];
    let sampled = (1..f32::INFINITY.to_bits()).step_by(200_003);
    let bits = hard
        .into_iter()
        .chain(sampled)
        .flat_map(|bits| [bits, bits | 1 << 31]);
    let values: Vec<f32> = bits.map(f32::from_bits).collect();
    let response = target
        .client
        .infer(&echo(&values).format(TensorFormat::Json))
        .await
        .unwrap();
    let found = response.output("echo").unwrap().values::<f32>().unwrap();
    for (found, value) in found.iter().zip(&values) {
        assert_eq!(found.to_bits(), value.to_bits(), "{value:e}");
    }
    assert_eq!(found.len(), values.len());
}

async fn tensors_are_lent_without_a_copy(target: Target) {
    for count in [1, 7, 1000] {
        let request = echo(&vec![0.5; count]).id("i".repeat(count % 10));
        let request = request.format(TensorFormat::Binary);
        let response = target.client.infer(&request).await.unwrap();
        let values = response.output("echo").unwrap().values::<f32>().unwrap();
        assert!(matches!(values, std::borrow::Cow::Borrowed(_)), "{count}");
    }
}
