//! When something counts as growing.
//!
//! The first jobs load classes, start pools and fill caches, so they say nothing. Of the jobs
//! behind them the first five are compared with the last five of all: something grows if even its
//! lowest value in the last five is above its highest in the first five, by more than the
//! allowance for each job in between. So a single high value, such as a connection that was still
//! closing, proves nothing, while whatever each job leaves behind is found: between the two
//! groups it has come together as many times as there are jobs.

use super::sample::Sample;

/// Jobs that say nothing.
const WARM_UP: usize = 5;

/// Jobs of a group that are compared.
const GROUP: usize = 5;

/// The groups must not overlap, and there has to be room between them.
pub(super) const FEWEST_JOBS: usize = WARM_UP + 2 * GROUP + 1;

struct Measure {
    name: &'static str,
    value: fn(&Sample) -> u64,
    /// What a job may add: less than one of what is counted, and less memory than a job needs.
    allowance: f64,
}

const MEASURES: [Measure; 7] = [
    Measure {
        name: "bytes of heap",
        value: |sample| sample.heap,
        allowance: 100_000.0,
    },
    Measure {
        name: "bytes outside the heap",
        value: |sample| sample.outside_heap,
        allowance: 1_000_000.0,
    },
    Measure {
        name: "threads",
        value: |sample| sample.threads,
        allowance: 0.5,
    },
    Measure {
        name: "classes",
        value: |sample| sample.classes,
        allowance: 20.0,
    },
    Measure {
        name: "class loaders of jobs",
        value: |sample| sample.class_loaders,
        allowance: 0.5,
    },
    Measure {
        name: "mapped copies of the native library",
        value: |sample| sample.libraries,
        allowance: 0.5,
    },
    Measure {
        name: "open files",
        value: |sample| sample.files,
        allowance: 0.5,
    },
];

/// What grows from job to job, in words; the samples are those of one TaskManager.
pub(super) fn growth(samples: &[Sample]) -> Vec<String> {
    let Some(compared) = samples
        .get(WARM_UP..)
        .filter(|rest| rest.len() >= 2 * GROUP)
    else {
        return Vec::new();
    };
    let (first, last) = (&compared[..GROUP], &compared[compared.len() - GROUP..]);
    let jobs = compared.len() - 2 * GROUP + 1;
    let mut grown = Vec::new();
    for Measure {
        name,
        value,
        allowance,
    } in MEASURES
    {
        let highest = first.iter().map(value).max().unwrap_or_default();
        let lowest = last.iter().map(value).min().unwrap_or_default();
        if lowest as f64 > highest as f64 + allowance * jobs as f64 {
            grown.push(format!(
                "{name} grow: at most {highest} in jobs {} to {}, at least {lowest} in the last \
                 {GROUP}; allowed is {allowance} more for each job",
                WARM_UP + 1,
                WARM_UP + GROUP
            ));
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(files: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |job| Sample {
            files: files(job),
            ..Sample::default()
        };
        (1..=FEWEST_JOBS as u64).map(sample).collect()
    }

    #[test]
    fn one_for_each_job_is_a_leak() {
        let grown = growth(&samples(|job| 100 + job));
        let expected = "open files grow: at most 110 in jobs 6 to 10, at least 112 in the last \
                        5; allowed is 0.5 more for each job";
        assert_eq!(grown, [expected]);
    }

    #[test]
    fn what_comes_with_the_first_jobs_or_goes_away_again_is_none() {
        assert!(growth(&samples(|job| job.min(6) * 10)).is_empty());
        assert!(growth(&samples(|job| 100 + job % 3 * 50)).is_empty());
        assert!(growth(&samples(|job| if job == 14 { 900 } else { 1 })).is_empty());
        assert!(growth(&[]).is_empty());
    }
}
