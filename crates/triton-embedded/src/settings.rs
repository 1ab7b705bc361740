//! What can be asked and set about tracing and logging. Nothing is traced or logged here; the
//! values are checked, kept and told as the real server does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::ApiError;
use crate::inference_request::read_document;
use crate::json::Json;

/// The settings of one server.
#[derive(Debug, Default)]
pub(crate) struct Settings(Mutex<Values>);

#[derive(Debug, Default)]
struct Values {
    trace: TraceChange,
    model_traces: HashMap<String, TraceChange>,
    log: LogSettings,
}

/// Only what was set; a model without a value has the server's, which falls back to a default.
#[derive(Debug, Default, Clone)]
struct TraceChange {
    rate: Option<u32>,
    count: Option<i32>,
    log_frequency: Option<u32>,
}

#[derive(Debug, Clone)]
struct LogSettings {
    info: bool,
    warning: bool,
    error: bool,
    verbose_level: i32,
    format: Vec<u8>,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings {
            info: true,
            warning: true,
            error: true,
            verbose_level: 0,
            format: b"default".to_vec(),
        }
    }
}

impl Settings {
    /// The trace settings, of a model or the server.
    pub(crate) fn trace(&self, model: Option<&str>) -> Json {
        let values = self.lock();
        let own = model.and_then(|model| values.model_traces.get(model));
        let rate = own.and_then(|own| own.rate).or(values.trace.rate);
        let count = own.and_then(|own| own.count).or(values.trace.count);
        let frequency = own
            .and_then(|own| own.log_frequency)
            .or(values.trace.log_frequency);
        Json::object([
            ("trace_level", Json::Array(vec![Json::text("OFF")])),
            ("trace_rate", Json::text(rate.unwrap_or(1000).to_string())),
            ("trace_count", Json::text(count.unwrap_or(-1).to_string())),
            (
                "log_frequency",
                Json::text(frequency.unwrap_or(0).to_string()),
            ),
            ("trace_file", Json::text("")),
            ("trace_mode", Json::text("triton")),
        ])
    }

    /// Sets trace settings and tells them all.
    pub(crate) fn set_trace(&self, model: Option<&str>, body: &[u8]) -> Result<Json, ApiError> {
        let document = read_document(body)?;
        if document.get("trace_file").is_some() {
            return Err(ApiError::new(
                501,
                "trace file location can not be updated through network protocol",
            ));
        }
        if let Some(level) = document.get("trace_level") {
            check_level(level)?;
        }
        let rate = read_setting(&document, "trace_rate", read_unsigned)?;
        let count = read_setting(&document, "trace_count", read_count)?;
        let frequency = read_setting(&document, "log_frequency", read_unsigned)?;
        {
            let mut values = self.lock();
            let trace = match model {
                Some(model) => values.model_traces.entry(model.to_owned()).or_default(),
                None => &mut values.trace,
            };
            trace.rate = rate.unwrap_or(trace.rate);
            trace.count = count.unwrap_or(trace.count);
            trace.log_frequency = frequency.unwrap_or(trace.log_frequency);
        }
        Ok(self.trace(model))
    }

    /// The log settings.
    pub(crate) fn log(&self) -> Json {
        let log = &self.lock().log;
        Json::object([
            ("log_file", Json::text("")),
            ("log_info", Json::Bool(log.info)),
            ("log_warning", Json::Bool(log.warning)),
            ("log_error", Json::Bool(log.error)),
            (
                "log_verbose_level",
                Json::from(i64::from(log.verbose_level)),
            ),
            ("log_format", Json::text(&log.format)),
        ])
    }

    /// Sets log settings and tells them all. Those before a fault stay set, as on the real server.
    pub(crate) fn set_log(&self, body: &[u8]) -> Result<Json, ApiError> {
        let document = read_document(body)?;
        let setting = |key| document.get(key).filter(|value| **value != Json::Null);
        if setting("log_file").is_some() {
            return Err(ApiError::new(
                501,
                "log file location can not be updated through network protocol",
            ));
        }
        {
            let log = &mut self.lock().log;
            let switches = [
                ("log_info", &mut log.info),
                ("log_warning", &mut log.warning),
                ("log_error", &mut log.error),
            ];
            for (key, switch) in switches {
                if let Some(value) = setting(key) {
                    *switch = value.as_bool().map_err(ApiError::internal_from)?;
                }
            }
            if let Some(level) = setting("log_verbose_level") {
                let level = level.as_unsigned().map_err(ApiError::internal_from)?;
                log.verbose_level = level as i32;
            }
            if let Some(format) = setting("log_format") {
                let format = format.as_text().map_err(ApiError::internal_from)?;
                if format != b"default" && format != b"ISO8601" {
                    let text = [b"invalid argument for --log_format, got: ", format].concat();
                    return Err(ApiError::new(503, text));
                }
                log.format = format.to_vec();
            }
        }
        Ok(self.log())
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without a trace file, which only the command line of the real server can name, every level
/// but `OFF` is refused.
fn check_level(level: &Json) -> Result<(), ApiError> {
    if *level == Json::Null {
        return Ok(());
    }
    let levels = level.as_array().map_err(ApiError::internal_from)?;
    let mut on = false;
    for level in levels {
        match level.as_text().map_err(ApiError::internal_from)? {
            b"OFF" if levels.len() > 1 => {
                return Err(ApiError::bad_request(
                    "Expect only one trace level 'OFF' is specified",
                ));
            }
            b"TIMESTAMPS" | b"TENSORS" => on = true,
            _ => {}
        }
    }
    match on {
        true => Err(ApiError::bad_request(
            "Attempting to set invalid trace setting :trace file name is not given",
        )),
        false => Ok(()),
    }
}

/// `None` where the request does not name the setting, `Some(None)` where it resets it.
fn read_setting<Value>(
    document: &Json,
    key: &str,
    read: impl Fn(&str, &str) -> Result<Value, ApiError>,
) -> Result<Option<Option<Value>>, ApiError> {
    match document.get(key) {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(None)),
        Some(value) => {
            let text = value.as_text().map_err(ApiError::internal_from)?;
            let text = String::from_utf8_lossy(text);
            read(key, &text).map(|value| Some(Some(value)))
        }
    }
}

fn read_unsigned(key: &str, text: &str) -> Result<u32, ApiError> {
    // The real server reads a signed number and takes its bits.
    read_integer(key, text, "0, 4294967295").map(|value| value as u32)
}

fn read_count(key: &str, text: &str) -> Result<i32, ApiError> {
    let count = read_integer(key, text, "-1, 2147483647")?;
    match count < -1 {
        true => Err(ApiError::bad_request(format!(
            "Unable to parse '{key}'. Expecting value >= -1, got:{text}"
        ))),
        false => Ok(count),
    }
}

/// Reads as C does: blanks in front and anything behind the digits do not matter.
fn read_integer(key: &str, text: &str, range: &str) -> Result<i32, ApiError> {
    let number = text.trim_start();
    let sign = usize::from(number.starts_with(['-', '+']));
    let digits = number[sign..].bytes().take_while(u8::is_ascii_digit);
    let end = sign + digits.count();
    if end == sign {
        return Err(ApiError::bad_request(format!(
            "Unable to parse '{key}', got: {text}"
        )));
    }
    number[..end].parse().map_err(|_| {
        ApiError::bad_request(format!(
            "Unable to parse '{key}', value is out of range [ {range} ], got: {text}"
        ))
    })
}
