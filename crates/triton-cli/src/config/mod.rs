//! The options of a model from every place they can be written in, and which place each came from.
//!
//! A later layer wins over an earlier one: MODEL.sql, the file of `--config`, the environment,
//! `-O`. A command collects them, sets what its own arguments say, and parses the result.

mod environment;
mod file;
mod origin;
mod print;
mod reference;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use triton_options::{
    CATALOG, ConfigOption, MODEL_NAME, OptionError, OptionMap, SEQUENCE_KEY, SEQUENCE_RECOVERY,
    SEQUENCE_REPLAY_LIMIT, SEQUENCE_REPLAY_MAX_BYTES, TritonOptions,
};

pub(crate) use self::origin::Origin;
use crate::failure::Failure;
use crate::model_sql::ModelDefinition;

/// The arguments with which every command that talks to a server takes its options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of the model")]
pub(crate) struct ConfigArguments {
    /// Set an option, over every other place that sets it; may be repeated.
    ///
    /// A value `@FILE` of a secret option is read from that file: -O auth-token=@token.txt
    #[arg(short = 'O', value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) option: Vec<(String, String)>,

    /// Take options from a TOML file of lines such as `timeout = "5 s"`.
    ///
    /// The environment wins over it: TRITON_TIMEOUT, TRITON_AUTH_TOKEN and so on.
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,

    /// Show the options and where each comes from, without secrets, and do nothing else.
    #[arg(long)]
    pub(crate) print_config: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, for example timeout=5s".to_owned()),
    }
}

/// Options as text, each with its origin.
///
/// It has no `Debug`, because values may be secret.
pub(crate) struct LayeredOptions(BTreeMap<String, Layered>);

struct Layered {
    value: String,
    origin: Origin,
}

impl LayeredOptions {
    /// Reads every layer; `model` is MODEL.sql, where the command has one.
    pub(crate) fn collect(
        model: Option<(&Path, &ModelDefinition)>,
        arguments: &ConfigArguments,
    ) -> Result<Self, Failure> {
        let mut options = Self(BTreeMap::new());
        if let Some((path, definition)) = model {
            // Flink reads the same file, and a number without a unit means there what it means here.
            let values = definition.options.clone().with_flink_units();
            for (key, value) in values.iter() {
                let line = definition.option_lines.get(key).copied();
                let path = path.to_owned();
                options.set(key, value, Origin::File { path, line });
            }
        }
        if let Some(path) = &arguments.config {
            let relative_to = path.parent();
            for (key, value, origin) in file::read(path)? {
                let (value, origin) = reference::follow(&key, value, origin, relative_to)?;
                let value = reference::of_folder(&key, value, relative_to);
                options.set(key, value, origin);
            }
        }
        for (key, value, origin) in environment::read(std::env::vars_os())? {
            let (value, origin) = reference::follow(key, value, origin, None)?;
            options.set(key, value, origin);
        }
        for (key, value) in &arguments.option {
            let (value, origin) = reference::follow(key, value.clone(), Origin::Option, None)?;
            options.set(key, value, origin);
        }
        Ok(options)
    }

    /// Sets an option over every layer.
    pub(crate) fn set(&mut self, key: impl Into<String>, value: impl Into<String>, origin: Origin) {
        let value = value.into();
        self.0.insert(key.into(), Layered { value, origin });
    }

    /// Sets an option that no layer sets.
    pub(crate) fn set_below(&mut self, key: &str, value: &str, origin: Origin) {
        let value = value.to_owned();
        self.0
            .entry(key.to_owned())
            .or_insert(Layered { value, origin });
    }

    /// Sets what the catalog has as defaults for `triton predict`, where no layer says otherwise.
    ///
    /// What would have no effect, and be warned of, is left out.
    pub(crate) fn set_predict_defaults(&mut self) {
        let has_keys = self.is_set(SEQUENCE_KEY.key());
        for definition in CATALOG {
            let applies = match definition.key {
                key if key == SEQUENCE_RECOVERY.key() => has_keys,
                key if key == SEQUENCE_REPLAY_LIMIT.key()
                    || key == SEQUENCE_REPLAY_MAX_BYTES.key() =>
                {
                    // It comes before them in the catalog.
                    let recovery = self.get(&SEQUENCE_RECOVERY);
                    recovery.is_some_and(|recovery| recovery.trim().eq_ignore_ascii_case("replay"))
                }
                _ => true,
            };
            if let Some(value) = definition.in_predict.filter(|_| applies) {
                self.set_below(definition.key, value, Origin::PredictDefault);
            }
        }
    }

    /// Forgets what every layer says of an option.
    pub(crate) fn unset<T>(&mut self, option: &ConfigOption<T>) {
        self.0.remove(option.key());
    }

    /// The text of an option, where a layer gives it.
    pub(crate) fn get<T>(&self, option: &ConfigOption<T>) -> Option<&str> {
        let layered = self.0.get(option.key());
        layered.map(|layered| layered.value.as_str())
    }

    /// Whether a layer gives the option of this key.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The files that options are read from, and whether it is the option's own value, which is a
    /// secret.
    pub(crate) fn files_of_options(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.0
            .iter()
            .filter_map(|(key, layered)| match &layered.origin {
                Origin::Referenced { file, .. } => Some((file.as_path(), true)),
                _ => reference::is_file(key).then(|| (Path::new(&layered.value), false)),
            })
    }

    /// Lets a command that calls no model do without the model's name.
    pub(crate) fn without_model(&mut self) {
        if !self.is_set(MODEL_NAME.key()) {
            // The options can only be checked all together, and the name is one of them.
            self.set(MODEL_NAME.key(), "none", Origin::NotNeeded);
        }
    }

    /// Checks the options together.
    pub(crate) fn parse(&self) -> Result<TritonOptions, Failure> {
        self.parse_those(|_| true)
    }

    /// Checks what a question about the model needs: options of sequences may want others beside
    /// them, which only the answer brings.
    pub(crate) fn parse_without_sequences(&self) -> Result<TritonOptions, Failure> {
        self.parse_those(|key| !key.starts_with("sequence-"))
    }

    fn parse_those(&self, wanted: impl Fn(&str) -> bool) -> Result<TritonOptions, Failure> {
        let values = self.0.iter().filter(|(key, _)| wanted(key));
        let map: OptionMap = values
            .map(|(key, layered)| (key.as_str(), layered.value.as_str()))
            .collect();
        map.parse().map_err(|errors| {
            let problems = errors.iter().map(|error| self.problem(error));
            Failure::usage(Problems(problems.collect()))
        })
    }

    /// A problem, and where the values that make it were written.
    fn problem(&self, error: &OptionError) -> String {
        if let OptionError::Missing { key, .. } = error {
            let variable = environment::variable(key);
            return format!(
                "{error}, with -O {key}=…, as {variable} in the environment or in a file"
            );
        }
        let keys = error.keys();
        let written: Vec<_> = keys
            .iter()
            .filter_map(|key| Some((key, &self.0.get(*key)?.origin)))
            .collect();
        match written.as_slice() {
            [] => error.to_string(),
            [(_, origin)] => format!("{error} (from {origin})"),
            several => {
                let places = several
                    .iter()
                    .map(|(key, origin)| format!("'{key}' from {origin}"));
                let places: Vec<_> = places.collect();
                format!("{error} ({})", places.join("; "))
            }
        }
    }
}

/// What is wrong with the options, each with its place.
#[derive(Debug, thiserror::Error)]
struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => formatter.write_str(only),
            several => {
                write!(formatter, "{} problems in the options:", several.len())?;
                several
                    .iter()
                    .try_for_each(|problem| write!(formatter, "\n  - {problem}"))
            }
        }
    }
}
