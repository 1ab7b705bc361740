//! The lanes that rows can take, and the options that a run has.

use std::fmt;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// How rows meet the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Lane {
    /// A sequence for each key, with `fail`.
    Fail,
    /// With `restart`.
    Restart,
    /// With `replay`.
    Replay,
    /// One sequence for all rows.
    Static,
    /// A sequence for each request.
    PerRequest,
    /// Several rows in a request.
    Stateless,
}

impl Lane {
    pub(crate) fn draw(random: &mut Rng) -> Self {
        match random.u32(0..20) {
            0..=3 => Lane::Fail,
            4..=7 => Lane::Restart,
            8..=13 => Lane::Replay,
            14..=16 => Lane::Static,
            17 | 18 => Lane::PerRequest,
            _ => Lane::Stateless,
        }
    }

    pub(crate) fn is_keyed(self) -> bool {
        matches!(self, Lane::Fail | Lane::Restart | Lane::Replay)
    }

    pub(crate) fn model(self) -> &'static str {
        match self {
            Lane::Stateless => "echo",
            _ => "accumulate",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Lane::Fail => "keyed, fail",
            Lane::Restart => "keyed, restart",
            Lane::Replay => "keyed, replay",
            Lane::Static => "static",
            Lane::PerRequest => "one ID a request",
            Lane::Stateless => "stateless batches",
        })
    }
}

/// Options, of which each stands once.
pub(crate) type Options = Vec<(String, String)>;

/// What every run has; the endpoint and the model are not in it.
const USUAL: [(&str, &str); 4] = [
    ("timeout", "700 ms"),
    ("open-wait", "1 min"),
    ("retry-initial-backoff", "10 ms"),
    ("retry-max-backoff", "300 ms"),
];

/// What a lane needs, beside what every run has.
pub(crate) fn usual_options(lane: Lane) -> Vec<(&'static str, &'static str)> {
    let mut options = USUAL.to_vec();
    match lane {
        Lane::Fail | Lane::Restart | Lane::Replay => options.extend([
            ("sequence-id", "chaos"),
            ("sequence-id-auto-increment", "true"),
            ("sequence-key", "key"),
            ("sequence-end-column", "last"),
            (
                "sequence-recovery",
                match lane {
                    Lane::Fail => "fail",
                    Lane::Restart => "restart",
                    _ => "replay",
                },
            ),
        ]),
        // Digits, which are an ID as text and as a number.
        Lane::Static => options.push(("sequence-id", "7001")),
        Lane::PerRequest => options.extend([
            ("sequence-id", "chaos"),
            ("sequence-id-auto-increment", "true"),
        ]),
        Lane::Stateless => options.push(("batch-size", "8")),
    }
    options
}

/// What differs from run to run.
pub(crate) fn draw_options(random: &mut Rng, lane: Lane) -> Options {
    let mut options = usual_options(lane);
    options.push(("max-retries", one_of(random, &["2", "60", "200"])));
    let mut sometimes = |one_in: u32, name, values: &[&'static str]| {
        if random.u32(0..one_in) == 0 {
            options.push((name, one_of(random, values)));
        }
    };
    sometimes(4, "row-deadline", &["2 s", "8 s"]);
    sometimes(3, "max-in-flight", &["1", "2", "5"]);
    sometimes(4, "connection-pool-max-total", &["1", "3"]);
    sometimes(8, "connection-reuse-enabled", &["false"]);
    sometimes(6, "circuit-breaker-enabled", &["true"]);
    sometimes(4, "tensor-format", &["json"]);
    match lane {
        Lane::Fail | Lane::Restart | Lane::Replay => {
            sometimes(3, "sequence-abandon", &["end"]);
            sometimes(4, "sequence-position-column", &["n"]);
            sometimes(6, "sequence-max-open", &["2", "4"]);
            if lane == Lane::Replay {
                sometimes(4, "sequence-replay-limit", &["3"]);
                sometimes(2, "sequence-replay-overflow", &["restart"]);
                sometimes(3, "sequence-replay-compare", &["true"]);
            }
        }
        Lane::Static | Lane::PerRequest => {}
        Lane::Stateless => sometimes(2, "batch-timeout", &["5 ms"]),
    }
    if lane != Lane::Stateless && random.u32(0..3) == 0 {
        options.push(("sequence-id-type", "number"));
    }
    // The circuit opens for a second and not for a minute.
    if options.contains(&("circuit-breaker-enabled", "true")) {
        options.push(("circuit-breaker-timeout", "1 s"));
    }
    owned(&options)
}

pub(crate) fn owned(options: &[(&str, &str)]) -> Options {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    options.iter().map(owned).collect()
}

fn one_of(random: &mut Rng, values: &[&'static str]) -> &'static str {
    values[random.usize(0..values.len())]
}
