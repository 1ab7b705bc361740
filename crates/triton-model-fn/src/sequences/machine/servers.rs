//! What the servers behind an endpoint offer to the sequences of a subtask.

use crate::replicas::ReplicaId;

/// What a server is for sequences; the earlier ones are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sequences) enum Standing {
    /// It takes new ones.
    Takes,
    /// It takes one, which shows if it works again.
    Tries,
    /// It takes none, and keeps those that it has.
    Keeps,
    /// Those that can be rebuilt elsewhere are to leave it.
    Leaves,
    /// It is not called any more.
    Gone,
}

/// A server as one subtask sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sequences) struct Offer {
    pub(in crate::sequences) id: ReplicaId,
    /// A hash of its address, which is the same in every process.
    pub(in crate::sequences) name_hash: u64,
    /// The most places of this subtask on it; `usize::MAX` where nobody knows a limit.
    pub(in crate::sequences) limit: usize,
    /// How many of them no key may begin with.
    pub(in crate::sequences) room: usize,
    pub(in crate::sequences) standing: Standing,
}

impl Offer {
    /// That of the one server there is.
    pub(in crate::sequences) fn only(limit: usize, room: usize) -> Self {
        Self {
            id: ReplicaId::ONLY,
            name_hash: 0,
            limit,
            room,
            standing: Standing::Takes,
        }
    }

    /// What the server weighs for a key of this hash: the heaviest one gets it (rendezvous hashing).
    pub(super) fn weight(&self, hash: u64) -> u64 {
        mixed(hash ^ mixed(self.name_hash))
    }
}

/// Every bit depends on every other one (SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A hash of a text that is the same in every process (FNV-1a).
pub(crate) fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// How many of the places of a server a subtask may use: together all subtasks use each of them once.
///
/// What is left over goes to subtasks in turn, and begins at another one for each server, so that none
/// of them goes empty everywhere.
pub(crate) fn quota(places: u64, subtask: u32, parallelism: u32, name_hash: u64) -> u64 {
    let subtasks = u64::from(parallelism.max(1));
    let turn = (u64::from(subtask) + name_hash % subtasks) % subtasks;
    places / subtasks + u64::from(turn < places % subtasks)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Holds S65.
    #[test]
    fn subtasks_together_use_each_place_of_a_server_once() {
        for (places, parallelism) in [(64, 1), (64, 3), (7, 5), (3, 8), (0, 4), (1000, 999)] {
            for name in ["http://a:8000/", "http://b:8000/", "10.0.0.3:8000"] {
                let hash = stable_hash(name);
                let all = (0..parallelism).map(|subtask| quota(places, subtask, parallelism, hash));
                assert_eq!(all.sum::<u64>(), places, "{places} {parallelism} {name}");
            }
        }
        // The few places of many servers are spread over the subtasks.
        let servers: Vec<u64> = (0..100)
            .map(|server| stable_hash(&format!("10.0.0.{server}")))
            .collect();
        let of_subtask = |subtask| -> u64 {
            servers
                .iter()
                .map(|hash| quota(4, subtask, 32, *hash))
                .sum()
        };
        let all: Vec<u64> = (0..32).map(of_subtask).collect();
        assert!(all.iter().all(|places| *places > 0), "{all:?}");
    }
}
