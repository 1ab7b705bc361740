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
    let (job, operator, attempt) = (reader.text()?, reader.text()?, reader.text()?);
    let subtask = subtask.in_job(&job)?.in_operator(&operator)?;
    Ok(subtask.in_execution(execution_of(&attempt))?)
}

/// The execution that an attempt belongs to.
///
/// The ID of an attempt begins with that of the job's execution graph, before vertex, subtask and
/// attempt. A new JobManager makes the graph again when it takes a job over, and so does a
/// rescaling; job and operator stay the same then, and attempts are counted from 0 again.
fn execution_of(attempt: &str) -> &str {
    attempt.split('_').next().unwrap_or(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_bytes;

    fn described(attempt: u32, names: [&str; 3]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [1, 4, attempt] {
            bytes.extend(number.to_le_bytes());
        }
        for name in names {
            put_bytes(&mut bytes, name.as_bytes()).unwrap();
        }
        bytes
    }

    #[test]
    fn what_flink_tells_is_kept_apart() {
        let names = [
            "b6b6a601877d99b12f6dfe1e73c4efb7",
            "0a448493b4782967b150582570326227",
            "5b0c9d1c8ea2cbb5f1d3d2a4b0f37a5e_0a448493b4782967b150582570326227_1_2",
        ];
        let subtask = read(&described(2, names)).unwrap();
        assert_eq!(subtask.to_string(), "subtask 1 of 4, attempt 2");
        assert_eq!(subtask.job(), Some(names[0]));
        assert_eq!(subtask.operator(), Some(names[1]));
        let graph = "5b0c9d1c8ea2cbb5f1d3d2a4b0f37a5e";
        assert_eq!(subtask.execution(), Some(graph));
    }

    #[test]
    fn the_subtasks_of_an_execution_share_it_and_a_takeover_has_another() {
        let of = |attempt_id| {
            let subtask = read(&described(0, ["job", "operator", attempt_id])).unwrap();
            subtask.execution().map(str::to_owned)
        };
        assert_eq!(of("5b0c_0a44_0_0"), of("5b0c_0a44_1_2"));
        assert_ne!(of("5b0c_0a44_0_0"), of("c1f7_0a44_0_0"));
    }
}
