//! The ZooKeeper that lets a new JobManager take jobs over: the one that Flink brings along.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::flink::install::Installation;
use crate::{interrupt, poll, ports};

const TIME_TO_START: Duration = Duration::from_secs(300);

/// A running server; dropping it ends it.
pub(super) struct ZooKeeper {
    child: Child,
    pub(super) port: u16,
}

impl ZooKeeper {
    pub(super) fn start(flink: &Installation, folder: &Path) -> Result<Self> {
        let [port, peers, election] = ports::free()?;
        if folder.exists() {
            fs_err::remove_dir_all(folder)?;
        }
        fs_err::create_dir_all(folder)?;
        let data = folder.join("data");
        let configuration = folder.join("zoo.cfg");
        fs_err::write(
            &configuration,
            format!(
                "tickTime=500\ninitLimit=20\nsyncLimit=20\ndataDir={}\nclientPort={port}\n\
                 clientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
                 server.1=127.0.0.1:{peers}:{election}\n",
                data.display()
            ),
        )?;
        let jars = flink.jars()?;
        let jars: Vec<_> = jars.iter().map(|jar| jar.display().to_string()).collect();
        let log = fs_err::File::create(folder.join("log"))?.into_parts().0;
        let child = Command::new("java")
            .args(["-cp", &jars.join(":")])
            .arg("org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer")
            .arg("--zkConfigFile")
            .arg(&configuration)
            .args(["--peerId", "1"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot run java")?;
        let server = Self { child, port };
        let ready = poll::until(TIME_TO_START, || {
            interrupt::check()?;
            let connected = std::net::TcpStream::connect(("127.0.0.1", port));
            Ok(connected.ok().map(drop))
        })?;
        ready.context("ZooKeeper did not start")?;
        Ok(server)
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
