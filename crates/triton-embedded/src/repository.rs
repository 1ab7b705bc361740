//! The models of the server: which there are, which are loaded, and with what configuration.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::config_override;
use crate::correlation_id_control::is_possible;
use crate::error::ApiError;
use crate::inference_request::read_document;
use crate::json::Json;
use crate::metadata::VERSION;
use crate::metrics::ModelMetrics;
use crate::model_config::ModelConfig;
use crate::model_instance::{AnyModel, ModelInstance, Surroundings};

/// The models by name.
pub(crate) struct Repository {
    surroundings: Surroundings,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Of all instances so far that may still run.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Entry {
    model: Arc<AnyModel>,
    loaded: Option<Arc<ModelInstance>>,
}

impl Repository {
    /// Loads every model.
    ///
    /// # Errors
    /// When two models have the same name, a control has a type that it cannot have, or the system
    /// refuses a thread.
    pub(crate) fn new(
        models: Vec<AnyModel>,
        surroundings: Surroundings,
    ) -> std::io::Result<Repository> {
        let repository = Repository {
            surroundings,
            entries: Mutex::default(),
            threads: Mutex::default(),
        };
        for model in models {
            let name = model.config.name.clone();
            if let Some(control) = &model.config.correlation_id_control
                && !is_possible(control)
            {
                let text = format!(
                    "model '{name}' has a control '{}' of {} for the ID of its sequences: use \
                     UINT64, INT64, UINT32, INT32 or BYTES",
                    control.name, control.datatype
                );
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
            }
            let mut entry = Entry {
                model: Arc::new(model),
                loaded: None,
            };
            repository.start(&mut entry, None)?;
            if repository.lock().insert(name.clone(), entry).is_some() {
                let text = format!("two models have the name '{name}'");
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
            }
        }
        Ok(repository)
    }

    /// The running model of that name and version.
    pub(crate) fn find(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Arc<ModelInstance>, ApiError> {
        let unknown = |status, state: &str| {
            let text = format!("Request for unknown model: '{name}'{state}");
            Err(ApiError::new(status, text))
        };
        let version = version.map(parse_version).transpose()?;
        let entries = self.lock();
        let Some(entry) = entries.get(name) else {
            return unknown(404, " is not found");
        };
        match (version, &entry.loaded) {
            (Some(other), _) if other != VERSION => {
                unknown(404, &format!(" version {other} is not found"))
            }
            (_, Some(instance)) => Ok(Arc::clone(instance)),
            (None, None) => unknown(404, " has no available versions"),
            (Some(version), None) => {
                unknown(503, &format!(" version {version} is not at ready state"))
            }
        }
    }

    /// The answer to `repository/index`.
    pub(crate) fn index(&self, body: &[u8]) -> Result<Json, ApiError> {
        let mut only_ready = false;
        if !body.is_empty()
            && let Some(ready) = read_document(body)?.get("ready")
        {
            only_ready = ready.as_bool().map_err(ApiError::internal_from)?;
        }
        let entries = self.lock();
        let shown = entries
            .iter()
            .filter(|(_, entry)| entry.loaded.is_some() || !only_ready);
        Ok(Json::array(shown.map(|(name, entry)| {
            let identity = [
                ("name", Json::text(name)),
                ("version", Json::text(VERSION.to_string())),
            ];
            let state: &[(&str, &str)] = match entry.loaded {
                Some(_) => &[("state", "READY")],
                None => &[("state", "UNAVAILABLE"), ("reason", "unloaded")],
            };
            let state = state.iter().map(|(key, text)| (*key, Json::text(text)));
            let members = identity.into_iter().chain(state);
            Json::Object(members.map(|(key, value)| (key.into(), value)).collect())
        })))
    }

    /// Loads a model, again if the request brings another configuration than it has.
    pub(crate) fn load(&self, name: &str, body: &[u8]) -> Result<(), ApiError> {
        let parameters = load_parameters(body)?;
        let failure = || {
            ApiError::internal(format!(
                "failed to load '{name}', failed to poll from model repository"
            ))
        };
        let mut entries = self.lock();
        let entry = entries.get_mut(name).ok_or_else(failure)?;
        let config = match (parameters.config, parameters.files) {
            (None, true) => return Err(failure()),
            // Nothing has changed as long as it is loaded, with whatever configuration.
            (None, false) if entry.loaded.is_some() => return Ok(()),
            (None, false) => entry.model.config.clone(),
            (Some(text), _) => {
                config_override::apply(&entry.model.config, &text).ok_or_else(failure)?
            }
        };
        if parameters.files {
            return Err(ApiError::new(
                501,
                "triton-embedded has models in Rust alone and takes no files of others",
            ));
        }
        let current = entry.loaded.as_ref().map(|instance| &instance.config);
        if current == Some(&config) {
            return Ok(());
        }
        self.start(entry, Some(config))
            .map_err(|error| ApiError::internal(format!("failed to load '{name}': {error}")))
    }

    /// Unloads a model, which an unknown one already is.
    pub(crate) fn unload(&self, name: &str) {
        if let Some(entry) = self.lock().get_mut(name) {
            entry.loaded = None;
        }
    }

    /// The statistics of one model, or of all that are loaded.
    pub(crate) fn statistics(&self, model: Option<(&str, Option<&str>)>) -> Result<Json, ApiError> {
        let entries = self.lock();
        let loaded = entries
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.loaded.as_ref()?)));
        let shown: Vec<_> = match model {
            None => loaded.collect(),
            Some((wanted, version)) => {
                let found: Vec<_> = loaded.filter(|(name, _)| *name == wanted).collect();
                let version = version.map(parse_version).transpose()?;
                if found.is_empty() {
                    let text = format!("requested model '{wanted}' is not available");
                    return Err(ApiError::bad_request(text));
                }
                if version.is_some_and(|version| version != VERSION) {
                    return Err(ApiError::bad_request(format!(
                        "requested model version is not available for model '{wanted}'"
                    )));
                }
                found
            }
        };
        let models = shown
            .into_iter()
            .map(|(name, instance)| instance.statistics.to_json(name));
        Ok(Json::object([("model_stats", Json::array(models))]))
    }

    /// What `/metrics` shows.
    pub(crate) fn metrics(&self) -> Vec<ModelMetrics> {
        let entries = self.lock();
        entries
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.loaded.as_ref()?)))
            .map(|(name, instance)| ModelMetrics {
                model: name.clone(),
                counters: instance.statistics.counters(),
                pending: instance.scheduler.pending(),
            })
            .collect()
    }

    /// Loses everything that waits or is remembered, and loads every model, as a server that has
    /// crashed and starts over.
    pub(crate) fn restart(&self) -> std::io::Result<()> {
        for entry in self.lock().values_mut() {
            if let Some(instance) = &entry.loaded {
                instance.scheduler.abandon();
            }
            self.start(entry, None)?;
        }
        Ok(())
    }

    /// Closes every model and hands out the threads to wait for.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        for entry in self.lock().values_mut() {
            if let Some(instance) = entry.loaded.take() {
                instance.scheduler.close();
            }
        }
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *threads)
    }

    fn start(&self, entry: &mut Entry, config: Option<ModelConfig>) -> std::io::Result<()> {
        let config = config.unwrap_or_else(|| entry.model.config.clone());
        let (instance, thread) = entry.model.start(config, &self.surroundings)?;
        entry.loaded = Some(Arc::new(instance));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct LoadParameters {
    config: Option<Vec<u8>>,
    files: bool,
}

fn load_parameters(body: &[u8]) -> Result<LoadParameters, ApiError> {
    let mut parameters = LoadParameters::default();
    if body.is_empty() {
        return Ok(parameters);
    }
    let document = read_document(body)?;
    let Some(members) = document.get("parameters") else {
        return Ok(parameters);
    };
    for (key, value) in members.as_object().map_err(ApiError::internal_from)? {
        let text = value.as_text().map_err(ApiError::internal_from)?;
        if key == b"config" {
            parameters.config = Some(text.to_vec());
        } else if key.starts_with(b"file:") {
            parameters.files = true;
        } else {
            return Err(ApiError::internal(
                "unexpected error on creating Triton parameter",
            ));
        }
    }
    Ok(parameters)
}

/// The version in a path, which is digits.
pub(crate) fn parse_version(digits: &str) -> Result<i64, ApiError> {
    digits.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "failed to get model version from specified version string '{digits}' (details: \
             stol), version should be an integral value > 0"
        ))
    })
}
