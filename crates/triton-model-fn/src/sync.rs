//! The locks and atomics of what threads share, which a model of concurrency replaces by loom's: that
//! runs every interleaving of the threads of a test. `cargo xtask models` builds these tests.

#[cfg(all(test, triton_loom))]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(all(test, triton_loom)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

/// Something comes next that other threads see and loom does not: they may come before it.
#[inline]
pub(crate) fn before_unseen_step() {
    #[cfg(all(test, triton_loom))]
    loom::thread::yield_now();
}

/// Runs a model for every interleaving, and prints how many there were.
#[cfg(all(test, triton_loom))]
pub(crate) fn check_interleavings(name: &str, model: impl Fn() + Sync + Send + 'static) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    loom::model(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{name}: {} interleavings", count.load(Ordering::Relaxed));
}
