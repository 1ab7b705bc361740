//! A gauge that several functions show together.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Gauge;

/// How many parts a 1 has in a [`SharedGauge`]: a power of two, of which floats hold every sum.
const EXACT: f64 = 1024.0;

/// A gauge that functions share which have their labels in common: what each of them shows adds up,
/// and is taken off again when it is dropped.
pub(crate) struct SharedGauge {
    gauge: Gauge,
    /// The bits of what is shown.
    shown: AtomicU64,
}

impl SharedGauge {
    pub(crate) fn new(gauge: Gauge) -> Self {
        let shown = AtomicU64::new(0.0_f64.to_bits());
        Self { gauge, shown }
    }

    /// Shows a value, to a thousandth or so: sums of such numbers are exact, so that what adds up to
    /// nothing is 0, and not a tiny number beside it.
    pub(crate) fn set(&self, value: f64) {
        let value = (value * EXACT).round() / EXACT;
        let before = f64::from_bits(self.shown.swap(value.to_bits(), Ordering::Relaxed));
        if value != before {
            self.gauge.increment(value - before);
        }
    }
}

impl Drop for SharedGauge {
    fn drop(&mut self) {
        self.set(0.0);
    }
}
