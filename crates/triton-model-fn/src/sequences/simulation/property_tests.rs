//! Any history of rows, faults, time, snapshots, kills and closes: what is promised holds.
//!
//! `PROPTEST_CASES` says how many. What fails is shrunk to the fewest events that still fail.

use std::sync::LazyLock;

use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::history::{History, Rows, history};
use super::run::Run;

/// Each property has one of its own, because time that goes by in one goes by for all within it.
fn paused_runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

static OF_ANY_ROWS: LazyLock<Runtime> = LazyLock::new(paused_runtime);
static OF_NUMBERED_ROWS: LazyLock<Runtime> = LazyLock::new(paused_runtime);
static OF_CARRYING_ROWS: LazyLock<Runtime> = LazyLock::new(paused_runtime);

fn check(runtime: &Runtime, history: &History) -> Result<(), TestCaseError> {
    let broken = runtime.block_on(async { Run::new(history).all().await });
    broken.map_err(TestCaseError::fail)
}

proptest! {
    // Holds S5, S6, S7, S10, S22, S24, S45, F28.
    #[test]
    fn every_promise_holds_whatever_happens(history in history(Rows::Bare)) {
        check(&OF_ANY_ROWS, &history)?;
    }

    // Holds S6, S7, S10, S22, S24, S38.
    #[test]
    fn every_promise_holds_where_rows_have_numbers(history in history(Rows::Numbered)) {
        check(&OF_NUMBERED_ROWS, &history)?;
    }
    // Holds S6, S7, S10, S22, S40, S41.
    #[test]
    fn every_promise_holds_where_rows_carry_those_before(history in history(Rows::Carrying)) {
        check(&OF_CARRYING_ROWS, &history)?;
    }
}
