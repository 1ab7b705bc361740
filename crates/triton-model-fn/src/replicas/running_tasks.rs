//! The tasks that run for a set of replicas, and end with it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

/// The tasks of a set, which end when this is dropped.
#[derive(Default)]
pub(super) struct Tasks(Mutex<JoinSet<()>>);

impl fmt::Debug for Tasks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tasks")
    }
}

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}
