//! What the openings before this one have left on the server: sequences that are alive there, and hold
//! places, until it drops them.
//!
//! An engine makes a new function for each attempt of a subtask, so what an attempt leaves is kept for the
//! next one in the process, where it tells of its job. It is kept by time, because nothing of the attempt is
//! left meanwhile, and goes when the server has dropped it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::Subtask;

/// Until when how many IDs may be alive.
#[derive(Debug, Default)]
pub(crate) struct LeftBehind(Mutex<Vec<Left>>);

#[derive(Debug, Clone, Copy)]
struct Left {
    until: Instant,
    /// The same in the time of the system: runtimes may have clocks of their own.
    gone: std::time::Instant,
    count: usize,
}

/// Whose they are: the same server and model, of one operator of a job, and one of its subtasks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    endpoint: String,
    model: String,
    work: String,
    subtask: u32,
}

/// Those of subtasks whose engine tells of its job.
static WORKS: Mutex<Vec<(Owner, Arc<LeftBehind>)>> = Mutex::new(Vec::new());

impl LeftBehind {
    /// What all attempts of a subtask in this process share; `None` where its engine does not tell of its
    /// job.
    ///
    /// After a rescaling to fewer subtasks those that are there take over what the others have left.
    pub(crate) fn of_subtask(endpoint: &str, model: &str, subtask: Subtask) -> Option<Arc<Self>> {
        let owner = Owner {
            endpoint: endpoint.to_owned(),
            model: model.to_owned(),
            work: subtask.work()?,
            subtask: subtask.index(),
        };
        let mut works = WORKS.lock().unwrap_or_else(PoisonError::into_inner);
        let now = std::time::Instant::now();
        works.retain(|(_, left)| Arc::strong_count(left) > 1 || left.is_any_at(now));
        let known = works.iter().find(|(other, _)| *other == owner);
        let left = match known {
            Some((_, left)) => Arc::clone(left),
            None => {
                let left = Arc::default();
                works.push((owner.clone(), Arc::clone(&left)));
                left
            }
        };
        let parallelism = subtask.parallelism();
        for (other, others) in works.iter() {
            let is_gone = other.subtask >= parallelism
                && other.subtask % parallelism == owner.subtask
                && Arc::strong_count(others) == 1;
            let moved = Owner {
                subtask: owner.subtask,
                ..other.clone()
            };
            if is_gone && moved == owner {
                let taken = std::mem::take(&mut *others.lock());
                left.lock().extend(taken);
            }
        }
        Some(left)
    }

    /// Takes what there is, for an opening that holds places for it.
    pub(super) fn take(&self) -> Vec<(Instant, usize)> {
        let left = std::mem::take(&mut *self.lock());
        left.iter().map(|left| (left.until, left.count)).collect()
    }

    /// Adds what an opening leaves.
    pub(super) fn add(&self, left: impl IntoIterator<Item = (Instant, usize)>) {
        let (now, system) = (Instant::now(), std::time::Instant::now());
        let left = left.into_iter().map(|(until, count)| Left {
            until,
            gone: system + until.saturating_duration_since(now),
            count,
        });
        self.lock().extend(left);
    }

    fn is_any_at(&self, now: std::time::Instant) -> bool {
        self.lock().iter().any(|left| left.gone > now)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn subtask(index: u32, parallelism: u32, attempt: u32, job: &str) -> Subtask {
        let subtask = Subtask::new(index, parallelism, attempt).unwrap();
        subtask.in_job(job).unwrap()
    }

    fn of(subtask: Subtask) -> Arc<LeftBehind> {
        LeftBehind::of_subtask("http://a:8000", "m", subtask).unwrap()
    }

    fn counts(left: &LeftBehind) -> Vec<usize> {
        left.take().into_iter().map(|(_, count)| count).collect()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    // Holds S77.
    #[test]
    fn an_attempt_finds_what_the_one_before_has_left() {
        let nobody = Subtask::new(0, 1, 0).unwrap();
        assert!(LeftBehind::of_subtask("http://a:8000", "m", nobody).is_none());
        of(subtask(0, 2, 0, "left-1")).add([(soon(), 3)]);
        let other_model = LeftBehind::of_subtask("http://a:8000", "n", subtask(0, 2, 1, "left-1"));
        assert!(counts(&other_model.unwrap()).is_empty());
        assert!(counts(&of(subtask(1, 2, 1, "left-1"))).is_empty());
        assert!(counts(&of(subtask(0, 2, 0, "left-2"))).is_empty());
        let again = of(subtask(0, 2, 1, "left-1"));
        assert_eq!(counts(&again), [3]);
        assert!(counts(&again).is_empty(), "taken once");
    }

    // Holds S77.
    #[test]
    fn what_subtasks_have_left_that_are_no_more_goes_to_the_others() {
        for index in 0..4 {
            of(subtask(index, 4, 0, "left-3")).add([(soon(), 1 + index as usize)]);
        }
        assert_eq!(counts(&of(subtask(1, 2, 0, "left-3"))), [2, 4]);
        assert_eq!(counts(&of(subtask(0, 2, 0, "left-3"))), [1, 3]);
    }

    #[test]
    fn nothing_is_kept_for_longer_than_the_server_keeps_it() {
        let is_known = |job: &str| {
            let works = WORKS.lock().unwrap();
            works.iter().any(|(owner, _)| owner.work == job)
        };
        let kept = of(subtask(0, 1, 0, "left-4"));
        kept.add([(Instant::now(), 3)]);
        drop(of(subtask(0, 1, 0, "left-5")));
        assert!(is_known("left-4"), "it is open");
        drop(kept);
        drop(of(subtask(0, 1, 0, "left-5")));
        assert!(!is_known("left-4"));
    }
}
