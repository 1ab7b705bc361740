//! Which version of the model each sequence began with, where sequences stay with theirs.
//!
//! Whoever forgets an entry too early loses nothing but the version: the request then goes where
//! `model-version` says, which either has the sequence or says that it is lost.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use triton_client::{InferResponse, ModelId, Sequence, SequenceId};
use triton_options::{ModelVersion, SequenceModelVersion, TritonOptions};

use crate::{Error, ErrorKind};

/// So many entries are kept before it is asked which of them are old.
const LEAST: usize = 1024;

/// How long the version of a sequence is kept whose server does not say how long it keeps it.
const LONG: Duration = Duration::from_secs(3600);

/// The versions of the sequences that are open.
#[derive(Debug)]
pub(crate) struct SequenceVersions {
    /// Which sequences the server may still have.
    keeps: Duration,
    versions: Mutex<Versions>,
}

#[derive(Debug)]
struct Versions {
    by_id: HashMap<SequenceId, Version>,
    /// With so many entries, old ones are looked for.
    full: usize,
}

#[derive(Debug, Clone)]
struct Version {
    name: ModelVersion,
    used: Instant,
}

/// A request of a sequence, and the version that it goes to.
pub(super) struct Stay<'a> {
    versions: &'a SequenceVersions,
    id: SequenceId,
    /// The version that began it, where that is known.
    version: Option<ModelVersion>,
    ends: bool,
}

impl SequenceVersions {
    /// `None` where sequences do not stay with a version, or there is one for all.
    pub(crate) fn new(options: &TritonOptions, server_forgets: Option<Duration>) -> Option<Self> {
        let is_one = options.model_version != ModelVersion::Latest;
        if is_one || options.sequence_model_version != SequenceModelVersion::Stay {
            return None;
        }
        Some(Self {
            keeps: server_forgets.unwrap_or(LONG),
            versions: Mutex::new(Versions {
                by_id: HashMap::new(),
                full: LEAST,
            }),
        })
    }

    /// A request that is about to be sent.
    pub(super) fn stay(&self, sequence: &Sequence) -> Stay<'_> {
        let version = match sequence.start {
            true => None,
            false => self.lock().by_id.get_mut(&sequence.id).map(|version| {
                version.used = Instant::now();
                version.name.clone()
            }),
        };
        Stay {
            versions: self,
            id: sequence.id.clone(),
            version,
            ends: sequence.end,
        }
    }

    fn note(&self, id: SequenceId, name: ModelVersion) {
        let used = Instant::now();
        let mut versions = self.lock();
        if versions.by_id.len() >= versions.full {
            // Nobody says that a sequence was given up.
            let keeps = self.keeps;
            let is_kept = |version: &Version| used.saturating_duration_since(version.used) <= keeps;
            versions.by_id.retain(|_, version| is_kept(version));
            versions.full = (versions.by_id.len() * 2).max(LEAST);
        }
        versions.by_id.insert(id, Version { name, used });
    }

    fn lock(&self) -> MutexGuard<'_, Versions> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stay<'_> {
    /// The model that the request goes to.
    pub(super) fn model(&self, model: ModelId) -> ModelId {
        match &self.version {
            Some(version) => ModelId::new(model.name().clone(), version.clone()),
            None => model,
        }
    }

    /// Keeps the version of a sequence that has begun; one whose version is not served any more is lost.
    pub(super) fn answered(
        self,
        answer: Result<InferResponse, Error>,
    ) -> Result<InferResponse, Error> {
        match &answer {
            Ok(_) if self.ends => {
                self.versions.lock().by_id.remove(&self.id);
            }
            Ok(response) if self.version.is_none() => {
                // A server of another kind may name none.
                if let Ok(version) = response.model_version.parse() {
                    self.versions.note(self.id, version);
                }
            }
            Ok(_) => {}
            Err(error) => {
                let is_gone = self.version.is_some() && is_of_unknown_version(error);
                // It is never sent to again where it may be corrupted, or is lost.
                let is_over = matches!(
                    error.kind(),
                    ErrorKind::SequenceUncertain | ErrorKind::SequenceLost
                );
                if is_gone || is_over {
                    self.versions.lock().by_id.remove(&self.id);
                }
                if is_gone {
                    return answer.map_err(|error| {
                        error.with_kind(
                            ErrorKind::SequenceLost,
                            "the server has dropped the version of the model that the sequence \
                             began with, so the row was not answered",
                        )
                    });
                }
            }
        }
        answer
    }
}

/// Whether the server says that it does not have the version.
fn is_of_unknown_version(error: &Error) -> bool {
    error.client_error().is_some_and(|error| {
        !error.may_have_executed() && error.message().contains("unknown model: ")
    })
}
