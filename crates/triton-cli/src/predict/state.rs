//! How far a run is, and the file that says so: with a checksum, so that nothing goes on from what
//! was damaged or edited, whose rows would be wrong or missing without a word.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::summary::Counts;
use crate::table::Cut;

/// What must be the same for a run to go on: a name for each thing, and its value.
pub(super) type RunIdentity = BTreeMap<String, String>;

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) run: RunIdentity,
    /// The input that was being read, and how many of its rows were.
    pub(super) input: usize,
    pub(super) rows: u64,
    pub(super) counts: Counts,
    /// How much of the output of that input is written.
    pub(super) output: Cut,
    /// How much of the file of rejected rows is.
    pub(super) errors_bytes: u64,
    /// The open sequences of each subtask.
    pub(super) sequences: Vec<String>,
    /// Sequence IDs with numbers from here on were certainly not taken before the next checkpoint.
    pub(super) first_free_counter: u64,
    /// Whether all rows are answered and the outputs complete.
    pub(super) finished: bool,
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// The CRC-32 of the bytes of the state.
    crc32: String,
    state: Box<RawValue>,
}

fn checksum(state: &RawValue) -> String {
    format!("{:08x}", crc32fast::hash(state.get().as_bytes()))
}

impl State {
    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let state = RawValue::from_string(serde_json::to_string_pretty(self)?)?;
        let crc32 = checksum(&state);
        serde_json::to_vec_pretty(&Sealed { crc32, state })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else; `path` is for messages.
    pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> anyhow::Result<Self> {
        let path = path.display();
        let refused = || {
            format!(
                "{path}: this is no checkpoint of this version of the command: go on with the \
                 version that began the run, or take another folder for --checkpoint to start over"
            )
        };
        let Sealed { crc32, state } = serde_json::from_slice(bytes).with_context(refused)?;
        let found = checksum(&state);
        if found != crc32 {
            bail!(
                "{path} is not what the run wrote: its checksum is {found}, expected '{crc32}'; put \
                 that file back, or take another folder for --checkpoint to start over"
            );
        }
        serde_json::from_str(state.get()).with_context(refused)
    }

    /// Refuses what no run can have written, over so many inputs: a mistake of ours must not lose rows
    /// either.
    pub(super) fn check(&self, inputs: usize, path: &Path) -> anyhow::Result<()> {
        match self.odd(inputs) {
            None => Ok(()),
            Some(odd) => bail!(
                "{} makes no sense: {odd}; take another folder for --checkpoint to start over",
                path.display()
            ),
        }
    }

    fn odd(&self, inputs: usize) -> Option<String> {
        let Self {
            input,
            rows,
            counts,
            sequences,
            ..
        } = self;
        if *input >= inputs {
            let number = input.saturating_add(1);
            return Some(format!("it is in input {number} of {inputs}"));
        }
        // Nothing is in flight at a checkpoint.
        if let Err(message) = counts.check(counts.written) {
            return Some(message);
        }
        // Of the first input alone it is known how many rows there were before.
        if *input == 0 && counts.read > *rows {
            let read = counts.read;
            return Some(format!("it is at row {rows}, and {read} were read"));
        }
        let lacks = sequences.is_empty();
        lacks.then(|| "it does not say which sequences are open".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "checkpoint.json";

    fn state() -> State {
        State {
            run: [("--limit".to_owned(), "not given".to_owned())].into(),
            input: 1,
            rows: 40,
            counts: Counts {
                read: 100,
                answered: 90,
                defaulted: 1,
                failed: 2,
                rejected: 7,
                written: 93,
            },
            output: Cut {
                bytes: 512,
                ..Cut::default()
            },
            errors_bytes: 70,
            sequences: vec!["VFJJVE9OU1E=".to_owned()],
            first_free_counter: 1 << 20,
            finished: false,
        }
    }

    fn read(bytes: &[u8]) -> anyhow::Result<State> {
        State::from_bytes(bytes, Path::new(PATH))
    }

    #[test]
    fn what_is_read_is_what_was_written_or_nothing() {
        let bytes = state().to_bytes().unwrap();
        assert_eq!(read(&bytes).unwrap(), state());
        for place in 0..bytes.len() {
            assert!(read(&bytes[..place]).is_err(), "cut off at {place}");
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                // Between the members of the file a blank may be another one.
                let found = read(&changed).ok();
                assert!(
                    found.is_none_or(|found| found == state()),
                    "{place}, bit {bit}: {}",
                    String::from_utf8_lossy(&changed)
                );
            }
        }
        assert!(read(&[&bytes[..], b"1"].concat()).is_err());
    }

    #[test]
    fn what_no_run_can_have_written_is_refused() {
        assert_eq!(state().odd(2), None);
        let odd = |change: fn(&mut State)| {
            let mut state = state();
            change(&mut state);
            // With a checksum that is right.
            let state = read(&state.to_bytes().unwrap()).unwrap();
            state.check(2, Path::new(PATH)).unwrap_err().to_string()
        };
        insta::assert_snapshot!(odd(|state| state.input = 2), @"checkpoint.json makes no sense: it is in input 3 of 2; take another folder for --checkpoint to start over");
        insta::assert_snapshot!(odd(|state| state.input = usize::MAX), @"checkpoint.json makes no sense: it is in input 18446744073709551615 of 2; take another folder for --checkpoint to start over");
        insta::assert_snapshot!(odd(|state| state.counts.read = u64::MAX), @"checkpoint.json makes no sense: the rows do not add up: 18446744073709551615 read, 90 answered, 1 defaulted, 2 failed, 7 rejected, 93 counted as written, 93 written; take another folder for --checkpoint to start over");
        insta::assert_snapshot!(odd(|state| state.counts.answered = u64::MAX), @"checkpoint.json makes no sense: the rows do not add up: 100 read, 18446744073709551615 answered, 1 defaulted, 2 failed, 7 rejected, 93 counted as written, 93 written; take another folder for --checkpoint to start over");
        insta::assert_snapshot!(odd(|state| state.input = 0), @"checkpoint.json makes no sense: it is at row 40, and 100 were read; take another folder for --checkpoint to start over");
        insta::assert_snapshot!(odd(|state| state.sequences.clear()), @"checkpoint.json makes no sense: it does not say which sequences are open; take another folder for --checkpoint to start over");
    }
}
