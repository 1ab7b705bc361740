//! What the system says a process uses: memory, threads, files and libraries.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context, Result};

use crate::process::Process;

/// Memory of a process that is in RAM, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resident {
    pub(super) all: u64,
    /// All but the heap of Java, which takes what it may have before it collects any garbage. The
    /// rest is what native code allocates, and what the JVM needs for itself.
    pub(super) outside_heap: u64,
}

/// The memory of a process whose Java heap has these addresses.
pub(super) fn resident(process: Process, heap: &Range<u64>) -> Result<Resident> {
    let mappings = process.file("smaps")?;
    sum_up(&mappings, heap)
        .with_context(|| format!("cannot understand /proc/{}/smaps", process.pid))
}

fn sum_up(mappings: &str, heap: &Range<u64>) -> Option<Resident> {
    let mut resident = Resident::default();
    let mut within_heap = false;
    for line in mappings.lines() {
        let (name, rest) = line.split_once(' ')?;
        if let Some((begin, _)) = name.split_once('-') {
            within_heap = heap.contains(&u64::from_str_radix(begin, 16).ok()?);
        } else if name == "Rss:" {
            let bytes = rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024;
            resident.all += bytes;
            resident.outside_heap += if within_heap { 0 } else { bytes };
        }
    }
    Some(resident)
}

/// The names of its threads, of which the system keeps the first 15 characters.
pub(super) fn threads(process: Process) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(format!("/proc/{}/task", process.pid))? {
        // A thread may end while it is looked at.
        if let Ok(name) = fs_err::read_to_string(entry?.path().join("comm")) {
            names.push(name.trim_end().to_owned());
        }
    }
    Ok(names)
}

/// How many files, sockets and the like it has open.
pub(super) fn open_files(process: Process) -> Result<usize> {
    Ok(fs_err::read_dir(format!("/proc/{}/fd", process.pid))?.count())
}

/// How many files with this in their name it has mapped, deleted ones too.
pub(super) fn mapped_files(process: Process, name: &str) -> Result<usize> {
    Ok(count_files(&process.file("maps")?, name))
}

fn count_files(mappings: &str, name: &str) -> usize {
    let paths = mappings.lines().filter_map(|line| {
        let begin = line.find('/')?;
        line[begin..].contains(name).then_some(&line[begin..])
    });
    paths.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_apart_from_the_heap() {
        let mappings = "1000-2000 rw-p 00000000 00:00 0 [heap]\nSize: 9 kB\nRss:   4 kB\n\
                        e000-f000 rw-p 00000000 00:00 0 \nRss:   8 kB\nVmFlags: rd wr\n";
        let resident = Resident {
            all: 12 * 1024,
            outside_heap: 4 * 1024,
        };
        assert_eq!(sum_up(mappings, &(0xe000..0x10000)), Some(resident));
    }

    #[test]
    fn a_library_that_was_deleted_counts_once() {
        let mappings = "1-2 r-xp 0 08:01 7 /tmp/libours1.so (deleted)\n\
                        2-3 r--p 0 08:01 7 /tmp/libours1.so (deleted)\n\
                        3-4 r-xp 0 08:01 8 /tmp/libours2.so (deleted)\n\
                        4-5 r-xp 0 08:01 9 /lib/libc.so\n5-6 rw-p 0 00:00 0\n";
        assert_eq!(count_files(mappings, "libours"), 2);
    }
}
