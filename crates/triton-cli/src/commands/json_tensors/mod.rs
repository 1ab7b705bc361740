//! The tensors of requests and answers as JSON, for commands that take or show single ones.
//!
//! An inference is an object of tensors by their names, without a batch dimension:
//! `{"value": [1, 2]}`. What JSON has no number for is a text, as in the files of `predict`.

mod reading;
mod unique;
mod writing;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use anyhow::{anyhow, bail};
use serde_json::{Map, Value};
use triton_client::{Datatype, InferRequest, ModelConfig, ModelId, ModelMetadata, Tensor};
use triton_model_fn::ModelFacts;
use triton_options::MODEL_MAX_BATCH_SIZE;

pub(super) use self::reading::Part;
use self::reading::{part, untold_part};
pub(super) use self::unique::parse;
pub(super) use self::writing::{documents, inferences};
use crate::failure::Failure;

/// The inputs of one inference.
pub(super) type Inference = BTreeMap<String, Part>;

/// The datatype of each input of a model, as far as its server tells them.
pub(super) fn datatypes(metadata: &ModelMetadata) -> BTreeMap<String, Datatype> {
    let inputs = metadata.inputs.iter();
    inputs
        .map(|input| (input.name.clone(), input.datatype))
        .collect()
}

/// Refuses more inferences in a request than the model takes; `asked` is what asked for so many.
pub(super) fn check_batch_size(
    facts: &ModelFacts,
    batch_size: NonZeroU32,
    asked: &str,
) -> Result<(), Failure> {
    let config = &facts.config;
    let batch = batch_size.get();
    let most = config.max_batch_size.max(1);
    if batch > most {
        let why = match facts.has_config {
            true => format!("the model takes at most {most}"),
            false => format!(
                "the server keeps no configuration that says how many the model takes, so {most} is \
                 the most unless option '{}' says more",
                MODEL_MAX_BATCH_SIZE.key()
            ),
        };
        return Err(Failure::usage(anyhow!("{asked}: {why}")));
    }
    if batch > 1 && config.sequence_batching.is_some() {
        return Err(Failure::usage(anyhow!(
            "{asked}: requests of a stateful model carry one inference each"
        )));
    }
    Ok(())
}

/// Names that a server gave, as errors show them: the end of a line is escaped in a name.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names = names
        .into_iter()
        .map(|name| name.escape_debug().to_string());
    names.collect::<Vec<_>>().join(", ")
}

/// The request for some inferences, of which there is at least one.
pub(super) fn request(
    model: &ModelId,
    inferences: &[&Inference],
    datatypes: &BTreeMap<String, Datatype>,
    batched: bool,
) -> anyhow::Result<InferRequest> {
    let mut request = InferRequest::new(model.clone());
    let names = inferences.iter().flat_map(|inference| inference.keys());
    let names: std::collections::BTreeSet<&String> = names.collect();
    for name in names {
        let mut data = Vec::new();
        let mut shape: Option<&Vec<usize>> = None;
        for inference in inferences {
            let part = inference.get(name);
            let Some(part) = part.filter(|part| *shape.get_or_insert(&part.shape) == &part.shape)
            else {
                bail!(
                    "input '{}' has not the same shape in all inferences of a request",
                    name.escape_debug()
                );
            };
            data.extend(&part.data);
        }
        let mut shape = shape.cloned().unwrap_or_default();
        if batched {
            shape.insert(0, inferences.len());
        }
        request = request.input(Tensor::from_raw(name, datatypes[name], shape, data.into())?);
    }
    Ok(request)
}

/// Reads the inputs of an inference from an object of tensors by their names.
pub(super) fn read_inference(
    object: &Map<String, Value>,
    metadata: &ModelMetadata,
    config: &ModelConfig,
) -> Result<Inference, String> {
    let names: Vec<&str> = metadata
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    if let Some(unknown) = object.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(format!(
            "the model has no input '{}'; it has: {}",
            unknown.escape_debug(),
            listed(names)
        ));
    }
    let mut parts = BTreeMap::new();
    for input in &metadata.inputs {
        let name = &input.name;
        let shown = name.escape_debug();
        match object.get(name) {
            Some(value) => {
                let dimensions = config.without_batch(&input.shape);
                let part = part(value, input.datatype, dimensions);
                let part = part.map_err(|error| format!("input '{shown}': {error}"))?;
                parts.insert(name.clone(), part);
            }
            None if config.is_optional(name) => {}
            None => return Err(format!("input '{shown}' is missing")),
        }
    }
    Ok(parts)
}

/// As [`read_inference`], from an object that names the datatypes itself, because the server does not.
pub(super) fn read_untold_inference(
    object: &Map<String, Value>,
    datatypes: &mut BTreeMap<String, Datatype>,
) -> Result<Inference, String> {
    let mut parts = BTreeMap::new();
    for (name, value) in object {
        let named = |error: String| format!("input '{}': {error}", name.escape_debug());
        let datatype = value["datatype"].as_str().ok_or_else(|| {
            named(
                "expected {\"datatype\": …, \"content\": …}, because the server does not say which \
                 datatype it has"
                    .to_owned(),
            )
        })?;
        let datatype: Datatype = datatype
            .parse()
            .map_err(|error| named(format!("{error}")))?;
        let known = datatypes.entry(name.clone()).or_insert(datatype);
        if *known != datatype {
            return Err(named(format!(
                "it was {known} before, and is {datatype} here"
            )));
        }
        parts.insert(name.clone(), untold_part(value, datatype).map_err(named)?);
    }
    match parts.is_empty() {
        true => Err("expected an input".to_owned()),
        false => Ok(parts),
    }
}
