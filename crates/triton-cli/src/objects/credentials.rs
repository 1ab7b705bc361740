//! Whether there is anything to prove with who asks, before a store is asked.
//!
//! Without anything in the environment, the library asks the machine's own service of credentials,
//! which only machines in a cloud have: elsewhere that would be a long wait for a riddle.

use std::env;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use super::address::{Address, Scheme};

/// How long the machine's own service may take to be there: it is on the same host.
const PROBE: Duration = Duration::from_secs(1);

/// Where the service of AWS and Azure is.
const METADATA: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)),
    80,
);

/// The variables of which one is there where credentials are.
const S3: [&str; 7] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
    "AWS_METADATA_ENDPOINT",
    "AWS_TOKEN",
];

const GS: [&str; 6] = [
    "SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SKIP_SIGNATURE",
];

const AZ: [&str; 12] = [
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USE_AZURE_CLI",
    "AZURE_STORAGE_USE_EMULATOR",
    "AZURE_SKIP_SIGNATURE",
];

/// Refuses an address for which there are no credentials anywhere, and one that would send them in
/// the clear unasked.
pub(super) fn check(address: &Address) -> anyhow::Result<()> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_true = |name: &str| {
        env::var(name).is_ok_and(|value| ["1", "true"].contains(&&*value.to_ascii_lowercase()))
    };
    match address.scheme {
        Scheme::S3 => {
            for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"] {
                let endpoint = env::var(name).unwrap_or_default();
                if endpoint.starts_with("http://") && !is_true("AWS_ALLOW_HTTP") {
                    bail!(
                        "{address}: {name} is an address of http, which keeps nothing secret: set \
                         AWS_ALLOW_HTTP=true where that is meant, or use https"
                    );
                }
            }
            let is_off = is_true("AWS_EC2_METADATA_DISABLED");
            if !S3.iter().any(is_set) && (is_off || !is_there(&[METADATA])) {
                bail!(
                    "{address}: there are no credentials: set AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY (those of a profile come with \
                     eval \"$(aws configure export-credentials --format env)\"), or \
                     AWS_SKIP_SIGNATURE=true for what everybody may read"
                );
            }
        }
        Scheme::Gs => {
            let well_known = env::var_os("HOME").map(|home| {
                PathBuf::from(home).join(".config/gcloud/application_default_credentials.json")
            });
            let has_file = well_known.is_some_and(|path| path.is_file());
            if !GS.iter().any(is_set) && !has_file && !is_there_by_name() {
                bail!(
                    "{address}: there are no credentials: set GOOGLE_APPLICATION_CREDENTIALS to the \
                     file of a service account, log in with gcloud auth application-default login, \
                     or set GOOGLE_SKIP_SIGNATURE=true for what everybody may read"
                );
            }
        }
        Scheme::Az => {
            if !AZ.iter().any(is_set) && !is_set(&"IDENTITY_ENDPOINT") && !is_there(&[METADATA]) {
                bail!(
                    "{address}: there are no credentials: set AZURE_STORAGE_ACCOUNT and \
                     AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, AZURE_USE_AZURE_CLI=true after az \
                     login, or AZURE_SKIP_SIGNATURE=true for what everybody may read"
                );
            }
        }
        Scheme::Http => {}
    }
    Ok(())
}

fn is_there_by_name() -> bool {
    let found = ("metadata.google.internal", 80).to_socket_addrs();
    found.is_ok_and(|addresses| is_there(&addresses.collect::<Vec<_>>()))
}

fn is_there(addresses: &[SocketAddr]) -> bool {
    let mut addresses = addresses.iter();
    addresses.any(|address| TcpStream::connect_timeout(address, PROBE).is_ok())
}
