//! Pipes that are written to: whoever should read them may not, and a command that was told to end does
//! not wait for that for ever.

use std::fmt;
#[cfg(not(unix))]
use std::io::Write as Handle;
use std::io::{self, Write};
#[cfg(unix)]
use std::os::fd::AsFd as Handle;
use std::path::Path;
use std::time::Duration;

use fs_err::{File, OpenOptions};

use crate::signals::{self, Signal};

/// Standard output without a buffer of its own, which could write more than a pipe has room for.
#[cfg(unix)]
pub(crate) type StandardOutput = std::fs::File;
#[cfg(not(unix))]
pub(crate) type StandardOutput = io::Stdout;

/// The most bytes that a pipe takes at once and without waiting, if it takes any: `PIPE_BUF`.
const AT_ONCE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

const NOW: Duration = Duration::ZERO;

/// The time between two looks at the clock while nothing is read.
const A_LOOK: Duration = Duration::from_millis(100);

/// A pipe was not read to its end although the command had been told to end long before.
#[derive(Debug)]
pub(crate) struct Unread(pub(crate) Signal);

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("nobody reads it, and the command was told to end")
    }
}

impl std::error::Error for Unread {}

/// What is written to directly: a pipe, a device, or standard output whatever it is.
pub(crate) struct Pipe<Inner> {
    inner: Inner,
    /// Whether writing can wait for somebody who reads.
    has_reader: bool,
    /// The signal whose time is over.
    overdue: fn() -> Option<Signal>,
}

impl<Inner: Write + Handle> Pipe<Inner> {
    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            has_reader: system::is_pipe(&inner),
            inner,
            overdue: signals::overdue,
        }
    }

    /// Waits until the pipe takes something.
    fn wait(&self) -> io::Result<()> {
        if system::takes(&self.inner, NOW)? {
            return Ok(());
        }
        meanwhile(|| {
            loop {
                check(self.overdue)?;
                if system::takes(&self.inner, A_LOOK)? {
                    return Ok(());
                }
            }
        })
    }
}

impl<Inner: Write + Handle> Write for Pipe<Inner> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.has_reader {
            return self.inner.write(bytes);
        }
        self.wait()?;
        self.inner.write(&bytes[..bytes.len().min(AT_ONCE)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Standard output, to be written to directly.
pub(crate) fn standard_output() -> io::Result<Pipe<StandardOutput>> {
    #[cfg(unix)]
    let output = StandardOutput::from(io::stdout().as_fd().try_clone_to_owned()?);
    #[cfg(not(unix))]
    let output = io::stdout();
    Ok(Pipe::new(output))
}

/// Opens what is no regular file for writing: a pipe with a name, once somebody reads it.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> io::Result<Pipe<File>> {
    let opened = match system::is_named_pipe(path) {
        true => open_when_read(path, options, signals::overdue)?,
        false => options.open(path)?,
    };
    Ok(Pipe::new(opened))
}

fn open_when_read(
    path: &Path,
    options: &OpenOptions,
    overdue: fn() -> Option<Signal>,
) -> io::Result<File> {
    if let Some(file) = system::open_if_read(path, options)? {
        return Ok(file);
    }
    meanwhile(|| {
        loop {
            check(overdue)?;
            system::pause();
            if let Some(file) = system::open_if_read(path, options)? {
                return Ok(file);
            }
        }
    })
}

fn check(overdue: fn() -> Option<Signal>) -> io::Result<()> {
    match overdue() {
        Some(signal) => Err(io::Error::other(Unread(signal))),
        None => Ok(()),
    }
}

/// Waits with the runtime doing everything else, listening for signals above all: it may have this thread
/// alone.
fn meanwhile<T>(wait: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(wait)
        }
        _ => wait(),
    }
}

#[cfg(unix)]
mod system {
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt as _;
    use std::path::Path;
    use std::time::Duration;

    use fs_err::os::unix::fs::OpenOptionsExt as _;
    use fs_err::{File, OpenOptions};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
    use rustix::io::Errno;

    /// The time between two looks whether a pipe has a reader, of which nothing tells.
    const PAUSE: Duration = Duration::from_millis(20);

    pub(super) fn is_pipe(file: &impl AsFd) -> bool {
        let kind = fstat(file).map(|found| FileType::from_raw_mode(found.st_mode));
        matches!(kind, Ok(FileType::Fifo | FileType::Socket))
    }

    pub(super) fn is_named_pipe(path: &Path) -> bool {
        path.metadata()
            .is_ok_and(|found| found.file_type().is_fifo())
    }

    /// Whether a pipe takes something within a time; one without a reader does, and answers with an error.
    pub(super) fn takes(pipe: &impl AsFd, within: Duration) -> io::Result<bool> {
        let within = Timespec::try_from(within).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(pipe, PollFlags::OUT)], Some(&within)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a pipe that somebody reads.
    pub(super) fn open_if_read(path: &Path, options: &OpenOptions) -> io::Result<Option<File>> {
        let mut at_once = options.clone();
        at_once.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = match at_once.options().open(path) {
            Ok(file) => File::from_parts(file, path),
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                return Ok(None);
            }
            // Once more, for an error that names the path.
            Err(_) => return options.open(path).map(Some),
        };
        // From here on, writing waits.
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        Ok(Some(file))
    }

    pub(super) fn pause() {
        #[expect(
            clippy::disallowed_methods,
            reason = "whoever calls it looks at a deadline between two pauses"
        )]
        std::thread::sleep(PAUSE);
    }
}

/// Elsewhere, writing waits for as long as it takes.
#[cfg(not(unix))]
mod system {
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    use fs_err::{File, OpenOptions};

    pub(super) fn is_pipe<Inner>(_: &Inner) -> bool {
        false
    }

    pub(super) fn is_named_pipe(_: &Path) -> bool {
        false
    }

    pub(super) fn takes<Inner>(_: &Inner, _: Duration) -> io::Result<bool> {
        Ok(true)
    }

    pub(super) fn open_if_read(path: &Path, options: &OpenOptions) -> io::Result<Option<File>> {
        options.open(path).map(Some)
    }

    pub(super) fn pause() {}
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// The pipe of a command whose time is over.
    fn overdue(inner: io::PipeWriter) -> Pipe<io::PipeWriter> {
        let mut pipe = Pipe::new(inner);
        pipe.overdue = || Some(Signal::Terminate);
        pipe
    }

    fn is_unread(error: &io::Error) -> bool {
        let cause = error.get_ref();
        cause.is_some_and(|cause| cause.is::<Unread>())
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_given_up_once_the_time_is_over() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut pipe = overdue(writer);
        // As long as there is room, all is written.
        let mut written = 0;
        let refused = loop {
            match pipe.write(&[7; 10_000]) {
                Ok(bytes) => written += bytes,
                Err(error) => break error,
            }
        };
        assert!(is_unread(&refused), "{refused}");
        assert!(written >= 4096, "{written}");
        drop(pipe);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, vec![7; written]);
    }

    #[test]
    fn a_pipe_without_a_reader_is_broken_and_not_unread() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let refused = overdue(writer).write(&[7]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_pipe_with_a_name_is_opened_once_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let mut options = OpenOptions::new();
        options.write(true);
        let late = || Some(Signal::Terminate);
        let refused = open_when_read(&path, &options, late).unwrap_err();
        assert!(is_unread(&refused), "{refused}");
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).unwrap()
        });
        let mut writer = open_when_read(&path, &options, || None).unwrap();
        writer.write_all(&[7; 200_000]).unwrap();
        drop(writer);
        assert_eq!(reader.join().unwrap(), vec![7; 200_000]);
    }
}
