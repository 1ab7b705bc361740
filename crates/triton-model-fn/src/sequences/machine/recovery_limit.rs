//! How many sequences are recovered at once.
//!
//! Few at once, one after the other, is best for rows that somebody waits for, and for the servers. But where
//! the rows of all keys come in turn, as in a file, a sequence that was rebuilt early has no row until the
//! others are rebuilt, too. If that takes longer than the server keeps it, it has to be rebuilt again, and so on
//! without an end. There they are rebuilt side by side: as many as get their turn well before the server
//! drops them, so that none is begun that cannot be carried through.

use std::time::Duration;

use tokio::time::Instant;

/// How many sequences may be recovered at once, as the options say.
#[derive(Debug, Clone, Copy)]
pub(in crate::sequences) struct MostRecovering {
    /// Where they are recovered one after the other.
    pub(in crate::sequences) in_turn: usize,
    /// So many hardly wait for each other: the requests that may be in flight.
    pub(in crate::sequences) side_by_side: usize,
    /// Whether they are recovered side by side from the beginning.
    pub(in crate::sequences) is_side_by_side: bool,
    /// How long a server keeps a sequence without a request.
    pub(in crate::sequences) idle: Option<Duration>,
}

impl MostRecovering {
    /// As many as there are.
    pub(in crate::sequences) fn any() -> Self {
        Self {
            in_turn: usize::MAX,
            side_by_side: usize::MAX,
            is_side_by_side: false,
            idle: None,
        }
    }
}

/// A turn may take a quarter of the time that the server keeps an idle sequence; from half of it on there are
/// too many.
const TURN_SHARE: u32 = 4;

/// For how many idle limits it stays with side by side, once no sequence is recovered any more.
const CALM: u32 = 4;

#[derive(Debug)]
pub(super) struct RecoveryLimit {
    settings: MostRecovering,
    is_side_by_side: bool,
    /// How many may be recovered side by side, which follows from how long a turn takes.
    side_by_side: usize,
    /// When a recovery last waited for others, and when there last was one.
    held_back: Option<Instant>,
    last: Option<Instant>,
}

impl RecoveryLimit {
    pub(super) fn new(settings: MostRecovering) -> Self {
        Self {
            settings,
            is_side_by_side: settings.is_side_by_side,
            side_by_side: settings.side_by_side,
            held_back: None,
            last: None,
        }
    }

    /// How many may be recovered at once at the moment.
    pub(super) fn most(&self) -> usize {
        match self.is_side_by_side {
            true => self.side_by_side,
            false => self.settings.in_turn,
        }
    }

    /// A recovery waits for others.
    pub(super) fn holds_back(&mut self, now: Instant) {
        self.held_back = Some(now);
    }

    /// A row of a replay was answered, so long after it was to be sent.
    pub(super) fn answered(&mut self, turn: Duration) {
        let Some(idle) = self.settings.idle.filter(|_| self.is_side_by_side) else {
            return;
        };
        if turn <= idle / TURN_SHARE {
            self.side_by_side = self.side_by_side.saturating_add(1);
        } else if turn > idle / (TURN_SHARE / 2) {
            self.side_by_side = (self.side_by_side - 1).max(self.settings.side_by_side);
        }
    }

    /// A sequence that was rebuilt then has to be rebuilt again, for time alone. Whether that is so because
    /// others were recovered meanwhile, which is told once.
    pub(super) fn idled_out(&mut self, rebuilt: Instant) -> bool {
        let for_others = self.held_back.is_some_and(|held_back| held_back >= rebuilt);
        for_others && !std::mem::replace(&mut self.is_side_by_side, true)
    }

    /// Time goes by, in which sequences are recovered or wait for that, or none.
    pub(super) fn tick(&mut self, now: Instant, is_at_it: bool) {
        if is_at_it {
            self.last = Some(now);
        }
        let (Some(last), Some(idle)) = (self.last, self.settings.idle) else {
            return;
        };
        if now.saturating_duration_since(last) > idle.saturating_mul(CALM) {
            (self.held_back, self.last) = (None, None);
            self.is_side_by_side = self.settings.is_side_by_side;
            self.side_by_side = self.settings.side_by_side;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(4);

    fn limit(is_side_by_side: bool) -> RecoveryLimit {
        let settings = MostRecovering {
            in_turn: 2,
            side_by_side: 8,
            is_side_by_side,
            idle: Some(IDLE),
        };
        RecoveryLimit::new(settings)
    }

    // Holds S72.
    #[test]
    fn as_many_go_side_by_side_as_get_their_turn_in_time() {
        let mut limit = limit(true);
        assert_eq!(limit.most(), 8);
        (0..10).for_each(|_| limit.answered(IDLE / 8));
        assert_eq!(limit.most(), 18);
        (0..10).for_each(|_| limit.answered(IDLE / 3));
        assert_eq!(limit.most(), 18, "as it is");
        (0..100).for_each(|_| limit.answered(IDLE));
        assert_eq!(limit.most(), 8, "a request each is no wait");
    }

    // Holds S72.
    #[test]
    fn what_idled_out_while_others_waited_changes_the_rule_until_it_is_calm() {
        let mut limit = limit(false);
        let now = Instant::now();
        limit.answered(Duration::ZERO);
        assert_eq!(limit.most(), 2);
        assert!(!limit.idled_out(now), "nobody waited");
        limit.holds_back(now + IDLE);
        assert!(!limit.idled_out(now + IDLE * 2), "it was rebuilt later");
        assert!(limit.idled_out(now) && !limit.idled_out(now), "told once");
        assert_eq!(limit.most(), 8);
        limit.tick(now + IDLE * 9, true);
        limit.tick(now + IDLE * 13, false);
        assert_eq!(limit.most(), 8);
        limit.tick(now + IDLE * 14, false);
        assert_eq!(limit.most(), 2);
    }
}
