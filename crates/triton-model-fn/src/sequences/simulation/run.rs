//! Lets a history happen, and holds every answer against what was promised of it.

use std::collections::BTreeMap;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::{Instant, sleep, timeout};

use super::function::{Answer, Function, Opening, sum};
use super::history::{Event, History};
use super::transport::SimulatedNetwork;
use crate::sequences::{Answered, SequenceSnapshot};
use crate::{Error, ErrorKind};

/// No row waits longer, whatever goes wrong.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(3600);

/// A row of the source.
#[derive(Debug, Clone, Copy)]
struct SourceRow {
    key: i64,
    value: i64,
    last: bool,
}

#[derive(Debug)]
struct Pending {
    row: SourceRow,
    handed_over: Instant,
    answer: Answer,
    result: Option<Result<Answered, Error>>,
}

/// What is expected of a key.
#[derive(Debug, Clone)]
struct Chain {
    /// The values of the rows that the next answer must contain.
    values: Vec<i64>,
    /// Whether a row has failed because the sequence was lost.
    reported: bool,
    /// When its last row was handed over: it was answered at that time or later.
    last_row: Instant,
    /// Whether time may have ended the sequence since its last answer, by a clock that stands still
    /// now and then.
    may_be_over: bool,
}

/// What was stored last.
struct Checkpoint {
    bytes: Vec<u8>,
    chains: BTreeMap<i64, Chain>,
    /// How many rows of the source are in it.
    rows: usize,
    /// How many requests had been sent.
    sent: usize,
}

/// A function in the middle of a history.
pub(super) struct Run<'a> {
    history: &'a History,
    network: SimulatedNetwork,
    function: Function,
    attempt: u32,
    source: Vec<SourceRow>,
    pending: Vec<Pending>,
    chains: BTreeMap<i64, Chain>,
    checkpoint: Option<Checkpoint>,
    /// Whether anything has gone wrong so far.
    disturbed: bool,
}

/// Why a history does not go as it should.
pub(super) type Broken = String;

impl<'a> Run<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let network = SimulatedNetwork::new(history.places);
        Self {
            function: open(&network, history, 0),
            network,
            history,
            attempt: 0,
            source: Vec::new(),
            pending: Vec::new(),
            chains: BTreeMap::new(),
            checkpoint: None,
            // Where no time ends a sequence, the server drops it while its key waits.
            disturbed: history.bounded,
        }
    }

    /// Lets everything happen.
    pub(super) async fn all(mut self) -> Result<(), Broken> {
        for event in &self.history.events {
            self.event(*event).await?;
            self.check_world()?;
        }
        self.wait().await?;
        self.check_world()
    }

    fn check_world(&self) -> Result<(), Broken> {
        match self.network.world().violations.first() {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }

    async fn event(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Row { key, last } => self.row(key, last),
            Event::PoisonedRow { key } => {
                self.disturbed = true;
                let value = self.next_value();
                self.network.world().server.poison(value);
                self.row(key, false);
            }
            Event::Fault(fault) => {
                self.disturbed = true;
                self.network.fault(fault);
            }
            Event::RestartServer => {
                self.disturbed = true;
                self.network.restart_server();
            }
            Event::Pass(time) => {
                sleep(time).await;
                self.collect()?;
            }
            Event::Wait => self.wait().await?,
            Event::Snapshot => self.snapshot().await?,
            Event::Kill => {
                self.collect()?;
                self.pending.clear();
                self.begin_again()?;
            }
            Event::Close(patience) => {
                self.close(patience).await?;
                self.begin_again()?;
            }
        }
        Ok(())
    }

    /// Values are powers of no number, but all differ, and no two sums of a few are equal often.
    fn next_value(&self) -> i64 {
        let number = self.source.len() as i64 + 1;
        number * number * 1000 + number
    }

    fn row(&mut self, key: i64, last: bool) {
        let value = self.next_value();
        let row = SourceRow { key, value, last };
        self.source.push(row);
        self.hand_over(row);
    }

    fn hand_over(&mut self, row: SourceRow) {
        self.pending.push(Pending {
            row,
            handed_over: Instant::now(),
            answer: self.function.submit(row.key, row.value, row.last),
            result: None,
        });
    }

    async fn wait(&mut self) -> Result<(), Broken> {
        for pending in &mut self.pending {
            if pending.result.is_none() {
                let answer = timeout(LONGEST_WAIT, &mut pending.answer).await;
                let row = pending.row;
                let answer = answer.map_err(|_| format!("{row:?} is never answered"))?;
                pending.result = Some(answer.map_err(|_| format!("{row:?} is dropped"))?);
            }
        }
        self.collect()
    }

    async fn snapshot(&mut self) -> Result<(), Broken> {
        self.wait().await?;
        let snapshot = self.function.snapshot();
        let snapshot = snapshot.map_err(|error| format!("no snapshot at rest: {error}"))?;
        self.checkpoint = Some(Checkpoint {
            bytes: snapshot.to_bytes(),
            chains: self.chains.clone(),
            rows: self.source.len(),
            sent: self.network.sent(),
        });
        Ok(())
    }

    async fn close(&mut self, patience: std::time::Duration) -> Result<(), Broken> {
        let begun = Instant::now();
        let closed = self.function.close(patience).await;
        if begun.elapsed() > patience + std::time::Duration::from_millis(10) {
            return Err(format!(
                "closing took {:?} of {patience:?}",
                begun.elapsed()
            ));
        }
        let refused = self.function.submit(0, 1, false).await;
        if let Ok(Ok(answered)) = refused {
            return Err(format!("a row is answered after the end: {answered:?}"));
        }
        if closed.is_ok() {
            // Everything that was handed over before is answered, and at once.
            for pending in &mut self.pending {
                if pending.result.is_none() {
                    let row = pending.row;
                    let answer = pending.answer.try_recv();
                    pending.result =
                        Some(answer.map_err(|_| format!("{row:?} has no answer after close"))?);
                }
            }
        }
        self.collect()?;
        self.pending.clear();
        Ok(())
    }

    /// Another process takes over from what was stored last.
    fn begin_again(&mut self) -> Result<(), Broken> {
        let (chains, rows, sent) = match &self.checkpoint {
            Some(checkpoint) => (checkpoint.chains.clone(), checkpoint.rows, checkpoint.sent),
            None => (BTreeMap::new(), 0, 0),
        };
        {
            // What was begun since nobody knows of any more.
            let mut world = self.network.world();
            let ids: Vec<_> = world.sent[sent..]
                .iter()
                .filter(|sent| sent.request.start)
                .map(|sent| sent.request.id.clone())
                .collect();
            world.excused.extend(ids);
        }
        self.disturbed = true;
        self.attempt += 1;
        self.function = open(&self.network, self.history, self.attempt);
        if let Some(checkpoint) = &self.checkpoint {
            let restored = SequenceSnapshot::from_bytes(&checkpoint.bytes)
                .and_then(|snapshot| self.function.restore(snapshot));
            restored.map_err(|error| format!("a snapshot is refused: {error}"))?;
        }
        self.chains = chains;
        for row in self.source[rows..].to_vec() {
            self.hand_over(row);
        }
        Ok(())
    }

    /// Takes the answers that are there: in order within each key.
    fn collect(&mut self) -> Result<(), Broken> {
        let mut waiting = BTreeMap::<i64, SourceRow>::new();
        let mut rest = Vec::new();
        for mut pending in std::mem::take(&mut self.pending) {
            let row = pending.row;
            if pending.result.is_none() {
                pending.result = match pending.answer.try_recv() {
                    Ok(result) => Some(result),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Closed) => return Err(format!("{row:?} is dropped")),
                };
            }
            match (pending.result.take(), waiting.get(&row.key)) {
                (Some(_), Some(before)) => {
                    return Err(format!("{row:?} is answered before {before:?}"));
                }
                (Some(result), None) => self.check(row, pending.handed_over, result)?,
                (None, _) => {
                    waiting.entry(row.key).or_insert(row);
                    rest.push(pending);
                }
            }
        }
        self.pending = rest;
        Ok(())
    }

    /// Holds the answer to a row against the rows that it must contain.
    fn check(
        &mut self,
        row: SourceRow,
        handed_over: Instant,
        result: Result<Answered, Error>,
    ) -> Result<(), Broken> {
        let chain = self.chains.entry(row.key).or_insert_with(|| Chain {
            values: Vec::new(),
            reported: false,
            last_row: handed_over,
            may_be_over: false,
        });
        let silent = handed_over.saturating_duration_since(chain.last_row);
        chain.last_row = handed_over;
        let boundary = SimulatedNetwork::IDLE * 3 / 4;
        chain.may_be_over |= !self.history.bounded && silent > boundary;
        let history = self.history;
        let mut ends = row.last;
        match result {
            Ok(answered) => {
                let found = sum(&answered);
                if answered.restarted {
                    if !self.disturbed {
                        return Err(format!("{row:?} is marked, and nothing went wrong"));
                    }
                    if history.recovery == "replay" {
                        return Err(format!("{row:?} is marked in spite of a replay"));
                    }
                    chain.values.clear();
                }
                chain.values.push(row.value);
                if std::mem::take(&mut chain.may_be_over) && found == row.value {
                    chain.values = vec![row.value];
                }
                let expected: i64 = chain.values.iter().sum();
                if found != expected {
                    return Err(format!(
                        "{row:?} is answered with {found} and not {expected}, the sum of {:?}; {}",
                        chain.values,
                        if answered.restarted {
                            "marked"
                        } else {
                            "not marked"
                        },
                    ));
                }
                chain.reported = false;
                ends |= history.max_length == Some(chain.values.len() as u64);
            }
            Err(error) => {
                if !self.disturbed {
                    return Err(format!("{row:?} fails, and nothing went wrong: {error}"));
                }
                let lost = error.kind() == ErrorKind::SequenceLost;
                if lost && history.recovery == "fail" && chain.reported {
                    return Err(format!("{row:?} fails for a loss reported before: {error}"));
                }
                let left_whole = error.kind() == ErrorKind::Call;
                chain.reported |= !left_whole && !chain.values.is_empty();
            }
        }
        if ends {
            chain.values.clear();
            chain.reported = false;
        }
        Ok(())
    }
}

fn open(network: &SimulatedNetwork, history: &History, attempt: u32) -> Function {
    let length = history.max_length.map(|rows| rows.to_string());
    let mut options = vec![
        ("sequence-recovery", history.recovery),
        ("max-retries", "3"),
        ("retry-initial-backoff", "10 ms"),
    ];
    if history.recovery == "replay" {
        options.push(("sequence-replay-compare", "true"));
    }
    options.extend(length.as_deref().map(|rows| ("sequence-max-length", rows)));
    let opening = Opening {
        options: &options,
        attempt,
        bounded: history.bounded,
        without_state: false,
    };
    Function::open(network, opening)
}
