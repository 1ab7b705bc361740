//! Runs every test of the workspace, with a real Triton and a real Flink for those that need one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::command;
use crate::flink::Flink;
use crate::moto;
use crate::named_tests::Filters;
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

/// Tests of object stores start their server with the Python that this names.
const MOTO: &str = "TRITON_TEST_MOTO";

/// Its tests run the command.
const COMMAND_PACKAGE: &str = "triton-cli";

/// Their tests meet servers of other kinds.
const PACKAGES_OF_OTHER_SERVERS: [&str; 3] = ["triton-client", "triton-model-fn", COMMAND_PACKAGE];

/// Its tests run SQL on a cluster, which takes the provider from its jar.
const FLINK_PACKAGE: &str = "triton-flink";

/// How they learn which release of Triton it is; unset, it is the newest.
const VERSION: &str = "TRITON_TEST_VERSION";

/// What an older release of Triton is tried with: these are the tests that it could fail although
/// the newest passes them. They are few, because a run of all is a matter of minutes.
const ON_OLDER_RELEASES: &[&str] = &[
    "--test",
    "it",
    "--",
    "--exact",
    "conformance::older_servers::a_release_of_triton_keeps_to_the_protocol_but_for_what_it_lacks",
    "failures::a_crash_of_a_real_triton_costs_no_row",
    "predict::live::subtasks_number_their_own_sequences",
    "sequence_recovery::with_restart_every_row_is_answered_and_says_where_its_sequence_begins",
    "sequences::live::a_snapshot_moves_sequences_to_other_subtasks",
];

pub(crate) fn run(release: ServerVersion, arguments: &[String]) -> Result<ExitCode> {
    if release == ServerVersion::DEFAULT || !arguments.is_empty() {
        return run_with(release, arguments, &|package| is_tested(package, arguments));
    }
    let selection: Vec<_> = ON_OLDER_RELEASES.iter().map(ToString::to_string).collect();
    // None of these is about the command, the cluster, or servers of other kinds.
    run_with(release, &selection, &|_| false)
}

/// Runs `cargo test` with these arguments; `tested` says of which packages the tests may be about
/// more than Triton.
fn run_with(
    release: ServerVersion,
    arguments: &[String],
    tested: &dyn Fn(&str) -> bool,
) -> Result<ExitCode> {
    let triton = Triton::find()?;
    let cargo_test = || {
        let mut test = command::cargo();
        test.args(["test", "--locked", "--all-features"]);
        if !chooses_packages(arguments) {
            test.arg("--workspace");
        }
        test.current_dir(&triton.workspace.root);
        test
    };
    // Before there is a server: a test that is not there is known at once.
    let for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    Filters::of(arguments).check(cargo_test().args(for_cargo).arg("--"))?;
    let _turn = triton.wait_for_test_run()?;
    triton.install(release)?;
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
            .any(|package| tested(package))
            .then(|| scope.spawn(|| others.start()));
        let built = tested(FLINK_PACKAGE).then(|| flink.build(false));
        let panicked = || anyhow!("the servers of other kinds could not be started");
        let endpoints = starting.map(|starting| starting.join().map_err(|_| panicked())?);
        (endpoints.transpose(), built)
    });
    let other_endpoints = other_endpoints?.unwrap_or_default();
    built.transpose()?;
    let server = triton.start(release, &instance, &triton.example_models(), None)?;
    let version = server.version()?;

    let mut test = cargo_test();
    test.args(arguments)
        .env(ENDPOINT, server.endpoint())
        .env(PYTHON_CLIENT, python_client)
        .env(XTASK, std::env::current_exe()?)
        .env(VERSION, release.to_string())
        .env("RUST_TEST_THREADS", threads())
        .envs(other_endpoints);
    if tested(COMMAND_PACKAGE) {
        test.env(MOTO, moto::install(&triton.workspace.target_directory)?);
        if runs_ignored(arguments) {
            test.env(RELEASE, build_release(&triton.workspace)?);
        }
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

/// Builds the command with optimizations; returns the program.
fn build_release(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked", "--release"]);
    cargo.args(["--package", COMMAND_PACKAGE, "--bin", "triton"]);
    command::run_successfully(cargo.current_dir(&workspace.root))?;
    Ok(workspace.target_directory.join("release/triton"))
}

/// Whether the tests that need a release build are among those to run.
fn runs_ignored(arguments: &[String]) -> bool {
    arguments
        .iter()
        .any(|argument| argument.ends_with("ignored"))
}

/// How many tests of a program run at the same time, unless `RUST_TEST_THREADS` says how many: most
/// of them wait for a server, and more at a time than this would make those servers late.
fn threads() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let given = std::env::var("RUST_TEST_THREADS");
    given.unwrap_or_else(|_| (2 * processors).to_string())
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
