//! Rows that go out in one request, and how they are answered.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::PoisonError;
use std::task::Poll;

use tokio::time::{Instant, sleep_until};
use triton_client::InferResponse;
use triton_options::ROW_DEADLINE;

use crate::answering::Answering;
use crate::answers::{self, Recipient};
use crate::row_block::BlockBuilder;
use crate::sync::{Mutex, MutexGuard};
use crate::{Error, ErrorKind, RequestPermit, row_batch};

/// A row that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) recipient: Recipient,
    /// By when it has to be answered.
    pub(super) deadline: Option<Instant>,
}

/// Rows of one shape.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) block: BlockBuilder,
    /// `None` for a row that was answered before it was sent.
    pub(super) rows: Vec<Option<Waiting>>,
    /// When the first of them came.
    pub(super) since: Instant,
}

impl Group {
    pub(super) fn new(since: Instant, most_rows: usize) -> Self {
        /// Larger groups get more room when they come to it: they may never be full.
        const ROOM: usize = 64;
        Self {
            block: BlockBuilder::default(),
            rows: Vec::with_capacity(most_rows.min(ROOM)),
            since,
        }
    }

    /// The earliest deadline of its rows: that of the first one.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.rows.iter().flatten().next()?.deadline
    }

    /// Sends the rows that somebody waits for, and answers them.
    pub(super) async fn answer(self, answering: &Answering, permit: RequestPermit) {
        let is_wanted =
            |row: &Option<Waiting>| row.as_ref().is_some_and(|it| !it.recipient.is_gone());
        let wanted: Vec<bool> = self.rows.iter().map(is_wanted).collect();
        let block = self.block.finish(|row| !wanted[row]);
        let mut rows = self.rows;
        let mut is_kept = wanted.into_iter();
        rows.retain(|_| is_kept.next().unwrap_or_default());
        if rows.is_empty() {
            return;
        }
        // A row whose own deadline is earlier is given up by itself.
        let deadlines = rows.iter().flatten().map(|row| row.deadline);
        let deadline = deadlines.reduce(|latest, next| Some(latest?.max(next?)));
        let deadline = deadline.flatten();
        let rows = Rows(Mutex::new(rows));
        let done = |range: Range<usize>, result: Result<InferResponse, Error>| {
            let count = range.len();
            let recipients = rows.take(range);
            let results = answering.rows(result, count);
            let answers = recipients.into_iter().zip(results);
            // A row that was too late has its answer, and is counted; one that nobody waits for is not.
            answers::answer_all(answers.filter_map(|(recipient, result)| {
                let recipient = recipient.filter(|it| !it.is_gone())?;
                let result = recipient.conclude(answering, result);
                Some((recipient, result))
            }));
        };
        let (open, plan) = (&answering.open, &answering.plan);
        tokio::select! {
            biased;
            () = row_batch::answer(open, plan, &block, 0..block.len(), permit, deadline, done) => {}
            () = rows.all_gone() => {}
            () = rows.give_up_late_ones(answering) => {}
        }
    }
}

/// The rows of a request that are not answered yet.
struct Rows(Mutex<Vec<Option<Waiting>>>);

impl Rows {
    fn lock(&self) -> MutexGuard<'_, Vec<Option<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, range: Range<usize>) -> Vec<Option<Recipient>> {
        let mut rows = self.lock();
        let taken = rows[range]
            .iter_mut()
            .map(|row| Some(row.take()?.recipient));
        taken.collect()
    }

    /// Takes the rows whose deadline has come by then.
    fn take_late(&self, now: Instant) -> Vec<Waiting> {
        let is_late = |row: &mut Waiting| row.deadline.is_some_and(|at| at <= now);
        let mut rows = self.lock();
        let late = rows.iter_mut().filter_map(|row| row.take_if(is_late));
        late.collect()
    }

    fn next_deadline(&self) -> Option<Instant> {
        let rows = self.lock();
        rows.iter().flatten().filter_map(|row| row.deadline).min()
    }

    /// Waits until nobody waits for any of the answers.
    async fn all_gone(&self) {
        let mut first = 0;
        poll_fn(|context| {
            let mut rows = self.lock();
            while let Some(row) = rows.get_mut(first) {
                if let Some(row) = row
                    && row.recipient.poll_gone(context).is_pending()
                {
                    return Poll::Pending;
                }
                first += 1;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Answers each row at its deadline; comes to no end while there is a row without one.
    async fn give_up_late_ones(&self, answering: &Answering) {
        loop {
            let Some(next) = self.next_deadline() else {
                return std::future::pending().await;
            };
            sleep_until(next).await;
            let late = self.take_late(next);
            let message = format!(
                "the row was not answered by its deadline (option '{}')",
                ROW_DEADLINE.key()
            );
            let error = Error::new(ErrorKind::Call, message);
            for Waiting { recipient, .. } in late {
                if recipient.is_gone() {
                    continue;
                }
                let result = recipient.conclude(answering, Err(error.clone()));
                recipient.answer(result);
            }
        }
    }
}

#[cfg(all(test, triton_loom))]
mod loom_tests {
    use std::sync::Arc;

    use loom::thread;
    use tokio::sync::oneshot;

    use super::*;
    use crate::sync::check_interleavings;

    #[test]
    fn loom_each_row_is_answered_once_by_its_answer_or_by_its_deadline() {
        check_interleavings("answers against deadlines", || {
            let at = Instant::now();
            let (rows, answers): (Vec<_>, Vec<_>) = (0..3)
                .map(|row| {
                    let (sender, answer) = oneshot::channel();
                    let waiting = Waiting {
                        recipient: Recipient::One(sender),
                        deadline: (row != 1).then_some(at),
                    };
                    (Some(waiting), answer)
                })
                .unzip();
            let rows = Arc::new(Rows(Mutex::new(rows)));
            let answered = |message: &str| Err(Error::new(ErrorKind::Call, message));
            let parts = [0..1, 1..3].map(|part| {
                let rows = Arc::clone(&rows);
                thread::spawn(move || {
                    let taken = rows.take(part).into_iter().flatten();
                    answers::answer_all(taken.map(|recipient| (recipient, answered("answered"))));
                })
            });
            for late in rows.take_late(at) {
                late.recipient.answer(answered("late"));
            }
            for part in parts {
                part.join().unwrap();
            }
            for (row, mut answer) in answers.into_iter().enumerate() {
                let answer = answer.try_recv().expect("every row is answered");
                let said = answer.unwrap_err().to_string();
                assert!(row != 1 || said.contains("answered"), "row {row}: {said}");
            }
            assert!(rows.lock().iter().all(Option::is_none));
        });
    }
}
