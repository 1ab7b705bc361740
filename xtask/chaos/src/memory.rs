//! How much memory this process has.

use anyhow::{Context as _, Result};

/// What the process has in memory, in MiB.
pub(crate) fn resident() -> Result<f64> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: f64 = kibibytes.context("a process has memory")?.parse()?;
    Ok(kibibytes / 1024.0)
}
