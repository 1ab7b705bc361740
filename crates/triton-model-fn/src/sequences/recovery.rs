//! What is done about a sequence that the server has lost, or may have spoilt.

use tokio::time::Instant;
use tracing::{info, warn};
use triton_client::ErrorKind as ClientErrorKind;
use triton_options::{OptionValue as _, ReplayOverflow, SEQUENCE_RECOVERY, SequenceRecovery};

use super::history::{History, Kept};
use super::key_sequence::{KeySequence, LossCause};
use super::standing::EarlierRows;
use super::{SequenceKey, SequenceTransport, Shared};
use crate::metrics::SequenceEvent;
use crate::{Error, ErrorKind, packed_row, retry, server_wait};

/// What is to be done about a lost sequence.
#[derive(PartialEq, Eq)]
pub(super) enum Recovery {
    Fail,
    Restart,
    Replay,
}

/// Why a replay did not bring a sequence to where it was.
enum ReplayFailure {
    /// A row was not answered: another replay may do better.
    NotSent(Error),
    /// The model contradicts itself, or the rows kept do: no other replay would do better.
    Diverged(Error),
}

impl<T: SequenceTransport> Shared<T> {
    /// Makes a sequence one that the server knows, under a new ID if need be.
    pub(super) async fn recover(
        &self,
        key: &SequenceKey,
        sequence: &mut KeySequence,
    ) -> Result<(), Error> {
        let Some(loss) = &sequence.loss else {
            return Ok(());
        };
        if loss.reported || sequence.rows == 0 {
            self.begin_again(key, sequence);
            return Ok(());
        }
        match self.recovery(sequence) {
            Recovery::Fail => {
                let message = format!(
                    "the sequence was lost after {} rows: {}; the next row of its key starts a \
                     new one, and the option '{}' can make it go on instead",
                    sequence.rows,
                    loss.cause,
                    SEQUENCE_RECOVERY.key()
                );
                let id = self.id_of(sequence);
                self.fail(sequence);
                let error = Error::new(ErrorKind::SequenceLost, message);
                Err(error.in_sequence(id).at_row(sequence.rows))
            }
            Recovery::Restart => {
                warn!(
                    key = self.settings.display.show(key),
                    lost = self.id_of(sequence),
                    rows = sequence.rows,
                    cause = %loss.cause,
                    subtask = self.open.subtask.index(),
                    attempt = self.open.subtask.attempt(),
                    "the sequence starts again without its earlier rows"
                );
                self.event(SequenceEvent::Restarted);
                sequence.marked = true;
                self.begin_again(key, sequence);
                Ok(())
            }
            Recovery::Replay => self.replay(key, sequence).await,
        }
    }

    /// Sends all rows of a lost sequence again, in a new one.
    async fn replay(&self, key: &SequenceKey, sequence: &mut KeySequence) -> Result<(), Error> {
        let lost = self.id_of(sequence);
        let history = std::mem::replace(&mut sequence.history, History::Outgrown);
        let replayed = match &history {
            History::Kept(kept) => self.replay_kept(key, sequence, kept).await,
            History::Carried(earlier) => self.replay_carried(key, sequence, earlier).await,
            History::NotKept | History::Outgrown => Ok(()),
        };
        sequence.history = history;
        match replayed {
            Ok(()) => {
                sequence.loss = None;
                info!(
                    key = self.settings.display.show(key),
                    lost,
                    sequence_id = self.id_of(sequence),
                    rows = sequence.rows,
                    subtask = self.open.subtask.index(),
                    attempt = self.open.subtask.attempt(),
                    "the sequence was rebuilt by a replay"
                );
                self.event(SequenceEvent::Replayed);
                Ok(())
            }
            Err(ReplayFailure::NotSent(error)) => Err(error),
            Err(ReplayFailure::Diverged(error)) => {
                self.fail(sequence);
                Err(error)
            }
        }
    }

    /// Sends the rows that the row to be answered carries.
    async fn replay_carried(
        &self,
        key: &SequenceKey,
        sequence: &mut KeySequence,
        earlier: &EarlierRows,
    ) -> Result<(), ReplayFailure> {
        sequence.counter = self.take_counter(key);
        let mut sent_rows = 0;
        for row in earlier.rows() {
            let sent = self.send(key, sequence, &row, sent_rows, sent_rows == 0, false);
            sent.await.map_err(ReplayFailure::NotSent)?;
            sent_rows += 1;
            self.count.metrics.replayed_rows.increment(1);
        }
        // Not before all of them were answered: a sequence without rows would start anew.
        sequence.rows = sent_rows;
        Ok(())
    }

    async fn replay_kept(
        &self,
        key: &SequenceKey,
        sequence: &mut KeySequence,
        kept: &Kept,
    ) -> Result<(), ReplayFailure> {
        sequence.counter = self.take_counter(key);
        let cells = self.settings.columns.len();
        for (index, packed) in kept.rows.iter().enumerate() {
            let row = packed_row::unpack(packed, cells).ok_or_else(|| {
                let message = "a row kept for the replay is damaged";
                ReplayFailure::Diverged(Error::new(ErrorKind::SequenceLost, message))
            })?;
            let sent = self.send(key, sequence, &row, index as u64, index == 0, false);
            let values = sent.await.map_err(ReplayFailure::NotSent)?;
            kept.compare(index, &values)
                .map_err(ReplayFailure::Diverged)?;
            self.count.metrics.replayed_rows.increment(1);
        }
        Ok(())
    }

    /// A new ID and no rows.
    fn begin_again(&self, key: &SequenceKey, sequence: &mut KeySequence) {
        sequence.counter = self.take_counter(key);
        sequence.loss = None;
        sequence.rows = 0;
        sequence.history = History::new(self.settings.history);
    }

    /// A row fails because the sequence is lost: the next one starts it anew, and says so.
    pub(super) fn fail(&self, sequence: &mut KeySequence) {
        self.event(SequenceEvent::Failed);
        if let Some(loss) = &mut sequence.loss {
            loss.reported = true;
        }
        sequence.marked = true;
        sequence.history = History::NotKept;
    }

    pub(super) fn recovery(&self, sequence: &KeySequence) -> Recovery {
        match (
            self.settings.recovery,
            &sequence.history,
            self.settings.overflow,
        ) {
            (SequenceRecovery::Replay, History::Kept(_) | History::Carried(_), _) => {
                Recovery::Replay
            }
            (SequenceRecovery::Replay, _, ReplayOverflow::Restart)
            | (SequenceRecovery::Restart, _, _) => Recovery::Restart,
            _ => Recovery::Fail,
        }
    }

    pub(super) fn report(
        &self,
        key: &SequenceKey,
        sequence: &KeySequence,
        cause: LossCause,
        error: &Error,
    ) {
        self.event(match cause {
            LossCause::Uncertain => SequenceEvent::Uncertain,
            LossCause::Gap { .. } => SequenceEvent::Gap,
            LossCause::Forgotten
            | LossCause::Idle
            | LossCause::Restored
            | LossCause::Unanswered => SequenceEvent::Forgotten,
        });
        macro_rules! tell {
            ($level:ident) => {
                $level!(
                    key = self.settings.display.show(key),
                    sequence_id = self.id_of(sequence),
                    rows = sequence.rows,
                    subtask = self.open.subtask.index(),
                    attempt = self.open.subtask.attempt(),
                    endpoint = %self.open.client().endpoint(),
                    recovery = self.settings.recovery.canonical(),
                    %error,
                    cause = error.client_error().map(tracing::field::display),
                    "the state of the sequence is lost or uncertain"
                )
            };
        }
        // What a replay mends shows in no answer.
        match self.recovery(sequence) {
            Recovery::Replay => tell!(info),
            Recovery::Fail | Recovery::Restart => tell!(warn),
        }
    }
}

/// What an error says of the sequence; `None` where the sequence is as it was before.
pub(super) fn cause(error: &Error) -> Option<LossCause> {
    match error.kind() {
        ErrorKind::SequenceLost => Some(LossCause::Forgotten),
        // After an answer that cannot be read the model has taken the row in as well.
        ErrorKind::SequenceUncertain | ErrorKind::Output => Some(LossCause::Uncertain),
        _ => None,
    }
}

/// How many recoveries follow the first one where the failure is not known to pass, such as a 500.
const MOST_WITHOUT_HOPE: u32 = 8;

/// How often the sequence of one row was recovered.
#[derive(Debug, Default)]
pub(super) struct Recoveries {
    begun: u32,
    first_failure: Option<Instant>,
    last_failure: Option<Instant>,
    /// How many calls were answered when the second recovery began.
    answered_at_first: Option<u64>,
}

impl Recoveries {
    /// Waits until another recovery may begin, or says that there is to be none.
    ///
    /// There is always one. There are as many more as a call has retries, with the same waits, as
    /// long as the time of a logical call is not over; but only a few where nothing says that the
    /// failure may pass.
    pub(super) async fn another<T>(&mut self, shared: &Shared<T>, error: &Error) -> bool {
        let open = &shared.open;
        let now = Instant::now();
        // What a server that is away does to a row says nothing of the row.
        if let (Some(wait), Some(last)) = (&open.server_wait, self.last_failure.replace(now))
            && wait.was_away_since(last)
        {
            (self.begun, self.first_failure) = (0, None);
        }
        let begun = *self.first_failure.get_or_insert(now);
        self.begun += 1;
        if self.begun == 1 {
            return true;
        }
        if let Some(wait) = &open.server_wait {
            let answered = wait.answered();
            let first = *self.answered_at_first.get_or_insert(answered);
            // Nothing tells yet whether it is this row or the server.
            let in_doubt = server_wait::may_be_away(error)
                && answered - first <= wait.capacity()
                && now.saturating_duration_since(begun) < wait.longest_doubt();
            if in_doubt {
                let _calling = wait.calling();
                let pause = open.retry.wait(self.begun, None, retry::thread_random());
                wait.pause(pause.min(server_wait::LONGEST_DOUBTFUL_PAUSE))
                    .await;
                return true;
            }
        }
        let passes = error.client_error().is_none_or(|error| {
            error.is_transient() || error.kind() == ClientErrorKind::SequenceNotStarted
        });
        let retry = self.begun - 1;
        // A row that the model cannot bear would be sent for ever; a reload passes.
        let most = match passes {
            true => open.retry.max_retries,
            false => open.retry.max_retries.min(MOST_WITHOUT_HOPE),
        };
        if retry > most {
            return false;
        }
        let wait = open.retry.wait(retry, None, retry::thread_random());
        if now.saturating_duration_since(begun).saturating_add(wait) > open.call_budget {
            return false;
        }
        match &open.server_wait {
            Some(server) => {
                let _calling = server.calling();
                server.pause(wait).await;
            }
            None => tokio::time::sleep(wait).await,
        }
        true
    }
}
