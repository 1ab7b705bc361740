//! Who looks up which servers a name stands for.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;
use tracing::info;
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
///
/// A server that has an IPv4 and an IPv6 address is one server, and nothing tells which ones belong together:
/// of a name that has both, those of one family are taken.
#[derive(Debug, Default)]
pub(crate) struct SystemResolver {
    /// Whether it was said that addresses are left out.
    has_told: AtomicBool,
}

impl SystemResolver {
    pub(crate) fn shared() -> Arc<dyn Resolver> {
        Arc::new(Self::default())
    }
}

/// The addresses of the family of which there are more, or of the one that the system names first.
fn of_one_family(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let count = |is_v4| found.iter().filter(|it| it.is_ipv4() == is_v4).count();
    let first_is_v4 = found.first().is_some_and(SocketAddr::is_ipv4);
    let takes_v4 = match count(true).cmp(&count(false)) {
        Less => false,
        Equal => first_is_v4,
        Greater => true,
    };
    let found = found.iter().filter(|it| it.is_ipv4() == takes_v4);
    found.copied().collect()
}

impl Resolver for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let all = tokio::net::lookup_host((host, port)).await?;
            let mut found: Vec<SocketAddr> = Vec::new();
            for address in all {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
            let taken = of_one_family(&found);
            let left_out = found.len() - taken.len();
            if left_out > 0 && !self.has_told.swap(true, Relaxed) {
                info!(
                    host,
                    taken = taken.len(),
                    left_out,
                    "the name has IPv4 and IPv6 addresses: those of one family are taken for its servers"
                );
            }
            Ok(taken)
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn family(found: &[&str]) -> Vec<String> {
        let found: Vec<SocketAddr> = found.iter().map(|it| it.parse().unwrap()).collect();
        let taken = of_one_family(&found);
        taken.iter().map(ToString::to_string).collect()
    }

    // Holds F85.
    #[test]
    fn a_server_with_addresses_of_both_families_is_one() {
        let (one, other) = ("[::1]:80", "127.0.0.1:80");
        assert_eq!(family(&[one, other]), [one]);
        assert_eq!(family(&[other, one]), [other]);
        // Where some servers have one address only, as many as there are of one kind.
        assert_eq!(
            family(&[one, other, "127.0.0.2:80"]),
            [other, "127.0.0.2:80"]
        );
        assert_eq!(family(&["[::2]:80", other, one]), ["[::2]:80", one]);
        assert!(family(&[]).is_empty());
    }
}
