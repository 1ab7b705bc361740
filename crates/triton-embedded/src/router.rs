//! Answers HTTP requests: finds the route and the model, and turns outcomes into responses.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Response, StatusCode, request};

use crate::clock::Clock;
use crate::error::{ApiError, ContentType};
use crate::infer;
use crate::metadata::{self, VERSION};
use crate::model_instance::ModelInstance;
use crate::recorded::Recorder;
use crate::route::{Resource, Route};

/// What all requests share.
pub(crate) struct Server {
    pub(crate) models: HashMap<String, ModelInstance>,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) panic: Arc<PanicSlot>,
}

/// The first panic of the server itself, kept for whoever stops it.
#[derive(Default)]
pub(crate) struct PanicSlot(Mutex<Option<Box<dyn Any + Send>>>);

/// The body of an answer with status 200.
pub(crate) struct Success {
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: ContentType,
}

impl Server {
    pub(crate) fn into_router(self) -> axum::Router {
        axum::Router::new()
            .fallback(handle)
            .with_state(Arc::new(self))
    }

    /// Runs a part of a handler; its panic becomes a 500 and is kept. The runtime would otherwise
    /// swallow it together with the connection.
    pub(crate) fn guard<Value>(
        &self,
        part: impl FnOnce() -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        catch_unwind(AssertUnwindSafe(part)).unwrap_or_else(|panic| {
            self.panic.keep(panic);
            Err(ApiError::internal("triton-embedded panicked"))
        })
    }

    /// The model of that name and version.
    pub(crate) fn model(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<&ModelInstance, ApiError> {
        let unknown = |version: &str| {
            ApiError::new(
                404,
                format!("Request for unknown model: '{name}'{version} is not found"),
            )
        };
        let version = version.map(parse_version).transpose()?;
        let model = self.models.get(name).ok_or_else(|| unknown(""))?;
        match version {
            Some(other) if other != VERSION => Err(unknown(&format!(" version {other}"))),
            _ => Ok(model),
        }
    }

    /// Everything but inference.
    fn describe(&self, route: Route<'_>) -> Result<Success, ApiError> {
        let document = match route {
            Route::Health => return Ok(Success::empty()),
            Route::ServerMetadata => metadata::server_metadata(),
            Route::Model {
                name,
                version,
                resource: Resource::Ready,
            } => {
                return self
                    .model(name, version)
                    .map(|_| Success::empty())
                    .map_err(|error| match error.status {
                        404 => ApiError::bad_request("Model version not ready"),
                        _ => error,
                    })
                    .map_err(|error| error.with_content_type(ContentType::Plain));
            }
            Route::Model {
                name,
                version,
                resource: Resource::Config,
            } => metadata::model_config(&self.model(name, version)?.config),
            Route::Model { name, version, .. } => {
                metadata::model_metadata(&self.model(name, version)?.config)
            }
        };
        Ok(Success {
            body: document.to_bytes(),
            content_type: ContentType::Json,
        })
    }
}

impl PanicSlot {
    pub(crate) fn keep(&self, panic: Box<dyn Any + Send>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(panic);
    }

    pub(crate) fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Success {
    fn empty() -> Success {
        Success {
            body: Vec::new(),
            content_type: ContentType::Plain,
        }
    }
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    respond(answer(&server, &parts, body).await)
}

async fn answer(server: &Server, parts: &request::Parts, body: Body) -> Result<Success, ApiError> {
    let route = Route::of(parts.uri.path())
        .ok_or_else(|| ApiError::new(404, "Not Found").with_content_type(ContentType::Plain))?;
    if let Route::Model {
        name,
        version,
        resource: Resource::Infer,
    } = route
    {
        let allowed = route.check_method(&parts.method);
        return infer::infer(server, parts, body, name, version, allowed).await;
    }
    server.guard(|| {
        route.check_method(&parts.method)?;
        server.describe(route)
    })
}

fn respond(outcome: Result<Success, ApiError>) -> Response<Body> {
    let (status, content_type, body) = match outcome {
        Ok(success) => (200, success.content_type, success.body),
        Err(error) => (error.status, error.content_type, error.body()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = axum::http::HeaderValue::from_static(content_type.name());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn parse_version(digits: &str) -> Result<i64, ApiError> {
    digits.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "failed to get model version from specified version string '{digits}' (details: \
             stol), version should be an integral value > 0"
        ))
    })
}
