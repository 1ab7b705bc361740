//! What a request's sequence ID is, once it is agreed with the server what IDs are sent as.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;
use triton_client::{Sequence, SequenceId};
use triton_options::{
    ENDPOINT, SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_KEY, SequenceMode, StaticFlags,
    sequence_number,
};

use super::CallContext;
use crate::sequence_id_generator::TakenId;
use crate::sequence_name::SequenceName;
use crate::tensor_plan::sequence_mismatch;
use crate::{Error, ErrorKind, ModelFacts, SequenceIdForm, TakenSequence};

impl CallContext {
    /// The place in a sequence for the next logical request, if it has one at all.
    ///
    /// In auto-increment mode each call takes a new ID, also when calls run concurrently: call
    /// it once for a row, and keep the result when the row has to be sent again. Once nothing of it
    /// is on the server any more, say so with [`TakenSequence::release`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the option `sequence-key` is set: only the
    /// [`InferenceFunction`](crate::InferenceFunction) keeps sequences for keys; and before it is
    /// agreed what IDs are sent as: see [`agree_on_sequence_ids`](Self::agree_on_sequence_ids).
    /// [`ErrorKind::Call`] when all IDs may be alive on the server.
    pub fn next_sequence(&self) -> Result<Option<TakenSequence>, Error> {
        let taken = self.take_sequence();
        taken.map_err(|error| error.in_subtask(self.subtask))
    }

    fn take_sequence(&self) -> Result<Option<TakenSequence>, Error> {
        if !matches!(self.sequence_mode, SequenceMode::None) && self.id_form.get().is_none() {
            let message = "it is not agreed whether sequence IDs are text or numbers: call \
                           agree_on_sequence_ids while the function opens";
            return Err(Error::new(ErrorKind::State, message));
        }
        let (name, id, start, end, lease) = match (&self.sequence_mode, &self.id_generator) {
            (SequenceMode::Static { id: text, flags }, _) => {
                let id = self.static_id(text)?;
                let name = SequenceName {
                    text: text.clone(),
                    number: None,
                };
                match flags {
                    StaticFlags::Given { start, end } => (name, id, *start, *end, None),
                    _ => (name, id, false, false, None),
                }
            }
            (SequenceMode::PerKey { .. }, _) => {
                let message = format!(
                    "this function keeps no sequences for keys: leave out the option '{}'",
                    SEQUENCE_KEY.key()
                );
                return Err(Error::new(ErrorKind::State, message));
            }
            (_, Some(source)) => {
                let TakenId { counter, lease } = source.take(None, Instant::now())?;
                let name = source.name(counter);
                let id = name.clone().into_id()?;
                (name, id, true, true, lease)
            }
            (_, None) => return Ok(None),
        };
        let sequence = Sequence { id, start, end };
        Ok(Some(TakenSequence::new(sequence, name, lease)))
    }

    /// A sequence ID that is given, as it is sent.
    pub(crate) fn static_id(&self, id: &str) -> Result<SequenceId, Error> {
        let is_number = self.id_form.get().is_some_and(SequenceIdForm::is_number);
        if let Some(number) = sequence_number(id).filter(|_| is_number) {
            return Ok(SequenceId::Number(number));
        }
        // Checked options never lead to an ID that the server does not take.
        SequenceId::text(id).map_err(|invalid| Error::new(ErrorKind::Input, invalid.to_string()))
    }

    /// How sequence IDs are sent; `None` before that is agreed, and where requests have none.
    #[must_use]
    pub fn sequence_id_form(&self) -> Option<&SequenceIdForm> {
        self.id_form.get()
    }

    /// Agrees with the server whether sequence IDs are text or numbers, as `sequence-id-type` says.
    ///
    /// [`FunctionBase::open`](crate::FunctionBase::open) has done it; who opens by parts calls it before
    /// [`next_sequence`](Self::next_sequence). Where requests have no sequence ID it does nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Mismatch`] where the IDs cannot work with the model, and [`ErrorKind::Call`] when
    /// the model cannot be looked up.
    pub async fn agree_on_sequence_ids(&self) -> Result<(), Error> {
        if matches!(self.sequence_mode, SequenceMode::None) {
            return Ok(());
        }
        let facts = self.look_up_model().await?;
        self.agree_unless_agreed(&facts)
    }

    /// The same with a model that is looked up already, and nothing where it was done before.
    pub(crate) fn agree_unless_agreed(&self, facts: &ModelFacts) -> Result<(), Error> {
        if matches!(self.sequence_mode, SequenceMode::None) || self.id_form.get().is_some() {
            return Ok(());
        }
        self.check_that_one_server_has_it()?;
        if let Some(mismatch) = sequence_mismatch(&self.options, facts) {
            return Err(Error::new(ErrorKind::Mismatch, mismatch));
        }
        self.agree_on_ids_of(facts)
    }

    /// Whoever calls by himself sends each request to any of several servers.
    fn check_that_one_server_has_it(&self) -> Result<(), Error> {
        match &self.sequence_mode {
            SequenceMode::Static { id, flags }
                if self.replicas.are_several() && !flags.are_both() =>
            {
                let message = format!(
                    "'{}' is '{id}' for all requests of this function, which go to any of the servers \
                     of '{}' ({}), and a sequence is on one of them: name one server, or let each \
                     request be a sequence of its own ('{}')",
                    SEQUENCE_ID.key(),
                    ENDPOINT.key(),
                    self.options.endpoint,
                    SEQUENCE_ID_AUTO_INCREMENT.key(),
                );
                Err(Error::new(ErrorKind::Options, message))
            }
            _ => Ok(()),
        }
    }

    /// The same, with what is known of the model and its steps.
    pub(crate) fn agree_on_ids_of(&self, facts: &ModelFacts) -> Result<(), Error> {
        if matches!(self.sequence_mode, SequenceMode::None) {
            return Ok(());
        }
        let config = &facts.config;
        let form =
            SequenceIdForm::agree(self.options.sequence_id_type, config, facts.server.as_ref())?;
        form.check(&self.sequence_mode, self.subtask)?;
        self.replicas.agrees_on_ids(&form);
        info!(
            model = %self.model,
            subtask = self.subtask.index(),
            attempt = self.subtask.attempt(),
            "sequence IDs are {form}"
        );
        self.settle_form(form, config.longest_sequence_idle());
        Ok(())
    }

    pub(super) fn settle_form(&self, form: SequenceIdForm, idle: Option<Duration>) {
        if let Some(ids) = &self.id_generator {
            ids.agree(&form, idle);
        }
        // Whatever was agreed before came of the same options and the same model.
        let _ = self.id_form.set(form);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use triton_options::TritonOptions;

    use super::*;
    use crate::{FunctionBase, Subtask};

    const OPTIONS: [(&str, &str); 4] = [
        ("endpoint", "http://localhost:8000"),
        ("model-name", "m"),
        ("sequence-id", "flink-job-123"),
        ("sequence-id-auto-increment", "true"),
    ];

    // Holds S61, F40.
    #[tokio::test(start_paused = true)]
    async fn a_number_is_taken_until_its_request_cannot_be_on_the_server() {
        let idle = Duration::from_secs(4);
        let base = FunctionBase::<()>::new(TritonOptions::parse(OPTIONS).unwrap());
        let begin = || base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
        let opening = begin();
        let open = Arc::clone(opening.subtask());
        insta::assert_snapshot!(open.next_sequence().unwrap_err(), @"subtask 0 of 1, attempt 0: it is not agreed whether sequence IDs are text or numbers: call agree_on_sequence_ids while the function opens");
        let form = || SequenceIdForm::of_numbers_up_to(3);
        open.settle_form(form(), Some(idle));
        let take = |open: &CallContext| open.next_sequence().map(Option::unwrap);
        let (first, second, third) = (take(&open), take(&open), take(&open));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.start && first.end && first.id != second.id);
        assert_eq!(
            (first.text(), second.text()),
            ("flink-job-123-0-0", "flink-job-123-0-1")
        );
        insta::assert_snapshot!(take(&open).unwrap_err(), @"subtask 0 of 1, attempt 0: nothing was sent: each of the 3 sequence IDs of this subtask may be alive on the server; IDs are numbers of 2 bits, because a test says so, and 1 subtasks share them; end sequences sooner, or make the control TYPE_UINT64");
        let first_id = first.id.clone();
        first.release();
        let again = take(&open).unwrap();
        assert_eq!(again.id, first_id);
        // A late request, and one that nobody knows anything of, rest: in the next opening, too.
        open.id_generator
            .as_ref()
            .unwrap()
            .may_arrive_late(&again.id);
        again.release();
        drop((second, third, opening));
        let next = begin();
        next.subtask().settle_form(form(), Some(idle));
        assert!(take(next.subtask()).is_err());
        tokio::time::advance(idle).await;
        assert!(take(next.subtask()).is_ok());
    }
}
