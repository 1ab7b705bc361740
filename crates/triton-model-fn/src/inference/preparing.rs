//! What is agreed when a function is opened: tensors, columns, and how rows meet the model.

use std::sync::Arc;

use triton_client::ModelConfig;
use triton_options::{DECOUPLED, Decoupled, MemoryLimit};

use super::InferenceFunction;
use crate::alone_tasks::AloneTasks;
use crate::answering::{Answering, StandIn};
use crate::batcher::Batcher;
use crate::cache::CachedLane;
use crate::lanes::{Lane, Prepared};
use crate::log_limit::LogLimit;
use crate::sequences::{
    KeyedSequences, LeftBehind, ModelColumns, ModelTransport, SequenceSettings, SequenceVersions,
};
use crate::tensor_plan::TensorPlan;
use crate::{CallContext, Error, ErrorKind, ModelFacts};

impl InferenceFunction {
    /// What rows go through, agreed with what the server tells of the model.
    pub(super) fn prepare(
        &self,
        open: &Arc<CallContext>,
        facts: &ModelFacts,
    ) -> Result<Arc<Prepared>, Error> {
        let options = self.base.options();
        let ModelFacts {
            metadata, config, ..
        } = facts;
        let is_streamed = options.decoupled == Decoupled::Stream;
        if config.is_decoupled && !is_streamed {
            return Err(decoupled(config));
        }
        let columns = ModelColumns::new(
            options,
            &self.schema,
            self.sequences.as_ref(),
            |name| metadata.inputs.iter().any(|tensor| tensor.name == name),
            |name| metadata.outputs.iter().any(|tensor| tensor.name == name),
        )?;
        let stand_in = StandIn::new(options, &columns.schema.outputs)?;
        let mut plan = TensorPlan::new(options, &columns.schema, facts)?;
        if let Some(most_bytes) = self.full_requests.filter(|_| !is_streamed) {
            plan.fill_requests(most_bytes);
        }
        open.agree_on_ids_of(facts)?;
        let settings = SequenceSettings::agree(
            options,
            &self.schema,
            &columns.schema,
            config,
            open,
            self.source,
        )?;
        let answering = Arc::new(Answering {
            open: Arc::clone(open),
            plan: Arc::new(plan),
            columns: Arc::new(columns),
            stand_in,
            logged: LogLimit::default(),
            streams: is_streamed.then(|| open.metrics().of_streams()),
        });
        let lane = match settings {
            Some(settings) => {
                let transport = ModelTransport {
                    open: Arc::clone(open),
                    plan: Arc::clone(&answering.plan),
                    versions: SequenceVersions::new(options, settings.server_forgets()),
                };
                let endpoint = options.endpoint.to_string();
                let model = options.model_name.as_str();
                let left = LeftBehind::of_subtask(&endpoint, model, open.subtask);
                let left = left.unwrap_or_else(|| Arc::clone(&self.left));
                let open = Arc::clone(open);
                Lane::Keyed(KeyedSequences::start(open, transport, settings, left))
            }
            None if answering.plan.rows_per_request > 1 => {
                let answering = Arc::clone(&answering);
                Lane::Batched(Batcher::start(answering, options.batch_timeout))
            }
            None if is_streamed => Lane::Streamed(AloneTasks::new()),
            None => Lane::Single(AloneTasks::new()),
        };
        let batcher = match &lane {
            Lane::Batched(batcher) => Some(batcher.pusher().clone()),
            Lane::Single(_) | Lane::Keyed(_) | Lane::Streamed(_) => None,
        };
        let limit = options.cache_max_bytes.map_or(0, MemoryLimit::bytes);
        let cached = (limit > 0).then(|| CachedLane::new(limit, &answering, batcher));
        Ok(Arc::new(Prepared {
            answering,
            lane,
            cached,
        }))
    }
}

/// Such a model has no one answer to a request, and the server refuses each of them.
fn decoupled(config: &ModelConfig) -> Error {
    let name = &config.name;
    let step = config.steps.iter().find(|step| step.is_decoupled);
    let whose = match step {
        Some(step) => format!("of its step '{}' ", step.name),
        None => String::new(),
    };
    let message = format!(
        "model '{name}' is decoupled: a request {whose}may have any number of responses, which \
         only a stream can carry: set the option '{}' to 'stream', and each response is an output \
         row",
        DECOUPLED.key()
    );
    Error::new(ErrorKind::Mismatch, message)
}
