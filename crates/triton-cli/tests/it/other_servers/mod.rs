//! Every command on servers of other kinds than Triton, which keep no configurations: what such a
//! server does not have is left out and said, and only what consists of it fails.

mod asking;
mod bench;
mod managing;
mod openvino;
mod predict;

use crate::{Run, triton};

/// Runs a command about the server at `endpoint`.
pub(super) fn run(endpoint: &str, arguments: &[&str]) -> Run {
    let option = format!("endpoint={endpoint}");
    triton(&[arguments, &["-O", &option]].concat())
}

/// Its exit code and all that it says, without what differs between servers and runs.
pub(super) fn said(endpoint: &str, arguments: &[&str]) -> String {
    let run = run(endpoint, arguments);
    run.said()
        .replace(endpoint, "http://server")
        .replace("mlserver 1.7.1", "NAME")
        .replace("kserve 0.21.0", "NAME")
}
