//! The steps of an ensemble: what they need, it needs too, and its own configuration says nothing
//! of it.
//!
//! [Ensemble models](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/ensemble_models.html)

use std::collections::{HashSet, VecDeque};

use triton_protocol::quoted;

use crate::operation::{Operation, Subject};
use crate::{Client, Error, ModelConfig, ModelId, ModelVersion};

/// The most models that are looked at below one ensemble.
const MOST_STEPS: usize = 256;

impl Client {
    /// Asks for the configuration of a model and, where it is an ensemble, for those of all models
    /// that it runs, in ensembles within it too.
    ///
    /// What follows from the steps is then said of the ensemble:
    /// [`sequence_batching`](ModelConfig::sequence_batching) is that of the step which forgets
    /// sequences soonest, [`concurrent_sequences`](ModelConfig::concurrent_sequences) the number
    /// that all of them can keep, and [`is_decoupled`](ModelConfig::is_decoupled) holds where it
    /// does for any of them. [`steps`](ModelConfig::steps) has each model once.
    ///
    /// Each question may take the timeout of a call, and all of them ten times as long.
    ///
    /// # Errors
    ///
    /// As [`model_config`](Self::model_config), for the model and for each step.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::ModelId;
    ///
    /// let pipeline = ModelId::latest("pipeline".parse()?);
    /// let config = client.model_config_with_steps(&pipeline).await?;
    /// let stateful = config.sequence_batching.is_some();
    /// println!("{} steps, stateful: {stateful}", config.steps.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn model_config_with_steps(&self, model: &ModelId) -> Result<ModelConfig, Error> {
        let client = self.with_questions();
        let config = client.model_config(model).await?;
        client.with_steps(model, config).await
    }

    /// The configuration of a model together with what follows from its steps.
    pub(crate) async fn with_steps(
        &self,
        model: &ModelId,
        mut config: ModelConfig,
    ) -> Result<ModelConfig, Error> {
        let mut seen = HashSet::from([model.name().to_string()]);
        let mut waiting: VecDeque<Step> = steps(&config).collect();
        let subject = Subject::Model(model);
        let operation = Operation::about(subject, "model_config", "read the steps of", "/config");
        let context = self.context(operation);
        // Hundreds of steps must not take hundreds of times what one answer may.
        let mut room = self.room();
        while let Some(step) = waiting.pop_front() {
            if !seen.insert(step.name.clone()) {
                continue;
            }
            if seen.len() > MOST_STEPS {
                let message = format!("the ensemble has more than {MOST_STEPS} steps");
                return Err(context.protocol(message));
            }
            let id = step.id().map_err(|invalid| {
                context.protocol(format!(
                    "the step {} is no model: {invalid}",
                    quoted(&step.name)
                ))
            })?;
            let step = self.model_config_within(&id, &mut room).await?;
            waiting.extend(steps(&step));
            config.steps.push(step);
        }
        config.is_decoupled |= config.steps.iter().any(|step| step.is_decoupled);
        if config.sequence_batching.is_none() {
            let stateful = config.steps.iter();
            let stateful = stateful.filter_map(|step| step.sequence_batching.as_ref());
            let soonest = stateful.min_by_key(|batching| batching.max_sequence_idle());
            config.sequence_batching = soonest.cloned();
        }
        Ok(config)
    }
}

/// A model as a step names it.
struct Step {
    name: String,
    /// Nothing or -1 is the latest one.
    version: Option<u64>,
}

impl Step {
    fn id(&self) -> Result<ModelId, crate::InvalidValue> {
        let version = match self.version {
            Some(version) => ModelVersion::Number(version),
            None => ModelVersion::Latest,
        };
        Ok(ModelId::new(self.name.parse()?, version))
    }
}

/// The models that an ensemble runs; none of any other model.
fn steps(config: &ModelConfig) -> impl Iterator<Item = Step> {
    let steps = config.document()["ensemble_scheduling"]["step"].as_array();
    let steps = steps.into_iter().flatten().map(|step| {
        let version = &step["model_version"];
        // Protocol buffers write such numbers as text where nobody keeps them from it.
        let text = version.as_str().and_then(|text| text.parse().ok());
        Step {
            name: step["model_name"].as_str().unwrap_or_default().to_owned(),
            version: version.as_u64().or(text),
        }
    });
    steps.collect::<Vec<_>>().into_iter()
}
