//! The health of each of several servers behind one endpoint, side by side.

use std::process::ExitCode;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use triton_client::Error;

use super::{Health, HealthArguments, INTERVAL, ask};
use crate::commands::text_table::TextTable;
use crate::failure::Failure;
use crate::output::{document, print};
use crate::progress::say;
use crate::server::Server;
use crate::wrapping::width;

/// A server, and what it said of itself, if it could be asked.
struct Asked {
    server: Server,
    answer: Result<Health, Error>,
}

impl Asked {
    fn is_ready(&self) -> bool {
        self.answer.as_ref().is_ok_and(Health::is_ready)
    }

    fn name(&self) -> String {
        self.server.replica.clone().unwrap_or_default()
    }
}

/// Asks until all are ready or the time is over, and shows the last answers.
pub(super) async fn run(server: &Server, arguments: &HealthArguments) -> Result<ExitCode, Failure> {
    let deadline = arguments.wait.map(|wait| Instant::now() + wait);
    let mut told = false;
    loop {
        let asked = ask_each(server, arguments).await;
        let over = deadline.is_none_or(|deadline| Instant::now() + INTERVAL > deadline);
        match asked {
            Ok(asked) if over || asked.iter().all(Asked::is_ready) => {
                return show(server, arguments, asked);
            }
            Err(failure) if over => return Err(failure),
            _ => {}
        }
        if !told {
            say(&format!("waiting for {}", server.options.endpoint));
            told = true;
        }
        sleep(INTERVAL).await;
    }
}

async fn ask_each(server: &Server, arguments: &HealthArguments) -> Result<Vec<Asked>, Failure> {
    // In the middle of a rollout a name stands for others from one moment to the next.
    let each = server.each().await?.into_iter();
    let asked = each.map(|server| async {
        let answer = ask(&server, arguments).await;
        Asked { server, answer }
    });
    Ok(join_all(asked).await)
}

fn show(
    server: &Server,
    arguments: &HealthArguments,
    asked: Vec<Asked>,
) -> Result<ExitCode, Failure> {
    let ready = asked.iter().filter(|asked| asked.is_ready()).count();
    print(&match arguments.json {
        true => to_json(server, &asked),
        false => to_text(arguments, &asked, ready),
    })?;
    let is_all = ready == asked.len();
    let is_reached = asked.iter().any(|asked| asked.answer.is_ok());
    if !is_reached && let Some(error) = asked.into_iter().find_map(|asked| asked.answer.err()) {
        return Err(error.into());
    }
    Ok(ExitCode::from(u8::from(!is_all)))
}

fn to_text(arguments: &HealthArguments, asked: &[Asked], ready: usize) -> String {
    let mut heading = vec!["REPLICA", "SERVER"];
    if arguments.model.is_some() {
        heading.push("MODEL");
    }
    heading.push("ABOUT");
    let mut table = TextTable::new(&heading);
    for one in asked {
        let mut cells = vec![one.name()];
        let (server, model, about) = match &one.answer {
            Ok(health) => {
                let about = health
                    .name
                    .as_ref()
                    .map(|(name, version)| format!("{name} {version}"));
                let server = match (health.live, health.ready) {
                    (_, true) => "ready",
                    (true, false) => "not ready",
                    (false, false) => "not live",
                };
                let model = match health.model_ready {
                    Some(true) => "ready",
                    _ => "not ready",
                };
                (server, model, about.unwrap_or_default())
            }
            Err(error) => ("not reached", "-", error.to_string()),
        };
        cells.push(server.to_owned());
        if arguments.model.is_some() {
            cells.push(model.to_owned());
        }
        cells.push(about);
        table.row(cells);
    }
    format!(
        "{}{ready} of {} are ready\n",
        table.lines(width()),
        asked.len()
    )
}

fn to_json(server: &Server, asked: &[Asked]) -> String {
    let replicas = asked.iter().map(|one| {
        let mut object = match &one.answer {
            Ok(health) => health.to_object(server),
            Err(error) => json!({ "ready": false, "error": error.to_string() }),
        };
        object["replica"] = one.name().into();
        object
    });
    let object = json!({
        "endpoint": server.options.endpoint.to_string(),
        "ready": asked.iter().all(Asked::is_ready),
        "replicas": replicas.collect::<Value>(),
    });
    document(&object)
}
