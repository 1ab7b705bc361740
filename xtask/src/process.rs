//! Tells a server's processes from strangers, so that no recycled number is killed.

use std::io::{self, ErrorKind, Read as _};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// A process, told from a later one with the same number by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) start_ticks: u64,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn current(pid: i32) -> Result<Self> {
        let stat = stat(pid)?.with_context(|| format!("there is no process {pid}"))?;
        Ok(Self {
            pid,
            start_ticks: stat.start_ticks,
        })
    }

    pub(crate) fn is_alive(self) -> Result<bool> {
        let stat = stat(self.pid)?;
        Ok(stat.is_some_and(|stat| stat.is_alive && stat.start_ticks == self.start_ticks))
    }

    /// Asks the process to end, if it still lives.
    pub(crate) fn terminate(self) -> Result<()> {
        if self.is_alive()? {
            ignore_absence(kill_process(self.number()?, Signal::TERM))?;
        }
        Ok(())
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(self) -> Result<()> {
        if self.is_alive()? {
            ignore_absence(kill_process(self.number()?, Signal::KILL))?;
        }
        Ok(())
    }

    /// The living members of the group this process leads or led that bear the mark
    /// on their command line.
    pub(crate) fn marked_group_members(self, mark: &str) -> Result<Vec<i32>> {
        let mut members = Vec::new();
        for entry in fs_err::read_dir("/proc")? {
            let Some(pid) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // A process may end while it is looked at; then it is no member any more.
            let Some(stat) = stat(pid)? else { continue };
            if stat.is_alive && stat.group == self.pid && command_line(pid)?.contains(mark) {
                members.push(pid);
            }
        }
        Ok(members)
    }

    /// Kills the whole group, unless its number may belong to somebody else by now.
    ///
    /// While one member lives the system gives the number to no other group. So a
    /// member with the mark proves that all the others are ours too, such as the
    /// children of a model, which bear no mark.
    pub(crate) fn kill_group(self, mark: &str) -> Result<()> {
        self.signal_group(mark, Signal::KILL)
    }

    /// Sends a signal to the whole group, on the condition of [`kill_group`](Self::kill_group).
    pub(crate) fn signal_group(self, mark: &str, signal: Signal) -> Result<()> {
        if !self.marked_group_members(mark)?.is_empty() {
            ignore_absence(kill_process_group(self.number()?, signal))?;
        }
        Ok(())
    }

    /// A file of it below `/proc`; fails if it has ended.
    pub(crate) fn file(self, name: &str) -> Result<String> {
        let content = read(self.pid, name)?;
        content.with_context(|| format!("process {} has ended", self.pid))
    }

    fn number(self) -> Result<Pid> {
        Pid::from_raw(self.pid).with_context(|| format!("{} is no process number", self.pid))
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    is_alive: bool,
    group: i32,
    start_ticks: u64,
}

/// What the system says about a process; `None` if there is none.
fn stat(pid: i32) -> Result<Option<Stat>> {
    let Some(text) = read(pid, "stat")? else {
        return Ok(None);
    };
    let stat = parse(&text).with_context(|| format!("cannot understand /proc/{pid}/stat"))?;
    Ok(Some(stat))
}

/// The name in parentheses may hold spaces and parentheses itself, so the fields are
/// counted from the last one.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        // A zombie holds its number until its parent looks, but it runs no more.
        is_alive: !matches!(*fields.first()?, "Z" | "X" | "x"),
        group: fields.get(2)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

fn command_line(pid: i32) -> Result<String> {
    Ok(read(pid, "cmdline")?.unwrap_or_default())
}

fn read(pid: i32, file: &str) -> Result<Option<String>> {
    let path = format!("/proc/{pid}/{file}");
    match fs_err::File::open(&path).and_then(content) {
        Ok(content) => Ok(Some(String::from_utf8_lossy(&content).into_owned())),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {path}")),
    }
}

/// What is in a file of a process, which may end between the opening and the reading. That error has a number alone,
/// which one with the path would hide.
fn content(file: fs_err::File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.into_parts().0.read_to_end(&mut content)?;
    Ok(content)
}

fn ignore_absence(outcome: rustix::io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error != rustix::io::Errno::SRCH => Err(error.into()),
        _ => Ok(()),
    }
}

fn is_absence(error: &io::Error) -> bool {
    let is_gone = error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error());
    is_gone || error.kind() == ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn fields_are_counted_after_a_name_with_parentheses() {
        let text = "42 (a) R (b)) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 12345 99 100";
        let stat = Stat {
            is_alive: true,
            group: 7,
            start_ticks: 12345,
        };
        assert_eq!(parse(text), Some(stat));
        assert!(parse(&text.replace(" S ", " Z ")).is_some_and(|stat| !stat.is_alive));
        assert_eq!(parse("42 (short) S 1"), None);
    }

    #[test]
    fn a_process_that_ends_while_it_is_looked_at_is_none() -> Result<()> {
        let mut child = Command::new("sleep").arg("60").spawn()?;
        let stat = fs_err::File::open(format!("/proc/{}/stat", child.id()))?;
        child.kill()?;
        child.wait()?;
        let error = content(stat).expect_err("it has ended");
        assert!(is_absence(&error), "{error}");
        Ok(())
    }

    #[test]
    fn a_recycled_number_is_another_process() -> Result<()> {
        let mut child = Command::new("sleep").arg("60").spawn()?;
        let process = Process::current(child.id().try_into()?)?;
        assert!(process.is_alive()?);

        let earlier = Process {
            start_ticks: process.start_ticks - 1,
            ..process
        };
        assert!(!earlier.is_alive()?);
        earlier.terminate()?;
        earlier.kill_group("no-such-mark")?;
        assert!(child.try_wait()?.is_none(), "a stranger was killed");

        child.kill()?;
        // Not waited for yet: it is a zombie now, or about to become one.
        let ended = crate::poll::until(std::time::Duration::from_secs(10), || {
            Ok((!process.is_alive()?).then_some(()))
        })?;
        assert!(ended.is_some());
        child.wait()?;
        assert!(!process.is_alive()?);
        Ok(())
    }
}
