//! A record of CSV, gone through byte by byte to its end, or to where its quotes or its length are
//! at fault; what it finds is tested with the records.

#[derive(Clone, Copy, PartialEq)]
enum State {
    CellBegins,
    Plain,
    Quoted,
    /// Behind a quote within quotes: the first of two, or the closing one.
    AfterQuote,
}

/// What a record is held against.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) delimiter: u8,
    /// The most bytes of a cell.
    pub(super) longest: usize,
    /// The most bytes of a record, without the end of its last line.
    pub(super) longest_record: usize,
    /// How many cells a record should have; those beyond share the length of one.
    pub(super) cells: usize,
    /// Before this place, quotes must close on their own line.
    pub(super) own_lines_until: usize,
}

/// A record that is being gone through.
pub(super) struct Scan {
    state: State,
    begins: usize,
    /// Counted from 0.
    pub(super) cell: usize,
    cell_begins: usize,
    /// Where a fault of this cell opens, and how many line ends of the record are before it.
    pub(super) opened: usize,
    pub(super) opened_lines: u64,
    /// The same of the first cell that goes over the end of a line.
    pub(super) first_over_lines: Option<(usize, u64)>,
    /// Where the line begins that was reached.
    pub(super) line_begins: usize,
    /// How many line ends are within quotes so far.
    pub(super) lines: u64,
    previous: u8,
    /// The line on which the record begins.
    line: u64,
    limits: Limits,
}

pub(super) enum Step {
    On,
    End,
    Fault(String),
}

impl Scan {
    pub(super) fn new(start: usize, line: u64, limits: Limits) -> Self {
        Self {
            state: State::CellBegins,
            begins: start,
            cell: 0,
            cell_begins: start,
            opened: start,
            opened_lines: 0,
            first_over_lines: None,
            line_begins: start,
            lines: 0,
            previous: 0,
            line,
            limits,
        }
    }

    /// The line on which the quote of the cell opened.
    fn quote_line(&self) -> u64 {
        self.line + self.opened_lines
    }

    /// What is wrong if the text ends here.
    pub(super) fn never_closed(&self) -> Option<String> {
        (self.state == State::Quoted).then(|| {
            let line = self.quote_line();
            format!("the quote opened on line {line} is never closed")
        })
    }

    /// Takes the byte at a place.
    pub(super) fn step(&mut self, byte: u8, at: usize) -> Step {
        let previous = std::mem::replace(&mut self.previous, byte);
        if at - self.cell_begins >= self.limits.longest && !self.ends_cell(byte) {
            return self.too_long(at);
        }
        if at - self.begins >= self.limits.longest_record && !self.ends_record(byte) {
            return self.too_long_record(at);
        }
        match (self.state, byte) {
            (State::CellBegins, b'"') => {
                self.state = State::Quoted;
                self.opened = at;
                self.opened_lines = self.lines;
            }
            (State::Quoted, b'"') => self.state = State::AfterQuote,
            (State::AfterQuote, b'"') => self.state = State::Quoted,
            (State::Quoted, b'\n' | b'\r') => {
                return self.line_within_quotes(previous == b'\r' && byte == b'\n', at);
            }
            (State::Quoted, _) => {}
            (_, b'\n' | b'\r') => return Step::End,
            (_, byte) if byte == self.limits.delimiter => {
                self.state = State::CellBegins;
                self.cell += 1;
                if self.cell <= self.limits.cells {
                    self.cell_begins = at + 1;
                }
            }
            (State::AfterQuote, _) => {
                return Step::Fault(format!(
                    "text follows the closing quote of the cell whose quote opened on line {}: a \
                     quote within quotes is doubled",
                    self.quote_line()
                ));
            }
            (State::CellBegins | State::Plain, _) => self.state = State::Plain,
        }
        Step::On
    }

    /// Whether a byte is none of the cell itself. Where there are more cells than there should be,
    /// what separates them counts.
    fn ends_cell(&self, byte: u8) -> bool {
        let is_delimiter = byte == self.limits.delimiter && self.cell < self.limits.cells;
        self.ends_record(byte) || (self.state != State::Quoted && is_delimiter)
    }

    fn ends_record(&self, byte: u8) -> bool {
        self.state != State::Quoted && matches!(byte, b'\n' | b'\r')
    }

    /// Goes over the end of a line within quotes; `ends_pair` if it is the second byte of one.
    fn line_within_quotes(&mut self, ends_pair: bool, at: usize) -> Step {
        if self.opened < self.limits.own_lines_until {
            return Step::Fault(format!(
                "the quote opened on line {} is not closed on its line, and one shortly before it \
                 is never closed",
                self.quote_line()
            ));
        }
        self.first_over_lines
            .get_or_insert((self.opened, self.opened_lines));
        // The two bytes of one line end count once.
        self.lines += u64::from(!ends_pair);
        self.line_begins = at + 1;
        Step::On
    }

    fn too_long(&mut self, at: usize) -> Step {
        let longest = self.limits.longest;
        if matches!(self.state, State::Quoted | State::AfterQuote) {
            return Step::Fault(format!(
                "the quote opened on line {} is not closed within {longest} bytes, the most that \
                 --max-field-bytes lets a cell have",
                self.quote_line()
            ));
        }
        self.opened = at;
        self.opened_lines = self.lines;
        Step::Fault(format!(
            "the cell has more than {longest} bytes, the most that --max-field-bytes lets it have"
        ))
    }

    fn too_long_record(&mut self, at: usize) -> Step {
        if !matches!(self.state, State::Quoted | State::AfterQuote) {
            self.opened = at;
            self.opened_lines = self.lines;
        }
        // It is no fault of the cell that happens to be the last one.
        self.cell = usize::MAX;
        Step::Fault(format!(
            "it has more than {} bytes, the most that a row of CSV may have: leave columns out, or \
             say --max-field-bytes with more than that",
            self.limits.longest_record
        ))
    }
}
