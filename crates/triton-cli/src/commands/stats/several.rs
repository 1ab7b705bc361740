//! The statistics of several servers behind one endpoint: side by side, and all together.

use std::process::ExitCode;
use std::time::Duration;

use triton_client::{ModelStatistics, Tally};

use super::to_json;
use crate::commands::figures::optional_duration;
use crate::commands::statistics_difference::Difference;
use crate::commands::text_table::TextTable;
use crate::failure::Failure;
use crate::output::{document, print};
use crate::server::{Named, Server, tell_unasked};
use crate::wrapping::width;

/// The statistics of one of the servers.
pub(crate) type OfReplica = Named<Vec<ModelStatistics>>;

/// Those of every server that answers: one at least.
pub(crate) async fn statistics(server: &Server) -> Result<Vec<OfReplica>, Failure> {
    let (found, failed) = server.ask_each(super::statistics).await?;
    for (replica, failure) in &failed {
        tracing::debug!(replica, "no statistics: {}", failure.message());
    }
    Ok(found)
}

/// What happened at all of them together.
pub(crate) fn difference(before: &[OfReplica], after: &[OfReplica], time: Duration) -> Difference {
    let each = after.iter().map(|(replica, after)| {
        let before = before.iter().find(|(other, _)| other == replica);
        (before.map_or(&[][..], |(_, before)| before), &**after)
    });
    // One that joins or comes back has not done all its work since the last look.
    Difference::of_several(each.filter(|(before, _)| !before.is_empty()), time)
}

/// Shows what each has done since its model was loaded.
pub(super) async fn run(server: &Server, json: bool) -> Result<ExitCode, Failure> {
    let (found, failed) = server.ask_each(super::statistics).await?;
    print(&match json {
        true => to_objects(&found),
        false => to_text(server, &found),
    })?;
    Ok(tell_unasked(&failed))
}

fn to_objects(found: &[OfReplica]) -> String {
    let objects = found.iter().flat_map(|(replica, versions)| {
        versions.iter().map(move |version| {
            let mut object = to_json(version);
            object["replica"] = replica.as_str().into();
            object
        })
    });
    document(&objects.collect())
}

fn to_text(server: &Server, found: &[OfReplica]) -> String {
    let heading = [
        "REPLICA",
        ">VERSION",
        ">INFERENCES",
        ">EXECUTIONS",
        ">FAILED",
        ">MEAN",
        ">QUEUE",
        ">INFER",
    ];
    let mut table = TextTable::new(&heading);
    for (replica, versions) in found {
        for version in versions {
            let phases = &version.inference_stats;
            let mean = |tally: Tally| optional_duration(tally.mean());
            table.row([
                replica.clone(),
                version.version.clone(),
                version.inference_count.to_string(),
                version.execution_count.to_string(),
                phases.fail.count.to_string(),
                mean(phases.success),
                mean(phases.queue),
                mean(phases.compute_infer),
            ]);
        }
    }
    let model = &server.options.model_name;
    format!(
        "model {model} since it was loaded\n\n{}",
        table.lines(width())
    )
}
