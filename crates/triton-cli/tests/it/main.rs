//! The `triton` command as a user runs it: files in, files, messages and exit codes out.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected comes"
)]

mod advice;
mod bench;
mod commands;
mod config;
mod files;
mod gateways;
mod guide_walk;
mod health;
mod help;
mod hostile_shapes;
mod hostile_texts;
mod infer;
mod model_kinds;
mod objects;
mod observability;
mod optional_inputs;
mod options;
mod other_servers;
mod outages;
mod predict;
mod predict_checkpoint;
mod predict_chunks;
mod predict_columns;
mod predict_failures;
mod predict_flags;
mod predict_folders;
mod predict_formats;
mod predict_inputs;
mod predict_keys;
mod predict_limits;
mod predict_signals;
mod predict_sorted;
mod predict_streams;
mod refusals;
mod secrets;
mod serve;
mod several_servers;
mod shell;
mod small_server;
mod stream_outages;
mod table_file;
mod terminal;
mod text_files;
mod text_values;
mod tls;
mod typed_values;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tokio::sync::Mutex;

/// Whose turn it is to load a model, or to ask whether a server is ready: while a real one loads a
/// model, it says that it is not.
static READINESS: Mutex<()> = Mutex::const_new(());

/// Makes two tests of each function: against the build of the tests, and against a release build,
/// which takes minutes to build.
macro_rules! on_both_builds {
    ($($name:ident),+ $(,)?) => {
        mod debug {
            $(#[tokio::test]
            async fn $name() {
                super::$name(env!("CARGO_BIN_EXE_triton")).await;
            })+
        }

        mod release {
            $(#[tokio::test]
            #[ignore = "it needs a release build: `cargo xtask test --all` runs it"]
            async fn $name() {
                super::$name(&crate::release()).await;
            })+
        }
    };
}
use on_both_builds;

/// What a run of the command left behind.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `triton` with `arguments`.
fn triton(arguments: &[&str]) -> Run {
    triton_in(&[], arguments)
}

/// Runs `triton` with `arguments` and these variables in its environment.
fn triton_in(environment: &[(&str, &str)], arguments: &[&str]) -> Run {
    let output = command(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Run::of(output)
}

/// The command with `arguments`, to be run in whatever way a test needs.
fn command(arguments: &[&str]) -> Command {
    let mut command = own(env!("CARGO_BIN_EXE_triton"));
    command.args(arguments);
    command
}

/// The command as users build it: with optimizations, it is elsewhere when a pipe breaks or a
/// signal comes.
fn release() -> String {
    std::env::var("TRITON_TEST_RELEASE").unwrap_or_else(|_| {
        panic!(
            "this test needs the command of a release build, and TRITON_TEST_RELEASE names none: \
             run it with `cargo xtask test -- -p triton-cli --test it -- --ignored release::`, \
             which builds it"
        )
    })
}

/// A program, without what whoever runs the tests has set for the command.
fn own(program: &str) -> Command {
    // Options of whoever runs the tests are none of theirs.
    let foreign = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let foreign = foreign
        .filter(|name| name.starts_with("TRITON_") && !name.starts_with("TRITON_TEST_"))
        .chain(["RUST_LOG".to_owned(), "RUST_BACKTRACE".to_owned()]);
    let mut command = Command::new(program);
    for name in foreign {
        command.env_remove(name);
    }
    // And so is their configuration file.
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

impl Run {
    /// Its exit code and all that it said.
    fn said(&self) -> String {
        let code = self.code.expect("it was not ended by a signal");
        format!("exit code {code}\n{}{}", self.stdout, self.stderr)
    }

    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A file below the workspace's `examples`.
fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(path)
}

/// A folder of a test's own files, which goes with it.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file and returns its path.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// `text` without the name of this folder, which differs in every run.
    fn relative(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}
