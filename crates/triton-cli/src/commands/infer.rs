//! `triton infer`: one request with inputs from the command line, and its answer as JSON.

use std::io::Read as _;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use triton_client::{GenerateRequest, InferRequest, RequestedOutput, Sequence, SequenceId};
use triton_model_fn::{ModelFacts, SequenceIdForm};
use triton_options::{ENDPOINT, SEQUENCE_ID_TYPE};

use super::bench::WITHOUT_EFFECT;
use super::json_tensors::{
    Inference, check_batch_size, datatypes, documents, inferences, listed, parse, read_inference,
    read_untold_inference, request,
};
use super::sequences::Sequences;
use crate::completion;
use crate::config::{LayeredOptions, Origin};
use crate::config_arguments::ConfigArguments;
use crate::failure::Failure;
use crate::output::print_as_is;
use crate::server::{Effects, Server, check_model, with_prepared_server};
use crate::text_encoding;

/// Send one request to a model, and show its answer as JSON.
///
/// Names, datatypes and shapes come from the model's own description, so that the values are
/// enough: {"value": [1, 2]}. The batch dimension is left out, here and in the answer. Of several servers
/// the first one that is ready is asked.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InferArguments {
    /// The model's name.
    #[arg(value_name = "MODEL", add = completion::models())]
    model: String,

    /// An object of tensors by their names, or a list of such objects for one request with so many
    /// inferences; - reads it from standard input, @FILE from a file.
    ///
    /// A tensor is a list, nested or flat, or a single value for one element. It may be written
    /// {"content": […], "shape": […]} as well, and has to be, with a "datatype", where the server
    /// does not say which tensors the model takes.
    #[arg(value_name = "INPUTS", allow_hyphen_values = true)]
    inputs: String,

    /// Ask only for this output; may be repeated.
    #[arg(long, value_name = "NAME")]
    output: Vec<String>,

    /// Show each output with its name, datatype and whole shape, and which version answered.
    #[arg(long)]
    full: bool,

    /// For a stateful model, the ID of the sequence that the request belongs to.
    ///
    /// Without it the request is a sequence of its own.
    #[arg(long, value_name = "ID")]
    sequence: Option<String>,

    /// The request is the first of its sequence.
    #[arg(long, requires = "sequence")]
    start: bool,

    /// The request is the last of its sequence.
    #[arg(long, requires = "sequence")]
    end: bool,

    #[command(flatten)]
    config: ConfigArguments,
}

const EXAMPLES: &str = "\
Examples:
  triton infer echo '{\"value\": [1, 2.5]}'
  triton infer echo '[{\"value\": [1]}, {\"value\": [2]}]' | jq '.[1].echo'
  triton infer accumulate '{\"value\": 7}' --sequence call-7 --start
  jq '{value: .pixels}' image.json | triton infer resnet - -e host:8000 --full

A decoupled model may answer any number of times: each answer is a line.";

/// Runs the command.
pub(crate) fn run(arguments: &InferArguments) -> Result<ExitCode, Failure> {
    check_model(Some(&arguments.model))?;
    let inputs = match arguments.config.print_config {
        true => Inputs::default(),
        false => Inputs::read(&arguments.inputs)?,
    };
    let prepare = |options: &mut LayeredOptions| {
        let model = &arguments.model;
        options.set(
            triton_options::MODEL_NAME.key(),
            model,
            Origin::Argument("MODEL"),
        );
    };
    let effects = Effects {
        without: WITHOUT_EFFECT,
        heeded: &[SEQUENCE_ID_TYPE.key()],
    };
    with_prepared_server(&arguments.config, prepare, &effects, async |server| {
        // One server has it, and nothing says here which.
        let is_part = arguments.sequence.is_some() && !(arguments.start && arguments.end);
        if is_part && server.are_several() {
            let error = anyhow!(
                "--sequence: '{}' ({}) stands for several servers, of which one has the sequence",
                ENDPOINT.key(),
                server.options.endpoint
            );
            return Err(Failure::usage(error).with_hint("-e URL names that one"));
        }
        let server = server.of_one().await?;
        let facts = ModelFacts::look_up(&server.client, &server.options).await?;
        if let Some(mismatch) = facts.batch_size_mismatch(&server.options) {
            return Err(Failure::usage(anyhow!(mismatch)));
        }
        if facts.config.is_decoupled {
            return stream(&server, &inputs, arguments).await;
        }
        let asked = asked(&server, &facts, &inputs, arguments)?;
        let answer = server.client.infer(&asked).await?;
        let shown = match arguments.full {
            true => json!({
                "model": answer.model_name,
                "version": answer.model_version,
                "outputs": documents(&answer.outputs).map_err(Failure::server)?,
            }),
            false => {
                let batched = facts.config.max_batch_size > 0;
                let rows = inferences(&answer.outputs, batched, inputs.objects.len());
                let mut rows = rows.map_err(|error| Failure::server(anyhow!(error)))?;
                match inputs.is_list {
                    true => Value::Array(rows),
                    false => rows.remove(0),
                }
            }
        };
        print_as_is(&format!("{shown}\n"))?;
        for unread in &answer.unread {
            let (name, datatype) = (unread.name.escape_debug(), unread.datatype);
            crate::progress::say(&format!(
                "output '{name}' is left out: it is {datatype}, which is no datatype of the protocol"
            ));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// What stands on the command line, or where it says.
#[derive(Default)]
struct Inputs {
    objects: Vec<Map<String, Value>>,
    /// Whether they stand in a list, so that the answer is one, too.
    is_list: bool,
}

impl Inputs {
    fn read(argument: &str) -> Result<Self, Failure> {
        let (text, place) = match argument.strip_prefix('@') {
            None if argument == "-" => {
                let mut bytes = Vec::new();
                let mut input = std::io::stdin().lock();
                let read = input.read_to_end(&mut bytes).map_err(anyhow::Error::from);
                let text = read.and_then(|_| text_encoding::decode(&bytes));
                let text = text.context("standard input cannot be read")?;
                (text, "standard input".to_owned())
            }
            None => (argument.to_owned(), "INPUTS".to_owned()),
            Some(path) => {
                let text = text_encoding::read_file(Path::new(path)).map_err(Failure::usage)?;
                (text, path.to_owned())
            }
        };
        let parsed = Self::parse(&text).with_context(|| format!("{place} cannot be used"));
        Ok(parsed.map_err(|error| {
            let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
            let are_several = values.by_ref().take(2).filter(Result::is_ok).count() > 1;
            if Path::new(argument).is_file() {
                anyhow!("INPUTS: '{argument}' is the name of a file; @{argument} is what it holds")
            } else if are_several {
                anyhow!(
                    "{place}: expected the object of one request, or a list of objects, found \
                     several; `triton predict --model MODEL` scores the objects of a file"
                )
            } else {
                error
            }
        })?)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        const EXPECTED: &str = "expected a JSON object of tensors by their names, such as \
                                {\"value\": [1, 2]}, or a list of such objects";
        let (objects, is_list) = match parse(text).context(EXPECTED)? {
            Value::Object(object) => (vec![object], false),
            Value::Array(items) if !items.is_empty() => {
                let objects = items.into_iter().map(|item| match item {
                    Value::Object(object) => Ok(object),
                    other => bail!("{EXPECTED}, found {other} in the list"),
                });
                (objects.collect::<anyhow::Result<_>>()?, true)
            }
            other => bail!("{EXPECTED}, found {other}"),
        };
        Ok(Self { objects, is_list })
    }
}

/// The request that the arguments ask for.
fn asked(
    server: &Server,
    facts: &ModelFacts,
    inputs: &Inputs,
    arguments: &InferArguments,
) -> Result<InferRequest, Failure> {
    let ModelFacts {
        metadata, config, ..
    } = facts;
    let count = u32::try_from(inputs.objects.len()).map_err(Failure::usage)?;
    let batch_size = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    check_batch_size(
        facts,
        batch_size,
        &format!("{count} inferences in a request"),
    )?;
    let untold = metadata.inputs.is_empty() && !facts.has_config;
    let mut datatypes = datatypes(metadata);
    let mut rows: Vec<Inference> = Vec::new();
    for (index, object) in inputs.objects.iter().enumerate() {
        let row = match untold {
            false => read_inference(object, metadata, config),
            true => read_untold_inference(object, &mut datatypes),
        };
        let row = row.map_err(|error| match inputs.is_list {
            true => anyhow!("object {}: {error}", index + 1),
            false => anyhow!(error),
        });
        rows.push(row?);
    }
    let rows: Vec<&Inference> = rows.iter().collect();
    let batched = config.max_batch_size > 0;
    let mut request = request(&server.model(), &rows, &datatypes, batched)?;
    for name in &arguments.output {
        let known = metadata.outputs.iter().map(|output| output.name.as_str());
        let known: Vec<&str> = known.collect();
        if !known.is_empty() && !known.contains(&name.as_str()) {
            return Err(Failure::usage(anyhow!(
                "--output {name}: the model has no such output; it has: {}",
                listed(known)
            )));
        }
        request = request.output(RequestedOutput::new(name));
    }
    if let Some(priority) = server.options.priority {
        request = request.priority(priority);
    }
    if let Some(timeout) = server.options.server_timeout {
        request = request.server_timeout(timeout.get());
    }
    Ok(match sequence(server, facts, arguments)? {
        Some(sequence) => request.sequence(sequence),
        None => request,
    })
}

/// Where in which sequence the request stands; nowhere if the model keeps no state.
fn sequence(
    server: &Server,
    facts: &ModelFacts,
    arguments: &InferArguments,
) -> Result<Option<Sequence>, Failure> {
    let stateful = facts.config.sequence_batching.is_some();
    // What the server does not tell, whoever names a sequence knows.
    if !stateful && (facts.has_config || arguments.sequence.is_none()) {
        return match &arguments.sequence {
            None => Ok(None),
            Some(id) => Err(Failure::usage(anyhow!(
                "--sequence {id}: model '{}' keeps no state; leave it out",
                arguments.model
            ))),
        };
    }
    let asked = server.options.sequence_id_type;
    let form = SequenceIdForm::agree(asked, &facts.config, facts.server.as_ref());
    let form = form.map_err(Failure::server)?;
    let Some(text) = &arguments.sequence else {
        return Ok(Some(Sequences::new("infer", 1, &form).whole()));
    };
    let id = match form.largest_number() {
        None => SequenceId::text(text)
            .map_err(|error| Failure::usage(anyhow!("--sequence: {error}")))?,
        Some(largest) => {
            let number = text.parse::<NonZeroU64>().ok();
            let number = number.filter(|number| number.get() <= largest);
            SequenceId::Number(number.ok_or_else(|| {
                Failure::usage(anyhow!(
                    "--sequence {text}: expected a number from 1 to {largest}, because the IDs of \
                     this model's sequences are {form}"
                ))
            })?)
        }
    };
    Ok(Some(Sequence::new(id, arguments.start, arguments.end)))
}

/// Sends the request to a model that answers any number of times, and shows each answer.
async fn stream(
    server: &Server,
    inputs: &Inputs,
    arguments: &InferArguments,
) -> Result<ExitCode, Failure> {
    for (given, argument) in [
        (inputs.is_list, "a list of objects"),
        (arguments.sequence.is_some(), "--sequence"),
    ] {
        if given {
            return Err(Failure::usage(anyhow!(
                "{argument}: model '{}' is decoupled, so that each request has any number of \
                 answers, and over HTTP the server takes one object for it, without a sequence",
                arguments.model
            )));
        }
    }
    let mut request = GenerateRequest::new(server.model());
    for (name, value) in &inputs.objects[0] {
        request = request.input(name, value.clone());
    }
    let mut answers = server.client.generate_stream(&request).await?;
    while let Some(answer) = answers.next().await {
        let mut members = answer?.members;
        if !arguments.full {
            for name in ["model_name", "model_version", "id"] {
                members.remove(name);
            }
        }
        if !arguments.output.is_empty() {
            members.retain(|name, _| arguments.output.contains(name));
        }
        if !print_as_is(&format!("{}\n", Value::Object(members)))? {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}
