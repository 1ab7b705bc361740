//! What a fault asks of the listener.

use std::time::Duration;

/// What a fault asks of the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// No connection is accepted for that long; open ones go on.
    Refuse(Duration),
    /// Every connection is reset and every state lost; the port is taken again after that time.
    Crash(Duration),
}
