//! The embedded server in a process of its own, for measurements that are not to count its work.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::Workspace;
use crate::{command, http, interrupt, poll, ports};

/// It starts in milliseconds, unless the machine is busy.
const TIME_TO_START: Duration = Duration::from_secs(20);

/// The example that is server and pipeline in one.
const EXAMPLE: &str = "four_subtasks";

/// Builds the example with optimizations; returns the program.
pub(super) fn build_program(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked", "--release"]);
    cargo.args(["--package", "triton-model-fn", "--example", EXAMPLE]);
    command::run_successfully(cargo.current_dir(&workspace.root))?;
    let examples = workspace.target_directory.join("release/examples");
    Ok(examples.join(EXAMPLE))
}

/// A running server; dropping it ends it.
pub(super) struct ModelServer {
    child: Child,
    port: u16,
}

/// What the server has answered so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) rows: u64,
    pub(super) requests: u64,
}

impl ModelServer {
    pub(super) fn start(program: &Path) -> Result<Self> {
        let [port] = ports::free()?;
        let child = Command::new(program)
            .args(["serve", &port.to_string()])
            // It ends with its input, and so even where this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut server = Self { child, port };
        let ready = poll::until(TIME_TO_START, || {
            interrupt::check()?;
            if let Some(status) = server.child.try_wait()? {
                bail!("the model's server ended with {status}");
            }
            let reply = http::get(port, "/v2/health/ready").ok();
            Ok(reply.filter(|reply| reply.status == 200))
        })?;
        ready.with_context(|| {
            let seconds = TIME_TO_START.as_secs();
            format!("the model's server was not ready after {seconds} s")
        })?;
        Ok(server)
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn counts(&self) -> Result<Counts> {
        let statistics: Statistics = http::get(self.port, "/v2/models/echo/stats")?.json()?;
        let model = statistics.model_stats.first();
        let model = model.context("the server has no statistics of its model")?;
        Ok(Counts {
            rows: model.inference_count,
            requests: model.inference_stats.success.count,
        })
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Deserialize)]
struct Statistics {
    model_stats: Vec<ModelStatistics>,
}

#[derive(Deserialize)]
struct ModelStatistics {
    inference_count: u64,
    inference_stats: InferenceStatistics,
}

#[derive(Deserialize)]
struct InferenceStatistics {
    success: Success,
}

#[derive(Deserialize)]
struct Success {
    count: u64,
}
