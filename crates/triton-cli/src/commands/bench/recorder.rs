//! What the requests of a load took: a histogram of latencies, and what happened when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The longest latency that is told apart from longer ones, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;

/// About how many steps the measured time is cut into.
const STEPS: u32 = 60;

/// How long a load may take whose end is a number of requests, and not a time.
const ENDLESS: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Steps shorter than this would show nothing but noise.
const SHORTEST_STEP: Duration = Duration::from_millis(100);

/// Different errors that are told apart; the rest of them is only counted.
const ERRORS: usize = 10;

/// The percentiles that are shown, and their names.
pub(super) const PERCENTILES: [(f64, &str); 6] = [
    (0.5, "p50"),
    (0.9, "p90"),
    (0.95, "p95"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (1.0, "max"),
];

/// One request as it went.
pub(super) struct Request {
    /// When it had to be sent.
    pub(super) due: Instant,
    pub(super) started: Instant,
    pub(super) ended: Instant,
    /// What went wrong.
    pub(super) error: Option<Failed>,
}

/// A request that failed.
pub(super) struct Failed {
    /// The kind of the failure, as metrics name it.
    pub(super) kind: &'static str,
    /// The HTTP status, where there was an answer.
    pub(super) status: Option<u16>,
    pub(super) text: String,
}

/// Collects the requests of a load.
///
/// Latencies are those of requests that were due in the measured time, however late they end;
/// throughput counts the answers that arrive in it.
pub(super) struct Recorder {
    start: Instant,
    end: Instant,
    /// From when it was due until it was answered.
    pub(super) latency: Histogram<u64>,
    /// From when it was due until it was sent.
    pub(super) delay: Histogram<u64>,
    /// Requests that were due; each is answered or failed in the end, if it was waited for.
    due: u64,
    pub(super) failed: u64,
    /// By what they say, as far as there are not too many.
    pub(super) errors: BTreeMap<String, u64>,
    /// All of them, by their kind and status.
    pub(super) kinds: BTreeMap<(&'static str, Option<u16>), u64>,
    pub(super) step: Duration,
    pub(super) timeline: Vec<Step>,
}

/// A short part of the measured time.
pub(super) struct Step {
    pub(super) latency: Histogram<u64>,
    pub(super) failed: u64,
}

impl Recorder {
    /// Measures from `start` until `end`.
    pub(super) fn new(start: Instant, end: Instant) -> Self {
        let step = ((end - start) / STEPS).max(SHORTEST_STEP);
        let mut recorder = Self::with_step(start, end, step);
        recorder.grow(steps(end - start, step));
        recorder
    }

    /// Measures from `start` until [`end_at`](Self::end_at); steps grow with the time.
    pub(super) fn endless(start: Instant) -> Self {
        Self::with_step(start, start + ENDLESS, SHORTEST_STEP)
    }

    fn with_step(start: Instant, end: Instant, step: Duration) -> Self {
        Self {
            start,
            end,
            latency: histogram(3),
            delay: histogram(3),
            due: 0,
            failed: 0,
            errors: BTreeMap::new(),
            kinds: BTreeMap::new(),
            step,
            timeline: Vec::new(),
        }
    }

    fn grow(&mut self, steps: usize) {
        let missing = steps.saturating_sub(self.timeline.len());
        let empty = std::iter::repeat_with(|| Step {
            latency: histogram(2),
            failed: 0,
        });
        self.timeline.extend(empty.take(missing));
    }

    /// The step that a moment of the measured time lies in.
    fn step_at(&mut self, moment: Instant) -> &mut Step {
        let time = moment - self.start;
        if self.end - self.start == ENDLESS {
            while time >= self.step * STEPS * 2 {
                self.double_step();
            }
            self.grow(steps(time, self.step) + 1);
        }
        let place = (time.as_secs_f64() / self.step.as_secs_f64()) as usize;
        let last = self.timeline.len() - 1;
        &mut self.timeline[place.min(last)]
    }

    /// Makes one step of every two.
    fn double_step(&mut self) {
        self.step *= 2;
        let mut joined: Vec<Step> = Vec::new();
        for (index, step) in std::mem::take(&mut self.timeline).into_iter().enumerate() {
            match joined.last_mut().filter(|_| index % 2 == 1) {
                Some(before) => {
                    // Both have the same bounds and digits, so that nothing can be lost.
                    let _ = before.latency.add(&step.latency);
                    before.failed += step.failed;
                }
                None => joined.push(step),
            }
        }
        self.timeline = joined;
    }

    /// The time that was measured.
    pub(super) fn time(&self) -> Duration {
        self.end - self.start
    }

    /// Ends the measured time earlier than planned.
    pub(super) fn end_at(&mut self, end: Instant) {
        self.end = end.clamp(self.start, self.end);
        let steps = steps(self.time(), self.step);
        self.grow(steps);
        // What came at the very end belongs to the last step, which may be a short one.
        while self.timeline.len() > steps {
            let rest = self.timeline.pop();
            if let (Some(rest), Some(last)) = (rest, self.timeline.last_mut()) {
                let _ = last.latency.add(&rest.latency);
                last.failed += rest.failed;
            }
        }
    }

    /// Answers a second.
    pub(super) fn throughput(&self) -> f64 {
        self.arrived() as f64 / self.time().as_secs_f64().max(f64::EPSILON)
    }

    /// How many answers arrived in the measured time.
    pub(super) fn arrived(&self) -> u64 {
        self.timeline.iter().map(|step| step.latency.len()).sum()
    }

    /// How many requests ended in the measured time, answered or not.
    pub(super) fn ended(&self) -> u64 {
        let failed: u64 = self.timeline.iter().map(|step| step.failed).sum();
        self.arrived() + failed
    }

    /// Requests that were due in the measured time.
    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// Requests that were due and neither answered nor failed while they were waited for.
    pub(super) fn unanswered(&self) -> u64 {
        self.due.saturating_sub(self.latency.len() + self.failed)
    }

    /// A request is due, and will be recorded once it has ended.
    pub(super) fn begin(&mut self, due: Instant) {
        self.due += u64::from((self.start..self.end).contains(&due));
    }

    pub(super) fn record(&mut self, request: Request) {
        let measured = self.start..self.end;
        let latency = nanos(request.ended.saturating_duration_since(request.due));
        if measured.contains(&request.ended) {
            let step = self.step_at(request.ended);
            match request.error {
                None => step.latency.saturating_record(latency),
                Some(_) => step.failed += 1,
            }
        }
        if measured.contains(&request.due) {
            let delay = request.started.saturating_duration_since(request.due);
            self.delay.saturating_record(nanos(delay));
            match request.error {
                None => self.latency.saturating_record(latency),
                Some(error) => self.fail(error),
            }
        }
    }

    fn fail(&mut self, error: Failed) {
        self.failed += 1;
        let kind = (error.kind, error.status);
        *self.kinds.entry(kind).or_default() += 1;
        if self.errors.len() < ERRORS || self.errors.contains_key(&error.text) {
            *self.errors.entry(error.text).or_default() += 1;
        }
    }
}

/// How many steps a time has; a short rest at the end belongs to the step before.
fn steps(time: Duration, step: Duration) -> usize {
    usize::try_from(time.as_nanos() / step.as_nanos()).map_or(1, |steps| steps.max(1))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::expect_used,
    reason = "bounds and digits are constants that a histogram can have, which a test shows"
)]
fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, digits).expect("the bounds are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn recorder() -> (Instant, Recorder) {
        let start = Instant::now() + Duration::from_secs(10);
        (start, Recorder::new(start, start + 1000 * MS))
    }

    fn request(due: Instant, ended: Instant) -> Request {
        Request {
            due,
            started: due + MS,
            ended,
            error: None,
        }
    }

    #[test]
    fn a_stall_counts_for_every_request_that_was_due_meanwhile() {
        let (start, mut recorder) = recorder();
        // One a millisecond; the server stalls for the first half, then answers at once.
        for due in 0..1000 {
            let due = start + due * MS;
            recorder.record(request(due, due.max(start + 500 * MS) + MS));
        }
        let p25 = Duration::from_nanos(recorder.latency.value_at_quantile(0.25));
        assert!(p25 < 3 * MS, "{p25:?}");
        let p75 = Duration::from_nanos(recorder.latency.value_at_quantile(0.75));
        assert!(p75 > 240 * MS && p75 < 260 * MS, "{p75:?}");
        assert_eq!(recorder.delay.max() / 1_000_000, 1);
    }

    #[test]
    fn only_the_measured_time_counts() {
        let (start, mut recorder) = recorder();
        let end = start + 1000 * MS;
        // Warm-up that ends in time, one that hangs over the end, one that is due after it.
        recorder.record(request(start - 2 * MS, start + MS));
        recorder.record(request(end - MS, end + 99 * MS));
        recorder.record(request(end, end + MS));
        assert_eq!(recorder.latency.len(), 1);
        assert_eq!(recorder.latency.max() / 1_000_000, 100);
        assert_eq!(recorder.arrived(), 1);
    }

    #[test]
    fn steps_grow_where_nobody_knows_the_end() {
        let start = Instant::now();
        let mut recorder = Recorder::endless(start);
        for second in 0..60 {
            let at = start + 1000 * MS * second;
            recorder.record(request(at, at + MS));
        }
        assert_eq!(recorder.step, 800 * MS);
        recorder.end_at(start + 59_500 * MS);
        assert_eq!((recorder.arrived(), recorder.timeline.len()), (60, 74));
        assert_eq!(recorder.time(), 59_500 * MS);
    }

    #[test]
    fn steps_lie_where_answers_arrive_and_errors_are_told_apart() {
        let (start, mut recorder) = recorder();
        assert_eq!((recorder.step, recorder.timeline.len()), (100 * MS, 10));
        recorder.record(request(start, start + 250 * MS));
        for index in 0..30 {
            let mut failed = request(start, start + 999 * MS);
            failed.error = Some(Failed {
                kind: "server",
                status: (index % 2 == 0).then_some(500),
                text: format!("error {}", index % 15),
            });
            recorder.record(failed);
        }
        assert_eq!(recorder.timeline[2].latency.len(), 1);
        assert_eq!(recorder.timeline[9].failed, 30);
        assert_eq!((recorder.failed, recorder.errors.len()), (30, ERRORS));
        assert_eq!(recorder.errors["error 3"], 2);
        assert_eq!(recorder.kinds[&("server", Some(500))], 15);
        assert_eq!((recorder.arrived(), recorder.ended()), (1, 31));
        recorder.end_at(start + 300 * MS);
        assert_eq!((recorder.time(), recorder.timeline.len()), (300 * MS, 3));
    }
}
