//! The thread that says when a request is due, at a fixed rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The longest sleep, after which the thread looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(50);

/// Requests at a fixed rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) rate: f64,
    /// Whether the times between them are random.
    pub(super) random: bool,
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    At(Instant),
    /// Once so many requests were sent from that moment on.
    After {
        begin: Instant,
        requests: u64,
    },
}

/// A thread of its own, because the timers of an async runtime tick in whole milliseconds.
pub(super) struct Pacer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    /// Starts to send the moments at which requests are due, from `start` until the end.
    pub(super) fn start(
        pace: Pace,
        start: Instant,
        end: End,
    ) -> std::io::Result<(Self, UnboundedReceiver<Instant>)> {
        let (sender, receiver) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || send(Schedule::new(pace, start), end, &stopped, &sender))?;
        let thread = Some(thread);
        Ok((Self { stop, thread }, receiver))
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It neither panics nor has a result.
            let _ = thread.join();
        }
    }
}

fn send(schedule: Schedule, end: End, stopped: &AtomicBool, sender: &UnboundedSender<Instant>) {
    let mut measured = 0;
    for due in schedule {
        let is_over = match end {
            End::At(end) => due >= end,
            End::After { begin, requests } => {
                measured += u64::from(due >= begin);
                measured > requests
            }
        };
        if is_over {
            return;
        }
        loop {
            if stopped.load(Ordering::Relaxed) {
                return;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left.min(NAP));
        }
        if sender.send(due).is_err() {
            return;
        }
    }
}

/// When each request is due.
struct Schedule {
    pace: Pace,
    start: Instant,
    /// Seconds from the start until the next one.
    next: f64,
    count: u64,
    random: fastrand::Rng,
}

impl Schedule {
    fn new(pace: Pace, start: Instant) -> Self {
        // Any number does; with the same one, two runs have the same arrivals.
        let random = fastrand::Rng::with_seed(0);
        Self {
            pace,
            start,
            next: 0.0,
            count: 0,
            random,
        }
    }
}

impl Iterator for Schedule {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        // The rate may be so low that no clock ever shows the time.
        let after = Duration::try_from_secs_f64(self.next).ok()?;
        let due = self.start.checked_add(after)?;
        self.count += 1;
        self.next = match self.pace.random {
            true => self.next - (1.0 - self.random.f64()).ln() / self.pace.rate,
            // From the count, so that no error adds up.
            false => self.count as f64 / self.pace.rate,
        };
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(random: bool, count: usize) -> Vec<f64> {
        let start = Instant::now();
        let schedule = Schedule::new(
            Pace {
                rate: 200.0,
                random,
            },
            start,
        );
        let due = schedule.take(count);
        due.map(|due| (due - start).as_secs_f64()).collect()
    }

    #[test]
    fn even_arrivals_are_the_same_time_apart() {
        let due = seconds(false, 4);
        for (due, expected) in due.iter().zip([0.0, 0.005, 0.010, 0.015]) {
            assert!((due - expected).abs() < 1e-6, "{due}");
        }
    }

    #[test]
    fn random_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() {
        let due = seconds(true, 20_001);
        assert!(due.is_sorted());
        let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((mean - 0.005).abs() < 0.0002, "{mean}");
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
        let deviation = (variance / gaps.len() as f64).sqrt();
        // Gaps of an exponential distribution deviate by their mean.
        assert!((deviation / mean - 1.0).abs() < 0.05, "{deviation}");
    }

    #[test]
    fn a_rate_that_no_clock_can_follow_is_due_once() {
        for rate in [f64::MIN_POSITIVE, 1e-20, 1e-300] {
            for random in [false, true] {
                let schedule = Schedule::new(Pace { rate, random }, Instant::now());
                assert_eq!(schedule.take(3).count(), 1, "{rate}");
            }
        }
    }

    #[tokio::test]
    async fn it_says_when_each_is_due_and_ends() {
        let start = Instant::now();
        let pace = Pace {
            rate: 1000.0,
            random: false,
        };
        let end = start + Duration::from_millis(20);
        let (pacer, mut receiver) = Pacer::start(pace, start, End::At(end)).unwrap();
        let mut count = 0;
        while let Some(due) = receiver.recv().await {
            assert!(Instant::now() >= due);
            count += 1;
        }
        assert_eq!(count, 20);
        drop(pacer);
    }

    #[test]
    fn it_ends_when_it_is_not_wanted_any_more() {
        let start = Instant::now();
        let pace = Pace {
            rate: 0.001,
            random: false,
        };
        let end = start + Duration::from_secs(3600);
        let (pacer, receiver) = Pacer::start(pace, start, End::At(end)).unwrap();
        drop((pacer, receiver));
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
