//! The model repository: what is in it, loading and unloading.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::operation::{Operation, Subject};
use crate::transport::{Call, Payload, Pool};
use crate::{Client, Error, ErrorKind, ModelName};

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
    pub name: String,
    /// The version; empty where no version was ever loaded.
    #[serde(default)]
    pub version: String,
    /// What state it is in; `None` where it was never loaded.
    pub state: Option<ModelState>,
    /// Why it is in this state, for example why it could not be loaded.
    #[serde(default)]
    pub reason: String,
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
/// use triton_client::LoadModel;
///
/// let from_disk = LoadModel::new();
/// let other_batch = LoadModel::new().config(&json!({ "name": "echo", "max_batch_size": 1 }));
/// let from_memory = LoadModel::new()
///     .config(&json!({ "name": "echo", "backend": "python" }))
///     .file("1/model.py", "class TritonPythonModel: …");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadModel {
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

/// What becomes of the models that only an unloaded ensemble used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UnloadDependents {
    /// They stay loaded.
    #[default]
    Keep,
    /// They are unloaded too.
    Unload,
}

impl Client {
    /// Lists the models of the repository.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// use triton_client::IndexFilter;
    ///
    /// for entry in client.repository_index(IndexFilter::Ready).await? {
    ///     println!("{} {}", entry.name, entry.version);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn repository_index(
        &self,
        filter: IndexFilter,
    ) -> Result<Vec<RepositoryEntry>, Error> {
        let operation = Operation::server(
            "repository_index",
            "list the model repository",
            "v2/repository/index",
        );
        let body = json!({ "ready": filter == IndexFilter::Ready }).to_string();
        self.json(Call::post(operation, Pool::Control, Payload::json(body)))
            .await
    }

    /// Loads a model, or loads it again, and waits until it is ready.
    ///
    /// That can take long: give it a handle with a timeout to match
    /// ([`Client::with_timeout`]). When a model that is loaded fails to load again, the server
    /// goes on with the old one. The server must run with `--model-control-mode=explicit`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] when there are files without a configuration,
    /// [`ErrorKind::Rejected`] or [`ErrorKind::Unavailable`] when the model cannot be loaded or
    /// the server does not let clients do so, and any other failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use triton_client::LoadModel;
    ///
    /// let patient = client.with_timeout(Duration::from_secs(300));
    /// patient.load_model(&"echo".parse()?, &LoadModel::new()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn load_model(&self, name: &ModelName, model: &LoadModel) -> Result<(), Error> {
        let subject = Subject::Repository(name);
        let operation = Operation::about(subject, "load_model", "load", "/load");
        let parameters = &model.parameters;
        if !parameters.is_empty() && !parameters.contains_key("config") {
            let message = "expected a configuration together with the files, which replace the \
                           model's whole folder";
            let context = crate::transport::Context::new(operation, self.endpoint());
            return Err(context.error(ErrorKind::InvalidRequest, message));
        }
        let body = match parameters.is_empty() {
            true => "{}".to_owned(),
            false => json!({ "parameters": parameters }).to_string(),
        };
        let outcome = self
            .done(Call::post(operation, Pool::Control, Payload::json(body)))
            .await;
        // Even a load that seems to have failed may have taken place.
        self.forget_outputs();
        outcome
    }

    /// Unloads a model. The server answers before the model's last requests have ended; it also
    /// answers so for a model that it does not have.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Rejected`] when the server does not let clients
    /// do so, and any other failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::UnloadDependents;
    ///
    /// client.unload_model(&"ensemble".parse()?, UnloadDependents::Unload).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unload_model(
        &self,
        name: &ModelName,
        dependents: UnloadDependents,
    ) -> Result<(), Error> {
        let subject = Subject::Repository(name);
        let operation = Operation::about(subject, "unload_model", "unload", "/unload");
        let unload_dependents = dependents == UnloadDependents::Unload;
        let body = json!({ "parameters": { "unload_dependents": unload_dependents } });
        let payload = Payload::json(body.to_string());
        let outcome = self
            .done(Call::post(operation, Pool::Control, payload))
            .await;
        self.forget_outputs();
        outcome
    }
}
