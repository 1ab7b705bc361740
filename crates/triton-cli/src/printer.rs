//! What standard output and standard error are, and so what belongs there: bars, colours, lines that
//! are broken at their words.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget};

/// What goes to a file or another program is never broken: wide enough for any text, and far from
/// overflowing any sum.
const ENDLESS: usize = u16::MAX as usize;

/// Decides how things are shown; everything that is shown asks it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    output: Stream,
    messages: Stream,
    /// Whether colours are wanted where they can be shown.
    wants_colours: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stream {
    Terminal,
    /// A terminal that shows text and nothing else.
    Dumb,
    /// A file, a pipe or nothing.
    Other,
}

/// How a command that takes its time says how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Bar,
    /// A line now and then.
    Lines,
    /// A line now and then while nothing else can be seen, because the server is away.
    LinesOfWaiting,
    Nothing,
}

impl Printer {
    /// The printer of this process.
    pub(crate) fn get() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self::new(
            io::stdout().is_terminal(),
            io::stderr().is_terminal(),
            is_dumb,
            // https://no-color.org
            !is_set("NO_COLOR"),
        )
    }

    fn new(output: bool, messages: bool, is_dumb: bool, wants_colours: bool) -> Self {
        let stream = |is_terminal| match (is_terminal, is_dumb) {
            (false, _) => Stream::Other,
            (true, false) => Stream::Terminal,
            (true, true) => Stream::Dumb,
        };
        Self {
            output: stream(output),
            messages: stream(messages),
            wants_colours,
        }
    }

    /// The width of lines on standard output.
    pub(crate) fn width(self) -> usize {
        width_of(self.output)
    }

    /// The width of lines on standard error.
    pub(crate) fn message_width(self) -> usize {
        width_of(self.messages)
    }

    /// Whether messages on standard error may have colours.
    pub(crate) fn has_colours(self) -> bool {
        self.messages == Stream::Terminal && self.wants_colours
    }

    /// How a command says how far it is, which writes what it has to standard output meanwhile
    /// (`to_output`) or not.
    pub(crate) fn meanwhile(self, quiet: bool, to_output: bool) -> Meanwhile {
        match (self.messages, self.output) {
            _ if quiet => Meanwhile::Nothing,
            // A bar would be drawn over what is written there, and a line between two of them.
            (Stream::Terminal | Stream::Dumb, Stream::Terminal | Stream::Dumb) if to_output => {
                Meanwhile::LinesOfWaiting
            }
            (Stream::Terminal, _) => Meanwhile::Bar,
            (Stream::Dumb | Stream::Other, _) => Meanwhile::Lines,
        }
    }
}

impl Meanwhile {
    /// A bar for so much work, hidden where there is to be none.
    pub(crate) fn bar(self, work: Option<u64>) -> ProgressBar {
        let target = match self {
            Self::Bar => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
        };
        ProgressBar::with_draw_target(work, target)
    }
}

fn width_of(stream: Stream) -> usize {
    match stream {
        Stream::Other => ENDLESS,
        Stream::Terminal | Stream::Dumb => textwrap::termwidth(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Holds C13.
    #[test]
    fn nothing_is_drawn_where_it_would_not_be_seen_or_be_in_the_way() {
        let how = |output, messages, is_dumb, quiet, to_output| {
            Printer::new(output, messages, is_dumb, true).meanwhile(quiet, to_output)
        };
        assert_eq!(how(true, true, false, false, false), Meanwhile::Bar);
        assert_eq!(how(false, true, false, false, true), Meanwhile::Bar);
        assert_eq!(
            how(true, true, false, false, true),
            Meanwhile::LinesOfWaiting
        );
        assert_eq!(how(true, true, true, false, false), Meanwhile::Lines);
        assert_eq!(how(true, false, false, false, true), Meanwhile::Lines);
        assert_eq!(how(true, true, false, true, false), Meanwhile::Nothing);
    }

    #[test]
    fn colours_are_for_terminals_that_show_them_and_users_who_want_them() {
        let has_colours = |messages, is_dumb, wanted| {
            Printer::new(false, messages, is_dumb, wanted).has_colours()
        };
        assert!(has_colours(true, false, true));
        assert!(!has_colours(false, false, true));
        assert!(!has_colours(true, true, true));
        assert!(!has_colours(true, false, false));
    }
}
