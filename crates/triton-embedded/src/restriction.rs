//! Parts of the protocol that only those may use who send a certain header, as with the real
//! server's `--http-restricted-api`.

use crate::error::{ApiError, ContentType};
use crate::http::Request;
use crate::route::{Resource, Route};

/// A part of the protocol that can be restricted, under the name the real server gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestrictedApi {
    /// `health`: of the server and of models.
    Health,
    /// `metadata`: of the server and of models.
    Metadata,
    /// `inference`: also `generate` and `generate_stream`.
    Inference,
    /// `shared-memory`.
    SharedMemory,
    /// `model-config`.
    ModelConfig,
    /// `model-repository`: index, load and unload.
    ModelRepository,
    /// `statistics`.
    Statistics,
    /// `trace`.
    Trace,
    /// `logging`.
    Logging,
}

impl RestrictedApi {
    /// The part a path belongs to; metrics belong to none.
    fn of(route: Route<'_>) -> Option<RestrictedApi> {
        Some(match route {
            Route::Health => Self::Health,
            Route::ServerMetadata => Self::Metadata,
            Route::AllStatistics => Self::Statistics,
            Route::RepositoryIndex | Route::RepositoryControl { .. } => Self::ModelRepository,
            Route::TraceSetting => Self::Trace,
            Route::Logging => Self::Logging,
            Route::SharedMemory { .. } => Self::SharedMemory,
            Route::Metrics => return None,
            Route::Model { resource, .. } => match resource {
                Resource::Metadata => Self::Metadata,
                Resource::Ready => Self::Health,
                Resource::Config => Self::ModelConfig,
                Resource::Infer | Resource::Generate | Resource::GenerateStream => Self::Inference,
                Resource::Statistics => Self::Statistics,
                Resource::TraceSetting => Self::Trace,
            },
        })
    }
}

/// What a request to a restricted part must bring.
#[derive(Debug, Clone)]
pub(crate) struct Restriction {
    pub(crate) api: RestrictedApi,
    pub(crate) header: String,
    pub(crate) value: String,
}

/// Refuses a request that lacks the header for its part; nothing else of it is looked at.
pub(crate) fn check(
    restrictions: &[Restriction],
    route: Route<'_>,
    request: &Request,
) -> Result<(), ApiError> {
    let api = RestrictedApi::of(route);
    let lacking = restrictions
        .iter()
        .filter(|restriction| Some(restriction.api) == api)
        // The names of a request's headers are kept in lower case.
        .find(|restriction| {
            request.header(&restriction.header.to_ascii_lowercase()) != Some(&restriction.value)
        });
    match lacking {
        None => Ok(()),
        Some(Restriction { header, .. }) => {
            let text = format!("This API is restricted, expecting header '{header}'");
            Err(ApiError::new(403, text).with_content_type(ContentType::Plain))
        }
    }
}
