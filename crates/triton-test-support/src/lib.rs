//! What the integration tests of several crates share: the servers they run against.

mod corrid_models;
mod cutting_proxy;
mod scripted_server;
mod tls_gateway;
mod triton_version;

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

/// The program that the README shows is compiled, as the other programs in documentation are.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

pub use corrid_models::{corrid_models, embedded_corrid_models};
pub use cutting_proxy::CuttingProxy;
pub use scripted_server::{ScriptedAnswer, scripted_server};
pub use tls_gateway::TlsGateway;
pub use triton_embedded::EmbeddedTriton;
pub use triton_version::TritonVersion;

/// The environment variable that hands the address of a real Triton to the live tests.
pub const LIVE_ENDPOINT_VARIABLE: &str = "TRITON_TEST_ENDPOINT";

/// The address of a real Triton that serves `examples/models`.
///
/// # Panics
///
/// When there is none: a live test that cannot run must never count as passed.
#[must_use]
pub fn live_endpoint() -> String {
    std::env::var(LIVE_ENDPOINT_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "this test needs a real Triton, and {LIVE_ENDPOINT_VARIABLE} names none: run the \
             tests with `cargo xtask test`, which starts one"
        )
    })
}

/// The address of a server of another kind that speaks the same protocol: `MLSERVER` or `KSERVE`.
///
/// # Panics
///
/// When there is none: a test that cannot run must never count as passed.
#[must_use]
pub fn other_endpoint(kind: &str) -> String {
    let variable = format!("{kind}_TEST_ENDPOINT");
    std::env::var(&variable).unwrap_or_else(|_| {
        panic!(
            "this test needs a server of another kind, and {variable} names none: run the tests \
             with `cargo xtask test`, which starts it"
        )
    })
}

/// A real Triton of a test's own, to be crashed and started again on the same port.
///
/// Only one test at a time has it; others of the same program wait.
#[derive(Debug)]
pub struct CrashTriton {
    endpoint: String,
    _turn: Turn,
}

static TAKEN: Mutex<bool> = Mutex::new(false);
static FREE: Condvar = Condvar::new();

/// The right to have the server; unlike a lock's guard it can move to another thread.
#[derive(Debug)]
struct Turn;

impl Turn {
    fn wait() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = FREE.wait_while(taken, |taken| *taken);
        *free.unwrap_or_else(PoisonError::into_inner) = true;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREE.notify_one();
    }
}

impl CrashTriton {
    /// Starts it, serving `examples/models`.
    ///
    /// # Panics
    ///
    /// When there is no program to start it with: see [`live_endpoint`].
    #[must_use]
    pub fn start() -> Self {
        let turn = Turn::wait();
        Self {
            endpoint: started(&xtask(CRASH_TEST, &["start"])),
            _turn: turn,
        }
    }

    /// Where it listens, also after a crash.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Kills it with SIGKILL and starts it again, empty of all state; blocks until it is ready.
    pub fn crash_and_restart(&self) {
        crash_and_restart(CRASH_TEST, &self.endpoint, &[]);
    }
}

impl Drop for CrashTriton {
    fn drop(&mut self) {
        xtask(CRASH_TEST, &["stop"]);
    }
}

/// A real Triton that serves models of a test's own, and ends when it is dropped.
#[derive(Debug)]
pub struct OwnTriton {
    instance: &'static str,
    models: String,
    endpoint: String,
}

impl OwnTriton {
    /// Starts it under a name that no other test has, serving the model repository `models`.
    ///
    /// # Panics
    ///
    /// When there is no program to start it with: see [`live_endpoint`].
    #[must_use]
    pub fn start(instance: &'static str, models: &Path) -> Self {
        let models = models.to_str().expect("the path of the models is UTF-8");
        let endpoint = started(&xtask(instance, &["start", "--models", models]));
        let models = models.to_owned();
        Self {
            instance,
            models,
            endpoint,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Starts several, each under a name of its own, all at once because most of it is waiting.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_all(instances: &[&'static str], models: &Path) -> Vec<Self> {
        std::thread::scope(|scope| {
            let starting = instances.iter().map(|instance| {
                let start = || Self::start(instance, models);
                scope.spawn(start)
            });
            let starting: Vec<_> = starting.collect();
            let started = starting.into_iter();
            started
                .map(|server| server.join().expect("the server starts"))
                .collect()
        })
    }

    /// Kills it with SIGKILL and starts it again, empty of all state; blocks until it is ready.
    pub fn crash_and_restart(&self) {
        crash_and_restart(self.instance, &self.endpoint, &["--models", &self.models]);
    }
}

impl Drop for OwnTriton {
    fn drop(&mut self) {
        xtask(self.instance, &["stop"]);
    }
}

/// The server that is crashed.
const CRASH_TEST: &str = "crash-test";

/// Kills a server and starts it again on the same port.
fn crash_and_restart(instance: &str, endpoint: &str, models: &[&str]) {
    xtask(instance, &["kill"]);
    let port = endpoint.rsplit(':').next().unwrap_or_default();
    let arguments = [&["start", "--port", port], models].concat();
    xtask(instance, &arguments);
}

/// The address in what `cargo xtask triton start` prints.
fn started(output: &str) -> String {
    let endpoint = output.split_whitespace().last().unwrap_or_default();
    assert!(endpoint.starts_with("http://"), "{output}");
    endpoint.to_owned()
}

/// What `cargo xtask triton` prints.
fn xtask(instance: &str, arguments: &[&str]) -> String {
    let program = std::env::var("TRITON_TEST_XTASK").unwrap_or_else(|_| {
        panic!("this test starts a real Triton: run the tests with `cargo xtask test`")
    });
    let output = std::process::Command::new(program)
        .args(["triton", "--instance", instance])
        .args(triton_version::argument())
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("cargo xtask triton {arguments:?}: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Makes two tests of each function named: against the embedded server and against a real one.
///
/// A function takes the endpoint as `&str` and is asynchronous; the crate that calls the macro
/// needs tokio with its macros.
#[macro_export]
macro_rules! on_both_servers {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $test() {
                    let server = $crate::EmbeddedTriton::start().expect("the embedded server starts");
                    super::$test(&server.endpoint()).await;
                }
            )+
        }

        mod live {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&$crate::live_endpoint()).await;
                }
            )+
        }
    };
}

/// Makes two tests of each function named: against MLServer and against KServe's own server.
///
/// As [`on_both_servers!`] otherwise.
#[macro_export]
macro_rules! on_other_servers {
    ($($test:ident),+ $(,)?) => {
        mod mlserver {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&$crate::other_endpoint("MLSERVER")).await;
                }
            )+
        }

        mod kserve {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&$crate::other_endpoint("KSERVE")).await;
                }
            )+
        }
    };
}
