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
        } = self;
        write!(
            formatter,
            "subtask {index} of {parallelism}, attempt {attempt}"
        )
    }
}
