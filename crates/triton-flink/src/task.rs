//! Which subtask of which job a function runs in, as Flink tells it.

use triton_model_fn::Subtask;

use crate::failure::Failure;
use crate::wire::Reader;

/// Reads index, parallelism and attempt of a subtask, and the IDs of its job and operator.
pub(crate) fn read(bytes: &[u8]) -> Result<Subtask, Failure> {
    let mut reader = Reader::new(bytes);
    let mut number = || reader.array().map(u32::from_le_bytes);
    let subtask = Subtask::new(number()?, number()?, number()?)?;
    let (job, operator) = (reader.text()?, reader.text()?);
    tracing::info!(%subtask, job, operator, "runs in Flink");
    Ok(subtask.in_job(&job_and_operator(&job, &operator))?)
}

/// What tells the sequences of one submission, and of one place in it, from all others.
///
/// Half of each ID: both have 32 hexadecimal digits that are as good as drawn by chance.
fn job_and_operator(job: &str, operator: &str) -> String {
    let half = |id: &str| id.chars().take(16).collect::<String>();
    half(job) + &half(operator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_operators_of_a_job_are_told_apart() {
        let job = "b6b6a601877d99b12f6dfe1e73c4efb7";
        let first = job_and_operator(job, "0a448493b4782967b150582570326227");
        let second = job_and_operator(job, "90bea66de1c231edf33913ecd54406c1");
        insta::assert_snapshot!(first, @"b6b6a601877d99b10a448493b4782967");
        assert_ne!(first, second);
    }
}
