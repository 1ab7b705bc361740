//! Tells logs and metrics what happens to sequences.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};
use triton_options::{
    MAX_IN_FLIGHT, OptionValue as _, SEQUENCE_IDLE_TIMEOUT, SEQUENCE_KEY, SEQUENCE_MAX_OPEN,
    SEQUENCE_RECOVERY,
};

use super::counts::Counts;
use super::machine::{Abandoned, Event, LossCause, LostId, Purpose, Report};
use super::owners::{Owned, Owners};
use super::{SequenceKey, SequenceSettings};
use crate::log_limit::LogLimit;
use crate::metrics::{SequenceEvent, SequenceMetrics};
use crate::sequence_id_generator::SequenceIdGenerator;
use crate::{CallContext, Error, Subtask};

/// What is told, and by whom.
#[derive(Debug)]
pub(super) struct Teller {
    settings: Arc<SequenceSettings>,
    ids: Option<Arc<SequenceIdGenerator>>,
    metrics: SequenceMetrics,
    subtask: Subtask,
    endpoint: String,
    model: String,
    wait: Option<crate::ServerWait>,
    /// What metrics show, and the server's wait was told.
    shown: Mutex<Counts>,
    is_over: AtomicBool,
    /// Which subtask has which key, where it is known which ones belong together.
    owners: Option<Arc<Owners>>,
    owned: Mutex<OwnedKeys>,
    expired: LogLimit,
    rebuilt_again: LogLimit,
}

/// The keys of this subtask, and when it was last warned that another one has one of them.
#[derive(Debug, Default)]
struct OwnedKeys {
    keys: HashMap<SequenceKey, Owned>,
    warned: Option<Instant>,
}

/// A key that another subtask has, too.
pub(super) struct Clash {
    key: SequenceKey,
    other: u32,
}

impl Teller {
    pub(super) fn new(
        open: &CallContext,
        settings: Arc<SequenceSettings>,
        ids: Option<Arc<SequenceIdGenerator>>,
    ) -> Self {
        Self {
            settings,
            ids,
            metrics: open.metrics().of_sequences(),
            subtask: open.subtask,
            endpoint: open.options().endpoint.to_string(),
            model: open.model.to_string(),
            wait: open.server_wait.clone(),
            shown: Mutex::default(),
            is_over: AtomicBool::new(false),
            owners: open.subtask.work().as_deref().map(Owners::of_work),
            owned: Mutex::default(),
            expired: LogLimit::default(),
            rebuilt_again: LogLimit::default(),
        }
    }

    /// Shows the numbers of the machine, which is locked.
    pub(super) fn count(&self, counts: &Counts) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.counts(&shown, counts);
        if let Some(wait) = &self.wait {
            wait.pauses_change(shown.pausing, counts.pausing);
        }
        *shown = *counts;
    }

    /// No sequence of this function goes on.
    pub(super) fn is_over(&self) {
        self.count(&Counts::default());
        self.is_over.store(true, Ordering::Relaxed);
        self.lock().keys.clear();
    }

    fn lock(&self) -> MutexGuard<'_, OwnedKeys> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, id: &LostId) -> Option<String> {
        let name = self.settings.name(self.ids.as_deref(), id);
        name.map(|name| name.to_string())
    }

    pub(super) fn tell(&self, report: Report) {
        let Report { key, event } = report;
        let metrics = &self.metrics;
        let shown = || self.settings.display.show(&key);
        let (subtask, attempt) = (self.subtask.index(), self.subtask.attempt());
        match event {
            // These are noted before the machine goes on.
            Event::Begins | Event::Over => {}
            Event::Started { counter } => {
                metrics.event(SequenceEvent::Started);
                debug!(
                    key = shown(),
                    sequence_id = self.id(&LostId::Own(counter)),
                    subtask,
                    "the sequence has begun"
                );
            }
            Event::Ended { counter, rows } => {
                metrics.event(SequenceEvent::Ended);
                debug!(
                    key = shown(),
                    sequence_id = self.id(&LostId::Own(counter)),
                    rows,
                    subtask,
                    "the sequence has ended"
                );
            }
            Event::Expired { id, rows } => {
                metrics.event(SequenceEvent::Expired);
                if self.settings.marks_expired {
                    self.tell_of_expired();
                }
                debug!(
                    key = shown(),
                    sequence_id = self.id(&id),
                    rows,
                    subtask,
                    "the sequence is over: its key had no row for too long"
                );
            }
            Event::Idle { id, rows } => {
                metrics.event(SequenceEvent::Forgotten);
                debug!(
                    key = shown(),
                    sequence_id = self.id(&id),
                    rows,
                    subtask,
                    "the server has dropped the sequence: its key had no row for too long"
                );
            }
            Event::Abandoned { id, reason } => {
                metrics.event(SequenceEvent::Abandoned);
                let (reason, position) = match reason {
                    Abandoned::BegunAnew { position } => ("a row starts over", Some(position)),
                    Abandoned::LastRowFailed => ("its last row failed", None),
                };
                debug!(
                    key = shown(),
                    sequence_id = self.id(&id),
                    position,
                    reason,
                    subtask,
                    "the sequence is left to the server without an end"
                );
            }
            Event::Gap { id, cause } => {
                metrics.event(SequenceEvent::Gap);
                // What is done about it, and how it shows in answers, is told by the recovery.
                debug!(
                    key = shown(),
                    sequence_id = self.id(&id),
                    %cause,
                    subtask,
                    attempt,
                    "a row does not follow the one before it: that is so after a failover, and \
                     where rows of one key reach several subtasks or come out of order"
                );
            }
            Event::Lost {
                id,
                rows,
                cause,
                is_hidden,
                error,
            } => self.lost(&key, &id, rows, cause, is_hidden, &error),
            Event::Moved { id, rows } => {
                metrics.event(SequenceEvent::Moved);
                debug!(
                    key = shown(),
                    sequence_id = self.id(&id),
                    rows,
                    subtask,
                    "the sequence does not go on at its server, which is to be left or is gone"
                );
            }
            Event::Restarted { id, rows, cause } => {
                metrics.event(SequenceEvent::Restarted);
                warn!(
                    key = shown(),
                    lost = self.id(&id),
                    rows,
                    %cause,
                    subtask,
                    attempt,
                    "the sequence starts again without its earlier rows"
                );
            }
            Event::Replayed { id, counter, rows } => {
                metrics.event(SequenceEvent::Replayed);
                info!(
                    key = shown(),
                    lost = self.id(&id),
                    sequence_id = self.id(&LostId::Own(counter)),
                    rows,
                    subtask,
                    attempt,
                    "the sequence was rebuilt by a replay"
                );
            }
            Event::RebuiltAgain {
                id,
                rows,
                waits_less,
            } => self.tell_of_rebuilt_again(&key, &id, rows, waits_less),
            Event::RowReplayed => metrics.replayed_rows.increment(1),
            Event::Failed => metrics.event(SequenceEvent::Failed),
            Event::WaitsForPlace {
                purpose,
                open,
                held,
                limit,
                room,
            } => self.waits(&key, purpose, [open, held, limit, room]),
        }
    }

    /// Time alone has ended a sequence, although nobody had asked for that.
    fn tell_of_expired(&self) {
        let Some(kept_quiet) = self.expired.pass() else {
            return;
        };
        warn!(
            boundary = ?self.settings.boundary,
            others = kept_quiet,
            subtask = self.subtask.index(),
            "time alone has ended the sequence of a key, whose next row is marked: say in the rows \
             where a sequence ends, set '{}' to the silence that means an end, or '{}' to 'replay', \
             which rebuilds what waited for too long",
            SEQUENCE_IDLE_TIMEOUT.key(),
            SEQUENCE_RECOVERY.key()
        );
    }

    /// A sequence is rebuilt over and over although no server is lost.
    fn tell_of_rebuilt_again(&self, key: &SequenceKey, id: &LostId, rows: u64, waits_less: bool) {
        let (key, subtask) = (self.settings.display.show(key), self.subtask.index());
        if waits_less {
            info!(
                key,
                subtask,
                "sequences that were rebuilt idled out while others waited to be: from now on they are \
                 rebuilt side by side"
            );
        }
        let Some(kept_quiet) = self.rebuilt_again.pass() else {
            return;
        };
        warn!(
            key,
            lost = self.id(id),
            rows,
            server_idle = ?self.settings.server_idle,
            others = kept_quiet,
            subtask,
            "a sequence that was rebuilt has to be rebuilt again, for time alone: its key had no row for \
             longer than the server keeps it, which costs all of its rows each time: raise the model's \
             max_sequence_idle_microseconds, or '{}' where the rows of other keys were waited for",
            MAX_IN_FLIGHT.key()
        );
    }

    fn lost(
        &self,
        key: &SequenceKey,
        id: &LostId,
        rows: u64,
        cause: LossCause,
        is_hidden: bool,
        error: &Error,
    ) {
        self.metrics.event(match cause {
            LossCause::Uncertain => SequenceEvent::Uncertain,
            LossCause::Moved => SequenceEvent::Moved,
            _ => SequenceEvent::Forgotten,
        });
        macro_rules! tell {
            ($level:ident) => {
                $level!(
                    key = self.settings.display.show(key),
                    sequence_id = self.id(id),
                    rows,
                    subtask = self.subtask.index(),
                    attempt = self.subtask.attempt(),
                    endpoint = self.endpoint,
                    recovery = self.settings.recovery.canonical(),
                    %error,
                    cause = error.client_error().map(tracing::field::display),
                    "the state of the sequence is lost or uncertain"
                )
            };
        }
        // What a replay makes good shows in no answer.
        match is_hidden {
            true => tell!(info),
            false => tell!(warn),
        }
    }

    fn waits(&self, key: &SequenceKey, purpose: Purpose, places: [usize; 4]) {
        let [open, held, limit, room] = places;
        let server_idle = self.settings.server_forgets;
        let subtask = self.subtask.index();
        if self.settings.fixed.is_some() {
            warn!(
                sequence_id = self.id(&LostId::Own(0)),
                ?server_idle,
                subtask,
                "rows wait until the server has certainly dropped the sequence that was lost, before \
                 they start it again under the same ID: shorten the model's \
                 max_sequence_idle_microseconds, or let the option 'row-deadline' end the wait"
            );
            return;
        }
        let waits_for = match purpose {
            Purpose::Recover => "a place to recover its sequence in",
            Purpose::Begin => "a place to begin its sequence in",
        };
        warn!(
            key = self.settings.display.show(key),
            model = %self.model,
            waits_for,
            open,
            held,
            limit,
            room,
            ?server_idle,
            subtask,
            subtasks = self.subtask.parallelism(),
            "keys wait for other sequences to end, or for those that are over here and may be alive \
             on the server to idle out: raise the model's max_candidate_sequences, which all \
             subtasks share (or '{}' for each of them, if it is set), or end sequences sooner",
            SEQUENCE_MAX_OPEN.key()
        );
    }

    /// Notes whose keys are from now on this subtask's and whose are not any more, and returns those
    /// that are another one's as well. The machine is locked, so that the last report is the last word.
    pub(super) fn note_owners(&self, reports: &[Report]) -> Vec<Clash> {
        let mut clashes = Vec::new();
        let Some(owners) = &self.owners else {
            return clashes;
        };
        for Report { key, event } in reports {
            match event {
                Event::Begins => {
                    let mut owned = self.lock();
                    if owned.keys.contains_key(key) {
                        continue;
                    }
                    match owners.own(key, self.subtask.index()) {
                        Ok(own) => drop(owned.keys.insert(key.clone(), own)),
                        Err(other) => clashes.push(Clash {
                            key: key.clone(),
                            other,
                        }),
                    }
                }
                Event::Over => drop(self.lock().keys.remove(key)),
                _ => {}
            }
        }
        clashes
    }

    pub(super) fn warn_of_clash(&self, clash: &Clash) {
        const PAUSE: Duration = Duration::from_secs(10);
        let now = Instant::now();
        let is_new = {
            let mut owned = self.lock();
            let since = owned.warned.map(|it| now.saturating_duration_since(it));
            let is_new = since.is_none_or(|since| since >= PAUSE);
            if is_new {
                owned.warned = Some(now);
            }
            is_new
        };
        if is_new {
            warn!(
                key = self.settings.display.show(&clash.key),
                subtask = self.subtask.index(),
                other = clash.other,
                "rows of one key reach two subtasks, and neither sees those of the other: \
                 their answers are wrong; partition the rows by the columns of '{}' before \
                 they come here",
                SEQUENCE_KEY.key()
            );
        }
    }
}
