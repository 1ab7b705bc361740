//! Several sorted runs as one.

use super::record::Record;
use super::runs::RunReader;

/// The rows of several runs in order. Those of equal keys come in the order of the runs.
pub(super) struct Merge(Vec<Head>);

/// A run, of which the next row is known.
struct Head {
    next: Record,
    rest: Rest,
}

/// The rows of a run that are still to come.
pub(super) enum Rest {
    Memory(std::vec::IntoIter<Record>),
    File(RunReader),
}

impl Rest {
    fn next(&mut self) -> anyhow::Result<Option<Record>> {
        match self {
            Rest::Memory(records) => Ok(records.next()),
            Rest::File(reader) => reader.next(),
        }
    }
}

impl Merge {
    pub(super) fn begin(runs: impl IntoIterator<Item = Rest>) -> anyhow::Result<Self> {
        let mut heads = Vec::new();
        for mut rest in runs {
            if let Some(next) = rest.next()? {
                heads.push(Head { next, rest });
            }
        }
        Ok(Self(heads))
    }

    /// The next row. There are so few runs that looking at each costs less than a heap.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Record>> {
        let heads = self.0.iter().enumerate();
        let least = heads.min_by(|(_, one), (_, other)| one.next.key.cmp(&other.next.key));
        let Some((least, _)) = least else {
            return Ok(None);
        };
        let head = &mut self.0[least];
        let mut record = match head.rest.next()? {
            Some(next) => std::mem::replace(&mut head.next, next),
            None => self.0.remove(least).next,
        };
        // Every run is at its first row of this key, if it has one.
        let mut heads = self.0.iter();
        record.is_followed = record.is_followed || heads.any(|head| head.next.follows(&record.key));
        Ok(Some(record))
    }
}
