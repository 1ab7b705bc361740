//! Rows that go out in one request, and how they are answered.

use std::future::poll_fn;
use std::iter::repeat_n;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::task::Poll;

use tokio::time::{Instant, sleep_until};
use triton_client::InferResponse;
use triton_options::ROW_DEADLINE;

use crate::answering::Answering;
use crate::answers::{self, AnswerSink, Recipient, Recipients, Run};
use crate::row_block::BlockBuilder;
use crate::sync::{Mutex, MutexGuard};
use crate::{CallContext, Error, ErrorKind, RequestPermit, row_batch};

/// A row, or several that came together, waiting for answers.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) recipients: Recipients,
    /// By when they have to be answered.
    pub(super) deadline: Option<Instant>,
}

/// A row of a sink that came together with others.
#[derive(Clone, Copy)]
pub(super) struct OneOfSeveral<'a> {
    pub(super) number: u64,
    pub(super) sink: &'a Arc<dyn AnswerSink>,
    pub(super) open: &'a Arc<CallContext>,
    pub(super) deadline: Option<Instant>,
}

/// A part of a group: rows that follow each other, and who waits for them.
#[derive(Debug)]
pub(super) struct Part {
    rows: usize,
    /// `None` for rows that have their answers.
    waiting: Option<Waiting>,
}

/// Rows of one shape.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) block: BlockBuilder,
    pub(super) parts: Vec<Part>,
    /// When the first of them came.
    pub(super) since: Instant,
}

impl Part {
    /// Who waits, if their deadline is not after `now`.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<Waiting> {
        let is_late = |it: &mut Waiting| it.deadline.is_some_and(|at| at <= now);
        self.waiting.take_if(is_late)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    fn one(recipient: Recipient, deadline: Option<Instant>) -> Self {
        let recipients = Recipients::One(recipient);
        Self {
            rows: 1,
            waiting: Some(Waiting {
                recipients,
                deadline,
            }),
        }
    }
}

impl Group {
    pub(super) fn new(since: Instant) -> Self {
        Self {
            block: BlockBuilder::default(),
            parts: Vec::new(),
            since,
        }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.block.rows()
    }

    /// Who waits for the row that was added to the block.
    pub(super) fn added(&mut self, waiting: Waiting) {
        self.parts.push(Part {
            rows: waiting.recipients.rows(),
            waiting: Some(waiting),
        });
    }

    /// The same for a row that came together with others.
    #[inline]
    pub(super) fn added_to_run(&mut self, row: OneOfSeveral<'_>) {
        if let Some(Part {
            rows,
            waiting: Some(waiting),
        }) = self.parts.last_mut()
            && waiting.deadline == row.deadline
            && let Recipients::Run(run) = &mut waiting.recipients
            && run.extend(row.number, row.sink)
        {
            *rows += 1;
            return;
        }
        self.added(Waiting {
            recipients: Recipients::Run(Run::new(row.number, row.sink, row.open)),
            deadline: row.deadline,
        });
    }

    /// The earliest deadline of its rows: that of the first one.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        let mut waiting = self.parts.iter().filter_map(|part| part.waiting.as_ref());
        waiting.next()?.deadline
    }

    /// Sends the rows that somebody waits for, and answers them.
    pub(super) async fn answer(self, answering: &Answering, permit: RequestPermit) {
        let is_wanted = |part: &Part| {
            let waiting = part.waiting.as_ref();
            waiting.is_some_and(|it| !it.recipients.are_gone())
        };
        let is_whole = self.parts.iter().all(is_wanted);
        let wanted: Vec<bool> = match is_whole {
            true => Vec::new(),
            false => {
                let parts = self.parts.iter();
                let rows = parts.flat_map(|part| repeat_n(is_wanted(part), part.rows));
                rows.collect()
            }
        };
        let left_out = |row: usize| wanted.get(row).is_some_and(|is_wanted| !is_wanted);
        let block = self.block.finish(left_out);
        if block.len() == 0 {
            return;
        }
        let mut parts = self.parts;
        let mut row = 0;
        parts.retain(|part| {
            let is_kept = !left_out(row);
            row += part.rows;
            is_kept
        });
        // A row whose own deadline is earlier is given up by itself.
        let deadlines = parts.iter().filter_map(|part| part.waiting.as_ref());
        let deadlines = deadlines.map(|waiting| waiting.deadline);
        let deadline = deadlines.reduce(|latest, next| Some(latest?.max(next?)));
        let deadline = deadline.flatten();
        let rows = Rows(Mutex::new(parts));
        let done = |range: Range<usize>, result: Result<InferResponse, Error>| {
            let count = range.len();
            let parts = rows.take(range);
            answer_parts(answering, parts, result, count);
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

/// Answers the parts that a request has had.
fn answer_parts(
    answering: &Answering,
    parts: Vec<Part>,
    result: Result<InferResponse, Error>,
    rows: usize,
) {
    let mut parts = parts;
    if let Ok(response) = &result
        && parts.iter().all(Part::is_waiting)
    {
        let waiting = parts.into_iter().filter_map(|part| part.waiting);
        let recipients = waiting.map(|waiting| waiting.recipients).collect();
        let columns = || {
            // What is wrong with them is an error of each row, below.
            let columns = answering.columns_of(response, rows).ok()?;
            answering.open.metrics().rows_answered(rows);
            Some(columns)
        };
        match answers::answer_rows(recipients, columns) {
            Ok(()) => return,
            Err(recipients) => {
                let deadline = None;
                let waiting = recipients.into_iter().map(|recipients| Part {
                    rows: recipients.rows(),
                    waiting: Some(Waiting {
                        recipients,
                        deadline,
                    }),
                });
                parts = waiting.collect();
            }
        }
    }
    let results = answering.rows(result, rows);
    let recipients = parts.into_iter().flat_map(|part| {
        let done = if part.is_waiting() { 0 } else { part.rows };
        let waiting = part.waiting.into_iter();
        let waiting = waiting.flat_map(|it| it.recipients.one_by_one().map(Some));
        waiting.chain(repeat_n((), done).map(|()| None))
    });
    // A row that was too late has its answer, and is counted; one that nobody waits for is not.
    answers::answer_all(recipients.zip(results).filter_map(|(recipient, result)| {
        let recipient = recipient.filter(|it| !it.is_gone())?;
        let result = recipient.conclude(answering, result);
        Some((recipient, result))
    }));
}

/// The rows of a request that are not answered yet.
struct Rows(Mutex<Vec<Part>>);

impl Rows {
    fn lock(&self) -> MutexGuard<'_, Vec<Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes who waits for some of the rows. Of rows that came together and are now answered apart,
    /// each is on its own from here on.
    fn take(&self, range: Range<usize>) -> Vec<Part> {
        let mut parts = self.lock();
        let mut taken = Vec::new();
        let (mut index, mut begin) = (0, 0);
        while begin < range.end && index < parts.len() {
            let end = begin + parts[index].rows;
            if end <= range.start {
                (index, begin) = (index + 1, end);
                continue;
            }
            if begin < range.start || end > range.end {
                let Part { rows, waiting } = &mut parts[index];
                let rows = *rows;
                let singles: Vec<Part> = match waiting.take() {
                    Some(Waiting {
                        recipients,
                        deadline,
                    }) => {
                        let one = |recipient| Part::one(recipient, deadline);
                        recipients.one_by_one().map(one).collect()
                    }
                    None => {
                        let done = || Part {
                            rows: 1,
                            waiting: None,
                        };
                        repeat_n((), rows).map(|()| done()).collect()
                    }
                };
                parts.splice(index..=index, singles);
                continue;
            }
            let rows = parts[index].rows;
            let waiting = parts[index].waiting.take();
            taken.push(Part { rows, waiting });
            (index, begin) = (index + 1, end);
        }
        taken
    }

    fn next_deadline(&self) -> Option<Instant> {
        let parts = self.lock();
        let waiting = parts.iter().filter_map(|part| part.waiting.as_ref());
        waiting.filter_map(|waiting| waiting.deadline).min()
    }

    /// Waits until nobody waits for any of the answers.
    async fn all_gone(&self) {
        let mut first = 0;
        poll_fn(|context| {
            let mut parts = self.lock();
            while let Some(part) = parts.get_mut(first) {
                if let Some(waiting) = &mut part.waiting
                    && waiting.recipients.poll_gone(context).is_pending()
                {
                    return Poll::Pending;
                }
                first += 1;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Takes the rows whose deadline is not after `now`.
    fn take_late(&self, now: Instant) -> Vec<Waiting> {
        let mut parts = self.lock();
        let late = parts.iter_mut().filter_map(|part| part.take_late(now));
        late.collect()
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
            for Waiting { recipients, .. } in late {
                recipients.fail(answering, &error);
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
                    let deadline = (row != 1).then_some(at);
                    (Part::one(Recipient::One(sender), deadline), answer)
                })
                .unzip();
            let rows = Arc::new(Rows(Mutex::new(rows)));
            let answered = |message: &str| Err(Error::new(ErrorKind::Call, message));
            let parts = [0..1, 1..3].map(|part| {
                let rows = Arc::clone(&rows);
                thread::spawn(move || {
                    let taken = rows.take(part).into_iter().filter_map(|part| part.waiting);
                    let taken = taken.flat_map(|waiting| waiting.recipients.one_by_one());
                    answers::answer_all(taken.map(|recipient| (recipient, answered("answered"))));
                })
            });
            for late in rows.take_late(at) {
                let late = late.recipients.one_by_one();
                late.for_each(|recipient| recipient.answer(answered("late")));
            }
            for part in parts {
                part.join().unwrap();
            }
            for (row, mut answer) in answers.into_iter().enumerate() {
                let answer = answer.try_recv().expect("every row is answered");
                let said = answer.unwrap_err().to_string();
                assert!(row != 1 || said.contains("answered"), "row {row}: {said}");
            }
            assert!(!rows.lock().iter().any(Part::is_waiting));
        });
    }
}
