//! `triton health`: whether a server, and a model on it, take requests; waits if asked to.

mod several;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use triton_client::{Error, ErrorKind, ModelId, Readiness};

use crate::argument_values::duration;
use crate::completion;
use crate::config_arguments::ConfigArguments;
use crate::controls::shown_within_line;
use crate::failure::Failure;
use crate::output::{document, print};
use crate::progress::say;
use crate::server::{Server, with_server};

/// Time between two questions while waiting.
const INTERVAL: Duration = Duration::from_millis(500);

/// Ask whether a server takes requests, and wait until it does if asked to.
///
/// Exit code 0 means ready, 1 not ready, 3 not reachable. Where the endpoint has several servers, each is
/// shown, and ready means all of them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HealthArguments {
    /// Ask also whether this model takes requests.
    #[arg(value_name = "MODEL", add = completion::models())]
    model: Option<String>,

    /// Wait for up to this long until everything is ready, such as 60s or 5min.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    wait: Option<Duration>,

    /// Show a JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArguments,
}

const EXAMPLES: &str = "\
Examples:
  triton health -e localhost:8000
  triton health --wait 60s && triton predict model.sql input.csv
  triton health anomaly --wait 5min --json
  triton health anomaly -e http://a:8000,http://b:8000";

/// Runs the command.
pub(crate) fn run(arguments: &HealthArguments) -> Result<ExitCode, Failure> {
    let model = arguments.model.as_deref();
    with_server(&arguments.config, model, async |server| {
        if server.are_several() {
            return several::run(&server, arguments).await;
        }
        let health = wait(&server, arguments).await?;
        print(&if arguments.json {
            health.to_json(&server)
        } else {
            health.to_text(&server)
        })?;
        Ok(ExitCode::from(u8::from(!health.is_ready())))
    })
}

/// What a server said of itself.
struct Health {
    live: bool,
    ready: bool,
    /// Absent where nobody asked for a model.
    model_ready: Option<bool>,
    /// The server's name and version, where it was ready to tell.
    name: Option<(String, String)>,
}

/// Asks until everything is ready or the time is over, and returns the last answer.
async fn wait(server: &Server, arguments: &HealthArguments) -> Result<Health, Failure> {
    let deadline = arguments.wait.map(|wait| Instant::now() + wait);
    let mut told = false;
    loop {
        let answer = ask(server, arguments).await;
        let over = deadline.is_none_or(|deadline| Instant::now() + INTERVAL > deadline);
        match answer {
            Ok(health) if health.is_ready() || over => return Ok(health),
            Err(error) if !error.is_transient() || over => {
                return Err(match error.kind() {
                    // The address is wrong, as its text says, and not a model's name.
                    ErrorKind::NotFound => Failure::server(error),
                    _ => error.into(),
                });
            }
            _ => {}
        }
        if !told {
            say(&format!("waiting for {}", server.options.endpoint));
            told = true;
        }
        sleep(INTERVAL).await;
    }
}

async fn ask(server: &Server, arguments: &HealthArguments) -> Result<Health, Error> {
    let is_ready = |readiness| readiness == Readiness::Ready;
    let Server {
        client, options, ..
    } = server;
    let mut health = Health {
        live: is_ready(client.live().await?),
        ready: is_ready(client.ready().await?),
        model_ready: None,
        name: None,
    };
    if arguments.model.is_some() {
        let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
        health.model_ready = Some(is_ready(client.model_ready(&model).await?));
    }
    if health.ready {
        health.name = match client.server_metadata().await {
            Ok(metadata) => Some((metadata.name, metadata.version)),
            Err(error) if error.is_no_such_path() => None,
            Err(error) => return Err(error),
        };
    }
    Ok(health)
}

impl Health {
    fn is_ready(&self) -> bool {
        self.live && self.ready && self.model_ready != Some(false)
    }

    fn to_text(&self, server: &Server) -> String {
        let endpoint = &server.options.endpoint;
        let mut text = match (&self.name, self.live, self.ready) {
            (Some((name, version)), ..) => {
                let name = format!("{name} {version}");
                let name = shown_within_line(&name);
                format!("the server at {endpoint} is ready: {name}\n")
            }
            (None, _, true) => format!("the server at {endpoint} is ready\n"),
            (None, true, false) => {
                format!("the server at {endpoint} runs, but is not ready\n")
            }
            (None, false, false) => {
                format!("the server at {endpoint} answers, but is not live\n")
            }
        };
        let model = &server.options.model_name;
        match self.model_ready {
            Some(true) => text.push_str(&format!("model '{model}' is ready\n")),
            Some(false) => text.push_str(&format!(
                "model '{model}' is not ready or not there; `triton models` shows its state\n"
            )),
            None => {}
        }
        text
    }

    fn to_json(&self, server: &Server) -> String {
        let mut object = self.to_object(server);
        object["endpoint"] = server.options.endpoint.to_string().into();
        document(&object)
    }

    fn to_object(&self, server: &Server) -> Value {
        let mut object = json!({
            "ready": self.is_ready(),
            "server_live": self.live,
            "server_ready": self.ready,
        });
        if let Some((name, version)) = &self.name {
            object["server"] = json!({ "name": name, "version": version });
        }
        if let Some(ready) = self.model_ready {
            object["model"] = json!({ "name": server.options.model_name.as_str(), "ready": ready });
        }
        object
    }
}
