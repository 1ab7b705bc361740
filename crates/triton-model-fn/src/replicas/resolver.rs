//! Who looks up which servers a name stands for.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;

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
pub(super) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
