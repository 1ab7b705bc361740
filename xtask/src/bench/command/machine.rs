//! What a measurement was made on and with, which its figures mean nothing without.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::peers::PACKAGES;

pub(super) struct Machine {
    /// Names and values.
    pub(super) lines: Vec<(&'static str, String)>,
}

pub(super) fn describe(triton: &Path, is_other: bool, share: usize) -> Result<Machine> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |line| {
        line.trim_start_matches([' ', '\t', ':'])
    });
    let memory = fs_err::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = memory.lines().find_map(|line| {
        let value = line.strip_prefix("MemTotal:")?.trim();
        value.strip_suffix(" kB")?.parse::<f64>().ok()
    });
    let kernel = fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs_err::read_to_string("/proc/loadavg").unwrap_or_default();
    let words: Vec<_> = std::env::args().skip(1).collect();
    let commit = match is_other {
        true => "another build".to_owned(),
        false => printed(Command::new("git").args(["describe", "--always", "--dirty"])),
    };
    let rows = match share {
        1 => "as the works say".to_owned(),
        share => format!("one in {share} of those that the works say"),
    };
    Ok(Machine {
        lines: vec![
            ("rows", rows),
            (
                "date",
                printed(Command::new("date").args(["-u", "+%F %H:%M UTC"])),
            ),
            (
                "machine",
                format!(
                    "{processors} processors ({model}), {:.0} GiB, Linux {}; load {} at the end",
                    kilobytes.unwrap_or_default() / 1024.0 / 1024.0,
                    kernel.trim(),
                    load.split(' ').next().unwrap_or("?")
                ),
            ),
            (
                "versions",
                format!(
                    "{} ({commit}), {}; {}; mlserver 1.7.1; perf_analyzer of tritonclient 2.51.0",
                    printed(Command::new(triton).arg("--version")),
                    printed(Command::new("rustc").arg("--version")),
                    PACKAGES.join(", ").replace("==", " "),
                ),
            ),
            ("command line", format!("cargo xtask {}", words.join(" "))),
        ],
    })
}

/// What a program prints; nothing if it does not run.
fn printed(program: &mut Command) -> String {
    let output = program.output().map(|output| output.stdout);
    let text = String::from_utf8_lossy(&output.unwrap_or_default()).into_owned();
    text.trim().to_owned()
}
