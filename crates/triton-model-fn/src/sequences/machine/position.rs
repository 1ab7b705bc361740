//! Holds what a row says of its position against what is known of its key.

use tokio::time::Instant;

use super::effect::Asker;
use super::history::History;
use super::report::{Abandoned, Event};
use super::sequence::{Life, Loss, LossCause, LostId, Sequence};
use super::state::Machine;
use super::turn::Turn;
use crate::sequences::{RowPosition, SequenceKey};

impl<A: Asker> Machine<A> {
    /// Sees to it that the key has a sequence only if the row goes on in it, and that a sequence
    /// which lacks rows counts as lost.
    pub(super) fn take_position(&mut self, now: Instant, turn: &mut Turn<A>, said: &RowPosition) {
        let position = said.position;
        let begins = match said.before {
            Some(rows) => rows == 0,
            None => position == 1,
        };
        // What was known of the key's last end is of no use once another row has come.
        let follows_end =
            turn.sequence.is_none() && self.memory.take_end(&turn.key) == Some(position - 1);
        if begins || follows_end {
            if let Some(sequence) = turn.sequence.take() {
                let reason = Abandoned::BegunAnew { position };
                self.abandon(now, &turn.key, sequence, reason);
            }
            return;
        }
        let carries = said.earlier.is_some();
        let last = turn.sequence.as_ref().map_or(0, |it| it.position);
        if let Some(sequence) = turn.sequence.as_mut().filter(|_| last + 1 == position) {
            if carries {
                self.go_on_carried(now, &turn.key, sequence, said);
            }
            return;
        }
        let cause = LossCause::Gap {
            last,
            found: position,
        };
        let id = turn.sequence.as_ref().map_or(LostId::Unknown, |it| it.id());
        self.report(&turn.key, Event::Gap { id, cause });
        let Some(sequence) = &mut turn.sequence else {
            // Where rows of the key may have been answered before, in an attempt that is gone, or
            // where its end may have been forgotten, nobody is to blame: the answer is marked.
            let is_excused =
                self.settings.has_run_before || self.may_have_run || self.memory.has_forgotten;
            let mut sequence = Sequence::unborn(is_excused && !carries, false);
            if !sequence.marked {
                self.miss_rows(
                    &mut sequence,
                    said,
                    Loss {
                        cause,
                        id: LostId::Unknown,
                    },
                );
            }
            turn.sequence = Some(Box::new(sequence));
            return;
        };
        // After a failure that was reported the next row starts over, whatever its position is.
        if carries || !matches!(sequence.life, Life::Reported(_) | Life::Unborn) {
            self.lose(now, &turn.key, sequence, cause);
            if let Life::Lost(loss) = &sequence.life {
                let loss = loss.clone();
                self.miss_rows(sequence, said, loss);
            }
        }
    }

    /// The sequence lacks rows that came before one.
    fn miss_rows(&self, sequence: &mut Sequence, said: &RowPosition, loss: Loss) {
        sequence.life = Life::Lost(loss);
        sequence.rows = said.before.unwrap_or(said.position - 1);
        // Rows kept are those of before the gap.
        sequence.history = History::Outgrown;
        sequence.marked &= said.earlier.is_none();
    }

    /// A row follows the last one of its key, and carries all rows before it: whatever failed
    /// before, with them the sequence can be whole again.
    fn go_on_carried(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        sequence: &mut Sequence,
        said: &RowPosition,
    ) {
        let was_marked = std::mem::take(&mut sequence.marked);
        let is_open = sequence.is_open();
        match &sequence.life {
            Life::Open(_) if was_marked => self.lose(now, key, sequence, LossCause::Unanswered),
            Life::Unborn => {
                sequence.life = Life::Lost(Loss {
                    cause: LossCause::Unanswered,
                    id: LostId::Unknown,
                });
            }
            Life::Reported(loss) => sequence.life = Life::Lost(loss.clone()),
            Life::Open(_) | Life::Rebuilding(_) | Life::Lost(_) => {}
        }
        if !is_open || was_marked {
            sequence.rows = said.before.unwrap_or(sequence.rows);
        }
    }

    /// Keeps in mind the position of a row that is done with; `is_missing` where it failed and those
    /// after it carry it with them. A replay after a failover would bring it along, and the answers
    /// are to be the same with and without one.
    pub(super) fn remember_position(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        sequence: &mut Option<Box<Sequence>>,
        position: u64,
        is_missing: bool,
    ) {
        match sequence {
            Some(sequence) => {
                sequence.position = position;
                if is_missing && sequence.is_open() {
                    self.lose(now, key, sequence, LossCause::Unanswered);
                }
            }
            None if is_missing => {}
            None => self.memory.end(key.clone(), position),
        }
    }
}
