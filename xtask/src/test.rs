//! Runs every test of the workspace, with a real Triton and a real Flink for those that need one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::command;
use crate::flink::Flink;
use crate::other_servers::OtherServers;
use crate::triton::{ServerVersion, Triton};
use crate::workspace::Workspace;

/// How `triton-test-support` learns of the server; a dependency on it would make this command
/// build half of the workspace before it could run.
const ENDPOINT: &str = "TRITON_TEST_ENDPOINT";

/// Tests that crash a server find here the program with which they start one of their own.
const XTASK: &str = "TRITON_TEST_XTASK";

/// Tests that find this in their environment run NVIDIA's client with the Python it names.
const PYTHON_CLIENT: &str = "TRITON_TEST_PYTHON_CLIENT";

/// Tests of pipes and signals find here the command as users build it: with optimizations it is in
/// other places when a pipe breaks.
const RELEASE: &str = "TRITON_TEST_RELEASE";

/// Its tests run the command.
const COMMAND_PACKAGE: &str = "triton-cli";

/// Their tests meet servers of other kinds.
const PACKAGES_OF_OTHER_SERVERS: [&str; 3] = ["triton-client", "triton-model-fn", COMMAND_PACKAGE];

/// Its tests run SQL on a cluster, which takes the provider from its jar.
const FLINK_PACKAGE: &str = "triton-flink";

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let triton = Triton::find()?;
    let _turn = triton.wait_for_test_run()?;
    triton.install(ServerVersion::DEFAULT)?;
    let python_client = triton.install_python_client()?;
    // Not the server that a person may have started: its models and its state are theirs.
    let instance = triton.instance("test");
    let flink = Flink::find()?;
    let others = OtherServers::find()?;
    let _stopping = Stopping {
        triton: &triton,
        flink: &flink,
        others: &others,
    };
    // A test run that was killed leaves its servers, with whatever its tests did to them.
    triton.stop_test_servers()?;
    flink.stop_test_clusters()?;
    others.stop()?;
    // What is downloaded for the one need not wait for what is compiled for the other.
    let (other_endpoints, built) = std::thread::scope(|scope| {
        let mut packages = PACKAGES_OF_OTHER_SERVERS.iter();
        let starting = packages
            .any(|package| is_tested(package, arguments))
            .then(|| scope.spawn(|| others.start()));
        let built = build(&triton.workspace, &flink, arguments);
        let panicked = || anyhow!("the servers of other kinds could not be started");
        let endpoints = starting.map(|starting| starting.join().map_err(|_| panicked())?);
        (endpoints.transpose(), built)
    });
    let other_endpoints = other_endpoints?.unwrap_or_default();
    let release = built?;
    let server = triton.start(&instance, &triton.example_models(), None)?;
    let version = server.version()?;

    let mut test = command::cargo();
    test.args(["test", "--locked", "--all-features"]);
    if !chooses_packages(arguments) {
        test.arg("--workspace");
    }
    test.args(arguments)
        .current_dir(&triton.workspace.root)
        .env(ENDPOINT, server.endpoint())
        .env(PYTHON_CLIENT, python_client)
        .env(XTASK, std::env::current_exe()?)
        .envs(other_endpoints);
    if let Some(release) = release {
        test.env(RELEASE, release);
    }
    let status = command::run(&mut test)?;

    flink.stop_test_clusters()?;
    others.stop()?;
    triton.stop_test_servers()?;
    let endpoint = server.endpoint();
    if status.success() {
        println!("the live tests ran against Triton {version} at {endpoint}");
    } else {
        eprintln!("the tests failed; Triton {version} was at {endpoint}");
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Builds what the tests take as users do; returns the program of the command, where it is tested.
fn build(workspace: &Workspace, flink: &Flink, arguments: &[String]) -> Result<Option<PathBuf>> {
    if is_tested(FLINK_PACKAGE, arguments) {
        flink.build(false)?;
    }
    match is_tested(COMMAND_PACKAGE, arguments) {
        true => build_release(workspace).map(Some),
        false => Ok(None),
    }
}

/// Builds the command with optimizations, as the first example of the README does; returns the
/// program.
fn build_release(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked", "--release"]);
    cargo.args(["--package", COMMAND_PACKAGE, "--bin", "triton"]);
    command::run_successfully(cargo.current_dir(&workspace.root))?;
    Ok(workspace.target_directory.join("release/triton"))
}

/// Stops the servers where the run ends early: by an error, an interrupt or a panic.
struct Stopping<'a> {
    triton: &'a Triton,
    flink: &'a Flink,
    others: &'a OtherServers,
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.flink.stop_test_clusters() {
            eprintln!("cannot stop Flink after the tests: {error:#}");
        }
        if let Err(error) = self.others.stop() {
            eprintln!("cannot stop the servers of other kinds after the tests: {error:#}");
        }
        if let Err(error) = self.triton.stop_test_servers() {
            eprintln!("cannot stop Triton after the tests: {error:#}");
        }
    }
}

/// Whether the tests of a package are among those to run.
fn is_tested(package: &str, arguments: &[String]) -> bool {
    !chooses_packages(arguments) || arguments.iter().any(|argument| argument.contains(package))
}

/// `--workspace` would win over a choice of packages.
fn chooses_packages(arguments: &[String]) -> bool {
    let for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    for_cargo
        .into_iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}
