//! The program `triton`.

use std::process::ExitCode;

fn main() -> ExitCode {
    triton::main()
}
