//! Ends a server and removes everything of it, whatever state it is in.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::instance::{Instance, Server};
use crate::files::remove_file_if_present;
use crate::poll;

/// The server waits for open connections for two seconds, then unloads its models.
const TIME_TO_TERMINATE: Duration = Duration::from_secs(10);

/// A killed process disappears as soon as the system gets to it.
const TIME_TO_DIE: Duration = Duration::from_secs(5);

/// Where Linux keeps the shared memory through which the server talks to its models.
const SHARED_MEMORY: &str = "/dev/shm";

/// Ends the server if it lives; the caller holds the lock of the instance.
pub(super) fn stop(instance: &Instance, server: &Server) -> Result<()> {
    server.process.terminate()?;
    poll::until(TIME_TO_TERMINATE, || {
        Ok((!server.process.is_alive()?).then_some(()))
    })?;

    // The processes of the models end with a server that ends in peace, and stay behind
    // one that was killed.
    let gone = poll::until(TIME_TO_DIE, || {
        server.process.kill_group(&server.mark)?;
        Ok(server
            .process
            .marked_group_members(&server.mark)?
            .is_empty()
            .then_some(()))
    })?;
    if gone.is_none() {
        let pids = server.process.marked_group_members(&server.mark)?;
        bail!("cannot end these processes of Triton: {pids:?}; end them by hand and try again");
    }

    remove_shared_memory(&server.mark)?;
    instance.forget()
}

/// Kills the server and nothing else: what it leaves behind is for [`stop`].
pub(super) fn kill(server: &Server) -> Result<()> {
    server.process.kill()?;
    let gone = poll::until(TIME_TO_DIE, || {
        Ok((!server.process.is_alive()?).then_some(()))
    })?;
    gone.context("the server is still there after SIGKILL")
}

/// The server leaves these behind when it is killed, and also when it fails to start.
fn remove_shared_memory(mark: &str) -> Result<()> {
    for entry in fs_err::read_dir(SHARED_MEMORY)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(mark) {
            remove_file_if_present(&entry.path())
                .context("cannot remove the shared memory of a server that has ended")?;
        }
    }
    Ok(())
}
