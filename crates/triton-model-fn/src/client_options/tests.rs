//! That every option which concerns a client reaches it, and what is said of files.

use std::fs;
use std::path::PathBuf;

use triton_options::CATALOG;

use super::*;

/// What the model function does with its rows and calls; a client knows nothing of it.
const OWN: &[&str] = &[
    "model-name",
    "model-version",
    "flatten-batch-dim",
    "priority",
    "server-timeout",
    "input-names",
    "output-names",
    "batch-size",
    "model-max-batch-size",
    "batch-timeout",
    "max-in-flight",
    "cache-max-bytes",
    "decoupled",
    "retry-budget",
    "open-wait",
    // Which of several servers a client is for.
    "endpoint-discovery",
    "endpoint-refresh",
    "endpoint-drain",
    "health-check-enabled",
    "health-check-interval",
    "circuit-breaker-enabled",
    "circuit-breaker-failure-threshold",
    "circuit-breaker-timeout",
    "circuit-breaker-half-open-requests",
    "max-retries",
    "row-deadline",
    "retry-initial-backoff",
    "retry-max-backoff",
    "default-value",
    "on-error",
    // Counted over all subtasks that share a client.
    "connection-pool-max-total",
];

const CERTIFICATE_PEM: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
const KEY_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n";

/// A file that is removed when the test is over.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str, content: &str) -> Self {
        let file = format!("triton-model-fn-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(file);
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn settings(options: &[(&str, &str)]) -> Result<ClientSettings, Error> {
    let common = [("endpoint", "https://triton"), ("model-name", "m")];
    let options = TritonOptions::parse(common.iter().chain(options).copied()).unwrap();
    ClientSettings::read(&options)
}

#[test]
fn every_option_changes_the_client_or_is_the_functions_own() {
    let certificate = TestFile::new("all.pem", CERTIFICATE_PEM);
    let key = TestFile::new("all.key", KEY_PEM);
    // Of each option of a client a value that is not its default, with what it needs beside it.
    let samples: &[&[(&str, &str)]] = &[
        &[("endpoint", "https://other")],
        &[("timeout", "7 s")],
        &[("connection-timeout", "7 s")],
        &[("connection-pool-max-idle", "7")],
        &[("connection-pool-keep-alive", "7 s")],
        &[("connection-reuse-enabled", "false")],
        &[("compression", "gzip")],
        &[("tensor-format", "json")],
        &[("response-limit", "7 mb")],
        &[("auth-token", "t")],
        &[("auth-token-file", key.path())],
        &[("custom-headers", "X-A:1")],
        &[("tls-ca-file", certificate.path())],
        &[
            ("tls-certificate-file", certificate.path()),
            ("tls-key-file", key.path()),
        ],
        &[("tls-server-name", "triton.example")],
        &[("proxy", "http://proxy:3128")],
    ];
    let usual = settings(&[]).unwrap();
    for sample in samples {
        assert!(
            settings(sample).unwrap() != usual,
            "{sample:?} has no effect"
        );
    }
    let mut known: Vec<&str> = samples
        .iter()
        .copied()
        .flatten()
        .map(|(key, _)| *key)
        .collect();
    known.extend(OWN);
    for definition in CATALOG {
        let key = definition.key;
        let times = known.iter().filter(|known| **known == key).count();
        let is_of_sequences = key.starts_with("sequence-");
        assert_eq!(times, usize::from(!is_of_sequences), "option '{key}'");
    }
    assert!(
        known
            .iter()
            .all(|key| CATALOG.iter().any(|known| known.key == *key))
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_option() {
    let refused = |options: &[(&str, &str)]| {
        let outcome = settings(options).and_then(|settings| settings.client());
        let error = outcome.expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Options);
        let mut message = error.to_string();
        if let Some(source) = error.client_error() {
            message = format!("{message}: {source}");
        }
        assert!(!message.contains("canary"), "{message}");
        message
    };
    let other = TestFile::new("other", "canary");
    let encrypted = KEY_PEM.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let encrypted = TestFile::new("encrypted.key", &encrypted);
    let certificate = TestFile::new("certificate.pem", CERTIFICATE_PEM);
    let empty = TestFile::new("empty", "\n");
    let shown = |message: String, file: &TestFile| message.replace(file.path(), "FILE");
    insta::assert_snapshot!(refused(&[("tls-ca-file", "/no/such/file")]), @"option 'tls-ca-file' names '/no/such/file', which cannot be used: No such file or directory (os error 2)");
    insta::assert_snapshot!(refused(&[("auth-token-file", "/no/such/file")]), @"option 'auth-token-file' names '/no/such/file', which cannot be used: No such file or directory (os error 2)");
    insta::assert_snapshot!(shown(refused(&[("auth-token-file", empty.path())]), &empty), @"option 'auth-token-file' names 'FILE', which cannot be used: expected a token, found an empty file");
    let ca = [("tls-ca-file", other.path())];
    insta::assert_snapshot!(shown(refused(&ca), &other), @"option 'tls-ca-file' names 'FILE', which cannot be used: expected a certificate as PEM (-----BEGIN CERTIFICATE-----), found something else");
    let pair = |key| {
        [
            ("tls-certificate-file", certificate.path()),
            ("tls-key-file", key),
        ]
    };
    insta::assert_snapshot!(shown(refused(&pair(certificate.path())), &certificate), @"option 'tls-key-file' names 'FILE', which cannot be used: expected a private key as PEM (-----BEGIN PRIVATE KEY-----), found something else");
    insta::assert_snapshot!(shown(refused(&pair(encrypted.path())), &encrypted), @"option 'tls-key-file' names 'FILE', which cannot be used: expected a private key as PEM (-----BEGIN PRIVATE KEY-----), found a key with a passphrase: write it without one, for example with `openssl pkey`");
    // It looks like one and is none; whoever reads it has the last word.
    let ca = [("tls-ca-file", certificate.path())];
    insta::assert_snapshot!(shown(refused(&ca), &certificate), @"option 'tls-ca-file' names 'FILE', which cannot be used: a certificate in it cannot be read: set up at https://localhost/: expected certificate authorities as PEM");
    let key = TestFile::new("no.key", KEY_PEM);
    let message = refused(&pair(key.path())).replace(key.path(), "KEY");
    insta::assert_snapshot!(shown(message, &certificate), @"options 'tls-certificate-file' and 'tls-key-file' name 'FILE' and 'KEY', which cannot be used together: expected a certificate and the private key that belongs to it: set up at https://localhost/: expected a client certificate and the private key that belongs to it");
}

#[test]
fn a_pem_file_is_read_whole_or_refused_with_its_line() {
    let read = |content: &str| {
        let file = TestFile::new("whole.pem", content);
        let settings = settings(&[("tls-ca-file", file.path())])?;
        Ok(settings.authorities.unwrap().content)
    };
    let refused = |content: &str| {
        let error: Error = read(content).expect_err("must be refused");
        let (_, fault) = error
            .to_string()
            .split_once(", found ")
            .map(|(_, fault)| ((), fault.to_owned()))
            .unwrap();
        assert!(
            error
                .to_string()
                .starts_with("option 'tls-ca-file' names '"),
            "{error}"
        );
        fault
    };
    let marked = format!("\u{feff}{CERTIFICATE_PEM}");
    assert_eq!(read(&marked).unwrap(), CERTIFICATE_PEM.as_bytes());
    let two = format!(
        "{CERTIFICATE_PEM}# another\r\n{}",
        CERTIFICATE_PEM.replace('\n', "\r\n")
    );
    assert_eq!(read(&two).unwrap(), two.as_bytes());
    let end = "-----END CERTIFICATE-----\n";
    insta::assert_snapshot!(refused(&CERTIFICATE_PEM.replace(end, "")), @"one that begins in line 1 and has no -----END CERTIFICATE-----: the file may be cut off");
    insta::assert_snapshot!(refused(&format!("{}{CERTIFICATE_PEM}", CERTIFICATE_PEM.replace(end, ""))), @"one that begins in line 1 and has no -----END CERTIFICATE-----: the file may be cut off");
    insta::assert_snapshot!(refused(&format!("  {CERTIFICATE_PEM}{CERTIFICATE_PEM}")), @"-----BEGIN in the middle of line 1: put it at the beginning of a line");
    insta::assert_snapshot!(refused(&format!("{}{CERTIFICATE_PEM}", CERTIFICATE_PEM.trim_end())), @"-----BEGIN in the middle of line 3: put it at the beginning of a line");
    insta::assert_snapshot!(refused(&CERTIFICATE_PEM.replace("CERT", "TRUSTED CERT")), @"a TRUSTED CERTIFICATE, which only OpenSSL reads: write it without its trust settings, for example with `openssl x509 -in FILE -out FILE`");
}

#[test]
fn a_client_needs_no_runtime() {
    let common = [("endpoint", "triton:8000"), ("model-name", "m")];
    let options = TritonOptions::parse(common).unwrap();
    assert!(client_from_options(&options).is_ok());
}
