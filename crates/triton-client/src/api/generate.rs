//! Generation: inference with flat JSON, whose responses may come one after another.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md)

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt as _, try_unfold};
use http::StatusCode;
use serde_json::{Map, Value};
use tokio::time::Instant;
use triton_protocol::wire::server_sent_events::EventReader;
use triton_protocol::wire::{self, json_text, json_tokens};

use crate::client::accepted;
use crate::json::Room;
use crate::operation::{Operation, Subject};
use crate::transport::{
    AnswerLimit, Call, Context, Observation, Payload, Pool, Provided, Response, Wanted, after,
    server_message,
};
use crate::{Client, Error, ErrorKind, ModelId};

/// The most that is read of a page that came in place of a stream, in bytes.
const LONGEST_PAGE: usize = 64 << 10;

/// The longest wait for the rest of such a page.
const PAGE_WAIT: Duration = Duration::from_secs(2);

/// A request for generation: inputs by name, as plain JSON.
///
/// ```
/// use triton_client::{GenerateRequest, ModelId};
///
/// let request = GenerateRequest::new(ModelId::latest("llm".parse()?))
///     .input("text_input", "What is Triton?")
///     .input("max_tokens", 64);
/// # Ok::<(), triton_client::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    model: ModelId,
    members: Map<String, Value>,
    timeout: Option<Duration>,
}

impl GenerateRequest {
    /// A request to `model`, as yet without inputs.
    #[must_use]
    pub fn new(model: ModelId) -> Self {
        Self {
            model,
            members: Map::new(),
            timeout: None,
        }
    }

    /// Sets an input, a scalar or an array; the server takes names that are no inputs of the
    /// model as parameters.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// Names the request, for logs and traces; the server echoes it.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        self.input("id", id.into())
    }

    /// The longest time until the answer, or until each event of a stream, in place of the
    /// client's timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn call<'a>(&'a self, operation: Operation<'a>) -> Call<'a> {
        let mut json = Vec::new();
        json_text::value(&mut json, &self.members);
        Call {
            wanted: Wanted::Outputs,
            timeout: self.timeout,
            ..Call::post(operation, Pool::Data, Payload::json(json))
        }
    }
}

/// One response of a generation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Generated {
    /// The outputs by name, as plain JSON, with `model_name`, `model_version` and the `id` of
    /// the request among them. Numbers that JSON lacks are texts: `NaN`, `Infinity`, `-Infinity`.
    pub members: Map<String, Value>,
}

impl Generated {
    /// The output called `name`: a scalar where it has one element, otherwise an array.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Reads a response, or the error that stands in its place.
    fn read(context: &Context<'_>, json: &[u8], mut room: Room) -> Result<Self, Error> {
        // A byte string of a model need not be text, but an answer of plain JSON must be.
        let text = String::from_utf8_lossy(json);
        room.take(context, text.as_bytes(), StatusCode::OK)?;
        let text = json_tokens::quote(text.as_bytes());
        let members: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|error| context.protocol(wire::unreadable(json, &error)))?;
        match members.get("error") {
            // The status was sent before the model ran: it says 200 all the same.
            Some(Value::String(message)) => Err(context
                .error(ErrorKind::Server, message.trim())
                .with_status(200)
                .executed(true)),
            _ => Ok(Self { members }),
        }
    }
}

impl Client {
    /// Runs a model that has exactly one response.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Server`] with the status 200 when the model failed or did not have exactly
    /// one response, and any other failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::{GenerateRequest, ModelId};
    ///
    /// let request = GenerateRequest::new(ModelId::latest("llm".parse()?)).input("text_input", "Hi");
    /// let generated = client.generate(&request).await?;
    /// println!("{:?}", generated.output("text_output"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn generate(&self, request: &GenerateRequest) -> Result<Generated, Error> {
        let subject = Subject::Model(&request.model);
        let operation = Operation::about(subject, "generate", "generate with", "/generate");
        self.perform(request.call(operation), |context, answer| {
            Generated::read(context, &accepted(context, answer)?.body, self.room())
        })
        .await
    }

    /// Runs a model and hands out its responses as they come.
    ///
    /// The call's timeout limits the wait for the beginning of the answer and then for each
    /// event, not the stream as a whole. Dropping the stream closes its connection. The server
    /// cannot serve models with sequences this way.
    ///
    /// # Errors
    ///
    /// Any failure of the call before the first event; later ones are items of the stream, which
    /// then ends.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::{GenerateRequest, ModelId};
    ///
    /// let request = GenerateRequest::new(ModelId::latest("llm".parse()?)).input("text_input", "Hi");
    /// let mut stream = client.generate_stream(&request).await?;
    /// while let Some(generated) = stream.next().await {
    ///     println!("{:?}", generated?.output("text_output"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn generate_stream(
        &self,
        request: &GenerateRequest,
    ) -> Result<GenerateStream, Error> {
        let operation = stream_operation(&request.model);
        let call = request.call(operation);
        let (response, observation, provided) = self.transport.open(&self.settings, call).await?;
        let events = Events {
            client: self.clone(),
            model: request.model.clone(),
            timeout: request.timeout.unwrap_or(self.settings.timeout),
            response,
            observation,
            provided,
            reader: EventReader::default(),
            beginning: Some(Vec::new()),
        };
        let stream = try_unfold(Some(events), |events| async {
            let Some(mut events) = events else {
                return Ok(None);
            };
            match events.next().await {
                Ok(Some(generated)) => Ok(Some((generated, Some(events)))),
                Ok(None) => {
                    events.observation.end(None);
                    Ok(None)
                }
                Err(error) => {
                    events.observation.end(Some(&error));
                    Err(error)
                }
            }
        });
        Ok(GenerateStream(Box::pin(stream)))
    }
}

fn stream_operation(model: &ModelId) -> Operation<'_> {
    Operation::about(
        Subject::Model(model),
        "generate_stream",
        "stream from",
        "/generate_stream",
    )
}

/// The responses of [`Client::generate_stream`]; also a [`Stream`].
pub struct GenerateStream(Pin<Box<dyn Stream<Item = Result<Generated, Error>> + Send>>);

impl GenerateStream {
    /// The next response; `None` after the last one, or after an error.
    ///
    /// Dropping the future loses nothing: the response comes from the next call.
    ///
    /// # Errors
    ///
    /// As [`Client::generate`]; [`ErrorKind::Interrupted`] when the stream ends within an event, or
    /// with nothing but its connection, as one that was cut does; [`ErrorKind::Protocol`] when what
    /// comes is no stream, such as the page of a gateway, and [`ErrorKind::ResponseTooLarge`] when
    /// one event is larger than the client's limit.
    pub async fn next(&mut self) -> Option<Result<Generated, Error>> {
        self.0.next().await
    }
}

impl Stream for GenerateStream {
    type Item = Result<Generated, Error>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(task)
    }
}

impl fmt::Debug for GenerateStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GenerateStream")
            .finish_non_exhaustive()
    }
}

/// A stream that is being read.
struct Events {
    client: Client,
    model: ModelId,
    timeout: Duration,
    response: Response,
    observation: Observation,
    /// Headers that went out, of which no error repeats anything.
    provided: Provided,
    reader: EventReader,
    /// What has come before the first event, in case that none comes.
    beginning: Option<Vec<u8>>,
}

impl Events {
    async fn next(&mut self) -> Result<Option<Generated>, Error> {
        let client = self.client.clone();
        let limit = client.transport.response_limit;
        let (model, provided) = (self.model.clone(), self.provided.clone());
        let context = client.context(stream_operation(&model));
        let context = context.with_headers(None, &provided);
        // Of the whole event: bytes that never become one are no answer.
        let deadline = after(self.timeout);
        loop {
            if let Some(event) = self.reader.next_event() {
                self.response.check_request_was_sent(&context)?;
                self.beginning = None;
                return Generated::read(&context, &event, client.room()).map(Some);
            }
            if self.is_foreign(false) {
                return Err(self.foreign(&context, deadline).await);
            }
            if self.reader.held() > limit {
                let limit = AnswerLimit::of(Wanted::Outputs, limit);
                return Err(context.too_large(&limit, self.response.status));
            }
            let chunk = tokio::time::timeout_at(deadline, self.response.chunk(&context)).await;
            let chunk = chunk.map_err(|_| context.timeout(self.timeout, true))?;
            match chunk? {
                Some(chunk) => self.received(&chunk),
                None if self.is_foreign(true) => {
                    return Err(self.foreign(&context, deadline).await);
                }
                None if self.reader.is_within_event() => return Err(context.interrupted(true)),
                // A model that answers nothing sends a head all the same that says what it is.
                None if self.beginning.is_some() && !self.response.is_event_stream() => {
                    let message = "expected a stream of events, found an answer without any, whose \
                                   Content-Type is not text/event-stream";
                    let error = context.protocol(message.to_owned());
                    return Err(error.with_status(self.response.status.as_u16()));
                }
                // A stream that was cut between two events looks like one that is whole.
                None if self.response.ends_by_closing() => {
                    let message = "the connection ended, and nothing says that the stream was \
                                   complete: an answer in chunks would, as HTTP/1.1 has them";
                    let error = context.error(ErrorKind::Interrupted, message);
                    return Err(error.transient(true).executed(true));
                }
                None => return Ok(None),
            }
        }
    }

    /// Whether what has come before any event is none of a stream.
    fn is_foreign(&self, is_over: bool) -> bool {
        self.beginning.is_some() && self.reader.is_foreign(is_over)
    }

    fn received(&mut self, chunk: &[u8]) {
        self.observation.received(chunk.len());
        self.reader.push(chunk);
        if let Some(beginning) = &mut self.beginning {
            let room = LONGEST_PAGE.saturating_sub(beginning.len());
            beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    }

    /// The error for an answer that is no stream, with what it says.
    async fn foreign(&mut self, context: &Context<'_>, deadline: Instant) -> Error {
        let mut page = self.beginning.take().unwrap_or_default();
        let deadline = deadline.min(Instant::now() + PAGE_WAIT);
        let rest = async {
            while page.len() < LONGEST_PAGE
                && let Ok(Some(chunk)) = self.response.chunk(context).await
            {
                page.extend_from_slice(&chunk);
            }
        };
        // What has come by then says enough.
        let _ = tokio::time::timeout_at(deadline, rest).await;
        let found = server_message(&page);
        context
            .protocol(format!("expected a stream of events, found: {found}"))
            .with_status(self.response.status.as_u16())
    }
}
