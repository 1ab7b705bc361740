//! What the requests of a load carry: inputs of a file, or random ones.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Map, Value};
use triton_client::{Datatype, InferRequest, ModelConfig, ModelId, ModelMetadata};
use triton_model_fn::ModelFacts;

use super::random_input::{element_bytes, random_data};
use crate::commands::json_tensors::{
    Inference, Part, datatypes, listed, parse, read_inference, read_untold_inference, request,
};
use crate::failure::Failure;
use crate::text_encoding;

/// Different random requests, so that no cache answers in place of the model.
const RANDOM_REQUESTS: usize = 32;

/// Random inputs take no more memory than this, where a single one does not.
const RANDOM_BYTES: usize = 64 << 20;

/// The most bytes of the tensors that are made up for a request; the server itself takes requests
/// of 2 GiB at most.
const LARGEST: usize = 1 << 30;

/// The inputs of single inferences, without a batch dimension.
pub(super) struct Samples {
    datatypes: BTreeMap<String, Datatype>,
    samples: Vec<Inference>,
    /// The inputs whose varying dimensions were taken as 1.
    guessed: Vec<String>,
}

/// The shape of an input, as `--shape` gives it.
#[derive(Debug, Clone)]
pub(super) struct FixedShape {
    name: String,
    shape: Vec<usize>,
}

impl FixedShape {
    /// Reads `NAME:N,N`; a name may hold colons itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected NAME:N,N such as image:3,224,224".to_owned();
        let (name, sizes) = text.rsplit_once(':').ok_or_else(expected)?;
        let sizes: Result<Vec<usize>, _> = sizes.split(',').map(str::parse).collect();
        match sizes {
            Ok(shape) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                shape,
            }),
            _ => Err(expected()),
        }
    }
}

impl Samples {
    /// The samples of a file.
    pub(super) fn read(path: &Path, facts: &ModelFacts) -> Result<Self, Failure> {
        let untold = facts.metadata.inputs.is_empty() && !facts.has_config;
        let mut datatypes = datatypes(&facts.metadata);
        let text = text_encoding::read_file(path).map_err(Failure::usage)?;
        let mut samples = Vec::new();
        for (place, object) in objects(&text).with_context(|| path.display().to_string())? {
            let sample = match untold {
                false => read_inference(&object, &facts.metadata, &facts.config),
                true => read_untold_inference(&object, &mut datatypes),
            };
            let sample = sample.map_err(|error| anyhow!("{}, {place}: {error}", path.display()));
            samples.push(sample?);
        }
        if samples.is_empty() {
            return Err(Failure::usage(anyhow!(
                "{} holds no inputs",
                path.display()
            )));
        }
        Ok(Self {
            datatypes,
            samples,
            guessed: Vec::new(),
        })
    }

    /// Random samples, the same ones in every run.
    pub(super) fn random(
        metadata: &ModelMetadata,
        config: &ModelConfig,
        shapes: &[FixedShape],
        batch_size: NonZeroU32,
    ) -> Result<Self, Failure> {
        let mut guessed = Vec::new();
        for given in shapes {
            if metadata.inputs.iter().all(|input| input.name != given.name) {
                let names = metadata.inputs.iter().map(|input| input.name.as_str());
                return Err(Failure::usage(anyhow!(
                    "--shape {}: the model has no such input; it has: {}",
                    given.name,
                    listed(names)
                )));
            }
        }
        let mut chosen = BTreeMap::new();
        for input in &metadata.inputs {
            let given = shapes.iter().find(|given| given.name == input.name);
            if given.is_none() && config.is_optional(&input.name) {
                continue;
            }
            let dimensions = config.without_batch(&input.shape);
            let shape = match given {
                Some(given) => fitting(given, dimensions)?,
                None => {
                    if dimensions.iter().any(|dimension| *dimension < 0) {
                        guessed.push(input.name.clone());
                    }
                    let sizes = dimensions
                        .iter()
                        .map(|size| usize::try_from(*size).unwrap_or(1));
                    sizes.collect()
                }
            };
            let bytes = shape
                .iter()
                .fold(element_bytes(input.datatype), |bytes, size| {
                    bytes.saturating_mul(*size)
                });
            chosen.insert(input.name.clone(), (input.datatype, shape, bytes));
        }
        let batch = batch_size.get() as usize;
        let bytes = chosen.values().fold(0_usize, |sum, (_, _, bytes)| {
            sum.saturating_add(bytes.saturating_mul(batch))
        });
        if bytes > LARGEST {
            let shapes = chosen.iter();
            let shapes: Vec<_> = shapes
                .map(|(name, (datatype, shape, _))| {
                    format!("'{}' {datatype} {shape:?}", name.escape_debug())
                })
                .collect();
            return Err(Failure::usage(anyhow!(
                "a request would be larger than 1 GiB, the most that is made up: {batch} × ({}); \
                 give smaller dimensions with --shape, or a smaller --batch-size",
                shapes.join(", ")
            )));
        }
        let requests = (RANDOM_BYTES / bytes.max(1)).clamp(1, RANDOM_REQUESTS);
        let mut random = fastrand::Rng::with_seed(0);
        let samples = (0..requests * batch).map(|_| {
            let parts = chosen.iter().map(|(name, (datatype, shape, _))| {
                // Where that is too much to count, a 0 makes it no elements, of a shape that is refused.
                let mut sizes = shape.iter();
                let count = sizes.try_fold(1_usize, |count, size| count.checked_mul(*size));
                let data = random_data(&mut random, *datatype, count.unwrap_or(0));
                let shape = shape.clone();
                (name.clone(), Part { shape, data })
            });
            parts.collect()
        });
        Ok(Self {
            samples: samples.collect(),
            datatypes: datatypes(metadata),
            guessed,
        })
    }

    /// Where the inputs come from.
    pub(super) fn description(&self, path: Option<&Path>) -> String {
        let count = self.samples.len();
        match (path, self.guessed.as_slice()) {
            (Some(path), _) => format!("{count} inputs from {}", path.display()),
            (None, []) => "random inputs".to_owned(),
            (None, guessed) => format!(
                "random inputs, with 1 for the varying dimensions of {} (--shape sets them)",
                listed(guessed.iter().map(String::as_str))
            ),
        }
    }

    /// A request for every `batch_size` samples.
    pub(super) fn requests(
        &self,
        model: &ModelId,
        config: &ModelConfig,
        batch_size: NonZeroU32,
    ) -> Result<Vec<InferRequest>, Failure> {
        let batch = batch_size.get();
        let batched = config.max_batch_size > 0;
        // A last batch that is not full begins again with the first samples.
        let count = self.samples.len().div_ceil(batch as usize);
        let mut samples = self.samples.iter().cycle();
        let requests = (0..count).map(|_| {
            let samples: Vec<_> = samples.by_ref().take(batch as usize).collect();
            let request = request(model, &samples, &self.datatypes, batched);
            request.map_err(|error| match batch {
                1 => error,
                _ => anyhow!("{error}; use --batch-size 1"),
            })
        });
        let requests: anyhow::Result<Vec<_>> = requests.collect();
        requests.map_err(Failure::usage)
    }
}

fn fitting(given: &FixedShape, dimensions: &[i64]) -> Result<Vec<usize>, Failure> {
    let fits = given.shape.len() == dimensions.len()
        && given
            .shape
            .iter()
            .zip(dimensions)
            .all(|(size, dimension)| *dimension < 0 || *size as i64 == *dimension);
    if fits {
        return Ok(given.shape.clone());
    }
    Err(Failure::usage(anyhow!(
        "--shape {}: {:?} does not fit {dimensions:?}, the model's own without the batch dimension",
        given.name,
        given.shape
    )))
}

/// The objects of a file, and where each stands: `{"data": […]}`, or an object a line.
fn objects(text: &str) -> anyhow::Result<Vec<(String, Map<String, Value>)>> {
    if let Ok(Value::Object(mut document)) = parse(text)
        && let Some(data) = document.remove("data")
    {
        let Value::Array(items) = data else {
            bail!("\"data\" is no list");
        };
        let numbered = items.into_iter().enumerate();
        let objects = numbered.map(|(index, item)| match item {
            Value::Object(object) => Ok((format!("data[{index}]"), object)),
            _ => bail!("data[{index}]: expected an object of tensors by their names"),
        });
        return objects.collect();
    }
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let objects = lines.map(|(index, line)| {
        let place = format!("line {}", index + 1);
        let expected = || format!("{place}: expected a JSON object of tensors by their names");
        match parse(line).with_context(expected)? {
            Value::Object(object) => Ok((place, object)),
            other => bail!("{}, found {other}", expected()),
        }
    });
    objects.collect()
}
