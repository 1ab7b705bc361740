//! System shared memory: regions that the server maps, under names that requests can use.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md)

use crate::operation::{Operation, Subject};
use crate::transport::{Call, Payload, Pool};
use crate::{Client, Error, ErrorKind, ModelName, SystemRegion, SystemRegionStatus};

const KIND: &str = "systemsharedmemory";

impl Client {
    /// Lists the regions of system shared memory, or the one called `region`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is no such region, and any other failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// for region in client.system_shared_memory(None).await? {
    ///     println!("{}: {} bytes", region.name, region.byte_size);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn system_shared_memory(
        &self,
        region: Option<&str>,
    ) -> Result<Vec<SystemRegionStatus>, Error> {
        let operation = RegionCall {
            kind: KIND,
            name: "system_shared_memory",
            words: "read the status of",
            suffix: "/status",
            all: "v2/systemsharedmemory/status",
        };
        let operation = operation.of(self, region)?;
        self.json(Call::get(operation, Pool::Control)).await
    }

    /// Lets the server map a region under a name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`] when the name is taken, [`ErrorKind::Server`] when the server
    /// cannot open the key, and any other failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// use triton_client::SystemRegion;
    ///
    /// let region = SystemRegion { key: "/inputs".to_owned(), offset: 0, byte_size: 4096 };
    /// client.register_system_shared_memory("inputs", &region).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn register_system_shared_memory(
        &self,
        name: &str,
        region: &SystemRegion,
    ) -> Result<(), Error> {
        let operation = RegionCall {
            kind: KIND,
            name: "register_system_shared_memory",
            words: "register",
            suffix: "/register",
            all: "",
        };
        let operation = operation.of(self, Some(name))?;
        let body = serde_json::json!(region).to_string();
        self.done(Call::post(operation, Pool::Control, Payload::json(body)))
            .await
    }

    /// Makes the server forget a region, or all of them; one that it does not know is no error.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// client.unregister_system_shared_memory(Some("inputs")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unregister_system_shared_memory(&self, region: Option<&str>) -> Result<(), Error> {
        let operation = RegionCall {
            kind: KIND,
            name: "unregister_system_shared_memory",
            words: "unregister",
            suffix: "/unregister",
            all: "v2/systemsharedmemory/unregister",
        };
        let operation = operation.of(self, region)?;
        self.done(Call::post(operation, Pool::Control, Payload::json("{}")))
            .await
    }
}

/// A call about shared memory of either kind: about one region, or about all.
#[derive(Clone, Copy)]
pub(super) struct RegionCall {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    /// The path behind a region's own.
    pub(super) suffix: &'static str,
    /// The path where no region is named.
    pub(super) all: &'static str,
}

impl RegionCall {
    pub(super) fn of<'a>(
        self,
        client: &Client,
        region: Option<&'a str>,
    ) -> Result<Operation<'a>, Error> {
        let Self {
            kind,
            name,
            words,
            suffix,
            all,
        } = self;
        let Some(region) = region else {
            return Ok(Operation::server(name, "manage all shared memory", all));
        };
        // A region's name stands in a path as a model's does, and may hold the same characters.
        if region.parse::<ModelName>().is_err() {
            let operation = Operation::server(name, "manage shared memory", all);
            let message = format!(
                "expected a region's name made of ASCII letters, digits and any of \
                 -_.~!$&'()*+,;=:@, found '{}'",
                region.escape_debug()
            );
            let context = client.context(operation);
            return Err(context.error(ErrorKind::InvalidRequest, message));
        }
        let subject = Subject::Region(kind, region);
        Ok(Operation::about(subject, name, words, suffix))
    }
}
