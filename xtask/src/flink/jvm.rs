//! What a running JVM says of itself, by the JDK's own `jcmd`.

use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command;
use crate::process::Process;

/// A JVM answers within a second, unless it or the machine is busy.
const LIMIT: Duration = Duration::from_secs(60);

/// Flink makes one for the classes of each job.
const CLASS_LOADER: &str = "org.apache.flink.util.ChildFirstClassLoader";

/// A process that runs Java.
pub(super) struct Jvm {
    pub(super) process: Process,
    /// A file for what `jcmd` prints.
    pub(super) scratch: PathBuf,
}

/// Java's heap.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heap {
    pub(super) used: u64,
    pub(super) addresses: Range<u64>,
}

impl Jvm {
    /// Collects all garbage, and classes that nobody can reach.
    pub(super) fn collect_garbage(&self) -> Result<()> {
        self.ask(&["GC.run"]).map(drop)
    }

    pub(super) fn heap(&self) -> Result<Heap> {
        let text = self.ask(&["GC.heap_info"])?;
        heap(&text).with_context(|| format!("cannot understand the description of a heap: {text}"))
    }

    /// How many classes are loaded now.
    pub(super) fn classes(&self) -> Result<u64> {
        let text = self.ask(&["PerfCounter.print"])?;
        classes(&text).context("the JVM does not tell how many classes it has loaded")
    }

    /// How many class loaders of jobs there are.
    pub(super) fn class_loaders(&self) -> Result<u64> {
        let text = self.ask(&["GC.class_histogram"])?;
        Ok(instances(&text, CLASS_LOADER))
    }

    fn ask(&self, question: &[&str]) -> Result<String> {
        let mut jcmd = Command::new("jcmd");
        jcmd.arg(self.process.pid.to_string()).args(question);
        command::output_within(&mut jcmd, &self.scratch, LIMIT, || Ok(()))
            .context("is a JDK of at least version 17 installed, with jcmd on PATH?")
    }
}

/// Some collectors tell of one heap, others of two generations.
fn heap(text: &str) -> Option<Heap> {
    let mut heap: Option<Heap> = None;
    for line in text.lines().filter(|line| line.contains(" total ")) {
        let (_, rest) = line.split_once(" used ")?;
        let (used, rest) = rest.split_once("K [")?;
        let used = used.parse::<u64>().ok()? * 1024;
        let (addresses, _) = rest.split_once(')')?;
        let address = |text: &str| {
            let digits = text.trim().strip_prefix("0x")?;
            u64::from_str_radix(digits, 16).ok()
        };
        let begin = address(addresses.split(',').next()?)?;
        let end = address(addresses.split(',').next_back()?)?;
        let known = heap.get_or_insert(Heap {
            used: 0,
            addresses: begin..end,
        });
        known.used += used;
        let addresses = &mut known.addresses;
        *addresses = addresses.start.min(begin)..addresses.end.max(end);
    }
    heap
}

fn classes(text: &str) -> Option<u64> {
    let counter = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix('=')?.parse::<u64>().ok()
    };
    let loaded = counter("java.cls.loadedClasses")? + counter("java.cls.sharedLoadedClasses")?;
    let unloaded =
        counter("java.cls.unloadedClasses")? + counter("java.cls.sharedUnloadedClasses")?;
    loaded.checked_sub(unloaded)
}

/// A line is `  17:   3   144  the.Class (module)`.
fn instances(histogram: &str, class: &str) -> u64 {
    let count = histogram.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, count, _, name, ..] = words[..] else {
            return None;
        };
        (name == class).then(|| count.parse().ok())?
    });
    // No line means that there is none.
    count.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heap_of_one_piece_or_of_two() {
        let one = "7:\n garbage-first heap   total 400K, used 31K [0x00e8, 0x0100)\n  \
                   region size 1024K, 2 young (2048K)\n Metaspace used 100K, committed 200K\n";
        let expected = Heap {
            used: 31 * 1024,
            addresses: 0xe8..0x100,
        };
        assert_eq!(heap(one), Some(expected));
        let two = " def new generation   total 9K, used 2K [0x10, 0x20, 0x30)\n  \
                   eden space 8K,  18% used [0x10, 0x12, 0x20)\n \
                   tenured generation   total 9K, used 3K [0x30, 0x40, 0x50)\n";
        let expected = Heap {
            used: 5 * 1024,
            addresses: 0x10..0x50,
        };
        assert_eq!(heap(two), Some(expected));
        assert_eq!(heap("7:\nunknown"), None);
    }

    #[test]
    fn classes_that_were_unloaded_do_not_count() {
        let text = "java.cls.loadedClasses=10\njava.cls.sharedLoadedClasses=5\n\
                    java.cls.unloadedClasses=3\njava.cls.sharedUnloadedClasses=1\n";
        assert_eq!(classes(text), Some(11));
        assert_eq!(classes("7:"), None);
    }

    #[test]
    fn instances_are_those_of_the_class_itself() {
        let text = "  17:   3   144  a.Loader$1 (app)\n  18:   2   96  a.Loader (app)\n";
        assert_eq!(instances(text, "a.Loader"), 2);
        assert_eq!(instances(text, "b.Loader"), 0);
    }
}
