//! Notices rows of one key in several subtasks of a job, as far as these share a process.
//!
//! Each of them would keep a sequence of its own for the key, and give answers that look right and
//! lack the rows of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::key::SequenceKey;

/// Which subtask of a job has an open sequence of a key.
#[derive(Debug, Default)]
pub(super) struct Owners(Mutex<HashMap<SequenceKey, u32>>);

/// The owners in each operator of a job that has open functions.
static WORKS: Mutex<Vec<(String, Weak<Owners>)>> = Mutex::new(Vec::new());

impl Owners {
    /// The owners of the keys of an operator of a job, which all its subtasks in this process share;
    /// two operators each have a sequence of their own for a key.
    pub(super) fn of_work(work: &str) -> Arc<Self> {
        let mut works = WORKS.lock().unwrap_or_else(PoisonError::into_inner);
        works.retain(|(_, owners)| owners.strong_count() > 0);
        let known = works.iter().find(|(name, _)| name == work);
        if let Some(owners) = known.and_then(|(_, owners)| owners.upgrade()) {
            return owners;
        }
        let owners = Arc::default();
        works.push((work.to_owned(), Arc::downgrade(&owners)));
        owners
    }

    /// Notes that a subtask has begun a sequence of the key, until the result is dropped.
    ///
    /// # Errors
    ///
    /// Another subtask, which has one open.
    pub(super) fn own(self: &Arc<Self>, key: &SequenceKey, subtask: u32) -> Result<Owned, u32> {
        let mut subtasks = self.lock();
        match subtasks.get(key) {
            Some(owner) if *owner != subtask => Err(*owner),
            _ => {
                subtasks.insert(key.clone(), subtask);
                Ok(Owned {
                    owners: Arc::clone(self),
                    key: key.clone(),
                })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SequenceKey, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a subtask has an open sequence of a key.
#[derive(Debug)]
pub(super) struct Owned {
    owners: Arc<Owners>,
    key: SequenceKey,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.owners.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Holds S9.
    #[test]
    fn a_key_has_one_subtask_of_a_job_at_a_time() {
        let key = SequenceKey::new("a");
        let owners = Owners::of_work("owners-test");
        let first = owners.own(&key, 0).unwrap();
        // A subtask may begin the key's next sequence before the last one is gone.
        drop(owners.own(&key, 0).unwrap());
        let second = owners.own(&key, 0).unwrap();
        let elsewhere = Owners::of_work("owners-test");
        assert_eq!(elsewhere.own(&key, 1).unwrap_err(), 0);
        assert!(Owners::of_work("another").own(&key, 1).is_ok());
        drop((first, second));
        assert!(elsewhere.own(&key, 1).is_ok());
    }
}
