//! Elements in JSON against a slow reader that looks at them one by one.

use proptest::prelude::*;
use serde_json::Value;
use triton_protocol::wire::json_tokens;
use triton_protocol::{Datatype, Tensor};

use crate::{decode, output};

/// What an element may look like, rightly and wrongly.
fn elements() -> impl Strategy<Value = String> {
    let odd = [
        "NaN",
        "Infinity",
        "-Infinity",
        "\"NaN\"",
        "\"-Infinity\"",
        "-NaN",
        "nan",
        "inf",
        "-inf",
        "infinity",
        "+1",
        "01",
        "-01",
        "-",
        ".5",
        "5.",
        "-.5",
        "1.e3",
        "1e",
        "1e+",
        "1e400",
        "-1e400",
        "1e39",
        "1e-400",
        "0e999999999999",
        "1E2",
        "1e+2",
        "2.0",
        "-0.0",
        "0x1",
        "1_0",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "340282346638528859811704183484516925440",
        "true",
        "false",
        "null",
        "tru",
        "\"\"",
        "\"1\"",
        "\"a",
        "\"\\ud83d\\ude00\"",
        "\"\\n\\\"\"",
        "{}",
        "{\"a\":[1,2]}",
        "",
        "1 2",
        "1,",
        "\u{e9}",
    ];
    prop_oneof![
        2 => any::<u8>().prop_map(|value| (value % 2).to_string()),
        2 => any::<i16>().prop_map(|value| value.to_string()),
        1 => any::<i64>().prop_map(|value| value.to_string()),
        1 => any::<u64>().prop_map(|value| value.to_string()),
        2 => any::<f32>().prop_filter("JSON", |value| value.is_finite()).prop_map(|value| format!("{value:?}")),
        2 => any::<f64>().prop_filter("JSON", |value| value.is_finite()).prop_map(|value| format!("{value:e}")),
        1 => any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => any::<bool>().prop_map(|value| value.to_string()),
        1 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
    ]
}

/// Elements of one kind, so that most arrays are right.
fn arrays() -> impl Strategy<Value = Vec<String>> {
    let number = any::<i8>().prop_map(|value| value.to_string());
    let float = any::<f64>().prop_map(|value| match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => "-Infinity".to_owned(),
        value => format!("{value:?}"),
    });
    let text = any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap());
    prop_oneof![
        prop::collection::vec(elements(), 0..8),
        prop::collection::vec(number, 0..40),
        prop::collection::vec(float, 0..40),
        prop::collection::vec(text, 0..8),
    ]
}

/// The same elements in arrays within arrays, with spaces anywhere.
fn nested(elements: &[String], choices: &[u8]) -> String {
    let spaces = ["", "", "", " ", "\n", "\r\n\t "];
    let mut text = "[".to_owned();
    let mut depth = 1;
    let mut choices = choices.iter().cycle().copied();
    for (index, element) in elements.iter().enumerate() {
        let choice = usize::from(choices.next().unwrap());
        let space = spaces[choice % spaces.len()];
        if index > 0 {
            text += space;
            text += ",";
        }
        let opened = if choice % 5 == 0 && depth < 60 {
            choice % 7
        } else {
            0
        };
        text += &format!("{space}[").repeat(opened);
        if choice % 11 == 0 {
            text += &format!("[]{space},[ [] ],");
        }
        text += space;
        text += element;
        text += spaces[(choice / 7) % spaces.len()];
        depth += opened;
        let closed = if choice % 3 == 0 {
            (choice / 3) % depth
        } else {
            0
        };
        text += &format!("{space}]").repeat(closed);
        depth -= closed;
    }
    text + &"]".repeat(depth)
}

/// What the elements are, as a general reader of JSON sees them.
fn reference(datatype: Datatype, data: &str) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(&json_tokens::quote(data.as_bytes())).ok()?;
    let mut bytes = Vec::new();
    flatten(datatype, &value, &mut bytes)?;
    Some(bytes)
}

fn flatten(datatype: Datatype, value: &Value, bytes: &mut Vec<u8>) -> Option<()> {
    macro_rules! integer {
        ($integer:ty) => {{
            let number = value
                .as_i64()
                .map(i128::from)
                .or(value.as_u64().map(i128::from));
            bytes.extend(<$integer>::try_from(number?).ok()?.to_le_bytes());
        }};
    }
    if let Value::Array(values) = value {
        return values
            .iter()
            .try_for_each(|value| flatten(datatype, value, bytes));
    }
    let float = || match value {
        Value::String(text) if text == "NaN" => Some(f64::NAN),
        Value::String(text) if text == "Infinity" => Some(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Some(f64::NEG_INFINITY),
        value => value.as_f64(),
    };
    match datatype {
        Datatype::Bool => bytes.push(u8::from(value.as_bool()?)),
        Datatype::Uint8 => integer!(u8),
        Datatype::Uint16 => integer!(u16),
        Datatype::Uint32 => integer!(u32),
        Datatype::Uint64 => integer!(u64),
        Datatype::Int8 => integer!(i8),
        Datatype::Int16 => integer!(i16),
        Datatype::Int32 => integer!(i32),
        Datatype::Int64 => integer!(i64),
        Datatype::Fp32 => {
            let value = float()?;
            let narrowed = value as f32;
            if narrowed.is_infinite() && value.is_finite() {
                return None;
            }
            bytes.extend(narrowed.to_le_bytes());
        }
        Datatype::Fp64 => bytes.extend(float()?.to_le_bytes()),
        Datatype::Bytes => {
            let text = value.as_str()?;
            bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        _ => return None,
    }
    Some(())
}

/// The number of elements of a datatype in these bytes.
fn count(datatype: Datatype, bytes: &[u8]) -> usize {
    match datatype.element_size() {
        Some(size) => bytes.len() / size,
        None => {
            let mut rest = bytes;
            std::iter::from_fn(|| {
                let (length, behind) = rest.split_first_chunk::<4>()?;
                rest = &behind[usize::try_from(u32::from_le_bytes(*length)).unwrap()..];
                Some(())
            })
            .count()
        }
    }
}

proptest! {
    #![proptest_config(crate::property_cases(4000))]

    #[test]
    fn elements_are_read_as_a_general_reader_reads_them(
        elements in arrays(),
        choices in prop::collection::vec(any::<u8>(), 1..20),
        datatype in prop::sample::select(Datatype::ALL),
        order in Just(["name", "datatype", "shape", "data", "other"]).prop_shuffle(),
    ) {
        let data = nested(&elements, &choices);
        // The general reader is handed these numbers as text, which they are not.
        let is_bare = |element: &String| ["NaN", "Infinity", "-Infinity"].contains(&element.as_str());
        let is_no_text = datatype == Datatype::Bytes && elements.iter().any(is_bare);
        let expected = reference(datatype, &data).filter(|_| !is_no_text);
        let shape = expected.as_ref().map_or(1, |bytes| count(datatype, bytes));
        let members = order.map(|member| match member {
            "name" => r#""name": "x""#.to_owned(),
            "datatype" => format!(r#""datatype" :"{datatype}""#),
            "shape" => format!(r#""shape":[{shape}]"#),
            "data" => format!(r#""data":{data}"#),
            _ => r#" "other":{"data":[[{}, NaN, "]"]]}"#.to_owned(),
        });
        let found = output(&members.join(","));
        match (&found, &expected) {
            (Ok(tensor), Some(bytes)) => prop_assert_eq!(&tensor.raw()[..], &bytes[..], "{}", data),
            (Err(_), None) => {}
            _ => prop_assert!(false, "{}: found {:?}, expected {:?}", data, found, expected),
        }
    }

    #[test]
    fn byte_strings_need_not_be_text(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let escaped: Vec<u8> = bytes.iter().copied().filter(|byte| !b"\"\\".contains(byte)).collect();
        let head = br#"{"outputs":[{"name":"x","datatype":"BYTES","shape":[2],"data":[""#;
        let body = [&head[..], &escaped, br#"", "\"\u0000"#, &escaped, br#""]}]}"#].concat();
        let response = decode(&body).unwrap();
        let found: Vec<&[u8]> = response.output("x").unwrap().byte_strings().unwrap().collect();
        prop_assert_eq!(found, [&escaped[..], &[b"\"\0", &escaped[..]].concat()]);
    }
}

fn tensor(datatype: &str, shape: &str, data: &str) -> Tensor {
    let members = format!(r#""name":"x","datatype":"{datatype}","shape":{shape},"data":{data}"#);
    output(&members).unwrap()
}

#[test]
fn a_single_value_is_an_array_of_it() {
    assert_eq!(tensor("INT8", "[]", "7").raw()[..], [7]);
    assert_eq!(tensor("INT8", "[1,1]", "7").raw()[..], [7]);
    assert_eq!(tensor("BYTES", "[1]", "\"a\"").raw()[..], *b"\x01\0\0\0a");
}

#[test]
fn whole_numbers_are_exact_to_their_limits() {
    let data = "[-9223372036854775808,9223372036854775807,-0]";
    let values = [i64::MIN, i64::MAX, 0];
    assert_eq!(
        *tensor("INT64", "[3]", data).values::<i64>().unwrap(),
        values
    );
    let data = "[18446744073709551615]";
    assert_eq!(
        *tensor("UINT64", "[1]", data).values::<u64>().unwrap(),
        [u64::MAX]
    );
}

#[test]
fn infinity_is_what_a_server_calls_so() {
    let found = tensor("FP32", "[2]", "[Infinity,-Infinity]");
    assert_eq!(
        *found.values::<f32>().unwrap(),
        [f32::INFINITY, f32::NEG_INFINITY]
    );
}
