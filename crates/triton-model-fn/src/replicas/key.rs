//! What functions have in common that share a set of replicas.

use std::time::Duration;

use tokio::runtime;
use triton_client::ModelId;
use triton_options::{EndpointDiscovery, SequenceIdType, SequenceRecovery};

use crate::circuit_breaker::CircuitBreakerSettings;
use crate::client_options::ClientSettings;

/// What functions that share a set have in common.
#[derive(Clone, PartialEq)]
pub(super) struct Key {
    /// Connections belong to the runtime that opened them, and die with it.
    pub(super) runtime: runtime::Id,
    pub(super) settings: ClientSettings,
    pub(super) endpoint: triton_options::Endpoints,
    pub(super) discovery: EndpointDiscovery,
    pub(super) model: ModelId,
    pub(super) breaker: Option<CircuitBreakerSettings>,
    pub(super) max_total: u32,
    pub(super) has_sequences: bool,
    pub(super) id_type: SequenceIdType,
    pub(super) recovery: SequenceRecovery,
    pub(super) drain: Duration,
    /// How often the name is looked up.
    pub(super) refresh: Duration,
    /// How often the servers are asked.
    pub(super) pause: Duration,
    /// Whether breakers are told what they say.
    pub(super) is_told: bool,
    pub(super) resolver: Option<usize>,
}
