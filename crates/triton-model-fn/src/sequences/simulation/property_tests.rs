//! Any history of rows, faults, time, snapshots, kills and closes: what is promised holds.
//!
//! `PROPTEST_CASES` says how many. What fails is shrunk to the fewest events that still fail.

use std::sync::LazyLock;

use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::history::history;
use super::run::Run;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
});

proptest! {
    #[test]
    fn every_promise_holds_whatever_happens(history in history()) {
        let broken = RUNTIME.block_on(async { Run::new(&history).all().await });
        prop_assert!(broken.is_ok(), "{}", broken.unwrap_err());
    }
}
