//! Which model a run is about: its options, and the columns it takes and gives.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::time::Instant;
use triton_client::TensorMetadata;
use triton_model_fn::{Column, DataType, ModelFacts, Schema};
use triton_options::{
    BATCH_SIZE, DEFAULT_VALUE, INPUT_NAMES, MAX_IN_FLIGHT, MAX_RETRIES, MODEL_NAME, NameMap,
    ON_ERROR, OPEN_WAIT, OUTPUT_NAMES, OnError as FunctionOnError, OptionValue as _, SEQUENCE_END,
    SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_ID_SCOPE, SEQUENCE_KEY, SEQUENCE_START,
    SequenceMode, TritonOptions,
};

use super::arguments::{OnError, PredictArguments};

use crate::config::{LayeredOptions, Origin};
use crate::failure::Failure;
use crate::progress::say;
use crate::server::one_client;
use crate::statement::{self, ModelDefinition, Statement, base_of};
use crate::text_encoding;

/// What a row gets by `--on-error default` where no default is set.
const NULL_DEFAULT: &str = "null";

/// Reads MODEL.sql.
pub(super) fn read_definition(path: &Path) -> Result<ModelDefinition, Failure> {
    let sql = text_encoding::read_file(path).map_err(Failure::usage)?;
    statement::parse(&sql).map_err(|error| Failure::usage(anyhow!("{}: {error}", path.display())))
}

/// What a model takes and gives.
pub(super) struct Taken {
    pub(super) schema: Schema,
    /// The names of columns of the schema that an input may lack, because the model can do without.
    pub(super) optional: Vec<String>,
    /// The names of those that make the key of a row.
    pub(super) key: Vec<String>,
}

impl Taken {
    /// As MODEL.sql declares it: every column has to be there.
    pub(super) fn declared(schema: Schema) -> Self {
        Self {
            schema,
            optional: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Demands a column that the user has named.
    fn demand(&mut self, name: &str) {
        self.optional.retain(|optional| optional != name);
    }
}

/// Asks for what is known of the model, again until 'open-wait' is over where no server answers or is ready.
async fn patient_facts(options: &TritonOptions, quiet: bool) -> Result<ModelFacts, Failure> {
    const PAUSE: Duration = Duration::from_millis(500);
    let deadline = Instant::now() + options.open_wait;
    let mut is_said = quiet;
    loop {
        let client = one_client(options).await?;
        let error = match ModelFacts::look_up(&client, options).await {
            Ok(facts) => return Ok(facts),
            Err(error) => error,
        };
        if !error.is_transient() || Instant::now() + PAUSE > deadline {
            return Err(error.into());
        }
        if !std::mem::replace(&mut is_said, true) {
            say(&format!(
                "waiting for the server ('{}'): {error}",
                OPEN_WAIT.key()
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks the server for the columns and options that `triton describe` would write to MODEL.sql, and
/// for the optional inputs, which rows may have a column for.
///
/// The options are put below every layer. What they make of a stateful model that nobody has named
/// a key for is said, unless `quiet`.
pub(super) async fn look_up(options: &mut LayeredOptions, quiet: bool) -> Result<Taken, Failure> {
    let parsed = options.parse_without_sequences()?;
    let facts = patient_facts(&parsed, quiet).await?;
    let statement = Statement {
        endpoint: &parsed.endpoint.canonical(),
        discovery: parsed.endpoint_discovery,
        version: parsed.model_version.clone(),
        facts: &facts,
        max_batch_size: parsed.model_max_batch_size,
        // The user's own layers say it.
        sequence_id_type: parsed.sequence_id_type,
        on_error: parsed.on_error,
        decoupled: parsed.decoupled,
    };
    let definition = statement
        .to_sql()
        .and_then(|sql: String| Ok(statement::parse(&sql)?))
        .context("the model needs a MODEL.sql that says which columns it takes and gives")
        .map_err(Failure::server)?;
    let is_stateful = facts.config.sequence_batching.is_some();
    let has_key = options.get(&SEQUENCE_KEY).is_some();
    // Where it cannot be known, the function says so when it opens.
    if has_key && facts.has_config && !is_stateful {
        return Err(Failure::usage(anyhow!(
            "option '{}' gives each key a sequence, but model '{}' keeps no state: leave it out",
            SEQUENCE_KEY.key(),
            parsed.model_name
        )));
    }
    // Whoever says where a sequence starts or ends, or that IDs are not counted on, has one sequence
    // in mind, and not one for each row.
    let is_false = |text: Option<&str>| text.is_some_and(|text| text.eq_ignore_ascii_case("false"));
    let is_one = is_false(options.get(&SEQUENCE_START))
        || is_false(options.get(&SEQUENCE_END))
        || is_false(options.get(&SEQUENCE_ID_AUTO_INCREMENT));
    let of_each_row = [SEQUENCE_ID_AUTO_INCREMENT.key(), SEQUENCE_ID_SCOPE.key()];
    let chosen = options.is_set(SEQUENCE_ID_AUTO_INCREMENT.key());
    for (key, value) in definition.options.iter() {
        if !(is_one && of_each_row.contains(&key)) {
            options.set_below(key, value, Origin::Description);
        }
    }
    if is_stateful && !(has_key || is_one || chosen || quiet) {
        say(&format!(
            "model '{}' keeps a state for each sequence, and every row is a sequence of its own: \
             with -O {}=COLUMN the rows of each value of a column share one",
            parsed.model_name,
            SEQUENCE_KEY.key()
        ));
    }
    let (optional, unsendable) = statement.optional_inputs().map_err(Failure::server)?;
    if !quiet {
        for TensorMetadata { name, datatype, .. } in unsendable {
            say(&format!(
                "optional input '{name}' is {datatype}, which is the type of no column: it is left \
                 out, whether a column is named so or not"
            ));
        }
    }
    let mut schema = definition.schema;
    let names = optional.iter().map(|column| column.name.clone()).collect();
    schema.inputs.extend(optional);
    Ok(Taken {
        schema,
        optional: names,
        key: Vec::new(),
    })
}

/// Puts what the command's own arguments say over the other layers.
pub(super) fn set_arguments(options: &mut LayeredOptions, arguments: &PredictArguments) -> OnError {
    if let Some(name) = &arguments.model {
        options.set(MODEL_NAME.key(), name, Origin::Argument("--model"));
    }
    for (key, value, argument) in [
        (
            MAX_IN_FLIGHT.key(),
            &arguments.run.max_in_flight,
            "--max-in-flight",
        ),
        (BATCH_SIZE.key(), &arguments.run.batch_size, "--batch-size"),
        (MAX_RETRIES.key(), &arguments.failures.retries, "--retries"),
        (SEQUENCE_KEY.key(), &arguments.key, "--key"),
    ] {
        if let Some(value) = value {
            options.set(key, value, Origin::Argument(argument));
        }
    }
    if arguments.key.is_some() {
        let base = options.get(&MODEL_NAME).map(base_of).unwrap_or_default();
        for (key, value) in [
            (SEQUENCE_ID.key(), base.as_str()),
            (SEQUENCE_ID_AUTO_INCREMENT.key(), "true"),
            // Else two runs at the same time would use the same IDs.
            (SEQUENCE_ID_SCOPE.key(), "run"),
        ] {
            if !value.is_empty() {
                options.set_below(key, value, Origin::Argument("--key"));
            }
        }
    }
    let has_default = options.get(&DEFAULT_VALUE).is_some();
    let of_function = options.get(&ON_ERROR);
    // What cannot be read is told where all options are checked.
    let of_function = of_function.and_then(|text| FunctionOnError::parse(text).ok());
    let Some(on_error) = arguments.failures.on_error else {
        return match of_function {
            Some(FunctionOnError::Column) => OnError::Column,
            _ if has_default => OnError::Default,
            _ => OnError::Skip,
        };
    };
    options.unset(&ON_ERROR);
    match on_error {
        OnError::Default if !has_default => {
            let origin = Origin::Argument("--on-error default");
            options.set(DEFAULT_VALUE.key(), NULL_DEFAULT, origin);
        }
        OnError::Default => {}
        OnError::Fail | OnError::Skip => options.unset(&DEFAULT_VALUE),
        OnError::Column => {
            options.unset(&DEFAULT_VALUE);
            let origin = Origin::Argument("--on-error column");
            options.set(ON_ERROR.key(), FunctionOnError::Column.canonical(), origin);
        }
    }
    on_error
}

/// Adds the columns that tell sequences from each other, and where rows stand in them, to what is
/// read of a row; the model itself need not take them.
pub(super) fn add_sequence_columns(taken: &mut Taken, options: &TritonOptions) {
    let SequenceMode::PerKey { key, .. } = options.sequence_mode() else {
        return;
    };
    taken.key = key.iter().map(str::to_owned).collect();
    let key = key.iter().map(|name| (name, DataType::String));
    let end = options.sequence_end_column.as_deref();
    let end = end.map(|name| (name, DataType::Boolean));
    let position = options.sequence_position_column.as_deref();
    let position = position.map(|name| (name, DataType::BigInt));
    let history = options.sequence_history_columns.iter();
    let history: Vec<_> = history
        .flat_map(NameMap::iter)
        .filter_map(|(name, array)| {
            let mut columns = taken.schema.inputs.iter();
            let column = columns.find(|column| column.name == name)?;
            let data_type = DataType::Array(Box::new(column.data_type.clone()));
            Some((array, data_type))
        })
        .collect();
    for (name, data_type) in key.chain(end).chain(position).chain(history) {
        taken.demand(name);
        if taken.schema.inputs.iter().all(|column| column.name != name) {
            taken.schema.inputs.push(Column::new(name, data_type));
        }
    }
}

/// Sets the names that `--map` gives, and renames the columns that stand for the same tensors.
pub(super) fn map_columns(
    map: &[(String, String)],
    taken: &mut Taken,
    options: &mut LayeredOptions,
) -> anyhow::Result<()> {
    let names = |options: &LayeredOptions, option| -> anyhow::Result<NameMap> {
        match options.get(option) {
            Some(text) => NameMap::parse(text).map_err(|_| {
                anyhow!(
                    "--map cannot add to option '{}', which cannot be read",
                    option.key()
                )
            }),
            None => Ok(NameMap::default()),
        }
    };
    for (name, tensor) in map {
        let Taken { schema, .. } = taken;
        let sides = [
            (&INPUT_NAMES, &mut schema.inputs),
            (&OUTPUT_NAMES, &mut schema.outputs),
        ];
        let mut renamed = None;
        for (option, columns) in sides {
            let mut side_names = names(options, option)?;
            let stands_for = |column: &str| {
                let known = side_names.get(column).unwrap_or(column);
                known == tensor
            };
            let position = columns
                .iter()
                .position(|column| column.name == *name)
                .or_else(|| columns.iter().position(|column| stands_for(&column.name)));
            if let Some(position) = position {
                let before = std::mem::replace(&mut columns[position].name, name.clone());
                renamed = Some(before);
                side_names.set(name, tensor);
                let origin = Origin::Argument("--map");
                options.set(option.key(), side_names.canonical(), origin);
                break;
            }
        }
        let Some(before) = renamed else {
            let columns = schema.inputs.iter().chain(&schema.outputs);
            let columns: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
            bail!(
                "--map {name}={tensor}: the model has neither a column '{name}' nor one for the \
                 tensor '{tensor}'; it has: {}",
                columns.join(", ")
            );
        };
        taken.demand(&before);
    }
    Ok(())
}
