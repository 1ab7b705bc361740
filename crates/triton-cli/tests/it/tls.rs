//! A server behind TLS whose certificate comes from a company's own authority: how its files get
//! to the command.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use triton_test_support::{EmbeddedTriton, TlsGateway};

use crate::{Files, command, triton, triton_in};

/// A server, the gateway before it, and the files of the gateway's certificates.
fn behind_tls(name: &str, wants_client_certificate: bool) -> (EmbeddedTriton, TlsGateway, Files) {
    let server = EmbeddedTriton::builder().built_in_models().start().unwrap();
    let gateway = TlsGateway::start(&server.endpoint(), name, wants_client_certificate);
    let files = Files::new();
    files.write("company.pem", &gateway.authority_pem);
    files.write("client.pem", &gateway.client_pem);
    files.write("client.key", &gateway.client_key_pem);
    (server, gateway, files)
}

#[test]
fn an_authority_comes_from_every_place_of_options() {
    let (_server, gateway, files) = behind_tls("localhost", false);
    let authority = files.path("company.pem");
    let endpoint = format!("endpoint=https://localhost:{}", gateway.port);
    let option = format!("tls-ca-file={authority}");
    // Relative to the folder of the file, wherever the command runs.
    let config = files.write("triton.toml", "tls-ca-file = \"company.pem\"\n");
    let variable = [("TRITON_TLS_CA_FILE", authority.as_str())];
    let health = ["health", "-O", &endpoint];
    for (environment, arguments) in [
        (&[][..], &["-O", option.as_str()][..]),
        (&variable, &[]),
        (&[], &["--config", &config]),
    ] {
        let run = triton_in(environment, &[&health, arguments].concat());
        assert_eq!(
            (run.code, run.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
    // After -O and in the environment, from the working directory.
    let mut relative = command(&[&health[..], &["-O", "tls-ca-file=company.pem"]].concat());
    let run = relative.current_dir(files.0.path()).status().unwrap();
    assert_eq!(run.code(), Some(0));
    // Without it nobody is trusted.
    let run = triton(&health);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(3), ""),
        "{}",
        run.stderr
    );
}

#[test]
fn each_refusal_by_tls_names_the_option_that_helps() {
    let (_server, gateway, files) = behind_tls("triton.example", true);
    let endpoint = format!("endpoint=https://localhost:{}", gateway.port);
    let authority = format!("tls-ca-file={}", files.path("company.pem"));
    let name = "tls-server-name=triton.example";
    for (options, helps) in [
        (&[][..], "try: -O tls-ca-file=FILE "),
        (&["-O", authority.as_str()], "try: -O tls-server-name=NAME "),
        (
            &["-O", &authority, "-O", name],
            "try: -O tls-certificate-file=FILE -O tls-key-file=FILE ",
        ),
    ] {
        let run = triton(&[&["health", "-O", &endpoint], options].concat());
        assert_eq!(run.code, Some(3));
        assert!(run.stderr.contains(helps), "{}", run.stderr);
    }
}

#[test]
fn rows_are_scored_with_a_certificate_of_ones_own() {
    let (_server, gateway, files) = behind_tls("triton.example", true);
    let model = format!(
        "CREATE MODEL m INPUT (value INT) OUTPUT (sum INT) WITH ('provider' = 'triton',
         'endpoint' = 'https://127.0.0.1:{}', 'model-name' = 'accumulate', 'sequence-id' = 's',
         'sequence-id-auto-increment' = 'true', 'timeout' = '5000',
         'tls-ca-file' = '{}', 'tls-server-name' = 'triton.example')",
        gateway.port,
        files.path("company.pem")
    );
    let model = files.write("model.sql", &model);
    let input = files.write("input.csv", "value\n1\n2\n");
    let certificate = format!("tls-certificate-file={}", files.path("client.pem"));
    let key = format!("tls-key-file={}", files.path("client.key"));
    let options = ["-O", &certificate, "-O", &key];
    let run = triton(&[&["predict", &model, &input], &options[..]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stdout, "value,sum\n1,1\n2,2\n");
    let run = triton(&["predict", &model, &input, "-O", &certificate]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: option 'tls-certificate-file' is set but 'tls-key-file' is not: set 'tls-key-file' to the file that holds the private key of the certificate, which may be the same file (from -O)");
    // What a run reads it does not write over.
    let key_file = files.path("client.key");
    let output = ["--output", &key_file];
    let run = triton(&[&["predict", &model, &input], &options[..], &output].concat());
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: --output client.key is the file client.key, which an option names: the run would write over what it reads; name another file");
}

/// A proxy that makes one tunnel; its port, and the head of the request for the tunnel.
fn tunnel() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heads, received) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut server = TcpStream::connect(head.split(' ').nth(1).unwrap()).unwrap();
        heads.send(head).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from_server, mut to_client) =
            (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
        let _ = std::io::copy(&mut client, &mut server);
    });
    (port, received)
}

#[test]
fn a_proxy_and_the_name_of_the_certificate_go_together() {
    let (_server, gateway, files) = behind_tls("triton.example", false);
    let (proxy_port, heads) = tunnel();
    let config = format!(
        "endpoint = \"https://127.0.0.1:{}\"\ntls-ca-file = \"company.pem\"\n\
         tls-server-name = \"triton.example\"\nproxy = \"http://u:p@127.0.0.1:{proxy_port}\"\n",
        gateway.port
    );
    let config = files.write("triton.toml", &config);
    let run = triton(&["health", "--config", &config]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let head = heads.recv().unwrap();
    let wanted = format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", gateway.port);
    assert!(head.starts_with(&wanted), "{head}");
    assert!(
        head.contains("Proxy-Authorization: Basic dTpw\r\n"),
        "{head}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named_with_its_option() {
    let files = Files::new();
    let missing = format!("tls-ca-file={}", files.path("none.pem"));
    let run = triton(&[
        "health",
        "-O",
        "endpoint=https://localhost:1",
        "-O",
        &missing,
    ]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: option 'tls-ca-file' names 'none.pem', which cannot be used: No such file or directory (os error 2)");
    let token = format!("auth-token-file={}", files.path("none"));
    let run = triton(&["health", "-O", "endpoint=localhost:1", "-O", &token]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: option 'auth-token-file' names 'none', which cannot be used: No such file or directory (os error 2)");
}

#[test]
fn a_run_that_cannot_read_a_file_does_not_blame_the_server() {
    let files = Files::new();
    let model = files.write(
        "model.sql",
        "CREATE MODEL m INPUT (value INT) OUTPUT (sum INT) WITH ('provider' = 'triton',
         'endpoint' = 'https://localhost:1', 'model-name' = 'accumulate')",
    );
    let input = files.write("input.csv", "value\n1\n");
    let missing = format!("tls-ca-file={}", files.path("none.pem"));
    let run = triton(&["predict", &model, &input, "-O", &missing]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: option 'tls-ca-file' names 'none.pem', which cannot be used: No such file or directory (os error 2)");
}

#[test]
fn a_duration_needs_a_unit_but_in_a_statement_of_flink() {
    let files = Files::new();
    let config = files.write("triton.toml", "endpoint = \"localhost:1\"\ntimeout = 3\n");
    let run = triton(&["health", "--config", &config]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: option 'timeout': expected a duration with its unit: '3 s' or '3 ms', found '3' (from triton.toml, line 2)");
}
