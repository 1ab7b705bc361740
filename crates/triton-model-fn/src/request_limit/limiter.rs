//! How many requests a server can bear, found out from its answers: no lock, no clock, no I/O.
//!
//! The limit grows by one for each window of answers in which all of it was in use, and falls by a
//! tenth on two signs:
//!
//! - **The server is too busy**: a 429, a 503, a full queue, a timeout. Only requests count that were
//!   sent after the limit last fell, so that one full queue is one sign. Where requests were
//!   refused, the limit then stays below that number (the *ceiling*). One more is tried once so many
//!   requests have been answered that refusals stay well below one in a hundred; each number that is
//!   borne lets the next step be larger. A server that refuses nearly everything says nothing of a number.
//! - **Answers take more than twice as long** as they took at best: then at least as many requests
//!   wait at the server as it works on, and more of them add nothing but waiting. Means of windows
//!   are compared, with their standard errors, so that a model whose latency varies looks no busier
//!   than it is, and the limit stays for one more window, because a mean that is taken while the limit
//!   grows is that of a smaller one. And where a smaller limit does not make answers faster, it is not the limit that
//!   makes them slow: what they take now then counts as the best.
//!
//! Until the first sign the limit grows by half at a time. The ideas are those of TCP (additive
//! increase, multiplicative decrease), of Netflix' concurrency-limits and of Vector's adaptive request
//! concurrency; a ceiling is what neither of them has, and what keeps refusals rare.

use std::time::Duration;

/// The limit at the beginning.
const FIRST: f64 = 4.0;
/// What the limit is multiplied with on a sign.
const DECREASE: f64 = 0.9;
/// What it is multiplied with until the first sign.
const START: f64 = 1.5;
/// How much longer than at best answers may take.
const TOLERANCE: f64 = 2.0;
/// How many standard errors are given to chance.
const DOUBT: f64 = 2.0;
/// The fewest answers that are a window; otherwise as many as the limit.
const LEAST_ANSWERS: u32 = 16;
/// How many answers there must be before a refused number is tried again; doubled each time in vain.
const PROBE_AFTER: (u32, u32) = (400, 6400);

/// What happened to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It was answered, in its own time.
    Answered,
    /// The server had no room for it.
    Refused,
    /// The server took too long.
    TimedOut,
    /// Nothing that tells of load.
    Unknown,
}

/// The limit of one function.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: f64,
    most: f64,
    in_flight: u32,
    /// No sign has come yet.
    is_starting: bool,
    /// When the limit last fell: that requests were refused which were sent before tells nothing.
    fell: Option<Duration>,
    /// From when on requests were sent whose times count in the present window.
    counts_from: Duration,
    /// Answers were slow in the window before, and the limit has not changed since.
    is_slow: bool,
    window: Window,
    /// The shortest time that answers took on average.
    best: Option<f64>,
    /// What answers took when the limit fell because of that.
    fell_from: Option<f64>,
    ceiling: Option<Ceiling>,
}

/// The largest limit at which nothing was refused.
#[derive(Debug, Clone, Copy)]
struct Ceiling {
    limit: f64,
    /// How many were answered since the last refusal.
    answered: u32,
    probe_after: u32,
    /// By how much it rises next; more than 1 while it rises.
    step: f64,
    is_probing: bool,
}

/// Answers to requests that were sent under one limit.
#[derive(Debug, Default)]
struct Window {
    answers: u32,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
    most_in_flight: u32,
}

impl Window {
    fn add(&mut self, seconds: f64) {
        self.answers += 1;
        let distance = seconds - self.mean;
        self.mean += distance / f64::from(self.answers);
        self.squares += distance * (seconds - self.mean);
    }

    /// How far the mean may be from that of endlessly many answers.
    fn doubt(&self) -> f64 {
        let answers = f64::from(self.answers.max(2));
        DOUBT * (self.squares / (answers - 1.0) / answers).sqrt()
    }
}

impl Limiter {
    pub(crate) fn new(most: u32) -> Self {
        let most = f64::from(most.max(1));
        Self {
            limit: FIRST.min(most),
            most,
            in_flight: 0,
            is_starting: true,
            fell: None,
            counts_from: Duration::ZERO,
            is_slow: false,
            window: Window::default(),
            best: None,
            fell_from: None,
            ceiling: None,
        }
    }

    /// How many requests may be in flight.
    pub(crate) fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// A request is sent.
    pub(crate) fn sent(&mut self) {
        self.in_flight += 1;
        self.window.most_in_flight = self.window.most_in_flight.max(self.in_flight);
    }

    /// A request that was sent at `since` has come to its end `now`; times count from any moment.
    pub(crate) fn ended(&mut self, since: Duration, now: Duration, signal: Signal) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let is_of_this_limit = self.fell.is_none_or(|fell| since >= fell);
        match signal {
            Signal::Unknown => {}
            Signal::Refused | Signal::TimedOut if !is_of_this_limit => {}
            Signal::Refused => self.refused(now),
            Signal::TimedOut => self.fall(self.limit, now),
            Signal::Answered => {
                if let Some(ceiling) = &mut self.ceiling {
                    ceiling.answered = ceiling.answered.saturating_add(1);
                }
                if since >= self.counts_from {
                    self.window.add(now.saturating_sub(since).as_secs_f64());
                    self.close_window(now);
                }
            }
        }
    }

    fn refused(&mut self, now: Duration) {
        // More than the limit may be in flight while it falls, and fewer where rows are few.
        let borne_not = self.limit().min(self.window.most_in_flight.max(1));
        if let Some(ceiling) = &mut self.ceiling
            && ceiling.answered < borne_not
        {
            // A server that answers next to nothing refuses any number, which says nothing of this one:
            // once it is back, the limit grows as far as it was borne before.
            ceiling.answered = 0;
            return self.fall(f64::from(borne_not), now);
        }
        let (first, longest) = PROBE_AFTER;
        let probe_after = match self.ceiling {
            Some(ceiling) if ceiling.is_probing || ceiling.answered < ceiling.probe_after => {
                ceiling.probe_after.saturating_mul(2).min(longest)
            }
            _ => first,
        };
        self.ceiling = Some(Ceiling {
            limit: f64::from(borne_not.saturating_sub(1).max(1)),
            answered: 0,
            probe_after,
            step: 1.0,
            is_probing: false,
        });
        self.fall(f64::from(borne_not), now);
    }

    fn fall(&mut self, from: f64, now: Duration) {
        self.limit = (from.min(self.limit) * DECREASE).max(1.0);
        self.is_starting = false;
        self.fell = Some(now);
        self.fell_from = None;
        self.is_slow = false;
        self.measure_anew(now);
    }

    /// Begins a window of requests that are sent from now on.
    fn measure_anew(&mut self, now: Duration) {
        self.counts_from = now;
        self.window = Window {
            most_in_flight: self.in_flight,
            ..Window::default()
        };
    }

    /// Looks at the window when it has answers enough.
    fn close_window(&mut self, now: Duration) {
        let enough = LEAST_ANSWERS.max(self.limit());
        if self.window.answers < enough {
            return;
        }
        let next = Window {
            most_in_flight: self.in_flight,
            ..Window::default()
        };
        let window = std::mem::replace(&mut self.window, next);
        let (mean, doubt) = (window.mean, window.doubt());
        if let Some(before) = self.fell_from.take() {
            let expected = before * (1.0 + DECREASE) / 2.0;
            if mean > expected {
                self.best = Some(mean);
            }
        }
        let best = self
            .best
            .map_or(mean + doubt, |best| best.min(mean + doubt));
        self.best = Some(best);
        if window.most_in_flight < self.limit() {
            // There are not rows enough to tell whether the server could bear more.
            return;
        }
        if mean - doubt > TOLERANCE * best && self.limit > 1.0 {
            if self.is_slow {
                self.fall(self.limit, now);
                self.fell_from = Some(mean);
            } else {
                (self.is_slow, self.is_starting) = (true, false);
                self.measure_anew(now);
            }
            return;
        }
        self.is_slow = false;
        self.grow();
    }

    fn grow(&mut self) {
        let grown = match self.is_starting {
            true => self.limit * START,
            false => self.limit + 1.0,
        };
        let mut grown = grown.min(self.most);
        if let Some(ceiling) = &mut self.ceiling {
            if ceiling.is_probing {
                // A whole window was borne.
                ceiling.is_probing = false;
                ceiling.step = (ceiling.step * 2.0).min(self.most);
                ceiling.probe_after = PROBE_AFTER.0;
            }
            let is_rising = ceiling.step > 1.0;
            if grown > ceiling.limit
                && self.limit >= ceiling.limit
                && (is_rising || ceiling.answered >= ceiling.probe_after)
            {
                ceiling.limit = (ceiling.limit + ceiling.step).min(self.most);
                ceiling.is_probing = true;
                grown = ceiling.limit;
            }
            grown = grown.min(ceiling.limit.max(self.limit));
        }
        self.limit = grown;
    }
}
