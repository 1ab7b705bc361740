//! What must hold of the rows that each server has been sent.

use std::collections::{BTreeMap, BTreeSet};

use super::Plan;
use crate::journal::Arrived;
use crate::options::Lane;

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
                None => row.starts() && number == 0,
                Some((known, last)) => !row.starts() && *known == key && number == last + 1,
            };
            misplaced += usize::from(!is_right);
            sequences.insert(&row.id, (key, number));
        }
    }
    misplaced + servers.values().filter(|servers| servers.len() > 1).count()
}
