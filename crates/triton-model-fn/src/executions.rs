//! What this process has seen of the executions of jobs: whether a subtask that is opened goes on
//! with work that had rows before, and whether what the engine hands over is new.
//!
//! An attempt above 0 says so by itself. But attempts begin at 0 again when a job is rescaled or
//! another coordinator takes it over, and then only the name of the execution is another one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::Subtask;

/// The most operators of jobs, and the most executions of each, that are remembered.
const MAX_OPERATORS: usize = 1000;
const MAX_EXECUTIONS: usize = 16;

/// Everything that was opened in this process.
static SEEN: Mutex<Executions> = Mutex::new(Executions::new());

/// What is known of a subtask at the moment in which it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    /// What shows that its job has run before, if anything does.
    pub(crate) ran_before: Option<RanBefore>,
    /// Whether job, operator, execution and attempt name this opening alone, as far as this
    /// process can tell.
    pub(crate) is_unique: bool,
}

/// What shows that a job has run before, so that a key may have had rows that are not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RanBefore {
    /// The engine counts an attempt above 0.
    Attempt(u32),
    /// Another execution of the job's operator was opened in this process.
    Execution(String),
    /// The same subtask of the same execution, or the same function, was opened in this process.
    Opening,
}

impl fmt::Display for RanBefore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(attempt) => write!(formatter, "attempt {attempt}"),
            Self::Execution(execution) => write!(
                formatter,
                "execution '{execution}' of the job was opened in this process before"
            ),
            Self::Opening => formatter.write_str("this subtask was opened in this process before"),
        }
    }
}

/// Notes that `subtask` is opened, which makes a difference for those that are opened later.
///
/// `again` says that the same function was open before.
pub(crate) fn note(subtask: &Subtask, again: bool) -> Opened {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let Opened {
        ran_before,
        is_unique,
    } = seen.note(subtask);
    Opened {
        ran_before: ran_before.or(again.then_some(RanBefore::Opening)),
        is_unique: is_unique && !again,
    }
}

/// The operators of jobs, the last one opened last.
#[derive(Debug)]
pub(crate) struct Executions {
    operators: VecDeque<Operator>,
    /// Whether an operator is no longer remembered, so that an unknown one may be no new one.
    forgot: bool,
}

/// The executions of one operator, or of a job whose operators the engine does not tell apart.
#[derive(Debug)]
struct Operator {
    work: String,
    executions: VecDeque<Execution>,
    /// The last execution that is no longer remembered.
    forgotten: Option<String>,
}

#[derive(Debug)]
struct Execution {
    /// What the engine calls it; empty where it gives no name.
    name: String,
    /// The highest attempt of each subtask that was opened.
    attempts: HashMap<u32, u32>,
}

impl Executions {
    pub(crate) const fn new() -> Self {
        Self {
            operators: VecDeque::new(),
            forgot: false,
        }
    }

    /// Notes that `subtask` is opened, in a process that has seen just this.
    pub(crate) fn note(&mut self, subtask: &Subtask) -> Opened {
        let attempt = subtask.attempt();
        let by_attempt = (attempt > 0).then_some(RanBefore::Attempt(attempt));
        let Some(work) = subtask.work() else {
            // Nothing tells this subtask from one of another job.
            return Opened {
                ran_before: by_attempt,
                is_unique: false,
            };
        };
        let known = self.operators.iter().position(|known| known.work == work);
        let is_known = known.is_some();
        let operator = known.and_then(|index| self.operators.remove(index));
        let mut operator = operator.unwrap_or_else(|| Operator::new(work));
        let name = subtask.execution().unwrap_or_default();
        let other = operator.other_execution(name);
        let is_certain = is_known || !self.forgot;
        let (again, is_new) = operator.note(name, subtask);
        if self.operators.len() >= MAX_OPERATORS {
            self.operators.pop_front();
            self.forgot = true;
        }
        self.operators.push_back(operator);
        let here = other.map(RanBefore::Execution);
        let here = here.or(again.then_some(RanBefore::Opening));
        Opened {
            ran_before: by_attempt.or(here),
            is_unique: !again && is_new && is_certain,
        }
    }
}

impl Operator {
    fn new(work: String) -> Self {
        Self {
            work,
            executions: VecDeque::new(),
            forgotten: None,
        }
    }

    /// The last execution seen that is not called `name`.
    fn other_execution(&self, name: &str) -> Option<String> {
        let seen = self.executions.iter().rev().map(|seen| &seen.name);
        let mut seen = seen.chain(&self.forgotten);
        seen.find(|seen| *seen != name).cloned()
    }

    /// Whether the same attempt of the subtask, or a later one, was opened before, and whether it
    /// is certain that this one was not.
    fn note(&mut self, name: &str, subtask: &Subtask) -> (bool, bool) {
        let (index, attempt) = (subtask.index(), subtask.attempt());
        let known = self.executions.iter().position(|seen| seen.name == name);
        let mut is_certain = true;
        let mut execution = known
            .and_then(|known| self.executions.remove(known))
            .unwrap_or_else(|| {
                is_certain = self.forgotten.is_none();
                Execution {
                    name: name.to_owned(),
                    attempts: HashMap::new(),
                }
            });
        let before = execution.attempts.get(&index).copied();
        let again = before.is_some_and(|before| before >= attempt);
        let highest = before.map_or(attempt, |before| before.max(attempt));
        execution.attempts.insert(index, highest);
        if self.executions.len() >= MAX_EXECUTIONS {
            self.forgotten = self.executions.pop_front().map(|execution| execution.name);
        }
        self.executions.push_back(execution);
        (again, is_certain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subtask(index: u32, attempt: u32, names: [&str; 3]) -> Subtask {
        let subtask = Subtask::new(index, 8, attempt).unwrap();
        let [job, operator, execution] = names;
        let subtask = subtask.in_job(job).unwrap();
        let subtask = subtask.in_operator(operator).unwrap();
        subtask.in_execution(execution).unwrap()
    }

    /// What is said of a subtask that is opened, as text; empty if it has not run before.
    fn told(opened: &Opened) -> String {
        let told = opened.ran_before.as_ref().map(ToString::to_string);
        told.unwrap_or_default()
    }

    // Holds S43.
    #[test]
    fn an_attempt_above_zero_has_run_before() {
        let mut seen = Executions::new();
        let opened = seen.note(&subtask(0, 2, ["j", "o", "e"]));
        assert_eq!(told(&opened), "attempt 2");
        assert!(opened.is_unique);
        // Also where the engine says nothing else.
        let opened = seen.note(&Subtask::new(0, 1, 2).unwrap());
        assert_eq!(told(&opened), "attempt 2");
        assert!(!opened.is_unique);
    }

    #[test]
    fn subtasks_and_operators_of_one_execution_have_not() {
        let mut seen = Executions::new();
        for (index, names) in [
            (0, ["j", "o", "e"]),
            (1, ["j", "o", "e"]),
            (0, ["j", "other", "e"]),
            (0, ["another", "o", "e"]),
        ] {
            let opened = seen.note(&subtask(index, 0, names));
            assert_eq!((told(&opened).as_str(), opened.is_unique), ("", true));
        }
    }

    // Holds S43.
    #[test]
    fn a_takeover_or_rescaling_at_attempt_zero_has() {
        let mut seen = Executions::new();
        seen.note(&subtask(0, 0, ["j", "o", "e1"]));
        // A subtask beyond the old parallelism, too: it has got keys of the others.
        let opened = seen.note(&subtask(5, 0, ["j", "o", "e2"]));
        insta::assert_snapshot!(told(&opened), @"execution 'e1' of the job was opened in this process before");
        assert!(opened.is_unique);
        // Whatever is left of the old one is no better off.
        let opened = seen.note(&subtask(1, 0, ["j", "o", "e1"]));
        insta::assert_snapshot!(told(&opened), @"execution 'e2' of the job was opened in this process before");
    }

    // Holds S20, S43.
    #[test]
    fn the_same_subtask_opened_again_has_and_is_not_unique() {
        let mut seen = Executions::new();
        seen.note(&subtask(0, 1, ["j", "o", "e"]));
        for attempt in [0, 1] {
            let opened = seen.note(&subtask(0, attempt, ["j", "o", "e"]));
            assert!(opened.ran_before.is_some() && !opened.is_unique);
        }
        let opened = seen.note(&subtask(0, 0, ["j", "o", "e"]));
        insta::assert_snapshot!(told(&opened), @"this subtask was opened in this process before");
        assert!(seen.note(&subtask(0, 2, ["j", "o", "e"])).is_unique);
    }

    // Holds S43.
    #[test]
    fn a_function_that_is_opened_again_has_run_whatever_the_engine_says() {
        let nothing = Subtask::new(0, 1, 0).unwrap();
        assert_eq!(note(&nothing, false).ran_before, None);
        assert_eq!(note(&nothing, true).ran_before, Some(RanBefore::Opening));
        let named = subtask(0, 0, ["executions-test", "o", "e"]);
        assert!(!note(&named, true).is_unique);
    }

    #[test]
    fn what_is_forgotten_is_never_taken_for_new() {
        let mut seen = Executions::new();
        for execution in 0..=MAX_EXECUTIONS {
            seen.note(&subtask(0, 0, ["j", "o", &format!("e{execution}")]));
        }
        let opened = seen.note(&subtask(0, 0, ["j", "o", "e0"]));
        assert!(!opened.is_unique && opened.ran_before.is_some());
        assert_eq!(seen.operators[0].executions.len(), MAX_EXECUTIONS);

        for job in 0..MAX_OPERATORS {
            assert!(
                seen.note(&subtask(0, 0, [&format!("j{job}"), "o", "e"]))
                    .is_unique
            );
        }
        assert_eq!(seen.operators.len(), MAX_OPERATORS);
        assert!(!seen.note(&subtask(0, 0, ["j", "o", "e0"])).is_unique);
        // What is remembered still is.
        assert!(seen.note(&subtask(1, 0, ["j999", "o", "e"])).is_unique);
    }
}
