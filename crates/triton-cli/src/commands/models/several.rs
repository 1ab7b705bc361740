//! The models of several servers behind one endpoint: where they are alike, and where not.

use std::process::ExitCode;

use serde_json::Value;
use triton_client::{IndexFilter, RepositoryEntry};

use super::{list, one_line, order, state_name, to_object};
use crate::commands::text_table::TextTable;
use crate::failure::Failure;
use crate::output::{document, print};
use crate::server::{Server, tell_unasked};
use crate::wrapping::width;

/// What several servers have alike.
struct Alike {
    entry: RepositoryEntry,
    replicas: Vec<String>,
}

/// Asks all of them, and shows what those have that answer.
pub(super) async fn run(
    server: &Server,
    filter: IndexFilter,
    json: bool,
) -> Result<ExitCode, Failure> {
    let (found, failed) = server
        .ask_each(async |server| list(server, filter).await)
        .await?;
    let reached = found.len();
    let (mut alike, mut objects) = (Vec::<Alike>::new(), Vec::new());
    for (replica, entries) in found {
        for entry in entries {
            let mut object = to_object(&entry);
            object["replica"] = replica.clone().into();
            objects.push(object);
            match alike.iter_mut().find(|other| other.entry == entry) {
                Some(other) => other.replicas.push(replica.clone()),
                None => alike.push(Alike {
                    entry,
                    replicas: vec![replica.clone()],
                }),
            }
        }
    }
    alike.sort_by(|left, right| order(&left.entry).cmp(&order(&right.entry)));
    print(&match json {
        true => document(&Value::Array(objects)),
        false => to_text(&alike, reached),
    })?;
    Ok(tell_unasked(&failed))
}

fn to_text(alike: &[Alike], reached: usize) -> String {
    if alike.is_empty() {
        return "the servers have no models\n".to_owned();
    }
    let mut table = TextTable::new(&["MODEL", ">VERSION", "STATE", "AT", "REASON"]);
    for Alike { entry, replicas } in alike {
        let at = match replicas.len() {
            count if count == reached => format!("all {count}"),
            _ => replicas.join(" "),
        };
        table.row([
            entry.name.clone(),
            entry.version.clone(),
            state_name(entry.state.as_ref()).to_owned(),
            at,
            one_line(&entry.reason),
        ]);
    }
    table.lines(width())
}
