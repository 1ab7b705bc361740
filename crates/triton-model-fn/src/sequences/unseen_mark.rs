//! The mark of an answer that lacks earlier rows, until somebody has seen it.

use std::fmt;

use super::SequenceKey;

type Again = Box<dyn FnOnce(&SequenceKey) + Send + Sync>;

/// Goes with an answer that says that its sequence lacks rows. Where it is dropped on the way, nobody has
/// been told, and the key's next answer says so again: wherever the answer got lost, and at whatever
/// moment.
pub(crate) struct UnseenMark {
    key: SequenceKey,
    again: Option<Again>,
}

impl UnseenMark {
    pub(super) fn of(key: SequenceKey) -> Box<Self> {
        Box::new(Self { key, again: None })
    }

    /// Says how the key is marked again.
    pub(super) fn arm(&mut self, again: impl FnOnce(&SequenceKey) + Send + Sync + 'static) {
        self.again = Some(Box::new(again));
    }

    /// The answer is handed to whoever asked.
    pub(crate) fn seen(mut self) {
        self.again = None;
    }
}

impl Drop for UnseenMark {
    fn drop(&mut self) {
        if let Some(again) = self.again.take() {
            again(&self.key);
        }
    }
}

impl fmt::Debug for UnseenMark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UnseenMark({:?})", self.key)
    }
}

/// A copy of an answer says nothing by itself.
impl Clone for UnseenMark {
    fn clone(&self) -> Self {
        *Self::of(self.key.clone())
    }
}
