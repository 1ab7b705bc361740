//! Makes a subtask of what an engine says of it, where that can be.

use super::{Name, Subtask};
use crate::{Error, ErrorKind};

impl Name {
    fn new(what: &str, name: &str) -> Result<Self, Error> {
        let fits = (1..=Self::MAX_BYTES).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !fits {
            let message = format!(
                "the {what} is called '{}': expected 1 to {} ASCII letters, digits, '_' and '-'",
                name.escape_debug(),
                Self::MAX_BYTES
            );
            return Err(Error::new(ErrorKind::Subtask, message));
        }
        let mut bytes = [0; Self::MAX_BYTES];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self {
            bytes,
            length: name.len() as u8,
        })
    }
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
                operator: None,
                execution: None,
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

    /// This subtask as a part of the job that the engine calls `job`, which has to be new with
    /// every submission.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Subtask`] unless `job` is 1 to 64 ASCII letters, digits, `_` and `-`.
    ///
    /// ```
    /// use triton_model_fn::Subtask;
    ///
    /// let subtask = Subtask::new(0, 4, 1)?
    ///     .in_job("a1b2c3")?
    ///     .in_operator("score")?
    ///     .in_execution("first-graph")?;
    /// assert_eq!(subtask.job(), Some("a1b2c3"));
    /// assert_eq!(subtask.work().as_deref(), Some("a1b2c3/score"));
    /// # Ok::<(), triton_model_fn::Error>(())
    /// ```
    pub fn in_job(mut self, job: &str) -> Result<Self, Error> {
        self.job = Some(Name::new("job", job)?);
        Ok(self)
    }

    /// This subtask as a part of the operator that the engine calls `operator`, which has to be
    /// another one for each place in which a job calls a model.
    ///
    /// # Errors
    ///
    /// As [`in_job`](Self::in_job).
    pub fn in_operator(mut self, operator: &str) -> Result<Self, Error> {
        self.operator = Some(Name::new("operator", operator)?);
        Ok(self)
    }

    /// This subtask as a part of the execution that the engine calls `execution`: what all subtasks
    /// of a job share from when it begins, or goes on, with attempts that are counted from 0.
    ///
    /// With the job, the operator and the attempt it tells apart the runs whose sequence IDs must
    /// not repeat (option `sequence-id-scope`).
    ///
    /// # Errors
    ///
    /// As [`in_job`](Self::in_job).
    pub fn in_execution(mut self, execution: &str) -> Result<Self, Error> {
        self.execution = Some(Name::new("execution", execution)?);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_apart_and_checked() {
        let subtask = Subtask::new(0, 1, 0).unwrap();
        assert_eq!(subtask.work(), None);
        assert_eq!(subtask.in_operator("o").unwrap().work(), None);
        let longest = "x".repeat(Name::MAX_BYTES);
        let subtask = subtask.in_job(&longest).unwrap();
        assert_eq!(subtask.work().as_deref(), Some(longest.as_str()));
        let subtask = subtask.in_operator("o_1").unwrap();
        let subtask = subtask.in_execution("e-1").unwrap();
        assert_eq!(subtask.job(), Some(longest.as_str()));
        assert_eq!(subtask.operator(), Some("o_1"));
        assert_eq!(subtask.execution(), Some("e-1"));

        insta::assert_snapshot!(subtask.in_job("").unwrap_err(), @"the job is called '': expected 1 to 64 ASCII letters, digits, '_' and '-'");
        insta::assert_snapshot!(subtask.in_operator("a b\n").unwrap_err(), @r"the operator is called 'a b\n': expected 1 to 64 ASCII letters, digits, '_' and '-'");
        insta::assert_snapshot!(subtask.in_execution(&"x".repeat(65)).unwrap_err(), @"the execution is called 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx': expected 1 to 64 ASCII letters, digits, '_' and '-'");
    }
}
