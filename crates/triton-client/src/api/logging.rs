//! Log settings: what the server writes to its log.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_logging.md)

use crate::operation::Operation;
use crate::transport::{Call, Payload, Pool};
use crate::{Client, Error, LogSettings, LogSettingsUpdate};

const PATH: &str = "v2/logging";

impl Client {
    /// Asks for the log settings.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// println!("{}", client.log_settings().await?.verbose_level);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn log_settings(&self) -> Result<LogSettings, Error> {
        let operation = Operation::server("log_settings", "read log settings", PATH);
        self.json(Call::get(operation, Pool::Control)).await
    }

    /// Changes the log settings and returns what they are then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the server does not take a value,
    /// and any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// use triton_client::LogSettingsUpdate;
    ///
    /// client.update_log_settings(&LogSettingsUpdate::new().verbose_level(1)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_log_settings(
        &self,
        update: &LogSettingsUpdate,
    ) -> Result<LogSettings, Error> {
        let operation = Operation::server("update_log_settings", "change log settings", PATH);
        let body = serde_json::json!(update).to_string();
        self.json(Call::post(operation, Pool::Control, Payload::json(body)))
            .await
    }
}
