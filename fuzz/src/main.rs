//! Lets libFuzzer call the target that the environment names; `cargo xtask fuzz` runs it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use triton_fuzz::{Target, VARIABLE};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).unwrap_or_default();
    Target::called(&name).unwrap_or_else(|| panic!("{VARIABLE} names no target: '{name}'"))
});

fuzz_target!(|input: &[u8]| {
    (TARGET.run)(input);
});
