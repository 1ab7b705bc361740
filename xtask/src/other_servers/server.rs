//! One server: started, waited for, stopped, and written down so that a later command finds what a
//! killed one left.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Kind, install};
use crate::files::{remove_file_if_present, write_whole};
use crate::process::Process;
use crate::python::without_python_variables;
use crate::{http, interrupt, poll, ports};

/// They load a lot of Python, from a cold disk the first time.
const TIME_TO_START: Duration = Duration::from_secs(120);

const TIME_TO_END: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
pub(super) struct Server {
    process: Process,
    /// What no other process has on its command line.
    mark: String,
    port: u16,
}

impl Server {
    /// The server as it was written down; it need not run any more.
    pub(super) fn read(folder: &Path, kind: &Kind) -> Result<Option<Self>> {
        let path = file(folder, kind, "json");
        if !path.exists() {
            return Ok(None);
        }
        let server = serde_json::from_slice(&fs_err::read(&path)?);
        let server = server.with_context(|| format!("{} holds no server", path.display()))?;
        Ok(Some(server))
    }

    /// Starts the server unless it runs already.
    pub(super) fn start(folder: &Path, kind: &Kind, models: &Path) -> Result<Self> {
        if let Some(server) = Self::read(folder, kind)? {
            if server.process.is_alive()? {
                return Ok(server);
            }
            server.stop(folder, kind)?;
        }
        let [port, grpc_port] = ports::free()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let mark = format!("xtask-{}-{:x}-{now:x}", kind.name, std::process::id());
        let python = install::python(folder, kind);
        let log = fs_err::File::create(file(folder, kind, "log"))?
            .into_parts()
            .0;
        let mut command = Command::new(&python);
        // Python ignores an option of `-X` that it does not know.
        command.arg("-X").arg(&mark);
        match kind.program {
            Some(program) => command
                .arg(python.with_file_name(program))
                .arg("start")
                .arg(models.join(kind.name)),
            None => command
                .arg(models.join(kind.name).join("server.py"))
                .arg(format!("--http-port={port}")),
        };
        without_python_variables(&mut command)
            .env("MLSERVER_HTTP_PORT", port.to_string())
            .env("MLSERVER_GRPC_PORT", grpc_port.to_string())
            // What Python compiles is not to lie among the sources.
            .env("PYTHONPYCACHEPREFIX", folder.join("compiled"))
            // Some make folders where they run.
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in the terminal is for `cargo xtask`, which then stops the server.
            .process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", python.display()))?;
        let server = Self {
            process: Process::current(child.id().try_into()?)?,
            mark,
            port,
        };
        write_whole(
            &file(folder, kind, "json"),
            &serde_json::to_vec_pretty(&server)?,
        )?;
        Ok(server)
    }

    /// Returns the endpoint.
    pub(super) fn wait_until_ready(&self, folder: &Path, kind: &Kind) -> Result<String> {
        let log = file(folder, kind, "log");
        let ready = poll::until(TIME_TO_START, || {
            interrupt::check()?;
            if !self.process.is_alive()? {
                bail!("{} has ended; see {}", kind.name, log.display());
            }
            Ok(self.is_ready(kind).then_some(()))
        })?;
        ready.with_context(|| format!("{} is not ready; see {}", kind.name, log.display()))?;
        Ok(format!("http://127.0.0.1:{}", self.port))
    }

    /// Another server could have taken the port in between, so its name is looked at.
    fn is_ready(&self, kind: &Kind) -> bool {
        #[derive(Deserialize)]
        struct Metadata {
            name: String,
        }
        let metadata = http::get(self.port, "/v2").and_then(|answer| answer.json::<Metadata>());
        metadata.is_ok_and(|metadata| metadata.name == kind.name)
            && http::get(self.port, "/v2/health/ready").is_ok_and(|answer| answer.status == 200)
    }

    pub(super) fn stop(&self, folder: &Path, kind: &Kind) -> Result<()> {
        self.process.terminate()?;
        poll::until(
            TIME_TO_END,
            || Ok((!self.process.is_alive()?).then_some(())),
        )?;
        self.process.kill_group(&self.mark)?;
        remove_file_if_present(&file(folder, kind, "json"))
    }
}

fn file(folder: &Path, kind: &Kind, extension: &str) -> PathBuf {
    folder.join(format!("{}.{extension}", kind.name))
}
