//! What the exit codes mean: the command, its help and the table in the guide have it from here.
//!
//! The file stands alone, because `cargo xtask docs` compiles it too and writes that table.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Partial,
    Usage,
    Server,
    Mistake,
    Interrupted,
    Terminated,
}

impl Exit {
    pub(crate) const ALL: [Self; 7] = [
        Self::Done,
        Self::Partial,
        Self::Usage,
        Self::Server,
        Self::Mistake,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The exit code; after a signal it is the one that a shell gives to a process which the
    /// signal ended.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Partial => 1,
            Self::Usage => 2,
            Self::Server => 3,
            Self::Mistake => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What it means, whatever the command.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Done => "it was done, or whoever read the output had seen enough",
            Self::Partial => {
                "part of it was not: rows or requests failed, an assertion did not hold, or the \
                 server is not ready"
            }
            Self::Usage => "the command line, a file, an option or the output cannot be used",
            Self::Server => {
                "the server could not be reached, refused, went away, or its model does not fit"
            }
            Self::Mistake => "the command has made a mistake: please report it",
            Self::Interrupted => "Ctrl-C ended it before it was done",
            Self::Terminated => "SIGTERM ended it before it was done",
        }
    }

    /// What it means of the rows that `predict` has read.
    pub(crate) fn of_rows(self) -> &'static str {
        match self {
            Self::Done => "every row was answered, got the default, or is in the output as failed",
            Self::Partial => {
                "some rows were rejected; each is named on standard error or in the file of --errors"
            }
            Self::Usage => {
                "the command line, the model file, its options, the input or the output cannot be used"
            }
            Self::Server => "the server could not be reached, or its model does not fit",
            Self::Mistake => "the command lost count of its rows, which is a mistake in it",
            Self::Interrupted => "Ctrl-C ended the run; what was in flight has been finished",
            Self::Terminated => "SIGTERM ended the run; what was in flight has been finished",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
