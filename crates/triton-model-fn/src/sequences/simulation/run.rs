//! Lets a history happen, and takes every answer to be held against what was promised of it.

use std::collections::BTreeMap;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::{Instant, sleep, timeout};

use super::expected::{Broken, Chain, SourceRow};
use super::function::{Answer, Function, Opening, Position};
use super::history::{Event, History, Rows};
use super::transport::SimulatedNetwork;
use crate::Error;
use crate::sequences::{Answered, SequenceSnapshot};

/// No row waits longer, whatever goes wrong.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(3600);

/// As much as tokio's clock is coarse.
const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(2);

#[derive(Debug)]
struct Pending {
    row: SourceRow,
    handed_over: Instant,
    /// `None` where nobody waits for it any longer.
    answer: Option<Answer>,
    result: Option<Result<Answered, Error>>,
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
    /// Whether a row was given up that may still be on its way.
    given_up: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let network = SimulatedNetwork::new(history.places);
        {
            let mut world = network.world();
            world.ends_abandoned = history.ends_abandoned;
            world.drops_answers = history.rows == Rows::Carrying;
        }
        Self {
            function: open(&network, history, 0),
            network,
            history,
            attempt: 0,
            source: Vec::new(),
            pending: Vec::new(),
            chains: BTreeMap::new(),
            checkpoint: None,
            // Where no time ends a sequence, the server drops it while its key waits. A row with a
            // deadline may wait in vain.
            disturbed: !history.time_ends_sequences() || history.row_deadline.is_some(),
            given_up: false,
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
            // Whether a row that nobody waits for counts for the length of its sequence is not known.
            Event::GiveUp if self.history.max_length.is_some() => {}
            Event::GiveUp => {
                self.collect()?;
                self.disturbed |= !self.pending.is_empty();
                self.given_up |= !self.pending.is_empty();
                if let Some(pending) = self.pending.last_mut() {
                    pending.answer = None;
                }
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
        let earlier = self.source.iter().filter(|row| row.key == key);
        let row = SourceRow {
            key,
            number: earlier.count() as u64 + 1,
            value,
            last,
        };
        self.source.push(row);
        self.hand_over(row);
    }

    fn hand_over(&mut self, row: SourceRow) {
        let SourceRow {
            key,
            number,
            value,
            last,
        } = row;
        // Where a column says which row is the last one, its number tells nothing of the end before.
        let position = Position {
            number,
            before: None,
        };
        let answer = match self.history.rows {
            Rows::Bare => self.function.submit(key, value, last),
            Rows::Numbered => self.function.submit_at(key, value, last, position),
            Rows::Carrying => {
                let earlier = self.earlier(row);
                self.function
                    .submit_carrying(key, value, last, number, earlier)
            }
        };
        self.pending.push(Pending {
            row,
            handed_over: Instant::now(),
            answer: Some(answer),
            result: None,
        });
    }

    /// The values of the rows of a row's sequence that come before it.
    fn earlier(&self, row: SourceRow) -> Vec<i64> {
        let before = self.source.iter();
        let before = before.filter(|it| it.key == row.key && it.number < row.number);
        before.fold(Vec::new(), |mut values, row| {
            values.push(row.value);
            if row.last {
                values.clear();
            }
            values
        })
    }

    async fn wait(&mut self) -> Result<(), Broken> {
        for pending in &mut self.pending {
            if let (Some(answer), None) = (&mut pending.answer, &pending.result) {
                let row = pending.row;
                // One that comes too late is answered in the moment in which that is known.
                let longest = self.history.row_deadline.map_or(LONGEST_WAIT, |deadline| {
                    let until = pending.handed_over + deadline + A_MOMENT;
                    until.saturating_duration_since(Instant::now())
                });
                let answer = timeout(longest, answer).await;
                let answer = answer.map_err(|_| format!("{row:?} is not answered in time"))?;
                pending.result = Some(answer.map_err(|_| format!("{row:?} is dropped"))?);
            }
        }
        self.collect()
    }

    async fn snapshot(&mut self) -> Result<(), Broken> {
        self.wait().await?;
        let mut snapshot = self.function.snapshot();
        let begun = Instant::now();
        while snapshot.is_err() && self.given_up && begun.elapsed() < LONGEST_WAIT {
            sleep(std::time::Duration::from_millis(100)).await;
            snapshot = self.function.snapshot();
        }
        self.given_up = false;
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
        self.disturbed |= closed.is_err();
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
                if let (Some(answer), None) = (&mut pending.answer, &pending.result) {
                    let row = pending.row;
                    let answer = answer.try_recv();
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
            world.sender_is_gone(Instant::now());
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
        for index in rows..self.source.len() {
            self.hand_over(self.source[index]);
        }
        Ok(())
    }

    /// Takes the answers that are there: in order within each key.
    fn collect(&mut self) -> Result<(), Broken> {
        let mut waiting = BTreeMap::<i64, SourceRow>::new();
        let mut rest = Vec::new();
        for mut pending in std::mem::take(&mut self.pending) {
            let row = pending.row;
            let Some(answer) = &mut pending.answer else {
                if waiting.contains_key(&row.key) {
                    rest.push(pending);
                } else {
                    let chain = self
                        .chains
                        .entry(row.key)
                        .or_insert_with(|| Chain::new(pending.handed_over));
                    chain.give_up(self.history, row, pending.handed_over);
                }
                continue;
            };
            if pending.result.is_none() {
                pending.result = match answer.try_recv() {
                    Ok(result) => Some(result),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Closed) => return Err(format!("{row:?} is dropped")),
                };
            }
            match (pending.result.take(), waiting.get(&row.key)) {
                (Some(_), Some(before)) => {
                    return Err(format!("{row:?} is answered before {before:?}"));
                }
                (Some(result), None) => {
                    let carried = self.history.rows == Rows::Carrying;
                    let carried = carried.then(|| self.earlier(row));
                    let chain = self
                        .chains
                        .entry(row.key)
                        .or_insert_with(|| Chain::new(pending.handed_over));
                    let because = self.disturbed;
                    if let Some(earlier) = carried {
                        chain.carry(earlier);
                    }
                    chain.check(self.history, because, row, pending.handed_over, result)?;
                }
                (None, _) => {
                    waiting.entry(row.key).or_insert(row);
                    rest.push(pending);
                }
            }
        }
        self.pending = rest;
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
    if history.recovery == "replay" && history.rows == Rows::Bare {
        options.push(("sequence-replay-compare", "true"));
    }
    let deadline = history
        .row_deadline
        .map(|time| format!("{} ms", time.as_millis()));
    if let Some(deadline) = &deadline {
        options.push(("row-deadline", deadline));
    }
    if history.ends_abandoned {
        options.push(("sequence-abandon", "end"));
    }
    if history.rows != Rows::Bare {
        options.push(("sequence-position-column", "n"));
    }
    if history.rows == Rows::Carrying {
        options.push(("sequence-history-columns", "value:values"));
    }
    options.extend(length.as_deref().map(|rows| ("sequence-max-length", rows)));
    let opening = Opening {
        options: &options,
        attempt,
        bounded: history.bounded,
        ..Opening::default()
    };
    Function::open(network, opening)
}
