//! What the system says of the processor time that processes have used.

use anyhow::{Context, Result};

use crate::process::Process;

/// Linux counts processor time in hundredths of a second, on every processor that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Where the processor time of a process begins in `/proc/PID/stat`, counted from its name.
const OWN_TIME: usize = 11;

/// The same of its children that have ended and were waited for.
const TIME_OF_CHILDREN: usize = 13;

/// The processor time that a process has used so far.
pub(crate) fn processor_seconds(process: Process) -> Result<f64> {
    seconds_at(process, OWN_TIME)
}

/// The processor time of all children of this process that have ended.
pub(crate) fn processor_seconds_of_children() -> Result<f64> {
    let this = Process::current(std::process::id().try_into()?)?;
    seconds_at(this, TIME_OF_CHILDREN)
}

/// The sum of two fields: time in the program and time in the system on its behalf.
fn seconds_at(process: Process, field: usize) -> Result<f64> {
    let stat = process.file("stat")?;
    ticks(&stat, field)
        .map(|ticks| ticks as f64 / TICKS_PER_SECOND)
        .with_context(|| format!("cannot understand /proc/{}/stat", process.pid))
}

fn ticks(stat: &str, field: usize) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(field);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_counted_after_the_name() {
        let stat = "42 (a) R (b)) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 12345 99 100";
        assert_eq!(ticks(stat, OWN_TIME), Some(9 + 10));
        assert_eq!(ticks(stat, TIME_OF_CHILDREN), Some(11 + 12));
        assert_eq!(ticks("42 (short) S 1", OWN_TIME), None);
    }
}
