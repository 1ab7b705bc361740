//! The sequences of a load on a stateful model.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use triton_client::{ModelConfig, Sequence, SequenceId};

/// Makes sequences of one length, each with an ID that no other has.
pub(super) struct Sequences {
    length: u32,
    /// Whether the model has its correlation ID handed over as a number.
    numbers: bool,
    /// The next number; it begins with the time, so that no earlier run has had it.
    next: AtomicU64,
}

/// Where in a sequence the next request stands.
pub(super) struct Place {
    id: SequenceId,
    position: u32,
}

impl Sequences {
    pub(super) fn new(length: u32, config: &ModelConfig) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since_1970.map_or(1, |time| time.as_nanos() as u64);
        Self {
            length,
            numbers: wants_number(config),
            next: AtomicU64::new(nanos),
        }
    }

    /// The place of the first request of a new sequence.
    pub(super) fn begin(&self) -> Place {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let number = NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX);
        let id = match self.numbers {
            true => SequenceId::Number(number),
            false => {
                SequenceId::text(format!("bench-{number}")).unwrap_or(SequenceId::Number(number))
            }
        };
        Place { id, position: 0 }
    }

    pub(super) fn at(&self, place: &Place) -> Sequence {
        Sequence {
            id: place.id.clone(),
            start: place.position == 0,
            end: place.position + 1 == self.length,
        }
    }

    /// The place after this one, unless the sequence is over.
    pub(super) fn after(&self, place: Place) -> Option<Place> {
        let position = place.position + 1;
        (position < self.length).then_some(Place { position, ..place })
    }

    /// What ends a sequence before its length is reached.
    pub(super) fn end(&self, place: Place) -> Sequence {
        Sequence {
            start: place.position == 0,
            id: place.id,
            end: true,
        }
    }

    /// A sequence of a single request.
    pub(super) fn whole(&self) -> Sequence {
        self.end(self.begin())
    }
}

fn wants_number(config: &ModelConfig) -> bool {
    let inputs = config.document()["sequence_batching"]["control_input"].as_array();
    let mut controls = inputs
        .into_iter()
        .flatten()
        .filter_map(|input| input["control"].as_array())
        .flatten();
    controls.any(|control| {
        control["kind"] == "CONTROL_SEQUENCE_CORRID" && control["data_type"] != "TYPE_STRING"
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sequences(length: u32, controls: &serde_json::Value) -> Sequences {
        let config = json!({"name": "m", "sequence_batching": {"control_input": controls}});
        Sequences::new(length, &serde_json::from_value(config).unwrap())
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
        let id = |controls| sequences(1, &controls).begin().id;
        assert!(matches!(id(control("TYPE_UINT64")), SequenceId::Number(_)));
        assert!(matches!(id(control("TYPE_STRING")), SequenceId::Text(_)));
        assert!(matches!(id(json!([])), SequenceId::Text(_)));
    }
}
