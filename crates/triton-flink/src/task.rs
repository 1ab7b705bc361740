//! Which subtask of which job a function runs in, as Flink tells it.

use triton_model_fn::Subtask;

use crate::failure::Failure;
use crate::wire::Reader;

/// Reads index, parallelism and attempt of a subtask, and the IDs of its job, operator and
/// execution.
pub(crate) fn read(bytes: &[u8]) -> Result<Subtask, Failure> {
    let mut reader = Reader::new(bytes);
    let mut number = || reader.array().map(u32::from_le_bytes);
    let subtask = Subtask::new(number()?, number()?, number()?)?;
    let (job, operator, execution) = (reader.text()?, reader.text()?, reader.text()?);
    tracing::info!(%subtask, job, operator, execution, "runs in Flink");
    Ok(subtask.in_job(&place(&job, &operator, &execution))?)
}

/// What tells the sequences of one submission, and of one place in it, from all others.
///
/// A part of each ID: they have 32 hexadecimal digits that are as good as drawn by chance. The one
/// of an execution begins with that of its graph, which a new JobManager makes anew when it takes
/// a job over; job and operator stay the same then, and attempts are counted from 0 again.
fn place(job: &str, operator: &str, execution: &str) -> String {
    let part = |id: &str, digits| id.chars().take(digits).collect::<String>();
    part(job, 16) + &part(operator, 8) + &part(execution, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_and_executions_of_a_job_are_told_apart() {
        let job = "b6b6a601877d99b12f6dfe1e73c4efb7";
        let operators = [
            "0a448493b4782967b150582570326227",
            "90bea66de1c231edf33913ecd54406c1",
        ];
        let executions = [
            "5b0c9d1c8ea2cbb5f1d3d2a4b0f37a5e_0a448493b4782967b150582570326227_0_0",
            "c1f7a2b94d3e8f60718293a4b5c6d7e8_0a448493b4782967b150582570326227_0_0",
        ];
        insta::assert_snapshot!(place(job, operators[0], executions[0]), @"b6b6a601877d99b10a4484935b0c9d1c");
        insta::assert_snapshot!(place(job, operators[1], executions[0]), @"b6b6a601877d99b190bea66d5b0c9d1c");
        insta::assert_snapshot!(place(job, operators[0], executions[1]), @"b6b6a601877d99b10a448493c1f7a2b9");
    }
}
