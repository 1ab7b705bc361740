//! The server of a run: a real Triton, which is killed, stopped, and told to load its models again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use triton_client::{Client, LoadModel, ModelId, UnloadModel};

use crate::fault::Event;
use crate::journal::{self, Arrived};
use crate::outcome::Met;

/// After it stood still: a model's process may be given up by then.
const TIME_TO_FAIL: Duration = Duration::from_secs(1);

/// The servers behind an endpoint.
pub(crate) type Servers = Vec<Arc<Server>>;

/// A server that `cargo xtask` has started.
#[derive(Debug)]
pub(crate) struct Server {
    instance: String,
    xtask: PathBuf,
    models: PathBuf,
    address: SocketAddr,
    loads: AtomicU32,
    /// Since its last run began: Triton sometimes ends after that.
    has_stood_still: AtomicBool,
}

impl Server {
    /// Starts it unless it runs.
    pub(crate) fn start(xtask: PathBuf, models: PathBuf, instance: String) -> Result<Self> {
        let mut server = Self {
            instance,
            xtask,
            models,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            loads: AtomicU32::new(0),
            has_stood_still: AtomicBool::new(false),
        };
        let output = server.xtask(&["start", "--models", &server.models.to_string_lossy()])?;
        let endpoint = output.split_whitespace().last().unwrap_or_default();
        server.address = endpoint
            .trim_start_matches("http://")
            .parse()
            .with_context(|| format!("no address of a server: {output}"))?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn xtask(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.xtask)
            .args(["triton", "--instance", &self.instance])
            .args(arguments)
            .output()?;
        if !output.status.success() {
            bail!(
                "{arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts it unless it runs, at the same address.
    pub(crate) fn start_again(&self) -> Result<()> {
        let (models, port) = (
            self.models.to_string_lossy(),
            self.address.port().to_string(),
        );
        self.xtask(&["start", "--models", &models, "--port", &port])?;
        Ok(())
    }

    /// Has something happen to it, and blocks until it is over.
    ///
    /// Triton itself sometimes ends after it stood still, so that what is to happen next may miss it. An event
    /// that fails otherwise is an error. The server runs afterwards in every case.
    pub(crate) fn meet(&self, event: Event, model: &str) -> Result<Met> {
        let Err(error) = self.attempt(event, model) else {
            return Ok(Met::Happened);
        };
        self.start_again()?;
        match self.has_stood_still.load(Ordering::Relaxed) {
            true => Ok(Met::Missed),
            false => Err(error),
        }
    }

    /// The rows that have arrived at a model since that was [cleared](Self::clear_journal).
    pub(crate) fn journal(&self, model: &str) -> Result<Vec<Arrived>> {
        journal::read(&self.models, model)
    }

    pub(crate) fn clear_journal(&self, model: &str) -> Result<()> {
        journal::clear(&self.models, model)
    }

    /// It runs, and knows of no sequence.
    pub(crate) fn begin_anew(&self, model: &str) -> Result<()> {
        self.start_again()?;
        self.has_stood_still.store(false, Ordering::Relaxed);
        self.reload(model)
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&self) -> Result<()> {
        self.xtask(&["kill"]).map(|_| ())
    }

    /// Ends it in peace and starts it again.
    pub(crate) fn restart(&self) -> Result<()> {
        self.xtask(&["stop"])?;
        self.start_again()
    }

    /// Has it stand still for a time; Triton itself sometimes ends after that, and is then started again.
    pub(crate) fn stand_still(&self, time: Duration) -> Result<()> {
        self.xtask(&["pause"])?;
        wait(time);
        self.xtask(&["resume"])?;
        Ok(())
    }

    fn attempt(&self, event: Event, model: &str) -> Result<()> {
        match event {
            Event::Kill(pause) => {
                self.xtask(&["kill"])?;
                wait(pause);
                self.start_again()
            }
            Event::Stop(pause) => {
                self.xtask(&["pause"])?;
                wait(pause);
                self.has_stood_still.store(true, Ordering::Relaxed);
                // One that has ended meanwhile cannot go on, and is started again. So is one that goes on and ends
                // at the first request that it finds.
                let _ = self.xtask(&["resume"]);
                self.start_again()?;
                wait(TIME_TO_FAIL);
                self.start_again()
            }
            Event::Reload => self.reload(model),
            Event::Unload(pause) => self.ask(async |client| {
                let name = model.parse()?;
                client.unload_model(&name, &UnloadModel::new()).await?;
                tokio::time::sleep(pause).await;
                client.load_model(&name, &LoadModel::new()).await?;
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    /// Loads these versions of a model, and drops the others.
    pub(crate) fn load_versions(&self, model: &str, versions: &[u64]) -> Result<()> {
        self.load_with(model, |config| {
            config["version_policy"] = json!({ "specific": { "versions": versions } });
        })
    }

    /// Loads a model with a configuration that differs in nothing that matters: an equal one would
    /// change nothing, and its sequences would live on.
    fn reload(&self, model: &str) -> Result<()> {
        let load = self.loads.fetch_add(1, Ordering::Relaxed).to_string();
        self.load_with(model, |config| {
            config["parameters"] = json!({ "load": { "string_value": load } });
        })
    }

    fn load_with(&self, model: &str, change: impl Fn(&mut serde_json::Value)) -> Result<()> {
        self.ask(async |client| {
            let model = ModelId::latest(model.parse()?);
            let config = client.model_config(&model).await?;
            let mut config = config.document().clone();
            change(&mut config);
            let config = LoadModel::new().config(&config);
            client.load_model(model.name(), &config).await?;
            Ok(())
        })
    }

    fn ask(&self, call: impl AsyncFnOnce(Client) -> Result<()>) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let builder = Client::builder(format!("http://{}", self.address));
        let client = builder.timeout(Duration::from_secs(60)).build()?;
        runtime.block_on(call(client))
    }
}

/// Lets time pass on a real server.
#[expect(
    clippy::disallowed_methods,
    reason = "what a script does to a server lasts as long as the script says"
)]
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}
