//! The bytes of the protocol, through the public API.
#![expect(
    clippy::unwrap_used,
    reason = "tests end where something unexpected comes"
)]

#[cfg(feature = "ndarray")]
mod arrays;
mod contradictions;
mod endpoints;
mod json_data;
mod json_floats;
mod other_servers;
mod shared_memory;
mod tensors;

use triton_protocol::{DecodeError, InferResponse, Tensor};

/// Reads an answer that is all JSON.
pub(crate) fn decode(json: impl AsRef<[u8]>) -> Result<InferResponse, DecodeError> {
    InferResponse::decode(json.as_ref().to_vec().into(), None)
}

/// The only output of an answer with these members.
pub(crate) fn output(members: &str) -> Result<Tensor, DecodeError> {
    let mut response = decode(format!(r#"{{"outputs":[{{{members}}}]}}"#))?;
    Ok(response.outputs.remove(0))
}

/// So many cases of a property, unless `PROPTEST_CASES` says how many.
pub(crate) fn property_cases(usual: u32) -> proptest::test_runner::Config {
    let config = proptest::test_runner::Config::default();
    proptest::test_runner::Config {
        cases: std::env::var("PROPTEST_CASES").map_or(usual, |_| config.cases),
        failure_persistence: None,
        ..config
    }
}
