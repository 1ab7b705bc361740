//! Which of a pipeline's parallel subtasks a function runs in, of which job and execution, and for
//! which attempt.

mod checks;

use std::fmt;

/// One parallel instance of a pipeline's step.
///
/// Engines number subtasks from 0 and count, for each of them, the attempts: 0 at first, one
/// more after each failover. What they call the job, the operator and the execution tells apart
/// what these numbers do not: attempts begin at 0 again when a job is submitted again, rescaled or
/// taken over by another coordinator, and each operator of a job has a subtask 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subtask {
    index: u32,
    parallelism: u32,
    attempt: u32,
    job: Option<Name>,
    operator: Option<Name>,
    execution: Option<Name>,
}

/// What an engine calls something, in place so that a subtask can be copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    bytes: [u8; Name::MAX_BYTES],
    length: u8,
}

impl Name {
    const MAX_BYTES: usize = 64;

    fn as_str(&self) -> &str {
        // It is ASCII, which `new` has checked.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

impl Subtask {
    /// What the engine calls the job, if it was told.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        self.job.as_ref().map(Name::as_str)
    }

    /// What the engine calls the operator, if it was told.
    #[must_use]
    pub fn operator(&self) -> Option<&str> {
        self.operator.as_ref().map(Name::as_str)
    }

    /// What the engine calls the execution, if it was told.
    #[must_use]
    pub fn execution(&self) -> Option<&str> {
        self.execution.as_ref().map(Name::as_str)
    }

    /// The job and the operator in it, as one text: what stays the same when subtasks are started
    /// again, rescaled or taken over. `None` where the engine did not tell its job.
    #[must_use]
    pub fn work(&self) -> Option<String> {
        let job = self.job()?;
        Some(match self.operator() {
            Some(operator) => format!("{job}/{operator}"),
            None => job.to_owned(),
        })
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
