//! Works on rows of sinks that are each in a request of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::{Error, ErrorKind};

/// What works on rows of sinks that are each in a request of its own, whoever hands them over.
#[derive(Debug)]
pub(crate) struct AloneTasks {
    runtime: Handle,
    /// They are aborted wherever this set is dropped.
    tasks: Mutex<JoinSet<()>>,
}

impl AloneTasks {
    /// Those of the current runtime.
    pub(crate) fn new() -> Self {
        Self {
            runtime: Handle::current(),
            tasks: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) {
        let (give, given) = oneshot::channel::<BoxFuture<'static, ()>>();
        {
            let mut tasks = self.lock();
            while tasks.try_join_next().is_some() {}
            let work = async {
                if let Ok(task) = given.await {
                    task.await;
                }
            };
            tasks.spawn_on(work, &self.runtime);
        }
        // Where the runtime has ended nobody takes it. It is then dropped here and not while the
        // tasks are locked: its sink is told, and may hand over another row.
        drop(give.send(task));
    }

    /// Waits for the rows that are there, until `deadline`. Dropping the future gives them up.
    pub(crate) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        let mut tasks = std::mem::take(&mut *self.lock());
        let finished = async { while tasks.join_next().await.is_some() {} };
        if timeout_at(deadline, finished).await.is_ok() {
            return Ok(());
        }
        tasks.shutdown().await;
        let message = "rows of a sink were still in flight when the time to close was up";
        Err(Error::new(ErrorKind::Close, message))
    }

    /// Gives all rows up, and waits until nothing works on them any more.
    pub(crate) async fn abort(&self) {
        let mut tasks = std::mem::take(&mut *self.lock());
        tasks.shutdown().await;
    }
}
