//! A logical call: its attempts, and what becomes of its failure.

use tokio::time::Instant;
use triton_client::{Client, Sequence};

use crate::{Error, ErrorKind, OpenSubtask};

impl OpenSubtask {
    pub async fn call<T, F>(
        &self,
        sequence: Option<&Sequence>,
        operation: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let _ = (sequence, Instant::now(), ErrorKind::Call);
        self.with_client(operation)
            .await
            .map_err(|error| Error::call("the row was not answered", error))
    }
}
