//! The rows of a record batch that a cache knows, and those that are sent for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use triton_client::InferResponse;

use super::answers::Answers;
use crate::answering::Answering;
use crate::cache::{CachedRow, CachedRows, Found, Sending};
use crate::rows::Collect as _;
use crate::tensor_plan::EncodedRow;
use crate::{Error, Prediction};

/// What was found for the rows of a record batch.
#[derive(Default)]
pub(super) struct LookedUp {
    /// The rows that are sent, in order.
    pub(super) missing: Vec<usize>,
    /// Those that wait for an equal row, in this batch or elsewhere.
    pub(super) waiting: Vec<(usize, CachedRow, Found)>,
    /// Whom the outcomes of those that are sent are told to.
    sending: Mutex<HashMap<usize, Sending>>,
}

impl LookedUp {
    /// Looks a row up, which is answered at once where its answer is known.
    pub(super) fn look_up(
        &mut self,
        answering: &Answering,
        cached: &CachedRows,
        index: usize,
        row: EncodedRow,
        answers: &mut Answers<'_>,
    ) {
        let row = cached.encoded(row);
        match cached.cache.look_up(row.key()) {
            Found::Answer(row) => {
                let answer = Prediction::new(row, None);
                answers.push_row(index, answering.conclude(Ok(answer)));
            }
            Found::Missing(sending) => {
                self.missing.push(index);
                let sendings = self.sending.get_mut();
                let sendings = sendings.unwrap_or_else(PoisonError::into_inner);
                sendings.insert(index, sending);
            }
            Found::NoRoom => self.missing.push(index),
            found @ Found::InFlight(_) => self.waiting.push((index, row, found)),
        }
    }

    /// Tells what happened to rows of one request.
    pub(super) fn ends(
        &self,
        answering: &Answering,
        rows: &[usize],
        result: &Result<InferResponse, Error>,
    ) {
        let plan = &answering.plan;
        let decoded = match result {
            Ok(response) => plan.rows(response, rows.len()),
            Err(error) => Err(error.clone()),
        };
        let mut sendings = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, index) in rows.iter().enumerate() {
            let Some(sending) = sendings.remove(index) else {
                continue;
            };
            match &decoded {
                Ok(decoded) => {
                    let Some(row) = decoded.get(place) else {
                        continue;
                    };
                    sending.ends(&Ok(Prediction::new(row.clone(), None)));
                }
                Err(error) => sending.ends(&Err(error.clone())),
            }
        }
    }
}
