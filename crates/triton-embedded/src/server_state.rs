//! What all requests share: models, time, faults, and who is told of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::clock::{Clock, Timekeeper};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::faults::Faults;
use crate::http::Control;
use crate::recorded::Recorder;
use crate::repository::Repository;
use crate::restriction::Restriction;
use crate::settings::Settings;

/// What all requests share.
pub(crate) struct Server {
    pub(crate) repository: Repository,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timekeeper: Timekeeper,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) panic: Arc<PanicSlot>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) settings: Settings,
    pub(crate) restrictions: Vec<Restriction>,
    pub(crate) control: mpsc::UnboundedSender<Control>,
    pub(crate) observer: Option<Observer>,
    /// By how much every inference is answered later.
    pub(crate) latency: Duration,
}

/// Is told of every exchange.
pub(crate) type Observer = Box<dyn Fn(&Exchange<'_>) + Send + Sync>;

/// The first panic of the server itself, kept for whoever stops it.
#[derive(Default)]
pub(crate) struct PanicSlot(Mutex<Option<Box<dyn Any + Send>>>);

impl Server {
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
