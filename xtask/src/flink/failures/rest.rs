//! What is asked of jobs through the REST API of the JobManager.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{http, interrupt, poll};

const LIMIT: Duration = Duration::from_secs(120);

/// The state of a job; none while no JobManager knows it.
pub(super) fn state(port: u16, job: &str) -> Option<String> {
    let reply: Value = http::get(port, &format!("/jobs/{job}")).ok()?.json().ok()?;
    Some(reply["state"].as_str()?.to_owned())
}

/// How many subtasks ask the model, once the job runs.
pub(super) fn parallelism(port: u16, job: &str) -> Option<u64> {
    let reply: Value = http::get(port, &format!("/jobs/{job}")).ok()?.json().ok()?;
    let vertices = reply["vertices"].as_array()?;
    let asks = |vertex: &&Value| {
        let name = vertex["name"].as_str().unwrap_or_default();
        name.contains("MLPredict")
    };
    let vertex = vertices.iter().find(asks)?;
    (vertex["status"] == "RUNNING").then(|| vertex["parallelism"].as_u64())?
}

/// How many checkpoints are complete.
pub(super) fn checkpoints(port: u16, job: &str) -> Option<u64> {
    let path = format!("/jobs/{job}/checkpoints");
    let reply: Value = http::get(port, &path).ok()?.json().ok()?;
    reply["counts"]["completed"].as_u64()
}

/// Gives the job another number of subtasks, which the adaptive scheduler does.
pub(super) fn rescale(port: u16, job: &str, parallelism: u64) -> Result<()> {
    let path = format!("/jobs/{job}/resource-requirements");
    let now: Value = http::get(port, &path)?.json()?;
    let vertices = now.as_object().context("a job has vertices")?;
    let wanted = vertices.iter().map(|(vertex, now)| {
        // The source has one subtask, so that the rows of a key keep their order.
        let is_source = now["parallelism"]["upperBound"] == 1;
        let most = if is_source { 1 } else { parallelism };
        let wanted = json!({"parallelism": {"lowerBound": most, "upperBound": most}});
        (vertex.clone(), wanted)
    });
    let wanted: serde_json::Map<String, Value> = wanted.collect();
    let body = Value::Object(wanted).to_string();
    http::send_json("PUT", port, &path, &body)?.accepted()
}

/// Stops the job with a savepoint; returns where that is.
pub(super) fn stop_with_savepoint(port: u16, job: &str, folder: &str) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Trigger {
        request_id: String,
    }
    let path = format!("/jobs/{job}/stop");
    let body = json!({"targetDirectory": folder, "drain": false}).to_string();
    let reply = http::send_json("POST", port, &path, &body)?;
    reply.accepted()?;
    let trigger: Trigger = reply.content()?;
    let path = format!("/jobs/{job}/savepoints/{}", trigger.request_id);
    let done = poll::until(LIMIT, || {
        interrupt::check()?;
        let reply: Value = http::get(port, &path)?.json()?;
        let is_done = reply["status"]["id"] == "COMPLETED";
        Ok(is_done.then_some(reply))
    })?;
    let done = done.context("the savepoint is not complete")?;
    match done["operation"]["location"].as_str() {
        Some(place) => Ok(place.to_owned()),
        None => {
            // Beside the trace there is all of it serialized, which nobody can read.
            let trace = done["operation"]["failure-cause"]["stack-trace"].as_str();
            let reason = trace.and_then(|trace| trace.lines().next());
            bail!(
                "there is no savepoint: {}",
                reason.unwrap_or("Flink does not say why")
            )
        }
    }
}
