//! The client: a cheap handle on two pools of connections, and what applies to all its calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use triton_protocol::{Endpoint, InvalidValue};

use crate::client_builder::ClientBuilder;
use crate::extensions::Extensions;
use crate::json::Room;
use crate::operation::Operation;
use crate::request_ids::RequestIds;
use crate::transport::{Answer, Call, CallSettings, Context, Questions, Transport, is_page};
use crate::{Compression, Error, TensorFormat, json};

/// Calls one Triton server; clones share its connections.
///
/// Calls that load models or change settings use connections of their own: a model's load blocks
/// a worker of the server, and with it every connection that this worker serves.
///
/// Each call is sent at most once. Should a kept connection turn out to be closed before the
/// first byte of a request went out on it, the request goes out on another; should the server refuse
/// its credentials (401) while a [`HeaderProvider`](crate::HeaderProvider) has newer ones, it goes out
/// with these. Nothing else is ever sent again. Dropping the future of a call closes its
/// connection, but the server goes on with what it has received.
///
/// ```
/// use triton_client::Client;
///
/// let client = Client::new("http://user:secret@triton:8000")?;
/// assert_eq!(client.endpoint().to_string(), "http://triton:8000/");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    pub(crate) settings: Arc<CallSettings>,
    pub(crate) inference: InferenceSettings,
    pub(crate) extensions: Arc<Extensions>,
    pub(crate) request_ids: Arc<RequestIds>,
}

/// What applies to inference unless a request says otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InferenceSettings {
    pub(crate) format: TensorFormat,
    pub(crate) request_compression: Option<Compression>,
    pub(crate) response_compression: Option<Compression>,
}

impl Client {
    /// A client of the server at `endpoint`, for example `http://localhost:8000`, with the
    /// settings of a [`builder`](Self::builder) of which none is changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) when it is no address.
    ///
    /// ```
    /// let client = triton_client::Client::new("http://localhost:8000")?;
    /// # Ok::<(), triton_client::Error>(())
    /// ```
    pub fn new<E>(endpoint: E) -> Result<Self, Error>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<InvalidValue>,
    {
        Self::builder(endpoint).build()
    }

    /// Starts to set up a client of the server at `endpoint`: a text, or an [`Endpoint`].
    ///
    /// ```
    /// let builder = triton_client::Client::builder("https://triton.example");
    /// ```
    #[must_use]
    pub fn builder<E>(endpoint: E) -> ClientBuilder
    where
        E: TryInto<Endpoint>,
        E::Error: Into<InvalidValue>,
    {
        ClientBuilder::new(endpoint)
    }

    /// The server's address; its `Display` hides credentials.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.transport.endpoint
    }

    /// The one of the servers behind the endpoint's name that this client calls, where it was told
    /// ([`ClientBuilder::connect_to`]); errors name it beside the endpoint.
    #[must_use]
    pub fn replica(&self) -> Option<SocketAddr> {
        self.transport.replica
    }

    /// A handle on the same connections whose calls may take `timeout`, for example for a model
    /// that loads slowly.
    ///
    /// ```
    /// # use triton_client::Client;
    /// # let client = Client::new("http://triton:8000")?;
    /// let patient = client.with_timeout(std::time::Duration::from_secs(600));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let settings = CallSettings {
            timeout,
            ..CallSettings::clone(&self.settings)
        };
        self.with_settings(settings)
    }

    /// A handle on the same connections whose calls carry one more header, which no log and no
    /// `Debug` shows; a header of that name which they carry already is replaced.
    ///
    /// ```
    /// # use triton_client::Client;
    /// use triton_client::{HeaderName, HeaderValue};
    /// # let client = Client::new("http://triton:8000")?;
    /// let header = HeaderName::from_static("triton-admin");
    /// let admin = client.with_header(header, HeaderValue::from_static("a secret"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_header(&self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        let mut settings = CallSettings::clone(&self.settings);
        settings.headers.insert(name, value);
        self.with_settings(settings)
    }

    /// The most bytes that the body of a request may have, where the server, or a gateway before
    /// it, has refused a larger one ([`ErrorKind::RequestTooLarge`](crate::ErrorKind)): the limit
    /// that it named, or a byte less than what it refused.
    ///
    /// The client itself sends larger requests all the same; whoever gathers rows into requests
    /// can stay below it. All handles on the same connections know it.
    #[must_use]
    pub fn known_request_limit(&self) -> Option<usize> {
        self.transport.request_limit()
    }

    /// A handle whose calls are the questions of one: together they may take ten times what one may, from
    /// now on, because a server says how many there are.
    pub(crate) fn with_questions(&self) -> Self {
        let mut settings = CallSettings::clone(&self.settings);
        settings.questions.get_or_insert_with(Questions::begin);
        self.with_settings(settings)
    }

    fn with_settings(&self, settings: CallSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            ..self.clone()
        }
    }

    /// What the errors of an operation have in common.
    pub(crate) fn context<'a>(&'a self, operation: Operation<'a>) -> Context<'a> {
        Context::new(operation, &self.transport, &self.settings)
    }

    pub(crate) async fn perform<T>(
        &self,
        call: Call<'_>,
        read: impl FnOnce(&Context<'_>, Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.transport.perform(&self.settings, call, read).await
    }

    /// Makes a call that answers with JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        self.json_within(call, &mut self.room()).await
    }

    /// The same of a call that shares what it may take with others.
    pub(crate) async fn json_within<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        room: &mut Room,
    ) -> Result<T, Error> {
        let read =
            |context: &Context<'_>, answer| json::read(context, &accepted(context, answer)?, room);
        self.perform(call, read).await
    }

    /// What an answer of JSON may take.
    pub(crate) fn room(&self) -> Room {
        Room::of(self.transport.response_limit)
    }

    /// Makes a call whose answer says nothing but that it was carried out.
    pub(crate) async fn done(&self, call: Call<'_>) -> Result<(), Error> {
        self.perform(call, |context, answer| {
            let answer = accepted(context, answer)?;
            match is_page(&answer.body) {
                true => Err(context.page("that it was done", &answer)),
                false => Ok(()),
            }
        })
        .await
    }
}

/// The answer, unless its status is another than 200.
pub(crate) fn accepted(context: &Context<'_>, answer: Answer) -> Result<Answer, Error> {
    match answer.status {
        http::StatusCode::OK => Ok(answer),
        _ => Err(context.refusal(&answer)),
    }
}
