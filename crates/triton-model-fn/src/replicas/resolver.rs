//! Who looks up which servers a name stands for.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;
use triton_options::{ENDPOINT_DISCOVERY, Endpoint};

use crate::{Error, ErrorKind};

/// The longest time that a lookup of the name may take.
const LONGEST_LOOKUP: Duration = Duration::from_secs(10);

/// Looks up the addresses that a host's name stands for.
///
/// A function asks the system, unless it is given another one, such as the client of a service registry:
/// see [`FunctionBase::resolving_by`](crate::FunctionBase::resolving_by).
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// Every address of the host at the moment, each with the port. None at all counts as a failure of
    /// the lookup, and not as a service without servers.
    ///
    /// The future may be dropped at any await.
    ///
    /// # Errors
    ///
    /// Whatever failed; the addresses that were found last then stay in use.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// Asks the system.
#[derive(Debug)]
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// The servers that the name of an endpoint stands for at the moment: each once, and at least one.
pub(crate) async fn look_up(
    resolver: &dyn Resolver,
    endpoint: &Endpoint,
) -> Result<Vec<SocketAddr>, Error> {
    let host = endpoint.host_name().unwrap_or_default();
    let failed = |reason: String| {
        let message = format!(
            "the servers of {endpoint} could not be looked up ('{}' = 'dns'): {reason}",
            ENDPOINT_DISCOVERY.key()
        );
        Error::new(ErrorKind::Call, message)
    };
    let found = timeout(LONGEST_LOOKUP, resolver.resolve(host, endpoint.port())).await;
    let found = found
        .map_err(|_| failed(format!("no answer within {LONGEST_LOOKUP:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    let mut addresses = Vec::with_capacity(found.len());
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(failed("it stands for no address".to_owned()));
    }
    Ok(addresses)
}
