//! Requests with headers that are made for each: sent once more where credentials expired.

use http::{HeaderMap, StatusCode};

use super::body::Progress;
use super::receive::Response;
use super::{Call, CallSettings, Context, Provided, Transport};
use crate::{Error, ErrorKind};

impl Transport {
    /// Sends one request and returns with the head of its answer.
    ///
    /// After a 401 the request is sent once more if a provider of headers has something newer by
    /// then; the server has executed nothing.
    pub(super) async fn send(
        &self,
        settings: &CallSettings,
        context: &Context<'_>,
        call: Call<'_>,
        progress: &Progress,
        sent: &Provided,
    ) -> Result<Response, Error> {
        let providers = &settings.providers;
        if providers.is_empty() {
            return self
                .send_once(settings, &HeaderMap::new(), context, call, progress)
                .await;
        }
        let provide = || {
            providers.provide().map_err(|source| {
                let message = "the headers of the request could not be provided";
                context
                    .error(ErrorKind::InvalidRequest, message)
                    .with_source(source)
            })
        };
        let provided = provide()?;
        sent.add(&provided);
        // Its chunks are shared, not copied.
        let again = call.clone();
        let response = self
            .send_once(settings, &provided, context, call, progress)
            .await?;
        if response.status != StatusCode::UNAUTHORIZED || !providers.have_newer(&provided) {
            return Ok(response);
        }
        let provided = provide()?;
        sent.add(&provided);
        tracing::debug!("sending again with other credentials after status 401");
        drop(response);
        progress.begin_again();
        self.send_once(settings, &provided, context, again, progress)
            .await
    }
}
