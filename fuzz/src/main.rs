//! Lets libFuzzer call the target that the environment names; `cargo xtask fuzz` builds and runs it.

#![cfg_attr(triton_fuzzer, no_main)]

#[cfg(triton_fuzzer)]
mod fuzzer {
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
}

#[cfg(not(triton_fuzzer))]
fn main() -> std::process::ExitCode {
    eprintln!("this was built without the fuzzer: `cargo xtask fuzz` builds it with one");
    std::process::ExitCode::FAILURE
}
