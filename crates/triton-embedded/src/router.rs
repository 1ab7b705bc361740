//! Answers requests: finds the route and the model, turns outcomes into answers, and lets faults
//! have their way.

use crate::error::{ApiError, ContentType};
use crate::faults::Fault;
use crate::http::{Control, Delivery, Reply, Request};
use crate::metadata;
use crate::recorded::{Record, RecordedRequest};
use crate::restriction;
use crate::route::{Resource, Route};
use crate::server_state::Server;
use crate::{generate, infer, metrics};

impl Server {
    /// Answers a request. Dropping the future, as happens when the server stops, does not take
    /// back an execution.
    pub(crate) async fn answer(&self, request: Request) -> Delivery {
        let Some(route) = Route::of(request.path()) else {
            let refusal = ApiError::new(404, "Not Found").with_content_type(ContentType::Plain);
            return Delivery::Send(refusal.to_reply(), None);
        };
        if let Err(refusal) = restriction::check(&self.restrictions, route, &request) {
            return Delivery::Send(refusal.to_reply(), None);
        }
        let outcome = match route {
            Route::Model {
                name,
                version,
                resource: Resource::Infer,
            } => return self.infer(&request, route, name, version).await,
            Route::Model {
                name,
                version,
                resource: resource @ (Resource::Generate | Resource::GenerateStream),
            } => {
                let queued = self.guard(|| {
                    route.check_method(&request.method)?;
                    generate::enqueue(self, &request, name, version)
                });
                match queued {
                    Ok(queued) => {
                        self.wait_for_latency().await;
                        let stream = resource == Resource::GenerateStream;
                        generate::finish(self, queued, stream).await
                    }
                    Err(error) => Err(error),
                }
            }
            _ => self.guard(|| {
                route.check_method(&request.method)?;
                self.describe(route, &request)
            }),
        };
        Delivery::Send(outcome.unwrap_or_else(|error| error.to_reply()), None)
    }

    /// Inference is what is recorded and what faults happen to.
    async fn infer(
        &self,
        request: &Request,
        route: Route<'_>,
        name: &str,
        version: Option<&str>,
    ) -> Delivery {
        let mut recorded = RecordedRequest::arriving(request, name, version);
        recorded.fault = self.faults.next(name);
        let fault = recorded.fault.clone();
        let record = self.recorder.arrived(recorded);
        match &fault {
            Some(Fault::ResetBefore) => return Delivery::Reset,
            Some(Fault::Crash { restart_after }) => {
                // The receiver outlives every connection.
                let _ = self.control.send(Control::Crash(*restart_after));
                // The crash itself ends this connection, like all others.
                return std::future::pending().await;
            }
            Some(Fault::Status { status, text }) => {
                return self.deliver(&record, scripted(request, *status, text), None);
            }
            _ => {}
        }
        let queued = self.guard(|| {
            route.check_method(&request.method)?;
            infer::enqueue(self, request, &record, name, version)
        });
        let outcome = match queued {
            Ok(queued) => infer::finish(self, request, queued).await,
            Err(error) => Err(error),
        };
        self.wait_for_latency().await;
        match &fault {
            Some(Fault::ResetAfter) => return Delivery::Reset,
            Some(Fault::StatusAfter { status, text }) => {
                return self.deliver(&record, scripted(request, *status, text), None);
            }
            Some(Fault::Delay { time }) => self.timekeeper.sleep(*time).await,
            Some(Fault::Refuse { time }) => {
                let _ = self.control.send(Control::Refuse(*time));
            }
            _ => {}
        }
        let reply = outcome.unwrap_or_else(|error| {
            let reply = error.to_reply();
            match error.text == b"Unsupported compression type" {
                true => reply.with_header("Accept-Encoding", "gzip, deflate"),
                false => reply,
            }
        });
        self.deliver(&record, reply, fault)
    }

    async fn wait_for_latency(&self) {
        if !self.latency.is_zero() {
            self.timekeeper.sleep(self.latency).await;
        }
    }

    fn deliver(&self, record: &Record, reply: Reply, fault: Option<Fault>) -> Delivery {
        self.recorder
            .update(record, |request| request.status = Some(reply.status));
        Delivery::Send(reply, fault)
    }

    /// Everything but inference.
    fn describe(&self, route: Route<'_>, request: &Request) -> Result<Reply, ApiError> {
        let changes = request.method == "POST";
        let document = match route {
            Route::Health => return Ok(empty("text/plain")),
            Route::Metrics => {
                let page = metrics::render(&self.repository.metrics());
                let content_type = "text/plain; charset=utf-8";
                return Ok(Reply::new(200, content_type, page.into_bytes()));
            }
            Route::ServerMetadata => metadata::server_metadata(),
            Route::AllStatistics => self.repository.statistics(None)?,
            Route::RepositoryIndex => self.repository.index(&request.body)?,
            Route::RepositoryControl {
                repository: true, ..
            } => {
                return Err(ApiError::new(
                    501,
                    "'repository_name' specification is not supported",
                ));
            }
            Route::RepositoryControl { model, load, .. } => {
                match load {
                    true => self.repository.load(model, &request.body)?,
                    false => self.repository.unload(model),
                }
                return Ok(empty("application/json"));
            }
            Route::TraceSetting if changes => self.settings.set_trace(None, &request.body)?,
            Route::TraceSetting => self.settings.trace(None),
            Route::Logging if changes => self.settings.set_log(&request.body)?,
            Route::Logging => self.settings.log(),
            Route::SharedMemory { .. } => {
                return Err(ApiError::new(
                    501,
                    "triton-embedded has no shared memory; send tensors in the body",
                ));
            }
            Route::Model {
                name,
                version,
                resource,
            } => return self.describe_model(name, version, resource, request),
        };
        Ok(Reply::json(&document))
    }

    fn describe_model(
        &self,
        name: &str,
        version: Option<&str>,
        resource: Resource,
        request: &Request,
    ) -> Result<Reply, ApiError> {
        let find = || self.repository.find(name, version);
        let document = match resource {
            Resource::Ready => {
                let found = find().map_err(|error| match error.status {
                    404 | 503 => ApiError::bad_request("Model version not ready"),
                    _ => error,
                });
                return found
                    .map(|_| empty("text/plain"))
                    .map_err(|error| error.with_content_type(ContentType::Plain));
            }
            Resource::Config => metadata::model_config(&find()?.config),
            Resource::Statistics => self.repository.statistics(Some((name, version)))?,
            Resource::TraceSetting => {
                find().map_err(|_| {
                    ApiError::bad_request(format!("Request for unknown model : {name}"))
                })?;
                match request.method == "POST" {
                    true => self.settings.set_trace(Some(name), &request.body)?,
                    false => self.settings.trace(Some(name)),
                }
            }
            _ => metadata::model_metadata(&find()?.config),
        };
        Ok(Reply::json(&document))
    }
}

fn empty(content_type: &str) -> Reply {
    Reply::new(200, content_type, Vec::new())
}

/// The answer that a fault script asks for.
fn scripted(request: &Request, status: u16, text: &str) -> Reply {
    let text = match text.contains("{id}") {
        true => text.replace("{id}", &infer::id_of(request)),
        false => text.to_owned(),
    };
    ApiError::new(status, text).to_reply()
}
