//! The server whose models return their columns, in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::process::Process;
use crate::processor_time::processor_seconds;
use crate::workspace::Workspace;

/// A running server; dropping it ends it.
pub(super) struct ColumnServer {
    child: Child,
    endpoint: String,
}

impl ColumnServer {
    pub(super) fn start(workspace: &Workspace) -> Result<Self> {
        let program = super::build(workspace, "bench-columns")?;
        let mut child = Command::new(&program)
            // It ends with its input, and so even where this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut server = Self {
            child,
            endpoint: String::new(),
        };
        BufReader::new(output).read_line(&mut server.endpoint)?;
        server.endpoint.truncate(server.endpoint.trim_end().len());
        ensure!(
            server.endpoint.starts_with("http://"),
            "the server did not say where it is"
        );
        Ok(server)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The processor time that it has used so far.
    pub(super) fn processor_seconds(&self) -> Result<f64> {
        processor_seconds(Process::current(self.child.id().try_into()?)?)
    }
}

impl Drop for ColumnServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
