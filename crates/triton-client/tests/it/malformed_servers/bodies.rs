//! Bodies that are no answer to an inference request, however they are sent.

use std::io::Write as _;

use triton_client::ErrorKind;

use super::{Answer, BINARY, Case, LIMIT, answer, gzip, json};

/// An answer with one output, of which this is all.
fn output(fields: &str) -> Answer {
    json(&format!(r#"{{"outputs":[{{"name":"x",{fields}}}]}}"#))
}

/// An output in JSON, with this shape and these elements.
fn fp32(shape: &str, data: &str) -> Answer {
    output(&format!(
        r#""datatype":"FP32","shape":{shape},"data":{data}"#
    ))
}

/// Bytes behind the JSON, of which the JSON says this.
fn binary(datatype: &str, shape: &str, size: &str, tensors: &[u8]) -> Answer {
    let json = format!(
        r#"{{"outputs":[{{"name":"x","datatype":"{datatype}","shape":{shape},"parameters":{{"binary_data_size":{size}}}}}]}}"#
    );
    let headers = format!("Inference-Header-Content-Length: {}\r\n", json.len());
    answer(&headers, [json.as_bytes(), tensors].concat())
}

/// A list of as many of these as an answer has room for.
pub(super) fn many(value: &str) -> String {
    let values = vec![value; (LIMIT - 500) / (value.len() + 1)];
    format!("[{}]", values.join(","))
}

/// As many parameters of one number as an answer has room for.
fn numbered() -> String {
    let parameters: Vec<_> = (0..LIMIT / 12)
        .map(|index| format!(r#""{index}":1"#))
        .collect();
    parameters.join(",")
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::best();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn with_a_wrong_checksum() -> Vec<u8> {
    let mut bytes = gzip(br#"{"outputs":[]}"#);
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    bytes
}

pub(super) fn cases() -> Vec<Case> {
    use ErrorKind::{Protocol, ResponseTooLarge};
    let valid = r#"{"outputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[3]}]}"#;
    let compressed =
        |encoding: &str, bytes: &[u8]| answer(&format!("Content-Encoding: {encoding}\r\n"), bytes);
    vec![
        ("nothing, said in JSON", Protocol, json("null")),
        ("a zero that hides a large size", Protocol, fp32("[1,268435456,0]", "[]")),
        ("a zero before sizes beyond all numbers", Protocol, fp32("[0,8589934592,8589934592]", "[]")),
        ("a shape of a thousand dimensions", Protocol, fp32(&format!("[{}1]", "1,".repeat(1000)), "[1]")),
        ("a zero in binary form that hides a large size", Protocol, binary("FP32", "[8589934592,8589934592,0]", "0", b"")),
        ("a shape of a million dimensions", Protocol, fp32(&format!("[{}1]", "1,".repeat(LIMIT / 3)), "[1]")),
        ("tiny lists in a parameter", Protocol, json(&format!(r#"{{"parameters":{{"p":{}}}}}"#, many("[]")))),
        ("tiny objects in a parameter", Protocol, json(&format!(r#"{{"parameters":{{"p":{}}}}}"#, many(r#"{"":0}"#)))),
        (
            "tiny objects in a parameter of an output",
            Protocol,
            output(&format!(r#""datatype":"INT8","shape":[1],"parameters":{{"p":{}}}"#, many(r#"{"":0}"#))),
        ),
        ("as many parameters as fit", Protocol, json(&format!(r#"{{"parameters":{{{}}},"outputs":[]}}"#, numbered()))),
        (
            "as many parameters of an output as fit",
            Protocol,
            output(&format!(r#""datatype":"INT8","shape":[1],"data":[1],"parameters":{{{}}}"#, numbered())),
        ),
        ("as many texts as fit", Protocol, output(&format!(r#""datatype":"BYTES","shape":[1],"data":{}"#, many(r#""""#)))),
        ("as many numbers as fit", Protocol, output(&format!(r#""datatype":"FP64","shape":[1],"data":{}"#, many("0")))),
        ("as many numbers as fit before their type", Protocol, output(&format!(r#""data":{},"datatype":"INT64","shape":[1]"#, many("0")))),
        ("a number", Protocol, json("7")),
        ("a list", Protocol, json("[]")),
        ("two answers", Protocol, json(&valid.repeat(2))),
        ("garbage behind the answer", Protocol, json(&format!("{valid} x"))),
        ("a comma too many", Protocol, json(&valid.replace("]}", "],}"))),
        ("quotes of another kind", Protocol, json(&valid.replace('"', "'"))),
        ("a text without end", Protocol, json(r#"{"outputs":[{"name":"x"#)),
        ("an escape that is none", Protocol, json(&valid.replace("\"x\"", r#""\q""#))),
        ("half of a character", Protocol, json(&valid.replace("\"x\"", r#""\ud800""#))),
        (
            "bytes that are no text",
            Protocol,
            answer("", b"{\"outputs\":[{\"name\":\"\xff\xfe\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[3]}]}"),
        ),
        (
            "deep nesting in what nobody reads",
            Protocol,
            json(&format!("{{\"more\":{}", "{\"a\":".repeat(50_000))),
        ),
        (
            "deep nesting in elements",
            Protocol,
            fp32("[1]", &"[".repeat(100_000)),
        ),
        ("outputs that are no list", Protocol, json(r#"{"outputs":{}}"#)),
        ("outputs that are numbers", Protocol, json(r#"{"outputs":[1,2]}"#)),
        (
            "an output without a name",
            Protocol,
            json(r#"{"outputs":[{"datatype":"INT8","shape":[1],"data":[3]}]}"#),
        ),
        ("an output without a type", Protocol, output(r#""shape":[1],"data":[3]"#)),
        ("an output without a shape", Protocol, output(r#""datatype":"INT8","data":[3]"#)),
        ("an output without elements", Protocol, output(r#""datatype":"INT8","shape":[1]"#)),
        ("a type that is a number", Protocol, output(r#""datatype":7,"shape":[1],"data":[3]"#)),
        ("a shape that is a number", Protocol, fp32("1", "[3]")),
        ("a shape with a fraction", Protocol, fp32("[1.5]", "[3]")),
        ("a shape with a text", Protocol, fp32(r#"["1"]"#, "[3]")),
        ("too many elements", Protocol, fp32("[1]", "[3,4]")),
        ("an element that is a text", Protocol, fp32("[1]", r#"["3"]"#)),
        ("an element that is a truth", Protocol, fp32("[1]", "[true]")),
        ("elements that are an object", Protocol, fp32("[1]", "{}")),
        ("an element without a number", Protocol, fp32("[1]", "[-]")),
        (
            "a fraction where whole numbers are",
            Protocol,
            output(r#""datatype":"INT32","shape":[1],"data":[1.5]"#),
        ),
        (
            "a number beyond its type",
            Protocol,
            output(r#""datatype":"UINT64","shape":[1],"data":[18446744073709551616]"#),
        ),
        (
            "a text that is a number",
            Protocol,
            output(r#""datatype":"BYTES","shape":[1],"data":[7]"#),
        ),
        ("a size below nothing", Protocol, binary("FP32", "[1]", "-4", &[0; 4])),
        ("a size with a fraction", Protocol, binary("FP32", "[1]", "4.5", &[0; 4])),
        ("a size that is a text", Protocol, binary("FP32", "[1]", r#""4""#, &[0; 4])),
        ("a size beyond 64 bits", Protocol, binary("FP32", "[1]", "18446744073709551616", &[0; 4])),
        ("a size of almost 64 bits", Protocol, binary("FP32", "[1]", "18446744073709551615", &[0; 4])),
        ("a size that does not fit the shape", Protocol, binary("FP32", "[2]", "4", &[0; 4])),
        ("a text that is longer than it is", Protocol, binary("BYTES", "[1]", "5", &[255, 255, 255, 127, b'a'])),
        ("the length of a text, cut", Protocol, binary("BYTES", "[1]", "3", &[1, 0, 0])),
        ("fewer texts than the shape says", Protocol, binary("BYTES", "[2]", "5", &[1, 0, 0, 0, b'a'])),
        ("more texts than the shape says", Protocol, binary("BYTES", "[1]", "10", &[1, 0, 0, 0, b'a', 1, 0, 0, 0, b'b'])),
        ("a bomb of deflate", ResponseTooLarge, compressed("deflate", &zlib(&vec![b' '; 100 * LIMIT]))),
        (
            "a bomb within a bomb",
            Protocol,
            compressed("gzip", &gzip(&gzip(&vec![b' '; 100 * LIMIT]))),
        ),
        ("gzip that says it twice", Protocol, compressed("gzip, gzip", &gzip(&gzip(valid.as_bytes())))),
        ("gzip with a wrong checksum", Protocol, compressed("gzip", &with_a_wrong_checksum())),
        ("gzip of nothing", Protocol, compressed("gzip", b"")),
        (
            "the lengths of binary data without end",
            Protocol,
            answer("Inference-Header-Content-Length: 99999999999999999999\r\n", BINARY),
        ),
        (
            "as many outputs as fit",
            Protocol,
            json(&format!("{{\"outputs\":[{}]}}", vec!["{}"; LIMIT / 4].join(","))),
        ),
        (
            "spaces, and nothing behind them",
            Protocol,
            json(&" ".repeat(LIMIT - 1)),
        ),
    ]
}
