//! What all functions on a Triton model share: the client, the subtask and the sequence counter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tracing::debug;
use triton_client::{Client, ModelId, Sequence, SequenceId};
use triton_options::{CounterInitStrategy, SequenceMode, TritonOptions};

use crate::{Error, ErrorKind, Subtask};

/// The part of a model function that does not depend on what it does with a row.
///
/// It owns the options, and between `open` and `close` an [`OpenSubtask`].
#[derive(Debug)]
pub struct FunctionBase {
    options: TritonOptions,
    open: Option<OpenSubtask>,
}

/// What exists only while a function is open.
#[derive(Debug)]
pub struct OpenSubtask {
    /// The client of the endpoint.
    pub client: Client,
    /// The model to call.
    pub model: ModelId,
    /// The subtask in which the function runs.
    pub subtask: Subtask,
    sequence_mode: SequenceMode,
    /// The counter of the next sequence ID.
    sequence_counter: AtomicU64,
}

impl FunctionBase {
    /// A base that is not open.
    #[must_use]
    pub fn new(options: TritonOptions) -> Self {
        Self {
            options,
            open: None,
        }
    }

    /// The options of the model.
    #[must_use]
    pub fn options(&self) -> &TritonOptions {
        &self.options
    }

    /// Sets up the client and a new sequence counter; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the base is open, [`ErrorKind::Call`] when the client cannot
    /// be set up.
    pub fn open(&mut self, subtask: Subtask) -> Result<&OpenSubtask, Error> {
        if let Some(open) = &self.open {
            let message = format!("the function is open already, in {}", open.subtask);
            return Err(Error::new(ErrorKind::State, message).in_subtask(subtask));
        }
        let options = &self.options;
        let client = Client::builder(options.endpoint.clone())
            .timeout(options.timeout.get())
            .build()
            .map_err(|error| {
                Error::call("the client cannot be set up", error).in_subtask(subtask)
            })?;
        Ok(self.open.insert(OpenSubtask {
            client,
            model: ModelId::new(options.model_name.clone(), options.model_version),
            subtask,
            sequence_mode: options.sequence_mode().clone(),
            sequence_counter: AtomicU64::new(first_counter(
                options.sequence_mode(),
                SystemTime::now(),
            )),
        }))
    }

    /// What `open` set up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the base is not open.
    pub fn opened(&self) -> Result<&OpenSubtask, Error> {
        self.open.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::State,
                "the function is not open: call open before predict",
            )
        })
    }

    /// Lets go of the client and the counter; does nothing when the base is not open.
    pub fn close(&mut self) {
        self.open = None;
    }
}

impl OpenSubtask {
    /// How requests belong to sequences.
    pub(crate) fn sequence_mode(&self) -> &SequenceMode {
        &self.sequence_mode
    }

    /// The place in a sequence for the next logical request, if it has one at all.
    ///
    /// In auto-increment mode each call takes a new ID, also when calls run concurrently: call
    /// it once for a row, and keep the result when the row has to be sent again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the server could not take the ID; checked options never lead
    /// to that.
    pub fn next_sequence(&self) -> Result<Option<Sequence>, Error> {
        let (id, start, end) = match &self.sequence_mode {
            SequenceMode::Static { id, start, end } => (id.clone(), *start, *end),
            SequenceMode::PerRequest { base, .. } => {
                // Only uniqueness matters, so no order with other memory is needed.
                let counter = self.sequence_counter.fetch_add(1, Ordering::Relaxed);
                let subtask_index = self.subtask.index();
                let id = base.sequence_id(subtask_index, counter);
                debug!(sequence_id = %id, base = %base, subtask_index, counter, "took a sequence ID");
                (id, true, true)
            }
            _ => return Ok(None),
        };
        let id = SequenceId::text(id).map_err(|invalid| {
            Error::new(ErrorKind::Input, invalid.to_string()).in_subtask(self.subtask)
        })?;
        Ok(Some(Sequence { id, start, end }))
    }
}

/// Where the counter of generated IDs begins in an `open` at the time `now`.
fn first_counter(mode: &SequenceMode, now: SystemTime) -> u64 {
    let SequenceMode::PerRequest { counter, .. } = mode else {
        return 0;
    };
    // A clock before 1970 is out of order; so far off, no number is better than another.
    let since_1970 = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let number = match counter {
        CounterInitStrategy::EpochMillis => since_1970.as_millis(),
        CounterInitStrategy::NanoTime => since_1970.as_nanos(),
        _ => 0,
    };
    // Nanoseconds fill 64 bits in the year 2554.
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn base(extra: &[(&str, &str)]) -> FunctionBase {
        let common = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        FunctionBase::new(TritonOptions::parse(common.iter().chain(extra).copied()).unwrap())
    }

    fn next_id(open: &OpenSubtask) -> String {
        open.next_sequence().unwrap().unwrap().id.to_string()
    }

    const AUTO: [(&str, &str); 2] = [
        ("sequence-id", "flink-job-123"),
        ("sequence-id-auto-increment", "true"),
    ];

    #[test]
    fn ids_count_from_zero_in_each_subtask_and_on_each_open() {
        let mut base = base(&AUTO);
        for index in [0, 1] {
            let open = base.open(Subtask::new(index, 2, 0).unwrap()).unwrap();
            assert_eq!(next_id(open), format!("flink-job-123-{index}-0"));
            assert_eq!(next_id(open), format!("flink-job-123-{index}-1"));
            base.close();
        }
    }

    #[test]
    fn concurrent_requests_never_share_an_id() {
        let mut base = base(&AUTO);
        let open = base.open(Subtask::new(0, 1, 0).unwrap()).unwrap();
        let ids: BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..500).map(|_| next_id(open)).collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        let expected = (0..4000)
            .map(|counter| format!("flink-job-123-0-{counter}"))
            .collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn the_counter_begins_where_its_strategy_says() {
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        for (strategy, first) in [
            ("ZERO", 0),
            ("EPOCH_MILLIS", 1_700_000_000_123),
            ("NANO_TIME", 1_700_000_000_123_456_789),
        ] {
            let strategy = [("sequence-id-counter-init-strategy", strategy)];
            let base = base(&[&AUTO[..], &strategy].concat());
            let mode = base.options().sequence_mode();
            assert_eq!(first_counter(mode, now), first, "{strategy:?}");
            let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
            assert_eq!(first_counter(mode, before_1970), 0);
        }
    }

    #[test]
    fn a_static_sequence_keeps_its_id_and_flags() {
        let mut base = base(&[("sequence-id", "call-7"), ("sequence-end", "true")]);
        let open = base.open(Subtask::new(0, 1, 0).unwrap()).unwrap();
        let first = open.next_sequence().unwrap().unwrap();
        assert_eq!((first.start, first.end), (false, true));
        assert_eq!(open.next_sequence().unwrap(), Some(first));
    }

    #[test]
    fn an_open_base_is_not_opened_twice() {
        let mut base = base(&[]);
        let subtask = Subtask::new(1, 2, 3).unwrap();
        assert!(
            base.open(subtask)
                .unwrap()
                .next_sequence()
                .unwrap()
                .is_none()
        );
        insta::assert_snapshot!(base.open(subtask).unwrap_err(), @"subtask 1 of 2, attempt 3: the function is open already, in subtask 1 of 2, attempt 3");
        base.close();
        base.close();
        insta::assert_snapshot!(base.opened().unwrap_err(), @"the function is not open: call open before predict");
    }
}
