//! `triton health`.

use triton_test_support::{EmbeddedTriton, live_endpoint};

use crate::{READINESS, triton};

/// What is said about the server at `endpoint`, with its address and version left out.
fn health(endpoint: &str, arguments: &[&str]) -> String {
    let option = format!("endpoint={endpoint}");
    let run = triton(&[&["health", "-O", &option], arguments].concat());
    run.said().replace(endpoint, "http://server")
}

fn check(endpoint: &str) {
    insta::allow_duplicates! {
        insta::assert_snapshot!(health(endpoint, &["echo", "--wait", "5s"]), @"
        exit code 0
        the server at http://server/ is ready: triton 2.51.0
        model 'echo' is ready
        ");
        insta::assert_snapshot!(health(endpoint, &["nobody", "--wait", "100ms"]), @"
        exit code 1
        the server at http://server/ is ready: triton 2.51.0
        model 'nobody' is not ready or not there; `triton models` shows its state
        ");
    }
    let run = health(endpoint, &["nobody", "--json"]);
    let json: serde_json::Value = serde_json::from_str(run.split_once('\n').unwrap().1).unwrap();
    assert_eq!(json["ready"], false);
    assert_eq!(json["server_ready"], true);
    assert_eq!(json["model"]["ready"], false);
}

#[test]
fn of_the_embedded_server() {
    check(EmbeddedTriton::start().unwrap().endpoint().as_str());
}

#[tokio::test]
async fn of_a_real_server() {
    let _turn = READINESS.lock().await;
    let endpoint = live_endpoint();
    // A server is not ready for a moment after another test has unloaded a model.
    health(&endpoint, &["echo", "--wait", "30s"]);
    check(&endpoint);
}

#[test]
fn of_nobody() {
    insta::assert_snapshot!(health("http://127.0.0.1:1", &[]), @"
    exit code 3
    error: check liveness at http://server/: no connection could be made; is the server running there?
      caused by: client error (Connect)
      caused by: no connection
      caused by: tcp connect error
      caused by: Connection refused (os error 111)
      try: `triton health --wait 60s` waits for a server that is starting; -e URL or TRITON_ENDPOINT names another
    ");
    let waited = health("http://127.0.0.1:1", &["--wait", "1s"]);
    assert!(
        waited.starts_with("exit code 3\nwaiting for http://server/\nerror: "),
        "{waited}"
    );
    insta::assert_snapshot!(health("http://127.0.0.1:1", &["--wait", "soon"]), @"
    exit code 2
    error: invalid value 'soon' for '--wait <TIME>': expected a duration such as '30 s', '100 ms' or '1 min'

    For more information, try '--help'.
    ");
}

/// The commands that find no server there say what is wrong, and do not send from one to the other.
#[test]
fn of_a_path_that_is_none() {
    let server = EmbeddedTriton::start().unwrap();
    let endpoint = server.endpoint();
    let option = format!("endpoint={endpoint}/foo");
    let said = |command: &str| {
        let run = triton(&[command, "-O", &option]);
        run.said().replace(&endpoint, "http://server")
    };
    insta::assert_snapshot!(said("health"), @"
    exit code 3
    error: check liveness at http://server/foo/: status 404: no server of the V2 protocol answers there (Not Found): set the endpoint to the address below which its '/v2' lies
    ");
    insta::assert_snapshot!(said("models"), @"
    exit code 3
    error: the server lists no models
      caused by: list the model repository at http://server/foo/: status 404: Not Found
      try: is the path right? -e URL takes what stands before the server's /v2, and most servers have nothing there
    ");
}

/// It is not there when the wait begins.
#[test]
fn a_server_that_comes_up_is_waited_for() {
    let port = EmbeddedTriton::start()
        .unwrap()
        .endpoint()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let endpoint = format!("http://127.0.0.1:{port}");
    let option = format!("endpoint={endpoint}");
    let mut waiting = std::process::Command::new(env!("CARGO_BIN_EXE_triton"))
        .args(["health", "--wait", "60s", "-O", &option])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stderr = waiting.stderr.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut line).unwrap();
    assert_eq!(line, format!("waiting for {endpoint}/\n"));
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let server = EmbeddedTriton::builder().address(address).start().unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    drop(server);
}
