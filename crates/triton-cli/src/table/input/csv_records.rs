//! Where each record of CSV ends, and whether its quotes are in order.
//!
//! Readers of CSV forgive everything: text behind a closing quote, and a quote that is never closed
//! and takes the rest of the file with it. Here such a record is at fault and ends with a line: the
//! first on which a quote opened that did not close on it. What follows is read again, so that no
//! row behind it is lost. Each line is looked at three times at most: behind a fault, quotes must
//! close on their own line until the line on which the fault showed.

use std::io::{self, Read};

use memchr::memchr3;

use super::csv_scan::{Limits, Scan, Step};
use super::json_line::{self, LONGEST_RAW};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// The records of CSV.
pub(super) struct Records<R> {
    bytes: R,
    delimiter: u8,
    /// The most bytes of a cell.
    longest: usize,
    /// The most bytes of a record: as many as an object of JSON may have, unless a cell may have more.
    longest_record: usize,
    /// How many cells a record should have; those beyond share the length of one.
    pub(super) cells: usize,
    buffer: Vec<u8>,
    /// Where in the buffer the next record begins, and on which line.
    start: usize,
    line: u64,
    /// Whether the last line ended with a carriage return, to which a line feed may belong.
    after_return: bool,
    /// Whether the rest of a line is still to be left out, because it was too long.
    cuts_line: bool,
    /// Before this place in the buffer, quotes must close on their own line.
    own_lines_until: usize,
    /// Where the record that came last begins, its line, and whether a return stood before it.
    last: Option<(usize, u64, bool)>,
}

/// A record, with the end of its last line.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// The line on which it begins.
    pub(super) line: u64,
    pub(super) bytes: &'a [u8],
    pub(super) fault: Option<RecordFault>,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RecordFault {
    /// The cell, counted from 0; past all of them where it is the record that is at fault.
    pub(super) cell: usize,
    pub(super) reason: String,
}

/// What a record turned out to be.
struct Scanned {
    /// Behind the last byte of the record, or of the line where a fault opened.
    end: usize,
    /// How many line ends are within that.
    lines: u64,
    fault: Option<RecordFault>,
}

impl<R: Read> Records<R> {
    pub(super) fn new(bytes: R, delimiter: u8, longest: usize) -> Self {
        Self {
            bytes,
            delimiter,
            longest,
            longest_record: json_line::LONGEST.max(longest),
            cells: 0,
            buffer: Vec::new(),
            start: 0,
            line: 1,
            after_return: false,
            cuts_line: false,
            own_lines_until: 0,
            last: None,
        }
    }

    /// Hands out the record that came last once more.
    pub(super) fn take_back(&mut self) {
        if let Some(last) = self.last.take() {
            (self.start, self.line, self.after_return) = last;
        }
    }

    /// The next record; lines without a byte are none.
    pub(super) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        self.compact();
        if !self.find_start()? {
            return Ok(None);
        }
        let scanned = self.scan()?;
        let line = self.line;
        self.last = Some((self.start, line, self.after_return));
        let record = self.start..scanned.end;
        self.start = record.end;
        self.line += scanned.lines;
        self.after_return = self.buffer[record.clone()].ends_with(b"\r");
        let mut bytes = &self.buffer[record];
        if scanned.fault.is_some() && self.cuts_line {
            bytes = &bytes[..bytes.len().min(LONGEST_RAW)];
        }
        Ok(Some(Record {
            line,
            bytes,
            fault: scanned.fault,
        }))
    }

    /// Whether what was read already goes on to the end of a further line.
    pub(super) fn has_line(&self) -> bool {
        let unread = &self.buffer[self.start..];
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let begins = unread.iter().position(|byte| !is_end(byte));
        begins.is_some_and(|begins| unread[begins..].iter().any(is_end))
    }

    /// How many bytes were read beyond the last record.
    pub(super) fn unread(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Forgets what was read, once that is worth the copying.
    fn compact(&mut self) {
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.own_lines_until = self.own_lines_until.saturating_sub(self.start);
            self.start = 0;
        }
    }

    /// Goes past ends of lines, and what is left of a line that was too long.
    fn find_start(&mut self) -> io::Result<bool> {
        while let Some(byte) = self.byte(self.start)? {
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => {
                    self.line += 1;
                    self.cuts_line = false;
                }
                _ if self.cuts_line => {}
                _ => return Ok(true),
            }
            self.after_return = byte == b'\r';
            self.start += 1;
            if self.cuts_line {
                self.compact();
            }
        }
        Ok(false)
    }

    /// The byte at a place of the buffer, or none at the end.
    fn byte(&mut self, position: usize) -> io::Result<Option<u8>> {
        while position >= self.buffer.len() && self.fill()? {}
        Ok(self.buffer.get(position).copied())
    }

    /// Reads what is there, and waits for no more than that.
    fn fill(&mut self) -> io::Result<bool> {
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK, 0);
        let read = loop {
            match self.bytes.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    fn limits(&self) -> Limits {
        Limits {
            delimiter: self.delimiter,
            longest: self.longest,
            longest_record: self.longest_record,
            cells: self.cells,
            own_lines_until: self.own_lines_until,
        }
    }

    /// Goes through a record that begins at `start`, to its end or to a fault.
    fn scan(&mut self) -> io::Result<Scanned> {
        if let Some(end) = self.plain_end() {
            return Ok(Scanned {
                end,
                lines: 1,
                fault: None,
            });
        }
        let mut scan = Scan::new(self.start, self.line, self.limits());
        let mut at = self.start;
        loop {
            while let Some(byte) = self.buffer.get(at) {
                let step = scan.step(*byte, at);
                at += 1;
                match step {
                    Step::On => {}
                    Step::End => {
                        return Ok(Scanned {
                            end: at,
                            lines: scan.lines + 1,
                            fault: None,
                        });
                    }
                    Step::Fault(reason) => return self.fail(&scan, reason),
                }
            }
            if self.fill()? {
                continue;
            }
            if let Some(reason) = scan.never_closed() {
                return self.fail(&scan, reason);
            }
            // A record has the end of its line, even where the file lacks it.
            self.buffer.push(b'\n');
        }
    }

    /// Where a record ends that has no quotes, and neither is nor has a cell that could be too long.
    fn plain_end(&self) -> Option<usize> {
        let rest = &self.buffer[self.start..];
        let length = memchr3(b'"', b'\n', b'\r', rest)?;
        let is_plain = rest[length] != b'"' && length < self.longest.min(self.longest_record);
        is_plain.then_some(self.start + length + 1)
    }

    /// A record at fault reaches to the end of the line on which the fault may have opened.
    fn fail(&mut self, scan: &Scan, reason: String) -> io::Result<Scanned> {
        self.own_lines_until = self.own_lines_until.max(scan.line_begins);
        // Whatever went over the end of a line before may have been part of the fault.
        let (opened, mut lines) = scan
            .first_over_lines
            .unwrap_or((scan.opened, scan.opened_lines));
        let mut end = opened;
        self.cuts_line = true;
        while end < opened + LONGEST_RAW {
            let Some(byte) = self.byte(end)? else { break };
            end += 1;
            if matches!(byte, b'\n' | b'\r') {
                lines += 1;
                self.cuts_line = false;
                break;
            }
        }
        Ok(Scanned {
            end,
            lines,
            fault: Some(RecordFault {
                cell: scan.cell,
                reason,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader that gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            let read = (&self.0[..length.min(self.0.len())]).read(buffer)?;
            self.0 = &self.0[read..];
            Ok(read)
        }
    }

    /// Line, bytes and fault of each record.
    fn records(text: &[u8], longest: usize, step: usize) -> Vec<(u64, String, Option<String>)> {
        limited(text, longest, json_line::LONGEST, step)
    }

    /// The same with a limit of the record.
    fn limited(
        text: &[u8],
        longest: usize,
        longest_record: usize,
        step: usize,
    ) -> Vec<(u64, String, Option<String>)> {
        let mut records = Records::new(Slow(text, step), b',', longest);
        records.longest_record = longest_record;
        records.cells = 2;
        let mut found = Vec::new();
        while let Some(record) = records.next().unwrap() {
            let text = String::from_utf8_lossy(record.bytes);
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            let fault = record.fault.map(|fault| fault.reason);
            found.push((record.line, text, fault));
        }
        found
    }

    fn shown(text: &str, longest: usize) -> String {
        let expected = records(text.as_bytes(), longest, usize::MAX);
        for step in 1..4 {
            assert_eq!(records(text.as_bytes(), longest, step), expected, "{step}");
        }
        let lines = expected.iter().map(|(line, text, fault)| match fault {
            None => format!("{line}: {text:?}\n"),
            Some(reason) => format!("{line}: {text:?} {reason}\n"),
        });
        lines.collect()
    }

    #[test]
    fn records_end_where_their_lines_do_outside_of_quotes() {
        let text = "a,b\r\n\r\n\"x\r\ny\",\"\"\"\"\n\nc,\"d\n\"\re,f\"g\rh,";
        insta::assert_snapshot!(shown(text, 100), @r#"
        1: "a,b"
        3: "\"x\r\ny\",\"\"\"\""
        6: "c,\"d\n\""
        8: "e,f\"g"
        9: "h,"
        "#);
    }

    #[test]
    fn a_fault_ends_with_the_line_on_which_its_quote_opened() {
        insta::assert_snapshot!(shown("a,\"b\nc,d\ne,f", 100), @r#"
        1: "a,\"b" the quote opened on line 1 is never closed
        2: "c,d"
        3: "e,f"
        "#);
        insta::assert_snapshot!(shown("a,\"b\"c,\"d\ne,f\n", 100), @r#"
        1: "a,\"b\"c,\"d" text follows the closing quote of the cell whose quote opened on line 1: a quote within quotes is doubled
        2: "e,f"
        "#);
        insta::assert_snapshot!(shown("a,\"x\ny\",\"b\nc,d\ne,\"f\ng\"\n", 100), @r#"
        1: "a,\"x" text follows the closing quote of the cell whose quote opened on line 2: a quote within quotes is doubled
        2: "y\",\"b" the quote opened on line 2 is not closed on its line, and one shortly before it is never closed
        3: "c,d"
        4: "e,\"f\ng\""
        "#);
        insta::assert_snapshot!(shown("a,\"b\nc,d\ne,f\ng,h\n", 6), @r#"
        1: "a,\"b" the quote opened on line 1 is not closed within 6 bytes, the most that --max-field-bytes lets a cell have
        2: "c,d"
        3: "e,f"
        4: "g,h"
        "#);
        insta::assert_snapshot!(shown("a,bbbbbbbb,c\nd,e\n", 6), @r#"
        1: "a,bbbbbbbb,c" the cell has more than 6 bytes, the most that --max-field-bytes lets it have
        2: "d,e"
        "#);
        insta::assert_snapshot!(shown("a,b,\"\n,\",\"\n,\",\"\nd,e\n", 6), @r#"
        1: "a,b,\"" the quote opened on line 2 is not closed within 6 bytes, the most that --max-field-bytes lets a cell have
        2: ",\",\""
        3: ",\",\""
        4: "d,e"
        "#);
    }

    #[test]
    fn a_cell_may_be_as_long_as_the_limit() {
        for (text, faults) in [
            ("aaaaaa,bbbbbb\n", false),
            ("aaaaaaa,b\n", true),
            ("a,bbbbbbb\n", true),
            ("\"a\na\",\"bbbb\"\n", false),
            ("\"a\naaa\",b\n", true),
            ("a,b,cccccc\n", false),
            ("a,b,,,,,,,,,\n", true),
        ] {
            let found = records(text.as_bytes(), 6, usize::MAX);
            assert_eq!(found[0].2.is_some(), faults, "{text:?}");
        }
    }

    #[test]
    fn a_record_that_is_too_long_takes_no_other_with_it() {
        let text =
            "a,bb\naa,bbb\naaa,bbbbbbbbbb\nc,d\n\"a\na\",\"b\nb\"\ne,f\n\"a,,\",b\n\"a,\"\",\ng";
        let shown = (1..4).map(|step| {
            let found = limited(text.as_bytes(), 100, 6, step).into_iter();
            let lines = found.map(|(line, text, fault)| match fault {
                None => format!("{line}: {text:?}\n"),
                Some(reason) => format!("{line}: {text:?} {}\n", &reason[..24]),
            });
            lines.collect::<String>()
        });
        let shown: Vec<_> = shown.collect();
        assert!(shown.iter().all(|other| *other == shown[0]));
        insta::assert_snapshot!(shown[0], @r#"
        1: "a,bb"
        2: "aa,bbb"
        3: "aaa,bbbbbbbbbb" it has more than 6 bytes
        4: "c,d"
        5: "\"a" it has more than 6 bytes
        6: "a\",\"b" it has more than 6 bytes
        7: "b\""
        8: "e,f"
        9: "\"a,,\",b" it has more than 6 bytes
        10: "\"a,\"\"," it has more than 6 bytes
        11: "g"
        "#);
    }

    /// No cell of it is too long, so that nothing but its own length ends it.
    #[test]
    fn a_record_without_end_is_held_no_further_than_its_limit() {
        const LIMIT: usize = 1 << 20;
        let cell = [b"a".repeat(1000), b",".to_vec()].concat();
        let text = cell.repeat(20 * LIMIT / cell.len());
        let text = [&text[..], b"\nc,d\n"].concat();
        for cells in [1, usize::MAX] {
            let mut records = Records::new(&text[..], b',', 1 << 30);
            records.longest_record = LIMIT;
            records.cells = cells;
            let record = records.next().unwrap().unwrap();
            let fault = record.fault.unwrap();
            assert!(fault.reason.starts_with("it has more than 1048576 bytes, "));
            assert!(record.bytes.len() <= LONGEST_RAW);
            assert!(records.buffer.capacity() < 4 * LIMIT);
            let record = records.next().unwrap().unwrap();
            assert_eq!((record.line, record.bytes), (2, &b"c,d\n"[..]));
            assert!(records.next().unwrap().is_none());
            assert!(records.buffer.capacity() < 4 * LIMIT);
        }
    }

    #[test]
    fn a_line_is_not_looked_at_again_and_again() {
        // From each of these lines on, all further ones look like one cell after the other, so
        // that each would be read to the limit.
        let mut text = "a,\"\n".to_owned();
        text.extend(std::iter::repeat_n("x\"\"\",\"\n", 30_000));
        assert_eq!(records(text.as_bytes(), 1 << 24, usize::MAX).len(), 30_001);
        let open = "1,\"open\n".repeat(30_000);
        assert_eq!(records(open.as_bytes(), 1 << 24, usize::MAX).len(), 30_000);
    }

    /// What the crate `csv` reads.
    fn by_the_crate(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text);
        let records = reader.byte_records().map(|record| {
            let record = record.unwrap();
            record.iter().map(<[u8]>::to_vec).collect()
        });
        records.collect()
    }

    proptest! {
        #[test]
        fn where_no_quote_is_at_fault_the_crate_finds_the_same_records(
            text in "[ab\",\n\r]{0,40}",
            step in 1_usize..8,
        ) {
            let found = records(text.as_bytes(), 1000, step);
            if found.iter().all(|(_, _, fault)| fault.is_none()) {
                let expected = by_the_crate(text.as_bytes());
                prop_assert_eq!(found.len(), expected.len());
            }
        }

        #[test]
        fn every_byte_is_in_one_record_whatever_is_at_fault(
            text in "[ab\",\n\r]{0,60}",
            longest in 1_usize..30,
            longest_record in 1_usize..60,
            step in 1_usize..8,
        ) {
            let found = limited(text.as_bytes(), longest, longest_record, step);
            let at_once = limited(text.as_bytes(), longest, longest_record, usize::MAX);
            prop_assert_eq!(&found, &at_once);
            let without_line_ends = |text: &str| text.replace(['\n', '\r'], "");
            let together: String = found.iter().map(|(_, text, _)| text.as_str()).collect();
            prop_assert_eq!(without_line_ends(&together), without_line_ends(&text));
            // A record begins on the line that the ends before it count to.
            let lines: Vec<u64> = found.iter().map(|(line, ..)| *line).collect();
            prop_assert!(lines.is_sorted());
            let ends = text.replace("\r\n", "\n").matches(['\n', '\r']).count() as u64;
            prop_assert!(lines.last().is_none_or(|line| *line <= ends + 1));
        }

        #[test]
        fn what_the_crate_writes_has_no_fault(
            rows in prop::collection::vec(prop::collection::vec("[ab\",\n\r ]{0,5}", 2..4), 0..6),
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            let text = writer.into_inner().unwrap();
            let found = records(&text, 1000, 3);
            prop_assert_eq!(found.len(), rows.len());
            for ((line, text, fault), row) in found.iter().zip(&rows) {
                prop_assert_eq!(fault, &None, "{} {}", line, text);
                let expected: Vec<_> = row.iter().map(|cell| cell.as_bytes().to_vec()).collect();
                prop_assert_eq!(by_the_crate(text.as_bytes()), [expected]);
            }
        }
    }
}
