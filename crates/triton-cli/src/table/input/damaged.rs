//! Keeps what a damaged file does to the libraries that read it from ending the process.
//!
//! They check what they read, but not all of it: some lengths, types and offsets that no writer
//! writes make them panic.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use anyhow::anyhow;

thread_local! {
    /// Whether a panic of this thread is caught, and so needs no message of its own.
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Makes an error of a panic.
pub(super) fn caught<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.get() {
                others(panic);
            }
        }));
    });
    let outer = IS_CAUGHT.replace(true);
    // Nothing of what was being read is used after an error.
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(outer);
    done.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(anyhow!(
            "it is damaged, or written in a way that is not understood ({})",
            said.unwrap_or("no more is known")
        ))
    })
}
