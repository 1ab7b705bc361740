//! The instant server, in a process of its own, so that none of its work counts.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::programs::Programs;
use crate::http;

/// The servers of a run; dropping them ends them.
pub(super) struct InstantServers(Vec<InstantServer>);

impl InstantServers {
    pub(super) fn start(programs: &Programs, count: usize) -> Result<Self> {
        let servers = (0..count).map(|_| InstantServer::start(programs));
        Ok(Self(servers.collect::<Result<_>>()?))
    }

    /// The one that is used by whatever has only one.
    pub(super) fn first(&self) -> &InstantServer {
        &self.0[0]
    }

    /// The address of the first one.
    pub(super) fn endpoint(&self) -> &str {
        self.first().endpoint()
    }

    /// The addresses of all, as `endpoint` takes them.
    pub(super) fn endpoints(&self) -> String {
        let endpoints: Vec<_> = self.0.iter().map(InstantServer::endpoint).collect();
        endpoints.join(",")
    }
}

/// A running server; dropping it ends it.
pub(super) struct InstantServer {
    child: Child,
    endpoint: String,
    port: u16,
}

impl InstantServer {
    pub(super) fn start(programs: &Programs) -> Result<Self> {
        let mut child = Command::new(programs.ours())
            .arg("serve")
            // It ends with its input, and so even where this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", programs.ours().display()))?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut endpoint = String::new();
        BufReader::new(output).read_line(&mut endpoint)?;
        let endpoint = endpoint.trim().to_owned();
        let port = endpoint
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let mut server = Self {
            child,
            endpoint,
            port: 0,
        };
        server.port = port.context("the instant server did not say where it is")?;
        Ok(server)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How many inferences it has answered so far.
    pub(super) fn answered(&self) -> Result<u64> {
        http::get(self.port, "/bench/requests")?.json()
    }
}

impl Drop for InstantServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
