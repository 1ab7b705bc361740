//! Faults on purpose: which request meets which, by number or by chance.

mod script_file;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use script_file::FaultScriptError;

/// Something that goes wrong with one inference request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer comes that much later; the model has executed by then.
    Delay {
        /// How much later.
        time: Duration,
    },
    /// The request is answered with this status and `{"error": "…"}`; it does not execute.
    Status {
        /// The HTTP status.
        status: u16,
        /// What the client reads; `{id}` stands for the request's own `id`.
        text: String,
    },
    /// The model executes; then the request is answered with this status and `{"error": "…"}`,
    /// as by an ensemble of which a later step refuses.
    StatusAfter {
        /// The HTTP status.
        status: u16,
        /// What the client reads; `{id}` stands for the request's own `id`.
        text: String,
    },
    /// The connection is reset before the model executes.
    ResetBefore,
    /// The model executes; then the connection is reset.
    ResetAfter,
    /// Only the beginning of the answer is sent, then the connection closes. The model executes.
    Truncate {
        /// How many bytes, headers included.
        bytes: usize,
    },
    /// The body of the answer is no JSON. The model executes.
    Garbage,
    /// The answer's `Content-Length` is not that of its body; then the connection closes. The
    /// model executes.
    WrongLength {
        /// By how much it is too large; negative where it is too small.
        off_by: i64,
    },
    /// The answer is sent byte by byte. The model executes.
    SlowBytes {
        /// The time between two bytes.
        pause: Duration,
    },
    /// The answer has each of its headers twice. The model executes.
    DuplicateHeaders,
    /// After the answer no new connection is accepted for that long; open ones go on.
    Refuse {
        /// How long.
        time: Duration,
    },
    /// Before the model executes, the server crashes: every connection is reset and every open
    /// sequence lost. It is back on the same port after that time.
    Crash {
        /// How long it stays away.
        restart_after: Duration,
    },
}

/// Which inference requests meet a fault. The first rule that applies to a request wins.
///
/// ```
/// use std::time::Duration;
/// use triton_embedded::{EmbeddedTriton, Fault, FaultScript};
///
/// let server = EmbeddedTriton::builder()
///     .built_in_models()
///     .faults(
///         FaultScript::new(7)
///             .request(3, Fault::ResetAfter)
///             .rate(0.01, Fault::Delay { time: Duration::from_millis(20) }),
///     )
///     .start()
///     .unwrap();
/// # drop(server);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FaultScript {
    seed: u64,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    model: Option<String>,
    applies: Applies,
    fault: Fault,
}

#[derive(Debug, Clone, PartialEq)]
enum Applies {
    /// To the request of that number, counted from 1.
    Request(u64),
    /// To each request with that probability.
    Rate(f64),
}

impl FaultScript {
    /// A script without faults, whose chances are drawn from the seed.
    pub fn new(seed: u64) -> FaultScript {
        FaultScript {
            seed,
            rules: Vec::new(),
        }
    }

    /// The inference request of that number, counted from 1 over all models, meets the fault.
    pub fn request(self, number: u64, fault: Fault) -> FaultScript {
        self.rule(None, Applies::Request(number), fault)
    }

    /// Each inference request meets the fault with that probability, from 0 to 1.
    pub fn rate(self, rate: f64, fault: Fault) -> FaultScript {
        self.rule(None, Applies::Rate(rate), fault)
    }

    /// As [`FaultScript::request`], counting the requests to one model alone.
    pub fn model_request(self, model: &str, number: u64, fault: Fault) -> FaultScript {
        self.rule(Some(model.to_owned()), Applies::Request(number), fault)
    }

    /// As [`FaultScript::rate`], for the requests to one model alone.
    pub fn model_rate(self, model: &str, rate: f64, fault: Fault) -> FaultScript {
        self.rule(Some(model.to_owned()), Applies::Rate(rate), fault)
    }

    fn rule(mut self, model: Option<String>, applies: Applies, fault: Fault) -> FaultScript {
        self.rules.push(Rule {
            model,
            applies,
            fault,
        });
        self
    }
}

impl Default for FaultScript {
    fn default() -> FaultScript {
        FaultScript::new(0)
    }
}

/// A script on its way through the requests.
pub(crate) struct Faults(Mutex<Progress>);

struct Progress {
    rules: Vec<(Rule, u64)>,
    random: u64,
}

impl Faults {
    pub(crate) fn new(script: FaultScript) -> Faults {
        Faults(Mutex::new(Progress::new(script)))
    }

    /// Puts another script in the place of this one; its requests count from here.
    pub(crate) fn replace(&self, script: FaultScript) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Progress::new(script);
    }

    /// The fault that the next request meets, which is one to this model.
    pub(crate) fn next(&self, model: &str) -> Option<Fault> {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Progress { rules, random } = &mut *progress;
        let mut met = None;
        // Every rule counts and draws, so that none changes what another one hits.
        for (rule, seen) in rules {
            if rule.model.as_deref().is_some_and(|only| only != model) {
                continue;
            }
            *seen += 1;
            let applies = match rule.applies {
                Applies::Request(number) => number == *seen,
                Applies::Rate(rate) => draw(random) < rate,
            };
            if applies && met.is_none() {
                met = Some(rule.fault.clone());
            }
        }
        met
    }
}

impl Progress {
    fn new(script: FaultScript) -> Progress {
        Progress {
            random: script.seed,
            rules: script.rules.into_iter().map(|rule| (rule, 0)).collect(),
        }
    }
}

/// A number from 0 to below 1 (SplitMix64: small, and the same on every machine).
fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_by_number_applies_once_and_the_first_rule_wins() {
        let script = FaultScript::new(1)
            .model_request("echo", 2, Fault::Garbage)
            .request(3, Fault::ResetBefore)
            .request(3, Fault::ResetAfter);
        let faults = Faults::new(script);
        let met: Vec<_> = ["echo", "other", "echo", "echo"]
            .map(|model| faults.next(model))
            .into();
        assert_eq!(met, [None, None, Some(Fault::Garbage), None]);
    }

    #[test]
    fn a_rate_hits_about_that_many_and_the_same_ones_for_a_seed() {
        let script = FaultScript::new(9).rate(0.25, Fault::Garbage);
        let hits = || {
            let faults = Faults::new(script.clone());
            (0..4000)
                .filter(|_| faults.next("m").is_some())
                .collect::<Vec<_>>()
        };
        assert!((900..1100).contains(&hits().len()), "{}", hits().len());
        assert_eq!(hits(), hits());
    }
}
