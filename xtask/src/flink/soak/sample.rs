//! What a TaskManager has while no job runs.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use crate::flink::jvm::Jvm;
use crate::flink::resources;
use crate::{interrupt, poll};

/// The provider's threads end with its tasks, and a job is reported as ended a moment earlier.
const TIME_TO_END: Duration = Duration::from_secs(10);

/// How the names of our threads begin: "triton answers for …" in Java, `triton-flink` in Rust.
const OUR_THREADS: &str = "triton";

const OUR_LIBRARY: &str = "libtriton_flink";

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Bytes of Java's heap that are in use after a forced GC.
    pub(super) heap: u64,
    /// Bytes in RAM besides Java's heap.
    pub(super) outside_heap: u64,
    pub(super) threads: u64,
    pub(super) our_threads: u64,
    pub(super) classes: u64,
    /// Class loaders of jobs.
    pub(super) class_loaders: u64,
    /// Copies of the native library that are mapped, deleted ones too.
    pub(super) libraries: u64,
    pub(super) files: u64,
}

/// The columns of a [`Sample`], behind the job, how it ended, and the TaskManager's number.
pub(super) const HEAD: &str =
    " job     ended  TM heap MB  outside MB  threads  ours  classes  loaders  libraries  files";

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>7.2} {:>11.1} {:>8} {:>5} {:>8} {:>8} {:>10} {:>6}",
            self.heap as f64 / 1e6,
            self.outside_heap as f64 / 1e6,
            self.threads,
            self.our_threads,
            self.classes,
            self.class_loaders,
            self.libraries,
            self.files
        )
    }
}

/// Waits until our threads are gone, but not for long, collects all garbage and looks.
pub(super) fn sample(jvm: &Jvm) -> Result<Sample> {
    let count_ours = || {
        let names = resources::threads(jvm.process)?;
        let ours = names.iter().filter(|name| name.starts_with(OUR_THREADS));
        anyhow::Ok(ours.count())
    };
    poll::until(TIME_TO_END, || {
        interrupt::check()?;
        Ok((count_ours()? == 0).then_some(()))
    })?;
    jvm.collect_garbage()?;
    // This collects garbage, too: what the first collection let go may itself hold something.
    let class_loaders = jvm.class_loaders()?;
    let heap = jvm.heap()?;
    Ok(Sample {
        heap: heap.used,
        outside_heap: resources::resident(jvm.process, &heap.addresses)?.outside_heap,
        threads: resources::threads(jvm.process)?.len() as u64,
        our_threads: count_ours()? as u64,
        classes: jvm.classes()?,
        class_loaders,
        libraries: resources::mapped_files(jvm.process, OUR_LIBRARY)? as u64,
        files: resources::open_files(jvm.process)? as u64,
    })
}
