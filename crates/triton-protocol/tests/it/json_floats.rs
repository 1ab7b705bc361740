//! FP32 as JSON: the shortest text that survives a server's double.

use triton_protocol::{InferRequest, ModelId, Tensor, TensorFormat};

/// The `data` of a request with these elements.
fn written(values: &[f32]) -> String {
    let tensor = Tensor::from_slice("x", [values.len()], values).unwrap();
    let request = InferRequest::new(ModelId::latest("m".parse().unwrap())).input(tensor);
    let body = request.encode(TensorFormat::Json).unwrap().into_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let data = body.split_once("\"data\":").unwrap().1;
    data.strip_suffix("}]}").unwrap().to_owned()
}

#[test]
fn the_shortest_text_is_written() {
    let values = [
        0.1,
        -0.0,
        2.0,
        1e-45,
        f32::MAX,
        f32::MIN_POSITIVE,
        16_777_216.0,
        f32::NAN,
        f32::NEG_INFINITY,
    ];
    insta::assert_snapshot!(written(&values), @"[0.1,-0.0,2.0,1e-45,3.4028235e+38,1.1754944e-38,16777216.0,NaN,-Infinity]");
}

#[test]
fn the_element_that_a_double_would_lose_is_written_with_all_its_digits() {
    // The nearest double to 7.038531e-26 lies in the middle between this element and the next.
    let value = f32::from_bits(0x15ae_43fd);
    assert_ne!("7.038531e-26".parse::<f64>().unwrap() as f32, value);
    insta::assert_snapshot!(written(&[value, -value]), @"[7.038530691851209e-26,-7.038530691851209e-26]");
}

/// How a server reads a number: RapidJSON without the flag for full precision takes the digits
/// as a whole number, and multiplies or divides it by a power of ten, in doubles. With texts of
/// at most nine digits the only error is that of the power and of one operation.
fn as_the_server_reads(text: &str, powers: &[f64]) -> f32 {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent = exponent.parse::<i32>().unwrap() - i32::try_from(fraction.len()).unwrap();
    let significant: u64 = format!("{whole}{fraction}").parse().unwrap();
    let power = powers[usize::try_from(exponent.unsigned_abs()).unwrap()];
    let double = match exponent < 0 {
        true => significant as f64 / power,
        false => significant as f64 * power,
    };
    double as f32
}

#[test]
fn what_is_written_is_read_as_the_same_element_by_way_of_a_double() {
    let powers: Vec<f64> = (0..80)
        .map(|power| format!("1e{power}").parse().unwrap())
        .collect();
    // All 2^31 elements were gone through once; these are a fair part of them.
    let sampled = (1..f32::INFINITY.to_bits())
        .step_by(9973)
        .map(f32::from_bits);
    // Few digits, and so far from the element itself.
    let short = (-46..38)
        .flat_map(|power| (1..200).map(move |digits| format!("{digits}e{power}").parse().unwrap()));
    let values: Vec<f32> = sampled
        .chain(short)
        .filter(|value| value.is_finite() && value.to_bits() != 0x15ae_43fd)
        .collect();
    let text = written(&values);
    for (text, value) in text.trim_matches(['[', ']']).split(',').zip(values) {
        assert_eq!(text.parse::<f64>().unwrap() as f32, value, "{text}");
        assert_eq!(as_the_server_reads(text, &powers), value, "{text}");
    }
}
