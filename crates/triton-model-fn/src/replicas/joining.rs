//! How replicas join a set: their addresses are found, and their clients set up.

use std::sync::{Arc, PoisonError};

use tokio::time::Instant;

use super::member::{Name, Prepared};
use super::metrics::ReplicaMetrics;
use super::set::ReplicaSet;
use super::tasks;
use crate::Error;
use crate::replica::Replica;
use crate::shared_client::SharedClient;

impl ReplicaSet {
    /// Waits until there is a replica, or the name could not be looked up.
    pub(super) async fn join(self: &Arc<Self>) -> Result<(), Error> {
        let _joining = self.joining.lock().await;
        if !self.lock().members.is_empty() {
            return Ok(());
        }
        tasks::look_up_name(self).await
    }

    /// These are the replicas' addresses now. One that cannot be set up, because a file cannot be read
    /// at the moment, say, joins the next time.
    pub(super) fn found(self: &Arc<Self>, names: &[Name]) -> Result<(), Error> {
        let finding = self.finding.lock().unwrap_or_else(PoisonError::into_inner);
        let new = self.lock().machine.unknown(names);
        // To read files and to set up TLS takes time, in which no row may wait.
        let mut set_up: Vec<(&Name, Prepared)> = Vec::new();
        let mut failed = None;
        for name in &new {
            match self.prepared(name) {
                Ok(prepared) => set_up.push((name, prepared)),
                Err(error) => failed = Some(error),
            }
        }
        let is_usable = |name: &&Name| {
            !new.contains(name) || set_up.iter().any(|(prepared, _)| prepared == name)
        };
        let names: Vec<Name> = names.iter().filter(is_usable).cloned().collect();
        let mut joined = Vec::new();
        {
            let mut state = self.lock();
            for (id, name) in state.machine.found(Instant::now(), &names) {
                let place = set_up.iter().position(|(prepared, _)| **prepared == name);
                if let Some((_, prepared)) = place.map(|place| set_up.swap_remove(place)) {
                    let member = Arc::new(prepared.member(id));
                    state.members.insert(id, Arc::clone(&member));
                    joined.push(member);
                }
            }
        }
        self.tell_changes();
        for member in joined {
            tasks::probe(self, member);
        }
        drop(finding);
        failed.map_or(Ok(()), Err)
    }

    fn prepared(&self, name: &Name) -> Result<Prepared, Error> {
        let first = self.options.endpoint.first();
        let (endpoint, address) = match name {
            Name::Given(endpoint) => (endpoint, None),
            Name::Found(address) => (first, Some(*address)),
        };
        let label = match name {
            Name::Given(endpoint) => endpoint.to_string(),
            Name::Found(address) => address.to_string(),
        };
        let settings = self.key.settings.at(endpoint, address);
        let client = SharedClient::of(settings, &self.options)?;
        let replica = Replica::of_several(client, &self.options, endpoint, address, &self.model);
        let metrics = ReplicaMetrics::new(&self.model, &label);
        Ok(Prepared {
            label,
            replica,
            metrics,
        })
    }
}
