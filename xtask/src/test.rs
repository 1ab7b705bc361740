//! Runs every test of the workspace, with a real Triton for those that need one.

use std::process::ExitCode;

use anyhow::Result;

use crate::command;
use crate::triton::{Instance, Triton};

/// How `triton-test-support` learns of the server; a dependency on it would make this command
/// build half of the workspace before it could run.
const ENDPOINT: &str = "TRITON_TEST_ENDPOINT";

/// Tests that find this in their environment run NVIDIA's client with the Python it names.
const PYTHON_CLIENT: &str = "TRITON_TEST_PYTHON_CLIENT";

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let triton = Triton::find()?;
    let _turn = triton.wait_for_test_run()?;
    triton.install()?;
    let python_client = triton.install_python_client()?;
    // Not the server that a person may have started: its models and its state are theirs.
    let instance = triton.instance("test");
    let _stopping = Stopping {
        triton: &triton,
        instance: &instance,
    };
    // A test run that was killed leaves its server, with whatever its tests did to it.
    triton.stop(&instance)?;
    let server = triton.start(&instance, &triton.example_models())?;
    let version = server.version()?;

    let mut test = command::cargo();
    test.args(["test", "--locked"]);
    if !chooses_packages(arguments) {
        test.arg("--workspace");
    }
    test.args(arguments)
        .current_dir(&triton.workspace.root)
        .env(ENDPOINT, server.endpoint())
        .env(PYTHON_CLIENT, python_client);
    let status = command::run(&mut test)?;

    triton.stop(&instance)?;
    let endpoint = server.endpoint();
    if status.success() {
        println!("the live tests ran against Triton {version} at {endpoint}");
    } else {
        eprintln!("the tests failed; Triton {version} was at {endpoint}");
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Stops the server where the run ends early: by an error, an interrupt or a panic.
struct Stopping<'a> {
    triton: &'a Triton,
    instance: &'a Instance,
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.triton.stop(self.instance) {
            eprintln!("cannot stop Triton after the tests: {error:#}");
        }
    }
}

/// `--workspace` would win over a choice of packages.
fn chooses_packages(arguments: &[String]) -> bool {
    let for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    for_cargo
        .into_iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}
