//! `triton load` and `triton unload`: what the server has in memory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tokio::time::{Instant, sleep};
use triton_client::{
    ErrorKind, IndexFilter, LoadModel, ModelId, ModelState, Readiness, RepositoryEntry, UnloadModel,
};

use super::models::state_name;
use crate::argument_values::duration;
use crate::completion;
use crate::config_arguments::ConfigArguments;
use crate::controls::shown_within_line;
use crate::failure::Failure;
use crate::output::print;
use crate::server::{Server, with_server};

/// Time between two looks at a model that is being unloaded.
const INTERVAL: Duration = Duration::from_millis(100);

/// Load a model, or load it again after its files have changed, and wait until it is ready.
///
/// The server must run with --model-control-mode=explicit. If a model that is loaded fails to load
/// again, the server goes on with the old one. Several servers load it one after the other.
#[derive(Debug, Args)]
#[command(after_help = LOAD_EXAMPLES)]
pub(crate) struct LoadArguments {
    /// The model's name in the server's repository.
    #[arg(value_name = "MODEL", add = completion::models())]
    model: String,

    /// A JSON file with the configuration to load it with, in place of its config.pbtxt.
    #[arg(long, value_name = "FILE.json")]
    model_config: Option<PathBuf>,

    /// How long the load may take.
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = duration)]
    wait: Duration,

    #[command(flatten)]
    config: ConfigArguments,
}

const LOAD_EXAMPLES: &str = "\
Examples:
  triton load anomaly
  triton load anomaly --wait 30min -e localhost:8000
  triton describe anomaly --json | jq .config > config.json
  triton load anomaly --model-config config.json";

/// Unload a model, and wait until its last requests have ended.
///
/// The server must run with --model-control-mode=explicit. Several servers unload it one after the other.
#[derive(Debug, Args)]
#[command(after_help = UNLOAD_EXAMPLES)]
pub(crate) struct UnloadArguments {
    /// The model's name.
    #[arg(value_name = "MODEL", add = completion::models())]
    model: String,

    /// Unload also the models that only this ensemble uses.
    #[arg(long)]
    dependents: bool,

    /// How long to wait until it is unloaded.
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = duration)]
    wait: Duration,

    #[command(flatten)]
    config: ConfigArguments,
}

const UNLOAD_EXAMPLES: &str = "\
Examples:
  triton unload anomaly
  triton unload pipeline --dependents --wait 5min";

/// Runs `triton load`.
pub(crate) fn load(arguments: &LoadArguments) -> Result<ExitCode, Failure> {
    let mut model = LoadModel::new();
    if let Some(path) = &arguments.model_config {
        let text = crate::text_encoding::read_file(path).map_err(Failure::usage)?;
        let config = serde_json::from_str(&text)
            .with_context(|| format!("{} is no JSON document", path.display()))?;
        model = model.config(&config);
    }
    with_server(&arguments.config, Some(&arguments.model), async |server| {
        // In turn, so that the others answer meanwhile, and the first failure ends it.
        for server in server.each().await? {
            load_at(&server, arguments, &model).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn load_at(
    server: &Server,
    arguments: &LoadArguments,
    model: &LoadModel,
) -> Result<(), Failure> {
    let name = &server.options.model_name;
    let patient = server.client.with_timeout(arguments.wait);
    if let Err(error) = patient.load_model(name, model).await {
        return Err(not_managed(server, error).await);
    }
    let versions = versions(server).await?;
    let ready = versions
        .iter()
        .filter(|entry| entry.state == Some(ModelState::Ready));
    let ready = ready.map(|entry| entry.version.as_str());
    // Servers of other kinds than Triton may have none.
    let ready: Vec<&str> = ready.filter(|version| !version.is_empty()).collect();
    let versions = match ready.as_slice() {
        [] => String::new(),
        versions => format!(": version {}", shown_within_line(&versions.join(", "))),
    };
    print(&format!(
        "model '{name}' is loaded{}{versions}\n",
        place(server)
    ))?;
    Ok(())
}

/// Which of several servers it is about.
fn place(server: &Server) -> String {
    let replica = server.replica.as_ref();
    replica.map_or_else(String::new, |replica| format!(" at {replica}"))
}

/// Runs `triton unload`.
pub(crate) fn unload(arguments: &UnloadArguments) -> Result<ExitCode, Failure> {
    let how = UnloadModel::new().dependents(arguments.dependents);
    with_server(&arguments.config, Some(&arguments.model), async |server| {
        for server in server.each().await? {
            unload_at(&server, arguments, &how).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn unload_at(
    server: &Server,
    arguments: &UnloadArguments,
    how: &UnloadModel,
) -> Result<(), Failure> {
    let name = &server.options.model_name;
    // The server would say that it has unloaded even what it never had. What was loaded with
    // files of a request is ready, but in no list.
    let model = ModelId::latest(name.clone());
    let ready = server.client.model_ready(&model).await? == Readiness::Ready;
    if !ready && versions(server).await?.is_empty() {
        let error = anyhow!("the server has no model '{name}'");
        return Err(Failure::server(error)
            .with_hint("`triton models` lists the models that the server has"));
    }
    if let Err(error) = server.client.unload_model(name, how).await {
        return Err(not_managed(server, error).await);
    }
    let deadline = Instant::now() + arguments.wait;
    loop {
        let versions = versions(server).await?;
        let loaded = versions
            .iter()
            .find(|entry| !matches!(entry.state, None | Some(ModelState::Unavailable)));
        let Some(entry) = loaded else {
            print(&format!("model '{name}' is unloaded{}\n", place(server)))?;
            return Ok(());
        };
        if Instant::now() > deadline {
            let error = anyhow!(
                "model '{name}' is still {} after {:?}: requests in flight hold it",
                state_name(entry.state.as_ref()),
                arguments.wait
            );
            return Err(Failure::server(error).with_hint("--wait TIME waits longer"));
        }
        sleep(INTERVAL).await;
    }
}

/// Every version of the model that the server's repository has.
async fn versions(server: &Server) -> Result<Vec<RepositoryEntry>, Failure> {
    let index = server.client.repository_index(IndexFilter::All).await?;
    let name = server.options.model_name.as_str();
    Ok(index
        .into_iter()
        .filter(|entry| entry.name == name)
        .collect())
}

async fn not_managed(server: &Server, error: triton_client::Error) -> Failure {
    let explicit = error.message().contains("explicit model load / unload");
    // So does KServe's own server answer for a model that it does not know.
    let unavailable = error.kind() == ErrorKind::Unavailable;
    let lacks = "the server loads and unloads no models for its clients";
    let failure = server.failure_about_model(error, lacks).await;
    match (explicit, unavailable) {
        (true, _) => failure.with_hint("start the server with --model-control-mode=explicit"),
        (false, true) => failure.with_hint("`triton models` lists the models that the server has"),
        (false, false) => failure,
    }
}
