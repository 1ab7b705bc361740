//! The server's life: its threads, how it starts, and how it ends.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::{Clock, SystemClock, Timekeeper};
use crate::exchange::Exchange;
use crate::faults::{FaultScript, Faults};
use crate::http::{Control, Listener};
use crate::model::Model;
use crate::model_instance::{AnyModel, Surroundings};
use crate::models::{Accumulate, Anomaly, Echo, Fails, Slow};
use crate::recorded::{RecordedRequest, Recorder};
use crate::repository::Repository;
use crate::restriction::{RestrictedApi, Restriction};
use crate::server_state::{Observer, PanicSlot, Server};
use crate::settings::Settings;

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
    faults: Arc<Faults>,
    stopping: Arc<AtomicBool>,
    /// Closed when the server's thread ends, for whatever reason.
    alive: watch::Receiver<()>,
    running: Mutex<Option<Running>>,
}

/// What is needed to end the threads.
struct Running {
    shutdown: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
    server: Arc<Server>,
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
    clock: Arc<dyn Clock>,
    faults: FaultScript,
    recorded_requests: usize,
    restrictions: Vec<Restriction>,
    address: SocketAddr,
    observer: Option<Observer>,
    latency: Duration,
}

/// A server without a way to the network, its time, and what its faults ask of that way.
type Unconnected = (Arc<Server>, Timekeeper, mpsc::UnboundedReceiver<Control>);

/// How many requests a server keeps unless it is told another number.
const RECORDED_REQUESTS: usize = 100_000;

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
            clock: Arc::new(SystemClock),
            faults: FaultScript::default(),
            recorded_requests: RECORDED_REQUESTS,
            restrictions: Vec::new(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            observer: None,
            latency: Duration::ZERO,
        }
    }

    /// Where the server listens, for instance `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The inference requests so far, in the order of their arrival, or the latest of them (see
    /// [`EmbeddedTritonBuilder::recorded_requests`]). Still available once the server has stopped.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.recorder.requests()
    }

    /// Puts another script of faults in the place of the one so far; it counts requests from here.
    pub fn set_faults(&self, script: FaultScript) {
        self.faults.replace(script);
    }

    /// Waits until the server has ended, by [`stop`](Self::stop) or by itself.
    ///
    /// By itself it ends where it cannot take its port again after it went away as a fault asked,
    /// or where it panics: [`failure`](Self::failure) tells. Dropping the future changes nothing.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut alive = self.alive.clone();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// Ends the server as [`stop`](Self::stop) does, and says what went wrong with it, if anything
    /// did.
    pub fn failure(&self) -> Option<String> {
        let panic = self.end_threads()?;
        let text = panic.downcast::<String>().map(|text| *text);
        let text = text.or_else(|panic| panic.downcast::<&str>().map(|text| (*text).to_owned()));
        Some(text.unwrap_or_else(|_| "the server panicked".to_owned()))
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
            match running.thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.panic.keep(Box::new(format!("the server: {error}"))),
                Err(panic) => self.panic.keep(panic),
            }
            for thread in running.server.repository.close() {
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

    /// Adds `echo`, `accumulate`, `anomaly`, `slow` and `fails`.
    pub fn built_in_models(self) -> EmbeddedTritonBuilder {
        self.model(Echo)
            .model(Accumulate)
            .model(Anomaly)
            .model(Slow::default())
            .model(Fails)
    }

    /// Measures sequences, queues and delays with another clock than the real time.
    pub fn clock(mut self, clock: impl Clock) -> EmbeddedTritonBuilder {
        self.clock = Arc::new(clock);
        self
    }

    /// Lets these faults happen to inference requests.
    pub fn faults(mut self, script: FaultScript) -> EmbeddedTritonBuilder {
        self.faults = script;
        self
    }

    /// Keeps at most that many requests, dropping the oldest; 0 keeps none. 100,000 unless set.
    pub fn recorded_requests(mut self, limit: usize) -> EmbeddedTritonBuilder {
        self.recorded_requests = limit;
        self
    }

    /// Refuses requests to a part of the protocol with 403 unless they bring this header, as
    /// with the real server's `--http-restricted-api`. Such requests are not recorded.
    ///
    /// ```
    /// use triton_embedded::{EmbeddedTriton, RestrictedApi};
    ///
    /// let server = EmbeddedTriton::builder()
    ///     .built_in_models()
    ///     .restrict(RestrictedApi::ModelRepository, "admin-key", "secret")
    ///     .start()
    ///     .unwrap();
    /// # drop(server);
    /// ```
    pub fn restrict(
        mut self,
        api: RestrictedApi,
        header: impl Into<String>,
        value: impl Into<String>,
    ) -> EmbeddedTritonBuilder {
        self.restrictions.push(Restriction {
            api,
            header: header.into(),
            value: value.into(),
        });
        self
    }

    /// Listens at that address instead of a free port of the loopback interface.
    pub fn address(mut self, address: SocketAddr) -> EmbeddedTritonBuilder {
        self.address = address;
        self
    }

    /// Tells of every request once it is answered, whatever it asked for: the log of a server, say.
    pub fn observe(
        mut self,
        observer: impl Fn(&Exchange<'_>) + Send + Sync + 'static,
    ) -> EmbeddedTritonBuilder {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Answers every inference that much later than the model is done with it. Requests do not wait
    /// for each other meanwhile, as on a long way to a server.
    pub fn latency(mut self, latency: Duration) -> EmbeddedTritonBuilder {
        self.latency = latency;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// When two models have the same name, a control of a sequence's ID has a type that it cannot
    /// have, or the system refuses the address or a thread.
    pub fn start(self) -> io::Result<EmbeddedTriton> {
        let listener = TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (server, timekeeper, control) = self.server(&stopping)?;
        let (shutdown, stopped) = oneshot::channel();
        // One thread is enough, as models have their own, and lets requests be recorded in the
        // order in which they are queued.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let socket = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let listener = Listener {
            socket,
            address,
            server: Arc::clone(&server),
            timekeeper,
            control,
        };
        let (serving, alive) = watch::channel(());
        // The end of the runtime is the end of every connection.
        let thread = std::thread::Builder::new()
            .name("triton-embedded".to_owned())
            .spawn(move || {
                // Dropped also where a panic ends the thread.
                let _serving = serving;
                runtime.block_on(listener.serve(stopped))
            })?;
        Ok(EmbeddedTriton {
            alive,
            address,
            recorder: Arc::clone(&server.recorder),
            panic: Arc::clone(&server.panic),
            faults: Arc::clone(&server.faults),
            stopping,
            running: Mutex::new(Some(Running {
                shutdown,
                thread,
                server,
            })),
        })
    }

    /// What answers requests, however they come.
    pub(crate) fn server(self, stopping: &Arc<AtomicBool>) -> io::Result<Unconnected> {
        let surroundings = Surroundings {
            clock: Arc::clone(&self.clock),
            stopping: Arc::clone(stopping),
        };
        let timekeeper = Timekeeper::new(Arc::clone(&self.clock), Arc::clone(stopping));
        let (commands, control) = mpsc::unbounded_channel();
        let server = Server {
            repository: Repository::new(self.models, surroundings)?,
            clock: self.clock,
            timekeeper: timekeeper.clone(),
            recorder: Arc::new(Recorder::new(self.recorded_requests)),
            panic: Arc::default(),
            faults: Arc::new(Faults::new(self.faults)),
            settings: Settings::default(),
            restrictions: self.restrictions,
            control: commands,
            observer: self.observer,
            latency: self.latency,
        };
        Ok((Arc::new(server), timekeeper, control))
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
