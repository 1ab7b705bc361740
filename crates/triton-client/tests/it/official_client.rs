//! NVIDIA's Python client and this one, given the same tensors, get the same bytes back.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use serde_json::json;
use triton_client::{Compression, Datatype, InferRequest, Tensor, TensorFormat};

use crate::conformance::target::{Kind, Target, model};
use crate::conformance::tensors::samples;

/// The Python that has `tritonclient`.
const PYTHON: &str = "TRITON_TEST_PYTHON_CLIENT";

/// One tensor in one form.
struct Case {
    datatype: Datatype,
    count: usize,
    data: Bytes,
    format: TensorFormat,
    compression: Option<Compression>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for datatype in Datatype::ALL.iter().copied() {
        for format in [TensorFormat::Binary, TensorFormat::Json] {
            if format == TensorFormat::Json && matches!(datatype, Datatype::Fp16 | Datatype::Bf16) {
                continue;
            }
            for compression in [None, Some(Compression::Gzip), Some(Compression::Deflate)] {
                let (count, data) = samples(datatype);
                cases.push(Case {
                    datatype,
                    count,
                    data,
                    format,
                    compression,
                });
            }
        }
    }
    cases
}

async fn ours(target: &Target, case: &Case) -> String {
    let name = case.datatype.name().to_lowercase();
    let shape = [1, case.count];
    let input = Tensor::from_raw(
        format!("in_{name}"),
        case.datatype,
        shape,
        case.data.clone(),
    );
    let mut request = InferRequest::new(model("every_datatype"))
        .input(input.unwrap())
        .output(format!("out_{name}"))
        .format(case.format);
    if let Some(compression) = case.compression {
        request = request
            .request_compression(compression)
            .response_compression(compression);
    }
    let response = target.client.infer(&request).await.unwrap();
    hex(response.output(&format!("out_{name}")).unwrap().raw())
}

fn theirs(endpoint: &str, cases: &[Case]) -> Vec<String> {
    let python = std::env::var_os(PYTHON).unwrap_or_else(|| {
        panic!(
            "this test needs a Python with tritonclient, and {PYTHON} names none: run the tests \
             with `cargo xtask test`, which installs one"
        )
    });
    let described: Vec<_> = cases
        .iter()
        .map(|case| {
            json!({
                "name": case.datatype.name().to_lowercase(),
                "datatype": case.datatype.name(),
                "shape": [1, case.count],
                "hex": hex(&case.data),
                "binary": case.format == TensorFormat::Binary,
                "compression": match case.compression {
                    None => None,
                    Some(Compression::Gzip) => Some("gzip"),
                    Some(Compression::Deflate) => Some("deflate"),
                },
            })
        })
        .collect();
    let url = endpoint.strip_prefix("http://").unwrap();
    let request = json!({ "url": url, "cases": described }).to_string();
    let mut child = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/official_client.py"
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn both_clients_get_the_same_bytes() {
    let endpoint = triton_test_support::live_endpoint();
    let target = Target::new(Kind::Live, &endpoint).await;
    let cases = cases();
    let theirs = theirs(&endpoint, &cases);
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = ours(&target, case).await;
        let name = format!("{} {:?} {:?}", case.datatype, case.format, case.compression);
        assert_eq!(ours, *theirs, "{name}");
        assert_eq!(ours, hex(&case.data), "{name}");
    }
    println!("{} cases, all equal", cases.len());
}
