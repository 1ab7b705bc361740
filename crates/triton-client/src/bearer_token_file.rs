//! A token that lies in a file and is read again when it has changed.
//!
//! Kubernetes and others give programs tokens that expire, and put the next one into the same file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use tracing::{info, warn};
use triton_protocol::{BearerToken, InvalidValue};

use crate::header_provider::{HeaderProvider, HeaderProviderError};

/// How long a look at the file holds: requests of less than a second need not ask the disk each.
const LOOK_HOLDS: Duration = Duration::from_secs(1);

/// The most bytes of a file that is taken for a token: a header could not carry more.
const LONGEST: u64 = 64 << 10;

const NO_FILE: &str = "expected a regular file, which is read again when the token changes, found a \
                       folder, a pipe or a device: set the token itself instead";

/// Sends the token in a file as `Authorization: Bearer`, and takes the next one once the file has
/// changed.
///
/// The file is looked at once a second at most, and read again when its time or size is another,
/// or when the server refuses the token (401); the request is then sent once more, if the token is
/// another one. While the file cannot be read, the token before remains in use.
///
/// ```
/// use triton_client::{BearerTokenFile, Client};
///
/// let path = std::env::temp_dir().join(format!("triton-client-token-{}", std::process::id()));
/// std::fs::write(&path, "s3cr3t\n")?;
/// let client = Client::builder("https://triton.example")
///     .header_provider(BearerTokenFile::open(&path)?)
///     .build()?;
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BearerTokenFile {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    header: HeaderValue,
    stamp: Stamp,
    looked_at: Instant,
    /// What was wrong with the file at the last look; said once.
    fault: Option<String>,
}

/// What tells one content of a file from the next without reading it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl BearerTokenFile {
    /// Reads the token in the file at `path`.
    ///
    /// White space around the token and the word `Bearer` before it are no part of it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is no regular file (a pipe, say), or holds no token; nothing of
    /// its content is in the error.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let stamp = Stamp::of(&path)?;
        let header = read(&path)?;
        let state = State {
            header,
            stamp,
            looked_at: Instant::now(),
            fault: None,
        };
        Ok(Self {
            path,
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The header as it is now.
    fn current(&self) -> HeaderValue {
        let mut state = self.lock();
        let now = Instant::now();
        if now.duration_since(state.looked_at) >= LOOK_HOLDS {
            state.looked_at = now;
            match Stamp::of(&self.path) {
                Ok(stamp) if stamp == state.stamp => {}
                Ok(stamp) => self.read_again(&mut state, stamp),
                Err(error) => self.keep_last(&mut state, &error),
            }
        }
        state.header.clone()
    }

    fn read_again(&self, state: &mut State, stamp: Stamp) {
        match read(&self.path) {
            Ok(header) => {
                if header != state.header {
                    info!(file = %self.path.display(), "took the next token from its file");
                }
                state.header = header;
                state.stamp = stamp;
                state.fault = None;
            }
            Err(error) => self.keep_last(state, &error),
        }
    }

    fn keep_last(&self, state: &mut State, error: &io::Error) {
        let fault = error.to_string();
        if state.fault.as_ref() != Some(&fault) {
            warn!(
                file = %self.path.display(),
                "the token cannot be read again, and the last one remains in use: {fault}"
            );
            state.fault = Some(fault);
        }
    }
}

impl HeaderProvider for BearerTokenFile {
    fn provide(&self, headers: &mut HeaderMap) -> Result<(), HeaderProviderError> {
        headers.insert(AUTHORIZATION, self.current());
        Ok(())
    }

    fn has_newer(&self, refused: &HeaderMap) -> bool {
        let mut state = self.lock();
        // Another request may have been refused before, and have read the file already.
        if refused.get(AUTHORIZATION) == Some(&state.header) {
            match Stamp::of(&self.path) {
                Ok(stamp) => self.read_again(&mut state, stamp),
                Err(error) => self.keep_last(&mut state, &error),
            }
        }
        refused.get(AUTHORIZATION) != Some(&state.header)
    }
}

impl fmt::Debug for BearerTokenFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BearerTokenFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        // To open a pipe would wait for a writer, in the middle of a request.
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, NO_FILE));
        }
        Ok(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
    }
}

/// The header with the token in a file.
fn read(path: &Path) -> io::Result<HeaderValue> {
    use io::Read as _;
    let mut content = Vec::new();
    let file = fs::File::open(path)?;
    file.take(LONGEST + 1).read_to_end(&mut content)?;
    let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message);
    if content.len() as u64 > LONGEST {
        return Err(invalid(
            "expected a token, found a file of more than 64 KiB",
        ));
    }
    if content.trim_ascii().is_empty() {
        return Err(invalid("expected a token, found an empty file"));
    }
    let no_token =
        || invalid("expected a token of printable ASCII on one line, found something else");
    let text = text_of(&content).ok_or_else(no_token)?;
    let token: BearerToken = text.parse().map_err(|fault: InvalidValue| {
        match fault.expected == BearerToken::EXPECTED {
            true => no_token(),
            false => invalid(&fault.to_string()),
        }
    })?;
    let mut header =
        HeaderValue::from_str(token.header_value().expose()).map_err(|_| no_token())?;
    header.set_sensitive(true);
    Ok(header)
}

/// The text that a file has: some editors put a mark in front of UTF-8, and PowerShell writes UTF-16.
fn text_of(content: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, odd) = bytes.as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|bytes| unit(*bytes)).collect();
        String::from_utf16(&units).ok().filter(|_| odd.is_empty())
    };
    match content {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => str::from_utf8(rest).ok().map(str::to_owned),
        other => str::from_utf8(other).ok().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is removed when the test is over.
    struct TokenFile(PathBuf);

    impl TokenFile {
        fn new(name: &str, content: &str) -> Self {
            let file = format!("triton-client-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(file);
            fs::write(&path, content).unwrap();
            Self(path)
        }

        fn set(&self, content: &str) {
            fs::write(&self.0, content).unwrap();
        }
    }

    impl Drop for TokenFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn sent(provider: &BearerTokenFile) -> String {
        let mut headers = HeaderMap::new();
        provider.provide(&mut headers).unwrap();
        headers[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again_a_second_later() {
        let file = TokenFile::new("changes", " Bearer one\r\n");
        let provider = BearerTokenFile::open(&file.0).unwrap();
        assert_eq!(sent(&provider), "Bearer one");
        file.set("\u{feff}another\r\n");
        assert_eq!(sent(&provider), "Bearer one");
        tokio::time::advance(LOOK_HOLDS).await;
        assert_eq!(sent(&provider), "Bearer another");
        // What is no token, or is not there, leaves the last one in use.
        for content in ["", "line one\nline two"] {
            file.set(content);
            tokio::time::advance(LOOK_HOLDS).await;
            assert_eq!(sent(&provider), "Bearer another", "{content:?}");
        }
        fs::remove_file(&file.0).unwrap();
        tokio::time::advance(LOOK_HOLDS).await;
        assert_eq!(sent(&provider), "Bearer another");
        file.set("the third");
        tokio::time::advance(LOOK_HOLDS).await;
        assert_eq!(sent(&provider), "Bearer the third");
    }

    #[test]
    fn a_token_may_be_in_utf_16() {
        let units: Vec<u16> = "\u{feff}secret\r\n".encode_utf16().collect();
        for (name, unit) in [
            ("little", u16::to_le_bytes as fn(u16) -> [u8; 2]),
            ("big", u16::to_be_bytes),
        ] {
            let file = TokenFile::new(name, "");
            let bytes: Vec<u8> = units.iter().flat_map(|it| unit(*it)).collect();
            fs::write(&file.0, &bytes).unwrap();
            let provider = BearerTokenFile::open(&file.0).unwrap();
            assert_eq!(sent(&provider), "Bearer secret");
            fs::write(&file.0, &bytes[..bytes.len() - 1]).unwrap();
            assert!(BearerTokenFile::open(&file.0).is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_compared_with_the_file_at_once() {
        let file = TokenFile::new("refused", "one");
        let provider = BearerTokenFile::open(&file.0).unwrap();
        let mut refused = HeaderMap::new();
        provider.provide(&mut refused).unwrap();
        assert!(!provider.has_newer(&refused));
        // Of the same length, and perhaps within one tick of the file system's clock.
        file.set("two");
        assert!(provider.has_newer(&refused));
        assert_eq!(sent(&provider), "Bearer two");
        // Requests of before that were refused, too.
        assert!(provider.has_newer(&refused));
        fs::remove_file(&file.0).unwrap();
        let mut refused = HeaderMap::new();
        provider.provide(&mut refused).unwrap();
        assert!(!provider.has_newer(&refused));
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn a_pipe_is_never_waited_for() {
        let make_pipe = |path: &Path| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        };
        let file = TokenFile::new("pipe", "one");
        let provider = BearerTokenFile::open(&file.0).unwrap();
        let mut refused = HeaderMap::new();
        provider.provide(&mut refused).unwrap();
        fs::remove_file(&file.0).unwrap();
        make_pipe(&file.0);
        assert!(!provider.has_newer(&refused));
        tokio::time::advance(LOOK_HOLDS).await;
        assert_eq!(sent(&provider), "Bearer one");
        assert!(BearerTokenFile::open(&file.0).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        let refused = |name: &str, content: &str| {
            let file = TokenFile::new(name, content);
            let error = BearerTokenFile::open(&file.0).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
            error
        };
        insta::assert_snapshot!(refused("empty", " \n"), @"expected a token, found an empty file");
        insta::assert_snapshot!(refused("lines", "canary\ncanary"), @"expected a token of printable ASCII on one line, found something else");
        insta::assert_snapshot!(refused("long", &"canary".repeat(20_000)), @"expected a token, found a file of more than 64 KiB");
        insta::assert_snapshot!(refused("scheme", "Basic canary"), @"expected a text of printable ASCII, not empty; this is of another scheme than Bearer: set the whole header Authorization, as any other header is set");
        assert!(BearerTokenFile::open("/no/such/file").is_err());
        let folder = BearerTokenFile::open(std::env::temp_dir()).unwrap_err();
        insta::assert_snapshot!(folder, @"expected a regular file, which is read again when the token changes, found a folder, a pipe or a device: set the token itself instead");
        let file = TokenFile::new("shown", "canary");
        let shown = format!("{:?}", BearerTokenFile::open(&file.0).unwrap());
        assert!(
            !shown.contains("canary") && shown.contains("shown"),
            "{shown}"
        );
    }
}
