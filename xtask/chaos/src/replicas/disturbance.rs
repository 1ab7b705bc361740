//! What happens to the servers while rows are sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::Names;
use crate::server::{self, Server};

/// The longest time one request of either client may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    Nothing,
    /// One of them, and it stays away.
    Killed,
    /// One after the other, each in peace.
    RolledOver,
    /// One of them, for longer than the timeout.
    StoodStill,
    /// One address goes from the name, and one comes.
    Renamed,
    /// A new version of the model comes beside the old one, at each server in turn; then the old one goes.
    Updated {
        /// Whether sequences stay with the old one while it is there.
        stays: bool,
    },
}

impl Disturbance {
    pub(super) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Killed,
        Self::RolledOver,
        Self::StoodStill,
        Self::Renamed,
        Self::Updated { stays: true },
        Self::Updated { stays: false },
    ];

    /// How long rows are handed over, unless what happens takes longer.
    pub(super) fn lasts(self) -> Duration {
        Duration::from_secs(match self {
            Self::Nothing | Self::Killed => 8,
            Self::RolledOver => 20,
            Self::StoodStill | Self::Renamed | Self::Updated { .. } => 12,
        })
    }

    /// The servers that the name stands for at first.
    pub(super) fn first(self, servers: &[Arc<Server>]) -> Vec<&Arc<Server>> {
        match self {
            Self::Renamed => servers[..2].iter().collect(),
            _ => servers.iter().collect(),
        }
    }

    /// Happens; blocks until it is over.
    pub(super) fn happens(self, servers: &[Arc<Server>], names: &Names) -> Result<()> {
        match self {
            Self::Nothing => {}
            Self::Killed => servers[1].kill()?,
            Self::RolledOver => {
                for server in servers {
                    server.restart()?;
                    // As whoever rolls an update out waits until the new one has shown itself.
                    server::wait(Duration::from_secs(2));
                }
            }
            Self::StoodStill => {
                if servers[1].stand_still(TIMEOUT * 3).is_err() {
                    servers[1].start_again()?;
                }
            }
            Self::Renamed => names.set(&servers[1..].iter().collect::<Vec<_>>()),
            Self::Updated { .. } => {
                for server in servers {
                    server.load_versions("accumulate", &[1, 2])?;
                    server::wait(Duration::from_secs(1));
                    server.load_versions("accumulate", &[2])?;
                    server::wait(Duration::from_secs(1));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Nothing => "nothing",
            Self::Killed => "one is killed",
            Self::RolledOver => "all are restarted in turn",
            Self::StoodStill => "one stands still for 6 s",
            Self::Renamed => "one leaves the name, one joins",
            Self::Updated { stays: true } => "a new version at each in turn, `stay`",
            Self::Updated { stays: false } => "a new version at each in turn, `move`",
        })
    }
}
