//! Sequences of requests that the command makes up itself, for a stateful model.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use triton_client::{Sequence, SequenceId};
use triton_model_fn::SequenceIdForm;

/// Makes sequences of one length, each with an ID that no other has.
pub(crate) struct Sequences {
    /// What an ID begins with, where IDs are text.
    prefix: &'static str,
    length: u32,
    /// The largest number that an ID may be; none where IDs are text.
    largest: Option<u64>,
    /// The next number, before it is made to fit. It begins with the time, so that no earlier run has
    /// had it; but those of 32 bits come around every four seconds, and two runs may meet there.
    next: AtomicU64,
}

/// Where in a sequence the next request stands.
pub(crate) struct Place {
    id: SequenceId,
    position: u32,
}

impl Sequences {
    pub(crate) fn new(prefix: &'static str, length: u32, form: &SequenceIdForm) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since_1970.map_or(1, |time| time.as_nanos() as u64);
        Self {
            prefix,
            length,
            largest: form.largest_number(),
            next: AtomicU64::new(nanos),
        }
    }

    /// The place of the first request of a new sequence.
    pub(crate) fn begin(&self) -> Place {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        // With a sign it is the same. So many sequences are never open that one which comes around
        // could meet itself.
        let most = self.largest.unwrap_or(u64::MAX).min(i64::MAX as u64);
        let number = NonZeroU64::MIN.saturating_add(next % most);
        let id = match self.largest {
            Some(_) => SequenceId::Number(number),
            None => {
                let text = format!("{}-{number}", self.prefix);
                SequenceId::text(text).unwrap_or(SequenceId::Number(number))
            }
        };
        Place { id, position: 0 }
    }

    pub(crate) fn at(&self, place: &Place) -> Sequence {
        Sequence {
            id: place.id.clone(),
            start: place.position == 0,
            end: place.position + 1 == self.length,
        }
    }

    /// The place after this one, unless the sequence is over.
    pub(crate) fn after(&self, place: Place) -> Option<Place> {
        let position = place.position + 1;
        (position < self.length).then_some(Place { position, ..place })
    }

    /// What ends a sequence before its length is reached.
    pub(crate) fn end(&self, place: Place) -> Sequence {
        Sequence {
            start: place.position == 0,
            id: place.id,
            end: true,
        }
    }

    /// A sequence of a single request.
    pub(crate) fn whole(&self) -> Sequence {
        self.end(self.begin())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use triton_options::SequenceIdType;

    use super::*;

    fn sequences(length: u32, controls: &serde_json::Value) -> Sequences {
        let config = json!({"name": "m", "sequence_batching": {"control_input": controls}});
        let config = serde_json::from_value(config).unwrap();
        let form = SequenceIdForm::agree(SequenceIdType::Auto, &config, None);
        Sequences::new("test", length, &form.unwrap())
    }

    #[test]
    fn a_sequence_starts_with_its_first_request_and_ends_with_its_last() {
        let sequences = sequences(3, &json!([]));
        let mut place = Some(sequences.begin());
        let mut flags = Vec::new();
        let mut ids = Vec::new();
        while let Some(here) = place {
            let sequence = sequences.at(&here);
            flags.push((sequence.start, sequence.end));
            ids.push(sequence.id);
            place = sequences.after(here);
        }
        assert_eq!(flags, [(true, false), (false, false), (false, true)]);
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_ne!(sequences.begin().id, ids[0]);
        let whole = sequences.whole();
        assert!(whole.start && whole.end);
    }

    #[test]
    fn a_model_that_takes_its_id_as_a_number_gets_one() {
        let control = |data_type: &str| {
            let control = json!([{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": data_type}]);
            json!([{"name": "CORRID", "control": control}])
        };
        for (data_type, largest) in [
            ("TYPE_UINT64", i64::MAX as u64),
            ("TYPE_INT64", i64::MAX as u64),
            ("TYPE_UINT32", u32::MAX.into()),
            ("TYPE_INT32", i32::MAX as u64),
        ] {
            let sequences = sequences(1, &control(data_type));
            for next in [0, 1, largest - 1, largest, u64::MAX] {
                sequences.next.store(next, Ordering::Relaxed);
                let expected = NonZeroU64::new(1 + next % largest).unwrap();
                assert_eq!(sequences.begin().id, SequenceId::Number(expected));
            }
        }
        let id = sequences(1, &json!([])).begin().id;
        assert!(matches!(id, SequenceId::Text(_)));
    }
}
