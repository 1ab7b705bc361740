//! Which of a pipeline's parallel subtasks a function runs in, and for the how-manieth time.

use std::fmt;

use crate::{Error, ErrorKind};

/// One parallel instance of a pipeline's step.
///
/// Engines number subtasks from 0 and count, for each of them, the attempts: 0 at first, one
/// more after each failover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subtask {
    index: u32,
    parallelism: u32,
    attempt: u32,
    job: Option<Job>,
}

/// The engine's name of a job, in place so that a subtask stays small and can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Job {
    bytes: [u8; Job::MAX_BYTES],
    length: u8,
}

impl Job {
    const MAX_BYTES: usize = 32;
}

impl Subtask {
    /// The subtask `index` of `parallelism`, in its attempt number `attempt`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Subtask`] unless `index` is less than `parallelism`.
    ///
    /// ```
    /// use triton_model_fn::Subtask;
    ///
    /// assert_eq!(Subtask::new(2, 3, 0)?.to_string(), "subtask 2 of 3, attempt 0");
    /// assert!(Subtask::new(3, 3, 0).is_err());
    /// # Ok::<(), triton_model_fn::Error>(())
    /// ```
    pub fn new(index: u32, parallelism: u32, attempt: u32) -> Result<Self, Error> {
        if index < parallelism {
            return Ok(Self {
                index,
                parallelism,
                attempt,
                job: None,
            });
        }
        Err(Error::new(
            ErrorKind::Subtask,
            format!(
                "subtask index {index} does not exist at parallelism {parallelism}: subtasks are \
                 numbered from 0"
            ),
        ))
    }

    /// This subtask as a part of the job that the engine calls `job`.
    ///
    /// With the attempt it tells apart the runs whose sequence IDs must not repeat (option
    /// `sequence-id-scope`), so it has to be new with every submission, and different where one
    /// job calls a model in two places.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Subtask`] unless `job` is 1 to 32 ASCII letters and digits.
    ///
    /// ```
    /// use triton_model_fn::Subtask;
    ///
    /// let subtask = Subtask::new(0, 4, 1)?.in_job("a1b2c3")?;
    /// assert_eq!(subtask.job(), Some("a1b2c3"));
    /// # Ok::<(), triton_model_fn::Error>(())
    /// ```
    pub fn in_job(mut self, job: &str) -> Result<Self, Error> {
        let fits = (1..=Job::MAX_BYTES).contains(&job.len())
            && job.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !fits {
            let message = format!(
                "the job is called '{job}': expected 1 to {} ASCII letters and digits",
                Job::MAX_BYTES
            );
            return Err(Error::new(ErrorKind::Subtask, message));
        }
        let mut bytes = [0; Job::MAX_BYTES];
        bytes[..job.len()].copy_from_slice(job.as_bytes());
        self.job = Some(Job {
            bytes,
            length: job.len() as u8,
        });
        Ok(self)
    }

    /// What the engine calls the job, if it was told.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        let Job { bytes, length } = self.job.as_ref()?;
        std::str::from_utf8(&bytes[..usize::from(*length)]).ok()
    }

    /// The number of this subtask, from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many subtasks there are.
    #[must_use]
    pub fn parallelism(self) -> u32 {
        self.parallelism
    }

    /// How often this subtask has been started before.
    #[must_use]
    pub fn attempt(self) -> u32 {
        self.attempt
    }
}

impl fmt::Display for Subtask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            parallelism,
            attempt,
            ..
        } = self;
        write!(
            formatter,
            "subtask {index} of {parallelism}, attempt {attempt}"
        )
    }
}
