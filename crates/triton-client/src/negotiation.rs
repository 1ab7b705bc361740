//! What is asked of the server before a call: whether it takes tensors in binary form, and the
//! datatypes of a model's outputs.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{FutureExt as _, Shared};
use tokio::time::Instant;

use crate::extensions::{Knowledge, KnownOutputs, OutputDatatypes, Question};
use crate::operation::Operation;
use crate::{Client, Error, ErrorKind, ModelId, TensorFormat};

/// The extension that carries tensors in binary form.
const BINARY_TENSORS: &str = "binary_tensor_data";

/// The longest time that calls wait for the extensions of a server that accepted the connection;
/// a call with less time waits half of that.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a server that did not tell its extensions is not asked again.
const REMEMBERED: Duration = Duration::from_secs(5);

impl Client {
    /// The form that `format` comes to with this server, for a call that may take `timeout`.
    pub(crate) async fn negotiated(
        &self,
        format: TensorFormat,
        operation: &Operation<'_>,
        timeout: Duration,
    ) -> Result<TensorFormat, Error> {
        if format != TensorFormat::Auto {
            return Ok(format);
        }
        match self.has_binary_tensors(operation, timeout).await? {
            true => Ok(TensorFormat::Binary),
            false => Ok(TensorFormat::Json),
        }
    }

    /// Whether the server takes tensors in binary form; asked once, before `operation`.
    ///
    /// A server, or a gateway, that does not tell is taken for one that does: all Tritons do. The
    /// wait leaves the call at least half of its time. Whoever waits longest carries the question
    /// on, so that no call loses it for the others when it is dropped.
    pub(crate) async fn has_binary_tensors(
        &self,
        operation: &Operation<'_>,
        timeout: Duration,
    ) -> Result<bool, Error> {
        let question = match self.question() {
            Ok(known) => return Ok(known),
            Err(question) => question,
        };
        let wait = LONGEST_WAIT.min(timeout / 2);
        match tokio::time::timeout(wait, question).await {
            Ok(Ok(known)) => Ok(known),
            Ok(Err(error)) => Err(error.again().before(operation)),
            Err(_) => {
                self.not_told();
                Ok(true)
            }
        }
    }

    /// What is known, or the question that will tell.
    fn question(&self) -> Result<bool, Shared<Question>> {
        let mut knowledge = self.binary_tensors();
        let asked = match &*knowledge {
            Knowledge::Known(known) => return Ok(*known),
            Knowledge::NotTold(when) if when.elapsed() < REMEMBERED => return Ok(true),
            Knowledge::Asked(asked) => asked.upgrade(),
            Knowledge::NotTold(_) | Knowledge::Nothing => None,
        };
        let question = asked.unwrap_or_else(|| {
            // With time of its own: those that wait have theirs.
            let client = self.with_timeout(2 * LONGEST_WAIT);
            let question: Question = Box::pin(async move { client.ask().await });
            question.shared()
        });
        if let Some(asked) = question.downgrade() {
            *knowledge = Knowledge::Asked(asked);
        }
        Err(question)
    }

    /// Asks the server for its extensions and keeps what it says.
    async fn ask(&self) -> Result<bool, Arc<Error>> {
        let learned = match self.server_metadata().await {
            Ok(metadata) => {
                let has = |name: &String| name == BINARY_TENSORS;
                Knowledge::Known(metadata.extensions.iter().any(has))
            }
            // A call would fare no better, and the next one may meet the server again.
            Err(error) if error.kind().is_connection() => {
                *self.binary_tensors() = Knowledge::Nothing;
                return Err(Arc::new(error));
            }
            // What may be otherwise the next time is kept for a while only.
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Server => {
                Knowledge::NotTold(Instant::now())
            }
            Err(_) => Knowledge::Known(true),
        };
        let mut knowledge = self.binary_tensors();
        // It may have answered in binary form meanwhile, whatever it lists.
        if !matches!(*knowledge, Knowledge::Known(true)) {
            *knowledge = learned;
        }
        Ok(!matches!(*knowledge, Knowledge::Known(false)))
    }

    /// Keeps that the server has answered in binary form: some, as KServe's own, speak it and list
    /// no extension.
    pub(crate) fn answered_in_binary(&self) {
        *self.binary_tensors() = Knowledge::Known(true);
    }

    /// Keeps that the server let a call wait in vain, unless it has told meanwhile.
    fn not_told(&self) {
        let mut knowledge = self.binary_tensors();
        if matches!(*knowledge, Knowledge::Asked(_)) {
            *knowledge = Knowledge::NotTold(Instant::now());
        }
    }

    fn binary_tensors(&self) -> MutexGuard<'_, Knowledge> {
        // A panic elsewhere leaves a value that is whole all the same.
        let knowledge = self.extensions.binary_tensors.lock();
        knowledge.unwrap_or_else(PoisonError::into_inner)
    }

    /// The datatypes of a model's outputs, as they were when this client first asked.
    pub(crate) async fn output_datatypes(
        &self,
        model: &ModelId,
        operation: &Operation<'_>,
    ) -> Result<OutputDatatypes, Error> {
        let age = {
            let known = self.known_outputs();
            if let Some(known) = known.get(model) {
                return Ok(Arc::clone(known));
            }
            known.age()
        };
        let fresh = self.fresh_output_datatypes(model, operation).await?;
        self.known_outputs()
            .keep(model.clone(), Arc::clone(&fresh), age);
        Ok(fresh)
    }

    /// The datatypes of a model's outputs as they are now.
    pub(crate) async fn fresh_output_datatypes(
        &self,
        model: &ModelId,
        operation: &Operation<'_>,
    ) -> Result<OutputDatatypes, Error> {
        let metadata = self.model_metadata(model).await;
        let metadata = metadata.map_err(|error| error.before(operation))?;
        let outputs = metadata.outputs.into_iter();
        Ok(Arc::new(
            outputs
                .map(|output| (output.name, output.datatype))
                .collect(),
        ))
    }

    /// Forgets the outputs of models, as after one was loaded.
    pub(crate) fn forget_outputs(&self) {
        self.known_outputs().forget_all();
    }

    /// Forgets those of a model that has refused a request or failed at it: it may have been loaded anew by
    /// somebody else, with other outputs.
    pub(crate) fn forget_outputs_of(&self, model: &ModelId) {
        let mut known = self.known_outputs();
        if known.get(model).is_some() {
            known.forget(model);
        }
    }

    fn known_outputs(&self) -> MutexGuard<'_, KnownOutputs> {
        // A panic elsewhere leaves a map that is whole all the same.
        let outputs = self.extensions.outputs.lock();
        outputs.unwrap_or_else(PoisonError::into_inner)
    }
}
