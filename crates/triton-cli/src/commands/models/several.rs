//! The models of several servers behind one endpoint: where they are alike, and where not.

use std::process::ExitCode;

use futures_util::future::join_all;
use serde_json::Value;
use triton_client::{IndexFilter, RepositoryEntry};

use super::{list, one_line, order, state_name, to_object};
use crate::commands::text_table::TextTable;
use crate::failure::Failure;
use crate::output::{print, width};
use crate::progress::say;
use crate::server::Server;

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
    let each = server.each().await?;
    let asked = join_all(each.iter().map(|server| list(server, filter))).await;
    let (mut alike, mut objects) = (Vec::<Alike>::new(), Vec::new());
    let (mut reached, mut failed) = (0, Vec::new());
    for (server, entries) in each.iter().zip(asked) {
        let replica = server.replica.clone().unwrap_or_default();
        let entries = match entries {
            Ok(entries) => entries,
            Err(failure) => {
                failed.push((replica, failure));
                continue;
            }
        };
        reached += 1;
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
    if reached == 0
        && let Some((_, failure)) = failed.pop()
    {
        return Err(failure);
    }
    alike.sort_by(|left, right| order(&left.entry).cmp(&order(&right.entry)));
    print(&match json {
        true => format!("{:#}\n", Value::Array(objects)),
        false => to_text(&alike, reached),
    })?;
    for (replica, failure) in &failed {
        say(&format!(
            "{replica} could not be asked: {}",
            failure.message()
        ));
    }
    Ok(ExitCode::from(u8::from(!failed.is_empty())))
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
