//! What each server has been sent, as its models wrote it down: `cargo xtask replicas` has them do so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Plan, SERVERS};
use crate::options::Lane;

/// How Triton says that a request begins a sequence.
const START: u32 = 1;

/// One row as a model met it.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    id: String,
    flags: u32,
    value: i64,
}

fn log(models: &Path, server: usize, model: &str) -> PathBuf {
    models
        .join(server.to_string())
        .join(model)
        .join("arrived.log")
}

/// Begins again; the models append to what is there.
pub(super) fn clear(models: &Path, model: &str) -> Result<()> {
    for server in 0..SERVERS {
        fs_err::write(log(models, server, model), "")?;
    }
    Ok(())
}

/// The rows of each server, in their order.
pub(super) fn read(models: &Path, model: &str) -> Result<Vec<Vec<Arrived>>> {
    let of_server = |server| {
        let text = fs_err::read_to_string(log(models, server, model))?;
        let rows = text.lines().map(|line| {
            let mut words = line.split(' ');
            let mut word = || {
                words
                    .next()
                    .context("a line of a model's log has three words")
            };
            anyhow::Ok(Arrived {
                id: word()?.to_owned(),
                flags: word()?.parse()?,
                value: word()?.parse()?,
            })
        });
        rows.collect::<Result<Vec<_>>>()
    };
    (0..SERVERS).map(of_server).collect()
}

/// How often a row came into a sequence where it does not belong: a second time, out of its order, or at a
/// second server.
pub(super) fn misplaced(plan: &Plan, arrived: &[Vec<Arrived>]) -> usize {
    if plan.lane == Lane::Stateless {
        return 0;
    }
    let mut misplaced = 0;
    let mut servers = BTreeMap::<&str, BTreeSet<usize>>::new();
    for (server, rows) in arrived.iter().enumerate() {
        let mut sequences = BTreeMap::<&str, (i64, i64)>::new();
        for row in rows {
            servers.entry(&row.id).or_default().insert(server);
            let place = row.value - 1;
            let (key, number) = (place / plan.rows as i64, place % plan.rows as i64);
            let is_right = match sequences.get(&*row.id) {
                None => row.flags & START != 0 && number == 0,
                Some((known, last)) => {
                    row.flags & START == 0 && *known == key && number == last + 1
                }
            };
            misplaced += usize::from(!is_right);
            sequences.insert(&row.id, (key, number));
        }
    }
    misplaced + servers.values().filter(|servers| servers.len() > 1).count()
}
