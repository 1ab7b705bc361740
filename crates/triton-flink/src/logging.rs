//! Lines of Rust's log, on their way to that of Flink.
//!
//! They wait here until a thread of Java comes by, because only Java can write to Flink's log, and
//! no thread of Rust is attached to it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::failure::Failure;
use crate::registry;
use crate::wire::put_bytes;

/// Lines beyond these are dropped, and counted: a log must not fill the memory.
const MOST_LINES: usize = 10_000;

static LINES: Mutex<Waiting> = Mutex::new(Waiting {
    lines: VecDeque::new(),
    dropped: 0,
});

/// The most detailed level that Flink's log takes, as [`number`] numbers it.
static LEVEL: AtomicU8 = AtomicU8::new(3);

struct Waiting {
    lines: VecDeque<Line>,
    dropped: u64,
}

struct Line {
    level: u8,
    logger: String,
    text: Vec<u8>,
}

/// From here on lines are collected, and panics are told with the place where they happened.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        // This library is the only one in its copy of `tracing`, so nobody was there before.
        let _ = tracing::subscriber::set_global_default(collector());
        std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    });
}

/// Collects lines for Flink's log.
pub(crate) fn collector() -> impl Subscriber + Send + Sync {
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false)
        .with_writer(Lines);
    tracing_subscriber::registry().with(lines).with(Levels)
}

/// Flink's log takes lines up to this level: 1 for errors to 5 for traces, and 0 for none.
pub(crate) fn set_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// Takes the lines that wait: of each its level, its logger and its text.
pub(crate) fn take() -> Result<Vec<u8>, Failure> {
    let mut waiting = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = std::mem::take(&mut waiting.lines);
    let dropped = std::mem::take(&mut waiting.dropped);
    drop(waiting);
    let mut buffer = Vec::new();
    let mut put = |level: u8, logger: &str, text: &[u8]| {
        buffer.push(level);
        put_bytes(&mut buffer, logger.as_bytes())?;
        put_bytes(&mut buffer, text)
    };
    for line in lines {
        put(line.level, &line.logger, &line.text)?;
    }
    if dropped > 0 {
        let text = format!("{dropped} lines came faster than they could be written, and are lost");
        put(number(Level::WARN), "triton.flink", text.as_bytes())?;
    }
    Ok(buffer)
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        _ => 5,
    }
}

/// Flink's name for what Rust calls a target: `triton.model_fn.inference`, say.
fn logger(target: &str) -> String {
    let dotted = target.replace("::", ".");
    match dotted.strip_prefix("triton_") {
        Some(ours) => format!("triton.{ours}"),
        None => format!("triton.native.{dotted}"),
    }
}

/// Lets through what Flink's log takes; of other people's crates only warnings and errors.
struct Levels;

impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // The level may change at any time.
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let most = LEVEL.load(Ordering::Relaxed);
        let most = if metadata.target().starts_with("triton_") {
            most
        } else {
            most.min(number(Level::WARN))
        };
        number(*metadata.level()) <= most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter(Line {
            level: number(Level::INFO),
            logger: "triton".to_owned(),
            text: Vec::new(),
        })
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter {
        LineWriter(Line {
            level: number(*metadata.level()),
            logger: logger(metadata.target()),
            text: Vec::new(),
        })
    }
}

/// Collects a line, which is handed over when this is dropped.
struct LineWriter(Line);

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let mut line = Line {
            level: self.0.level,
            logger: std::mem::take(&mut self.0.logger),
            text: std::mem::take(&mut self.0.text),
        };
        let length = line.text.trim_ascii_end().len();
        line.text.truncate(length);
        let mut waiting = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() < MOST_LINES {
            waiting.lines.push_back(line);
        } else {
            waiting.dropped += 1;
        }
        drop(waiting);
        if let Some(function) = registry::any() {
            function.events().call();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_loggers_below_triton() {
        assert_eq!(
            logger("triton_model_fn::inference"),
            "triton.model_fn.inference"
        );
        assert_eq!(logger("hyper::client"), "triton.native.hyper.client");
    }
}
