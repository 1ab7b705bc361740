//! Starts a server and waits until it can be used, or says why it cannot.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::install::Installation;
use super::instance::{Instance, Server};
use super::stop;
use crate::process::Process;
use crate::{http, interrupt, poll, ports};

/// Loading the models is most of it: seconds here, more where everything is cold.
const TIME_TO_START: Duration = Duration::from_secs(120);

/// The ports are free when they are chosen and may be taken when the server asks for them.
const PORT_CHOICES: usize = 5;

/// How much of the log explains a failure: the tables at startup fill the rest.
const LOG_LINES: usize = 40;

/// Starts the instance unless it runs already; the caller holds its lock.
pub(super) fn start(
    installation: &Installation,
    instance: &Instance,
    models: &Path,
    port: Option<u16>,
) -> Result<Server> {
    let models = fs_err::canonicalize(models)
        .context("there is no such model repository; name one with --models")?;
    if let Some(server) = instance.read()? {
        if server.process.is_alive()? {
            if server.models != models {
                bail!(
                    "Triton is running already, with the models of {}; \
                     run `cargo xtask triton stop` first",
                    server.models.display()
                );
            }
            println!("Triton is running already");
            return wait_until_ready(instance, &server, || Ok(())).map(|()| server);
        }
        stop::stop(instance, &server)?;
    }

    for _ in 0..PORT_CHOICES {
        let (server, mut child) = launch(installation, instance, &models, port)?;
        let outcome = wait_until_ready(instance, &server, || match child.try_wait()? {
            Some(status) => Err(anyhow!("it ended with {status}")),
            None => Ok(()),
        });
        let Err(error) = outcome else {
            return Ok(server);
        };
        stop::stop(instance, &server)?;
        interrupt::check()?;
        let log = read_log(instance);
        if !log.contains("already in use") {
            let log_lines: Vec<_> = log.lines().collect();
            let tail = log_lines[log_lines.len().saturating_sub(LOG_LINES)..].join("\n");
            let path = instance.log();
            bail!(
                "Triton did not start: {error:#}; the end of {}:\n{tail}",
                path.display()
            );
        }
    }
    bail!("Triton found its ports taken {PORT_CHOICES} times; is something else taking them all?");
}

fn launch(
    installation: &Installation,
    instance: &Instance,
    models: &Path,
    port: Option<u16>,
) -> Result<(Server, Child)> {
    let mark = instance.new_mark()?;
    let [free_port, metrics_port] = ports::free()?;
    let http_port = port.unwrap_or(free_port);
    let log = fs_err::File::create(instance.log())?.into_parts().0;
    let mut command = installation.command()?;
    command
        .arg("--model-repository")
        .arg(models)
        .arg("--backend-directory")
        .arg(installation.backends())
        // Tests may load and unload models, and find all of them loaded.
        .args(["--model-control-mode=explicit", "--load-model=*"])
        .args(["--http-address=127.0.0.1", "--allow-grpc=false"])
        .arg(format!("--http-port={http_port}"))
        .arg(format!("--metrics-port={metrics_port}"))
        // A client's idle connection holds the server back for this long when it stops.
        .arg("--exit-timeout-secs=2")
        .arg(format!(
            "--backend-config=python,shm-region-prefix-name={mark}"
        ))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C in the terminal is for `cargo xtask`, which then stops the server.
        .process_group(0);
    let child = spawn(&mut command)?;
    let server = Server {
        process: Process::current(child.id().try_into()?)?,
        mark,
        http_port,
        metrics_port,
        models: models.to_owned(),
    };
    instance.write(&server)?;
    Ok((server, child))
}

fn spawn(command: &mut Command) -> Result<Child> {
    let program = command.get_program().to_owned();
    command.spawn().with_context(|| {
        format!(
            "cannot run {}; `cargo clean` and install again",
            program.display()
        )
    })
}

/// `check_child` fails when the process is known to have ended.
fn wait_until_ready(
    instance: &Instance,
    server: &Server,
    mut check_child: impl FnMut() -> Result<()>,
) -> Result<()> {
    let ready = poll::until(TIME_TO_START, || {
        interrupt::check()?;
        check_child()?;
        if !server.process.is_alive()? {
            bail!("its process {} has ended", server.process.pid);
        }
        // The last service to start. Without this line another server, which took the
        // port in between, could be the one that answers.
        let has_ports = read_log(instance).contains("Started Metrics Service");
        Ok((has_ports && is_ready(server)).then_some(()))
    })?;
    ready.with_context(|| format!("it was not ready after {} s", TIME_TO_START.as_secs()))
}

pub(super) fn is_ready(server: &Server) -> bool {
    http::get(server.http_port, "/v2/health/ready").is_ok_and(|response| response.status == 200)
}

/// Only for explanations and the two lines looked for above, so an unreadable log is an
/// empty one.
fn read_log(instance: &Instance) -> String {
    let content = fs_err::read(instance.log()).unwrap_or_default();
    String::from_utf8_lossy(&content).into_owned()
}
