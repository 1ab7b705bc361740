//! All answers to a row together: nobody has seen one before the last has come, so that a row whose
//! stream breaks can be sent again as any other that can wait for the server.

use std::sync::Arc;

use tokio::time::Instant;

use super::reading::Given;
use super::{RowStream, State};
use crate::server_wait::{Failures, Judgement};
use crate::{Error, Prediction, ServerWait, retry};

/// What is known of the streams of a row that broke.
#[derive(Default)]
struct Broken {
    failures: Failures,
    own: u32,
    doubts: u32,
}

impl RowStream {
    /// All answers; none for a row that has none.
    pub(crate) async fn all(mut self) -> Result<Vec<Prediction>, Error> {
        let request = match &self.state {
            State::Waiting(request) => Some(request.clone()),
            _ => None,
        };
        let mut broken = Broken::default();
        let open = Arc::clone(&self.answering.open);
        loop {
            let (mut rows, mut calling) = (Vec::new(), None);
            let ended_by = loop {
                match self.read(rows.len() as u64, Given::Together).await {
                    Ok(Some(row)) => rows.push(row),
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
                // The call itself was counted until its first answer.
                let wait = open.server_wait.as_ref();
                calling = calling.or_else(|| wait.map(ServerWait::calling));
            };
            // It is hung up before anything else is waited for.
            self.state = State::Over;
            if let (Some(error), Some(request)) = (&ended_by, &request)
                && !rows.is_empty()
                && self.may_be_sent_again(error, &mut broken).await
            {
                drop(calling);
                self.state = State::Waiting(request.clone());
                continue;
            }
            let last = match ended_by {
                None => rows.len().checked_sub(1),
                Some(_) => None,
            };
            let answers = rows.into_iter().enumerate();
            let mut answers: Vec<_> = answers
                .map(|(part, row)| self.answer(row, Some(part) == last))
                .collect();
            match ended_by {
                None => self.answering.open.metrics().row_answered(),
                Some(error) => answers.push(self.failed(error)?),
            }
            return Ok(answers);
        }
    }

    /// Whether a row whose stream broke after an answer can be sent again, after a pause where it
    /// needs one.
    async fn may_be_sent_again(&self, error: &Error, broken: &mut Broken) -> bool {
        let open = &self.answering.open;
        let (Some(wait), Some(cause)) = (&open.server_wait, error.client_error()) else {
            return false;
        };
        // What was answered while the stream was open says nothing of the moment at which it broke.
        let (replicas, answered) = (&open.replicas, wait.answered());
        let judging = wait.judge(replicas, &open.model, error, answered, &mut broken.failures);
        let pause = match Box::pin(judging).await {
            Judgement::Final => return false,
            // Sending it waits until the server is back.
            Judgement::Away => wait.asked_pause(cause.retry_after()),
            Judgement::Own => {
                broken.own += 1;
                if broken.own > wait.own_retries(open.retry.max_retries) {
                    return false;
                }
                let random = retry::thread_random();
                open.retry.wait(broken.own, cause.retry_after(), random)
            }
            Judgement::Undecided => {
                broken.doubts += 1;
                let random = retry::thread_random();
                let pause = open.retry.wait(broken.doubts, None, random);
                wait.doubtful_pause(pause, cause.retry_after())
            }
        };
        let next = Instant::now().checked_add(pause);
        let deadline = self.deadline;
        if deadline.is_some_and(|deadline| next.is_none_or(|next| next >= deadline)) {
            return false;
        }
        let paused = async {
            wait.pause(pause).await;
            Ok(())
        };
        let is_open = open
            .ending
            .or("before the row was sent again", paused)
            .await;
        if is_open.is_ok() {
            open.metrics().sent_again();
        }
        is_open.is_ok()
    }
}
