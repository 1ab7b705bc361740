//! What a function tells of its sequences, and how they go from one run to the next.

use tokio::time::Instant;

use super::InferenceFunction;
use crate::lanes::{Begun, Lane};
use crate::{Error, ErrorKind, SequencePlaces, SequenceSnapshot, Value};

impl InferenceFunction {
    /// Tells the sequence of its key of a row that cannot be used: one that has no values for the
    /// model, only those of its key, its end and its position.
    ///
    /// It takes its place among the rows of its key without being sent: a last row ends the
    /// sequence, and a position counts as seen. Where the option `sequence-key` is not set it does
    /// nothing.
    pub fn submit_unusable(&self, row: &[Value]) -> impl Future<Output = ()> + Send + use<> {
        let begun = self.base.opened().ok().map(|opened| {
            let unusable = || {
                let message = "the row cannot be used";
                Err(Error::new(ErrorKind::Input, message))
            };
            let columns = self.row_columns();
            opened.prepared.begin_keyed(&columns, row, false, unusable)
        });
        async move {
            if let Some(Some(Begun::Queued(answer))) = begun {
                // Whatever comes back says that it is done, and nothing else.
                let _ = answer.await;
            }
        }
    }

    /// The text that stands for the key of a row, as [`SequenceSnapshot::keys`] has it; `None`
    /// where the option `sequence-key` is not set, or the row has no key.
    #[must_use]
    pub fn sequence_key(&self, row: &[Value]) -> Option<String> {
        let columns = self.sequences.as_ref()?;
        let key = columns.key(row).ok()?;
        Some(key.as_str().to_owned())
    }

    /// How many sequences of keys may be open at once; `None` where the option `sequence-key` is
    /// not set, or while the function is not open.
    #[must_use]
    pub fn sequence_places(&self) -> Option<SequencePlaces> {
        match &self.base.opened().ok()?.prepared.lane {
            Lane::Keyed(sequences) => Some(sequences.places()),
            Lane::Single(_) | Lane::Batched(_) | Lane::Streamed(_) => None,
        }
    }

    /// The number that the next sequence ID would take; 0 where no IDs are numbered.
    #[must_use]
    pub fn next_counter(&self) -> u64 {
        let opened = self.base.opened().ok();
        let ids = opened
            .as_ref()
            .and_then(|opened| opened.subtask.id_generator.as_ref());
        ids.map_or(0, |ids| ids.peek())
    }

    /// Goes on counting sequence IDs from `counter`, unless the counter is further already.
    ///
    /// For a run that goes on after another one, whose last IDs no snapshot has seen.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open, and [`ErrorKind::Snapshot`] when sequence
    /// IDs are numbers that have no room for such a counter.
    pub fn advance_counter(&self, counter: u64) -> Result<(), Error> {
        let opened = self.base.opened()?;
        if let Some(ids) = &opened.subtask.id_generator {
            ids.check_counter(counter)
                .map_err(|error| error.in_subtask(opened.subtask.subtask))?;
            let reserved = counter.saturating_sub(ids.peek());
            ids.hold_reserved(Instant::now(), reserved);
            ids.advance(counter);
            if let Lane::Keyed(sequences) = &opened.prepared.lane {
                sequences.hold_reserved(reserved);
            }
        }
        Ok(())
    }

    /// How many sequences of keys are open: each takes one of the places that the model has.
    ///
    /// 0 while the function is not open.
    #[must_use]
    pub fn open_sequences(&self) -> usize {
        match self.base.opened() {
            Ok(opened) => match &opened.prepared.lane {
                Lane::Keyed(sequences) => sequences.open_sequences(),
                Lane::Single(_) | Lane::Batched(_) | Lane::Streamed(_) => 0,
            },
            Err(_) => 0,
        }
    }

    /// The open sequences of keys, to be stored with a checkpoint of the engine.
    ///
    /// Call it when every row handed over is answered, so that what the snapshot knows and what
    /// the source has read are the same. Without `sequence-key` it is empty.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open, or rows are in flight.
    pub fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        let opened = self.base.opened()?;
        match &opened.prepared.lane {
            Lane::Keyed(sequences) => sequences
                .snapshot()
                .map_err(|error| error.in_subtask(opened.subtask.subtask)),
            Lane::Single(_) | Lane::Batched(_) | Lane::Streamed(_) => {
                Ok(opened.subtask.snapshot_counter())
            }
        }
    }

    /// Takes the sequences of a snapshot, of this subtask or, where keys have moved, of several.
    ///
    /// The model's state belongs to the run that is gone, so each sequence goes on as the option
    /// `sequence-recovery` says, under a new ID, when its key has a row. The counter of IDs goes
    /// on after the numbers that the snapshot has seen. Call it after `open`, before any row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open, and [`ErrorKind::Snapshot`] when the
    /// snapshot is of other columns, is damaged, or has a key that there is already.
    pub fn restore(&self, snapshot: SequenceSnapshot) -> Result<(), Error> {
        let opened = self.base.opened()?;
        let open = &opened.subtask;
        let restored = match &opened.prepared.lane {
            Lane::Keyed(sequences) => sequences.restore(snapshot),
            Lane::Single(_) | Lane::Batched(_) | Lane::Streamed(_) => {
                open.restore_counter(&snapshot)
            }
        };
        restored.map_err(|error| error.in_subtask(open.subtask))
    }
}
