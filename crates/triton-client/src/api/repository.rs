//! The model repository: what is in it, loading and unloading.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md)

use crate::operation::{Operation, Subject};
use crate::transport::{Call, Payload, Pool};
use crate::{
    Client, Error, ErrorKind, IndexFilter, LoadModel, ModelName, ModelState, Readiness,
    RepositoryEntry, UnloadModel,
};
use serde_json::json;

impl Client {
    /// Lists the models of the repository.
    ///
    /// A server that has no index but lists its models at `/v2/models`, as KServe's own does, is
    /// asked for that list, and in an index of what is ready each of its models for its readiness.
    /// Such entries have no version. Each question may take the timeout of a call, and all of them ten times as long.
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
        let client = self.with_questions();
        let operation = Operation::server(
            "repository_index",
            "list the model repository",
            "v2/repository/index",
        );
        let body = json!({ "ready": filter == IndexFilter::Ready }).to_string();
        let index = client
            .json(Call::post(operation, Pool::Control, Payload::json(body)))
            .await;
        match index {
            Err(absent) if absent.is_no_such_path() => {
                // What the server says of the index is what was asked for.
                let models = client.models().await.map_err(|_| absent)?;
                client.entries(models, filter).await
            }
            index => index,
        }
    }

    /// The names of the models that a server lists which has no index.
    async fn models(&self) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Models {
            models: Vec<String>,
        }
        let operation = Operation::server("repository_index", "list the models", "v2/models");
        let listed: Models = self.json(Call::get(operation, Pool::Control)).await?;
        Ok(listed.models)
    }

    async fn entries(
        &self,
        models: Vec<String>,
        filter: IndexFilter,
    ) -> Result<Vec<RepositoryEntry>, Error> {
        let mut entries = Vec::new();
        for name in models {
            let state = match (filter, name.parse::<ModelName>()) {
                (IndexFilter::All, _) => ModelState::Unknown,
                // It is there, and cannot be asked about.
                (IndexFilter::Ready, Err(_)) => continue,
                (IndexFilter::Ready, Ok(name)) => match self.model_ready(&name.into()).await? {
                    Readiness::Ready => ModelState::Ready,
                    Readiness::NotReady => continue,
                },
            };
            entries.push(RepositoryEntry::new(name, state));
        }
        Ok(entries)
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
    /// [`ErrorKind::Server`] when the model cannot be loaded, [`ErrorKind::Rejected`] or
    /// [`ErrorKind::Unavailable`] when the server does not let clients do so, and any other failure
    /// of the call.
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
        if model.lacks_config() {
            let message = "expected a configuration together with the files, which replace the \
                           model's whole folder";
            let context = self.context(operation);
            return Err(context.error(ErrorKind::InvalidRequest, message));
        }
        let body = json!(model).to_string();
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
    /// use triton_client::UnloadModel;
    ///
    /// client.unload_model(&"ensemble".parse()?, &UnloadModel::new().dependents(true)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unload_model(&self, name: &ModelName, model: &UnloadModel) -> Result<(), Error> {
        let subject = Subject::Repository(name);
        let operation = Operation::about(subject, "unload_model", "unload", "/unload");
        let payload = Payload::json(json!(model).to_string());
        let outcome = self
            .done(Call::post(operation, Pool::Control, payload))
            .await;
        self.forget_outputs();
        outcome
    }
}
