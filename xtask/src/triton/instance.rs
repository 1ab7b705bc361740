//! What is written down about a running server, so that later commands find it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::files::{remove_file_if_present, write_whole};
use crate::lock::{self, Lock};
use crate::process::Process;

/// A name under which at most one server runs, and the files that belong to it.
pub(crate) struct Instance {
    folder: PathBuf,
    name: String,
}

impl Instance {
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Whoever starts or stops the server holds this lock meanwhile.
    pub(super) fn lock(&self) -> Result<Lock> {
        lock::wait(&self.file("lock"), "starts or stops Triton")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// The server as it was last written down; it need not run any more.
    pub(super) fn read(&self) -> Result<Option<Server>> {
        let path = self.file("json");
        let content = match fs_err::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            content => content?,
        };
        let server = serde_json::from_slice(&content).with_context(|| {
            format!(
                "{} does not describe a server; stop that server by hand and delete the file",
                path.display()
            )
        })?;
        Ok(Some(server))
    }

    pub(super) fn write(&self, server: &Server) -> Result<()> {
        write_whole(&self.file("json"), &serde_json::to_vec_pretty(server)?)
    }

    pub(super) fn forget(&self) -> Result<()> {
        remove_file_if_present(&self.file("json"))
    }

    /// A name that no other server has: it marks the processes and the shared memory
    /// of this one.
    pub(super) fn new_mark(&self) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        // The trailing dash keeps one mark from being the beginning of another.
        Ok(format!(
            "xtask-{}-{:x}-{now:x}-",
            self.name,
            std::process::id()
        ))
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }
}

/// A server that was started; it leads a process group with the number of its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(super) process: Process,
    pub(super) mark: String,
    pub(super) http_port: u16,
    pub(super) metrics_port: u16,
    pub(super) models: PathBuf,
}

impl Server {
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Has its processes stand still, or go on.
    pub(super) fn pause(&self, still: bool) -> Result<()> {
        let signal = if still { Signal::STOP } else { Signal::CONT };
        self.process.signal_group(&self.mark, signal)
    }

    /// The version that the server itself names.
    pub(crate) fn version(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct Metadata {
            version: String,
        }
        let metadata: Metadata = crate::http::get(self.http_port, "/v2")?.json()?;
        Ok(metadata.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_survives_being_written_down() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-instance-{}", std::process::id()));
        fs_err::create_dir_all(&folder)?;
        let instance = Instance::new(&folder, "default");
        assert_eq!(instance.read()?, None);

        let server = Server {
            process: Process {
                pid: 7,
                start_ticks: 99,
            },
            mark: instance.new_mark()?,
            http_port: 8000,
            metrics_port: 8002,
            models: "/models".into(),
        };
        instance.write(&server)?;
        assert_eq!(instance.read()?, Some(server));

        fs_err::write(instance.file("json"), "{")?;
        let error = instance.read().expect_err("half a file is no server");
        assert!(error.to_string().contains("default.json"), "{error}");

        instance.forget()?;
        instance.forget()?;
        assert_eq!(instance.read()?, None);
        fs_err::remove_dir_all(&folder)?;
        Ok(())
    }
}
