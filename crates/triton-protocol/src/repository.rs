//! The model repository: what is in it, loading and unloading.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::tolerant::text;

/// Which entries of the repository an index lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexFilter {
    /// Every model there is, loaded or not.
    All,
    /// Only the versions that are ready.
    Ready,
}

/// A model, or a version of one, in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct RepositoryEntry {
    /// The model's name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// The version; empty where no version was ever loaded.
    #[serde(default, deserialize_with = "text")]
    pub version: String,
    /// What state it is in; `None` where it was never loaded.
    pub state: Option<ModelState>,
    /// Why it is in this state, for example why it could not be loaded.
    #[serde(default, deserialize_with = "text")]
    pub reason: String,
}

impl RepositoryEntry {
    /// A model of which no more is known.
    #[must_use]
    pub fn new(name: String, state: ModelState) -> Self {
        Self {
            name,
            version: String::new(),
            state: Some(state),
            reason: String::new(),
        }
    }
}

/// The state of a version of a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum ModelState {
    /// The server does not know.
    Unknown,
    /// Requests can be sent.
    Ready,
    /// It is not loaded, or could not be.
    Unavailable,
    /// It is being loaded.
    Loading,
    /// It is being unloaded, which waits for the requests that it has.
    Unloading,
    /// A state that this client does not know.
    #[serde(untagged)]
    Other(String),
}

/// What to load, if not simply what lies in the repository.
///
/// ```
/// use serde_json::json;
/// use triton_protocol::LoadModel;
///
/// let from_disk = LoadModel::new();
/// let other_batch = LoadModel::new().config(&json!({ "name": "echo", "max_batch_size": 1 }));
/// let from_memory = LoadModel::new()
///     .config(&json!({ "name": "echo", "backend": "python" }))
///     .file("1/model.py", "class TritonPythonModel: …");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LoadModel {
    #[serde(skip_serializing_if = "Map::is_empty")]
    parameters: Map<String, Value>,
}

impl LoadModel {
    /// The model as it lies in the repository.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads with this configuration instead of the repository's; a `ModelConfig` message as JSON.
    #[must_use]
    pub fn config(mut self, config: &Value) -> Self {
        let config = config.to_string();
        self.parameters.insert("config".to_owned(), config.into());
        self
    }

    /// Loads with this file instead of the repository's files, which are then all left out:
    /// `path` is relative to the model's folder, for example `1/model.py`. It needs a
    /// [`config`](Self::config) too.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = STANDARD.encode(content);
        self.parameters
            .insert(format!("file:{path}"), content.into());
        self
    }
}

impl LoadModel {
    /// Whether there are files without the configuration that the server wants together with
    /// them.
    #[must_use]
    pub fn lacks_config(&self) -> bool {
        !self.parameters.is_empty() && !self.parameters.contains_key("config")
    }
}

/// How to unload a model.
///
/// ```
/// use triton_protocol::UnloadModel;
///
/// let alone = UnloadModel::new();
/// let with_steps = UnloadModel::new().dependents(true);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UnloadModel {
    dependents: bool,
}

impl UnloadModel {
    /// The model alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the models that only this one used, as an ensemble does its steps, are unloaded too.
    #[must_use]
    pub fn dependents(mut self, dependents: bool) -> Self {
        self.dependents = dependents;
        self
    }
}

impl Serialize for UnloadModel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = json!({ "parameters": { "unload_dependents": self.dependents } });
        body.serialize(serializer)
    }
}
