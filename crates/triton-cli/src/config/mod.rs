//! The options of a model from every place they can be written in, and which place each came from.
//!
//! A later layer wins over an earlier one: MODEL.sql, the configuration file, a profile in it, the
//! environment, `-O`. A command collects them, sets what its own arguments say, and parses the result.

mod environment;
mod file;
mod lookup;
mod origin;
mod print;
mod reference;
mod sources;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use triton_options::{
    CATALOG, ConfigOption, ENDPOINT, MODEL_NAME, OptionError, OptionMap, SEQUENCE_KEY,
    SEQUENCE_RECOVERY, SEQUENCE_REPLAY_LIMIT, SEQUENCE_REPLAY_MAX_BYTES, TritonOptions,
};

pub(crate) use self::origin::Origin;
pub(crate) use self::sources::Sources;
use crate::failure::Failure;
use crate::statement::ModelDefinition;

/// Options as text, each with its origin.
///
/// It has no `Debug`, because values may be secret.
pub(crate) struct LayeredOptions {
    options: BTreeMap<String, Layered>,
    /// The configuration file, where there is one.
    config_file: Option<PathBuf>,
}

/// The server that a command talks to where no layer names one.
const DEFAULT_ENDPOINT: &str = "http://localhost:8000";

struct Layered {
    value: String,
    origin: Origin,
}

/// The names of the profiles in the configuration file.
pub(crate) fn profiles(sources: &Sources) -> Result<Vec<String>, Failure> {
    let file = lookup::file(sources);
    file.map_or(Ok(Vec::new()), |path| file::profiles(&path))
}

impl LayeredOptions {
    /// Reads every layer; `model` is MODEL.sql, where the command has one.
    pub(crate) fn collect(
        model: Option<(&Path, &ModelDefinition)>,
        sources: &Sources,
    ) -> Result<Self, Failure> {
        let mut options = Self {
            options: BTreeMap::new(),
            config_file: lookup::file(sources),
        };
        if let Some((path, definition)) = model {
            // Flink reads the same file, and a number without a unit means there what it means here.
            let values = definition.options.clone().with_flink_units();
            for (key, value) in values.iter() {
                let line = definition.option_lines.get(key).copied();
                let path = path.to_owned();
                options.set(key, value, Origin::File { path, line });
            }
        }
        let profile = lookup::profile(sources).filter(|_| !sources.no_config);
        if let Some(path) = options.config_file.clone() {
            let relative_to = path.parent();
            for (key, value, origin) in file::read(&path, profile.as_deref())? {
                let (value, origin) = reference::follow(&key, value, origin, relative_to)?;
                let value = reference::of_folder(&key, value, relative_to);
                options.set(key, value, origin);
            }
        } else if let Some(profile) = profile {
            return Err(Failure::usage(anyhow!(
                "profile '{profile}': there is no configuration file that it could be in; --config \
                 names one"
            )));
        }
        for (key, value, origin) in environment::read(std::env::vars_os())? {
            let (value, origin) = reference::follow(key, value, origin, None)?;
            options.set(key, value, origin);
        }
        for (key, value) in &sources.option {
            let (value, origin) = reference::follow(key, value.clone(), Origin::Option, None)?;
            options.set(key, value, origin);
        }
        if let Some(endpoint) = &sources.endpoint {
            options.set(ENDPOINT.key(), endpoint, Origin::Argument("--endpoint"));
        }
        options.set_below(ENDPOINT.key(), DEFAULT_ENDPOINT, Origin::Default);
        Ok(options)
    }

    /// The configuration file that options were read from, if there is one.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref()
    }

    /// Sets an option over every layer.
    pub(crate) fn set(&mut self, key: impl Into<String>, value: impl Into<String>, origin: Origin) {
        let value = value.into();
        self.options.insert(key.into(), Layered { value, origin });
    }

    /// Sets an option that no layer sets.
    pub(crate) fn set_below(&mut self, key: &str, value: &str, origin: Origin) {
        let value = value.to_owned();
        self.options
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
        self.options.remove(option.key());
    }

    /// The text of an option, where a layer gives it.
    pub(crate) fn get<T>(&self, option: &ConfigOption<T>) -> Option<&str> {
        let layered = self.options.get(option.key());
        layered.map(|layered| layered.value.as_str())
    }

    /// Whether a layer gives the option of this key.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.options.contains_key(key)
    }

    /// The files that options are read from, and whether it is the option's own value, which is a
    /// secret.
    pub(crate) fn files_of_options(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.options
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
        let values = self.options.iter().filter(|(key, _)| wanted(key));
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
            let argument = match *key == MODEL_NAME.key() {
                true => "--model NAME, ",
                false => "",
            };
            return format!(
                "{error}, with {argument}-O {key}=…, as {variable} in the environment or in a file"
            );
        }
        let keys = error.keys();
        let written: Vec<_> = keys
            .iter()
            .filter_map(|key| Some((key, &self.options.get(*key)?.origin)))
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
