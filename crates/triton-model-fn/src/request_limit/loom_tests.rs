//! Every interleaving of threads that give permits back while their number falls, checked with loom.
//!
//! The permits themselves are those of tokio, whose steps loom does not see: what it interleaves is
//! what is done around them.

use futures_util::FutureExt as _;
use loom::thread;
use metrics::Gauge;

use super::*;
use crate::sync::check_interleavings;

/// The least number that there is.
const FEWEST: u32 = 1;

fn acquire(requests: &RequestLimit) -> Option<LimitedPermit> {
    let seconds = Histogram::noop();
    let permit = requests.acquire(None, &seconds);
    permit.now_or_never().map(|permit| permit.unwrap())
}

fn change(requests: &RequestLimit, limit: u32) {
    let adaptive = requests.adaptive.as_ref().unwrap();
    adaptive.lock().change(limit, &adaptive.permits);
}

#[test]
fn loom_no_more_permits_are_given_than_the_limit_after_it_has_changed() {
    check_interleavings("permits against the limit", || {
        let model = ModelId::latest("m".parse().unwrap());
        let gauge = Arc::new(SharedGauge::new(Gauge::noop()));
        let subtask = Subtask::new(0, 1, 0).unwrap();
        let requests = Arc::new(RequestLimit::new(
            MaxInFlight::Auto,
            &model,
            subtask,
            &gauge,
        ));
        change(&requests, 2);
        let threads = [(); 2].map(|()| {
            let permit = acquire(&requests).expect("one is free");
            thread::spawn(move || drop(permit))
        });
        change(&requests, FEWEST);
        for thread in threads {
            thread.join().unwrap();
        }
        let taken = acquire(&requests).expect("one is free");
        assert!(acquire(&requests).is_none(), "the limit is {FEWEST}");
        change(&requests, 2);
        let second = acquire(&requests).expect("another one is free");
        assert!(acquire(&requests).is_none(), "the limit is 2");
        drop((taken, second));
        assert_eq!(requests.adaptive.as_ref().unwrap().lock().excess, 0);
    });
}
