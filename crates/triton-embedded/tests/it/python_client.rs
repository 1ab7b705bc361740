//! NVIDIA's own Python client against the embedded server.

use std::process::Command;

use triton_embedded::EmbeddedTriton;

/// The Python that has `tritonclient`.
const PYTHON: &str = "TRITON_TEST_PYTHON_CLIENT";

#[test]
fn the_official_python_client_cannot_tell_the_difference() {
    let python = std::env::var_os(PYTHON).unwrap_or_else(|| {
        panic!(
            "this test needs a Python with tritonclient, and {PYTHON} names none: run the tests \
             with `cargo xtask test`, which installs one"
        )
    });
    let server = EmbeddedTriton::start().expect("a server");
    let endpoint = server.endpoint();
    let url = endpoint.strip_prefix("http://").expect("a plain endpoint");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python_client.py");
    let output = Command::new(python)
        .args([script, url])
        .output()
        .expect("Python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("PASS: the Python client"), "{said}");
}
