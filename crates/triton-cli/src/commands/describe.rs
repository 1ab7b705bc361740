//! `triton describe`: what a model takes and gives, and a MODEL.sql for it.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Value, json};
use triton_client::TensorMetadata;
use triton_model_fn::{InferenceFunction, ModelFacts, ModelFunction as _, SequenceIdForm, Subtask};
use triton_options::{
    ENDPOINT, MODEL_MAX_BATCH_SIZE, OptionValue as _, SEQUENCE_ID_TYPE, SequenceIdType,
};

use super::text_table::TextTable;
use crate::completion;
use crate::config_arguments::ConfigArguments;
use crate::controls::shown_within_line;
use crate::failure::Failure;
use crate::output::{document, print};
use crate::server::{Server, with_server_heeding};
use crate::statement::{self, Statement};
use crate::wrapping::{width, wrapped};

/// Show a model's tensors, batching and sequences, and a MODEL.sql for it.
///
/// The statement is compared with the model on the server before it is shown, as predict would. Of several
/// servers the first one that is ready is asked.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DescribeArguments {
    /// The model's name.
    #[arg(value_name = "MODEL", add = completion::models())]
    model: String,

    /// Show nothing but the CREATE MODEL statement.
    #[arg(long, conflicts_with = "json")]
    sql: bool,

    /// Show a JSON object, with the model's whole configuration.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArguments,
}

const EXAMPLES: &str = "\
Examples:
  triton describe anomaly -e localhost:8000
  triton describe anomaly -O model-version=2
  triton describe anomaly --sql > model.sql && triton predict model.sql in.csv
  triton describe anomaly --json | jq .config.instance_group";

/// Runs the command.
pub(crate) fn run(arguments: &DescribeArguments) -> Result<ExitCode, Failure> {
    let (model, heeded) = (Some(arguments.model.as_str()), [SEQUENCE_ID_TYPE.key()]);
    with_server_heeding(&arguments.config, model, &heeded, async |server| {
        let server = server.of_one().await?;
        let options = &server.options;
        let facts = ModelFacts::look_up(&server.client, options).await?;
        let (asked, config) = (options.sequence_id_type, &facts.config);
        let is_stateful = config.sequence_batching.is_some();
        let ids = is_stateful.then(|| SequenceIdForm::agree(asked, config, facts.server.as_ref()));
        let statement = Statement {
            endpoint: &server.endpoint,
            discovery: options.endpoint_discovery,
            version: options.model_version.clone(),
            facts: &facts,
            max_batch_size: options.model_max_batch_size,
            sequence_id_type: asked,
            on_error: options.on_error,
            decoupled: options.decoupled,
        };
        let sql = accepted(&server, &statement).await;
        if arguments.sql {
            let sql = sql
                .context(match facts.has_tensors() {
                    true => "predict cannot call this model",
                    false => "no MODEL.sql can be made for this model",
                })
                .map_err(Failure::server)?;
            print(&sql)?;
        } else if arguments.json {
            print(&to_json(&facts, ids, sql.ok().as_deref()))?;
        } else {
            print(&to_text(&facts, ids, sql))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The statement, once a function has opened with it.
async fn accepted(server: &Server, statement: &Statement<'_>) -> anyhow::Result<String> {
    let sql = statement.to_sql()?;
    let mut model = statement::parse(&sql)?;
    // The text may name the embedded server, whose address only this process knows.
    let endpoint = server.options.endpoint.canonical();
    model.options.set(ENDPOINT.key(), endpoint);
    let function = InferenceFunction::new(model.options.parse()?, model.schema)?;
    function.open(Subtask::new(0, 1, 0)?).await?;
    function.close().await?;
    Ok(sql)
}

/// What the IDs of a stateful model's sequences have to be.
type Ids = Option<Result<SequenceIdForm, triton_model_fn::Error>>;

fn to_json(facts: &ModelFacts, ids: Ids, sql: Option<&str>) -> String {
    let ModelFacts {
        metadata, config, ..
    } = facts;
    let id_type = ids.and_then(Result::ok).map(|form| match form.is_number() {
        true => SequenceIdType::Number.canonical(),
        false => SequenceIdType::Text.canonical(),
    });
    let tensors = |tensors: &[TensorMetadata]| -> Value {
        let tensors = tensors.iter().map(|tensor| {
            json!({
                "name": tensor.name,
                "datatype": tensor.datatype.name(),
                "shape": tensor.shape,
            })
        });
        tensors.collect()
    };
    document(&json!({
        "name": metadata.name,
        "versions": metadata.versions,
        "platform": metadata.platform,
        "inputs": tensors(&metadata.inputs),
        "outputs": tensors(&metadata.outputs),
        // Only a configuration tells.
        "stateful": facts.has_config.then(|| config.sequence_batching.is_some()),
        "sequence_id_type": id_type,
        "decoupled": facts.has_config.then_some(config.is_decoupled),
        "steps": config.steps.iter().map(|step| step.name.as_str()).collect::<Value>(),
        "sql": sql,
        "config": config.document(),
    }))
}

fn to_text(facts: &ModelFacts, ids: Ids, sql: anyhow::Result<String>) -> String {
    let ModelFacts {
        metadata, config, ..
    } = facts;
    let mut text = format!("model {}", shown_within_line(&metadata.name));
    if !metadata.platform.is_empty() {
        let _ = write!(text, " ({})", shown_within_line(&metadata.platform));
    }
    if !metadata.versions.is_empty() {
        let versions = metadata.versions.join(", ");
        let _ = write!(text, ", version {}", shown_within_line(&versions));
    }
    text.push_str("\n\n");
    // Writing to a String cannot fail.
    for (side, tensors) in [("INPUT", &metadata.inputs), ("OUTPUT", &metadata.outputs)] {
        let mut table = TextTable::new(&[side, "DATATYPE", "SHAPE"]);
        if tensors.is_empty() && !facts.has_config {
            let _ = writeln!(text, "{side}: the server does not say\n");
            continue;
        }
        for tensor in tensors {
            let shape = format!("{:?}", tensor.shape);
            table.row([tensor.name.clone(), tensor.datatype.to_string(), shape]);
        }
        let _ = writeln!(text, "{}", table.lines(width()));
    }
    if !config.steps.is_empty() {
        let steps = config.steps.iter().map(|step| step.name.as_str());
        let steps = steps.collect::<Vec<_>>().join(", ");
        let steps = shown_within_line(&steps);
        let steps = format!("steps: {steps} (the model is an ensemble)");
        let _ = writeln!(text, "{}", wrapped(&steps));
    }
    let _ = writeln!(
        text,
        "{}",
        wrapped(&format!("batching: {}", batching(facts)))
    );
    let _ = writeln!(
        text,
        "{}",
        wrapped(&format!("sequences: {}", sequences(facts)))
    );
    if let Some(ids) = ids {
        let ids = match ids {
            Ok(form) => format!("sequence IDs: {form}"),
            Err(error) => format!("sequence IDs: none work: {error}"),
        };
        let _ = writeln!(text, "{}", wrapped(&ids));
    }
    if config.is_decoupled {
        let responses = "responses: any number to a request (decoupled)";
        let _ = writeln!(text, "{}", wrapped(responses));
    }
    match sql {
        Ok(sql) => {
            let _ = write!(text, "\n{sql}");
        }
        Err(error) => {
            let error = anyhow!("{error:#}");
            let why = match facts.has_tensors() {
                true => "predict cannot call it",
                false => "predict needs a MODEL.sql for it",
            };
            let _ = writeln!(text, "\n{}", wrapped(&format!("{why}: {error}")));
        }
    }
    text
}

fn batching(facts: &ModelFacts) -> String {
    let config = &facts.config;
    if !facts.has_config {
        let rows = match config.max_batch_size {
            0 | 1 => "1 row".to_owned(),
            rows => format!("{rows} rows"),
        };
        return format!(
            "{rows} in a request; the server keeps no configuration, so option '{}' says how many \
             there may be",
            MODEL_MAX_BATCH_SIZE.key()
        );
    }
    let dynamic = !config.document()["dynamic_batching"].is_null();
    match (config.max_batch_size, dynamic) {
        (0, _) => "none; tensors have no batch dimension".to_owned(),
        (rows, false) => format!("at most {rows} rows in a request"),
        (rows, true) => {
            format!("at most {rows} rows in a request; the server joins requests into batches")
        }
    }
}

fn sequences(facts: &ModelFacts) -> String {
    let config = &facts.config;
    if !facts.has_config {
        let server = facts.server.as_ref();
        return match server.and_then(|server| server.names_extension("sequence")) {
            Some(false) => "none; the server names no extension for them".to_owned(),
            _ => "the server does not say whether the model has any".to_owned(),
        };
    }
    let Some(sequences) = &config.sequence_batching else {
        return match config.steps.as_slice() {
            [] => "none; the model is stateless".to_owned(),
            _ => "none; the model and its steps are stateless".to_owned(),
        };
    };
    let step = config
        .steps
        .iter()
        .find(|step| step.sequence_batching.as_ref() == Some(sequences));
    let (whose, stateful) = match step {
        Some(step) => (
            format!("its step '{}'", shown_within_line(&step.name)),
            step,
        ),
        None => ("the model".to_owned(), config),
    };
    let strategy = match stateful.document()["sequence_batching"]["oldest"].is_object() {
        true => "oldest",
        false => "direct",
    };
    let most = match config.concurrent_sequences() {
        Some(count) => format!(", at most {count} at once"),
        None => String::new(),
    };
    let idle = sequences.max_sequence_idle().canonical();
    format!(
        "{whose} keeps a state for each ({strategy} strategy{most}), which it forgets after {idle} \
         without a request"
    )
}
