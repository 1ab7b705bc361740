//! PEM files that options name: looked through before the TLS library reads them, which leaves out
//! what it does not know and names neither the option nor the file.

use std::fs;
use std::path::PathBuf;

use triton_options::{ConfigOption, FilePath};

use super::unusable::unusable;
use crate::Error;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// What an editor of Windows may write in front of a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file, and what it held.
#[derive(Clone, PartialEq)]
pub(super) struct PemFile {
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
}

/// What a PEM file is to hold, and how a section of it is labelled.
pub(super) struct PemContent {
    is_label: fn(&str) -> bool,
    expected: &'static str,
}

pub(super) static CERTIFICATE: PemContent = PemContent {
    is_label: |label| label == "CERTIFICATE",
    expected: "a certificate as PEM (-----BEGIN CERTIFICATE-----)",
};

pub(super) static PRIVATE_KEY: PemContent = PemContent {
    is_label: |label| label.ends_with("PRIVATE KEY"),
    expected: "a private key as PEM (-----BEGIN PRIVATE KEY-----)",
};

impl PemFile {
    /// Reads the file that an option names; what is in its sections is the TLS library's to read.
    pub(super) fn read(
        option: &ConfigOption<FilePath>,
        path: &FilePath,
        wanted: &PemContent,
    ) -> Result<Self, Error> {
        let path = path.as_path();
        let mut content = fs::read(path).map_err(|error| unusable(option, path, &error))?;
        if content.starts_with(BYTE_ORDER_MARK) {
            content.drain(..BYTE_ORDER_MARK.len());
        }
        check(&content, wanted).map_err(|fault| {
            let expected = wanted.expected;
            unusable(option, path, &format!("expected {expected}, {fault}"))
        })?;
        Ok(Self {
            path: path.to_owned(),
            content,
        })
    }
}

/// Whether every section is whole and will be found; the fault is what follows "expected".
fn check(content: &[u8], wanted: &PemContent) -> Result<(), String> {
    let mut open: Option<(String, usize)> = None;
    let mut labels = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let (line, number) = (line.trim_end(), index + 1);
        if line == "Proc-Type: 4,ENCRYPTED" {
            return Err(passphrase());
        }
        // Files that were joined without a line break between them, too.
        if line.matches(BEGIN).count() > usize::from(line.starts_with(BEGIN)) {
            return Err(format!(
                "found {BEGIN}in the middle of line {number}: put it at the beginning of a line"
            ));
        }
        if let Some(label) = label(line, BEGIN) {
            if let Some((label, start)) = open {
                return Err(cut_off(&label, start));
            }
            open = Some((label.to_owned(), number));
        } else if let Some(label) = label(line, END)
            && let Some((begun, start)) = open.take()
        {
            if label != begun {
                return Err(cut_off(&begun, start));
            }
            labels.push(begun);
        }
    }
    if let Some((label, start)) = open {
        return Err(cut_off(&label, start));
    }
    let has = |is_label: fn(&str) -> bool| labels.iter().any(|label| is_label(label));
    if has(|label| label == "ENCRYPTED PRIVATE KEY") {
        Err(passphrase())
    } else if has(wanted.is_label) {
        Ok(())
    } else if has(|label| label == "TRUSTED CERTIFICATE") {
        Err(
            "found a TRUSTED CERTIFICATE, which only OpenSSL reads: write it without its trust \
             settings, for example with `openssl x509 -in FILE -out FILE`"
                .to_owned(),
        )
    } else {
        Err("found something else".to_owned())
    }
}

/// What stands between the dashes of a line.
fn label<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

fn cut_off(label: &str, line: usize) -> String {
    format!(
        "found one that begins in line {line} and has no {END}{label}-----: the file may be cut off"
    )
}

fn passphrase() -> String {
    "found a key with a passphrase: write it without one, for example with `openssl pkey`"
        .to_owned()
}
