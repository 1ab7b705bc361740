//! Trace settings: which requests the server writes down in detail, of all models or of one.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_trace.md)

use crate::operation::{Operation, Subject};
use crate::transport::{Call, Payload, Pool};
use crate::{Client, Error, ModelId, TraceSettings, TraceSettingsUpdate};

impl Client {
    /// Asks for the trace settings of all models, or of one.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// println!("{:?}", client.trace_settings(None).await?.levels);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn trace_settings(&self, model: Option<&ModelId>) -> Result<TraceSettings, Error> {
        let operation = operation(
            model,
            "trace_settings",
            ["read trace settings", "read trace settings of"],
        );
        self.json(Call::get(operation, Pool::Control)).await
    }

    /// Changes the trace settings of all models, or of one, and returns what they are then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the server does not take a value,
    /// and any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// use triton_client::TraceSettingsUpdate;
    ///
    /// client.update_trace_settings(None, &TraceSettingsUpdate::new().rate(100)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_trace_settings(
        &self,
        model: Option<&ModelId>,
        update: &TraceSettingsUpdate,
    ) -> Result<TraceSettings, Error> {
        let operation = operation(
            model,
            "update_trace_settings",
            ["change trace settings", "change trace settings of"],
        );
        let body = serde_json::json!(update).to_string();
        self.json(Call::post(operation, Pool::Control, Payload::json(body)))
            .await
    }
}

/// The words are those about all models, and those before the name of one.
fn operation<'a>(
    model: Option<&'a ModelId>,
    name: &'static str,
    [all, one]: [&'static str; 2],
) -> Operation<'a> {
    match model {
        None => Operation::server(name, all, "v2/trace/setting"),
        Some(model) => Operation::about(Subject::Model(model), name, one, "/trace/setting"),
    }
}
