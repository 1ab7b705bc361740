//! The server's life: its threads, how it starts, and how it ends.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::serve::ListenerExt;
use tokio::sync::oneshot;

use crate::clock::{Clock, SystemClock};
use crate::model::Model;
use crate::model_instance::AnyModel;
use crate::models::{Accumulate, Anomaly, Echo};
use crate::recorded::{RecordedRequest, Recorder};
use crate::router::{PanicSlot, Server};

/// A running server. Dropping it stops it.
///
/// It has threads of its own, so it serves blocking and asynchronous tests alike.
///
/// ```
/// use triton_embedded::EmbeddedTriton;
///
/// let server = EmbeddedTriton::start().unwrap();
/// assert!(server.endpoint().starts_with("http://127.0.0.1:"));
/// assert!(server.requests().is_empty());
/// ```
///
/// # Panics
/// When it is stopped or dropped after the server itself has panicked, with that panic, so that a
/// test does not pass on an answer it never looked at. A model's panic is an answer with status
/// 500 and no more.
pub struct EmbeddedTriton {
    address: SocketAddr,
    recorder: Arc<Recorder>,
    panic: Arc<PanicSlot>,
    stopping: Arc<AtomicBool>,
    running: Mutex<Option<Running>>,
}

/// What is needed to end the threads.
struct Running {
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<()>,
    models: Vec<JoinHandle<()>>,
}

/// Says which models a server has. It begins with none.
///
/// ```
/// use triton_embedded::{EmbeddedTriton, ManualClock, models::Echo};
///
/// let server = EmbeddedTriton::builder()
///     .model(Echo)
///     .clock(ManualClock::default())
///     .start()
///     .unwrap();
/// # drop(server);
/// ```
pub struct EmbeddedTritonBuilder {
    models: Vec<AnyModel>,
    clock: Box<dyn Clock>,
}

impl EmbeddedTriton {
    /// Starts a server with the [built-in models](crate::models).
    ///
    /// # Errors
    /// When the system refuses a socket or a thread.
    pub fn start() -> io::Result<EmbeddedTriton> {
        EmbeddedTriton::builder().built_in_models().start()
    }

    /// A server to be given its models.
    pub fn builder() -> EmbeddedTritonBuilder {
        EmbeddedTritonBuilder {
            models: Vec::new(),
            clock: Box::new(SystemClock),
        }
    }

    /// Where the server listens, for instance `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The inference requests so far, in the order of their arrival. Still available once the
    /// server has stopped.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.recorder.requests()
    }

    /// Closes all connections and ends all threads; a second call does nothing. Waits for the
    /// requests that models are executing, but not for those that are queued.
    pub fn stop(&self) {
        if let Some(panic) = self.end_threads() {
            resume_unwind(panic);
        }
    }

    /// Returns the first panic of the server itself, if there was one.
    fn end_threads(&self) -> Option<Box<dyn Any + Send>> {
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(running) = running {
            self.stopping.store(true, Ordering::Relaxed);
            // The receiver is only gone if the server's thread has ended by itself.
            let _ = running.shutdown.send(());
            for thread in std::iter::once(running.server).chain(running.models) {
                if let Err(panic) = thread.join() {
                    self.panic.keep(panic);
                }
            }
        }
        self.panic.take()
    }
}

impl Drop for EmbeddedTriton {
    fn drop(&mut self) {
        if let Some(panic) = self.end_threads()
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl fmt::Debug for EmbeddedTriton {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedTriton")
            .field("endpoint", &self.endpoint())
            .finish_non_exhaustive()
    }
}

impl EmbeddedTritonBuilder {
    /// Adds a model. Its configuration is asked for here.
    pub fn model(mut self, model: impl Model) -> EmbeddedTritonBuilder {
        self.models.push(AnyModel::new(model));
        self
    }

    /// Adds `echo`, `accumulate` and `anomaly`.
    pub fn built_in_models(self) -> EmbeddedTritonBuilder {
        self.model(Echo).model(Accumulate).model(Anomaly)
    }

    /// Measures idle sequences with another clock than the real time.
    pub fn clock(mut self, clock: impl Clock) -> EmbeddedTritonBuilder {
        self.clock = Box::new(clock);
        self
    }

    /// Starts the server on a free port of the loopback interface.
    ///
    /// # Errors
    /// When two models have the same name, or the system refuses a socket or a thread.
    pub fn start(self) -> io::Result<EmbeddedTriton> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let mut models = HashMap::new();
        let mut threads = Vec::new();
        for model in self.models {
            let name = model.config.name.clone();
            let (instance, thread) = model.start(Arc::clone(&stopping))?;
            threads.push(thread);
            if models.insert(name.clone(), instance).is_some() {
                let text = format!("two models have the name '{name}'");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        let recorder = Arc::new(Recorder::default());
        let panic = Arc::new(PanicSlot::default());
        let server = Server {
            models,
            clock: self.clock,
            recorder: Arc::clone(&recorder),
            panic: Arc::clone(&panic),
        };
        let (shutdown, stopped) = oneshot::channel();
        let running = Running {
            shutdown,
            server: spawn_server(listener, server, stopped)?,
            models: threads,
        };
        Ok(EmbeddedTriton {
            address,
            recorder,
            panic,
            stopping,
            running: Mutex::new(Some(running)),
        })
    }
}

impl fmt::Debug for EmbeddedTritonBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.models.iter().map(|model| &model.config.name).collect();
        formatter
            .debug_struct("EmbeddedTritonBuilder")
            .field("models", &names)
            .finish_non_exhaustive()
    }
}

/// Serves until told to stop. One thread is enough, as models have their own, and lets requests
/// be recorded in the order in which they are queued.
fn spawn_server(
    listener: TcpListener,
    server: Server,
    stopped: oneshot::Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    std::thread::Builder::new()
        .name("triton-embedded".to_owned())
        .spawn(move || {
            // Small answers would otherwise wait for the client's acknowledgements.
            let listener = listener.tap_io(|connection| {
                let _ = connection.set_nodelay(true);
            });
            let serving = axum::serve(listener, server.into_router()).into_future();
            runtime.spawn(serving);
            // An error says that the other end is gone, which means to stop as well. Dropping the
            // runtime afterwards drops every connection and with them the models' queues.
            let _ = runtime.block_on(stopped);
        })
}
