//! What stands between: gateways that answer in place of a server, and ports of another kind.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::small_server::{Answer, SmallServer, described, inferred};
use crate::{Files, Run, triton};

const MODEL: &str = "
    CREATE MODEL m INPUT (x FLOAT) OUTPUT (y FLOAT)
    WITH ('provider' = 'triton', 'endpoint' = 'http://localhost', 'model-name' = 'm')";

const PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// A server behind a gateway that answers the first inferences itself.
fn behind_gateway(first: Vec<Answer>) -> SmallServer {
    behind_gateway_that_wakes(0, first)
}

/// A server behind a gateway that lets some inferences through, and answers the next ones itself.
fn behind_gateway_that_wakes(passed: usize, then: Vec<Answer>) -> SmallServer {
    let asked = AtomicUsize::new(0);
    SmallServer::start(move |path, request| {
        if let Some(description) = described("m", json!({}), path) {
            return description;
        }
        if !path.ends_with("/infer") {
            return Answer::new(200, "");
        }
        let number = asked.fetch_add(1, Ordering::Relaxed);
        match number
            .checked_sub(passed)
            .and_then(|number| then.get(number))
        {
            Some(answer) => Answer {
                headers: answer.headers.clone(),
                body: answer.body.clone(),
                ..*answer
            },
            None => inferred(request),
        }
    })
}

/// Scores `rows` rows.
fn predict(server: &SmallServer, rows: usize, more: &[&str]) -> Run {
    let files = Files::new();
    let model = files.write("model.sql", MODEL);
    let rows: String = (0..rows).map(|row| format!("{row}\n")).collect();
    let input = files.write("in.csv", &format!("x\n{rows}"));
    let endpoint = format!("endpoint={}", server.endpoint);
    let arguments = ["predict", &model, &input, "-O", &endpoint, "-q"];
    triton(&[&arguments[..], more].concat())
}

#[test]
fn what_passes_with_time_is_sent_again() {
    for status in [408, 425, 429, 502, 503, 504] {
        let server = behind_gateway(vec![Answer::new(status, ""), Answer::new(status, PAGE)]);
        let run = predict(&server, 1, &["-O", "max-retries=3"]);
        assert_eq!(run.code, Some(0), "{status}: {}", run.stderr);
        assert_eq!(run.stdout, "x,y\n0,0\n");
        assert_eq!(server.inferences(), 3);
    }
}

#[test]
fn a_gateway_is_waited_for_as_long_as_it_asks() {
    // The server's clock is a day late, and its date 2 s after that.
    for (date, retry_after) in [
        (None, "1"),
        (
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
            "Sun, 06 Nov 1994 08:49:38 GMT",
        ),
        (
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
            "Sunday, 06-Nov-94 08:49:38 GMT",
        ),
        (
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
            "Sun Nov  6 08:49:38 1994",
        ),
    ] {
        let mut answer = Answer::new(503, "").header("Retry-After", retry_after);
        if let Some(date) = date {
            answer = answer.header("Date", date);
        }
        let server = behind_gateway(vec![answer]);
        let begun = Instant::now();
        let run = predict(&server, 1, &["-O", "max-retries=3"]);
        assert_eq!(run.code, Some(0), "{retry_after}: {}", run.stderr);
        assert!(begun.elapsed().as_secs_f64() >= 1.0, "{retry_after}");
    }
}

/// A row that fails alone, while the server says that it is ready, is asked about every two seconds;
/// not where the answer says when to come back.
// Holds F15.
#[test]
fn a_gateway_that_answered_others_before_is_waited_for_as_long_as_it_asks() {
    let refusal = || Answer::new(429, "").header("Retry-After", "3");
    let server = behind_gateway_that_wakes(1, vec![refusal()]);
    let begun = Instant::now();
    let alone = ["--batch-size", "1", "-O", "max-in-flight=1"];
    let run = predict(&server, 2, &alone);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(begun.elapsed().as_secs_f64() >= 3.0);
    assert_eq!(server.inferences(), 3);
}

#[test]
fn a_gateway_that_asks_for_more_patience_than_there_is_costs_its_row_alone() {
    let answers = (0..99).map(|_| Answer::new(429, "").header("Retry-After", "86400"));
    let server = behind_gateway(answers.collect());
    let begun = Instant::now();
    let run = predict(&server, 1, &["--give-up-after", "5s"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let told = "the server asks to be left alone for 86400s (Retry-After), and 5s is the longest";
    for text in ["status 429", told] {
        assert!(run.stderr.contains(text), "{}", run.stderr);
    }
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn a_date_that_has_passed_or_is_none_asks_for_no_wait() {
    for retry_after in ["Sun, 06 Nov 1994 08:49:38 GMT", "soon", "-1", "1.5"] {
        let answer = Answer::new(503, "").header("Retry-After", retry_after);
        let server = behind_gateway(vec![answer]);
        let run = predict(&server, 1, &["-O", "max-retries=3"]);
        assert_eq!(run.code, Some(0), "{retry_after}: {}", run.stderr);
    }
}

#[test]
fn the_page_of_a_gateway_is_one_line() {
    for status in [403, 413, 500] {
        let answers = (0..99).map(|_| Answer::new(status, PAGE));
        let server = behind_gateway(answers.collect());
        let run = predict(&server, 1, &["-O", "max-retries=0"]);
        let said = server.named(&run.stderr);
        let cause = format!("status {status}: 502 Bad Gateway nginx");
        assert!(said.contains(&cause) && !said.contains('<'), "{said}");
    }
}

#[test]
fn a_redirect_is_named_with_the_place_it_leads_to() {
    for status in [301, 302, 307, 308] {
        let server = SmallServer::start(move |path, _| {
            let location = format!("https://user:canary@secure.example{path}?token=canary");
            Answer::new(status, PAGE).header("Location", location)
        });
        let run = predict(&server, 1, &[]);
        assert_eq!(run.code, Some(3));
        let said = server
            .named(&run.stderr)
            .replace(&status.to_string(), "30x");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @"
            error: the model could not be looked up
              caused by: read metadata of model 'm' at http://server/: status 30x: the answer leads to https://secure.example/v2/models/m, and redirects are not followed: set the endpoint to the address where the server itself answers
            ");
        }
    }
}

#[test]
fn a_trace_of_a_model_is_one_line_that_commands_no_terminal() {
    let trace =
        json!({"error": "failed\n  File \"model.py\", line 3\n\u{1b}[2JValueError: \u{7}no"});
    let server = behind_gateway(vec![Answer::new(500, trace.to_string())]);
    let run = predict(&server, 1, &["-O", "max-retries=0"]);
    assert_eq!(run.code, Some(1));
    let said = server.named(&run.stderr);
    let cause = r#"status 500: failed File "model.py", line 3 [2JValueError: no"#;
    assert!(said.contains(cause), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{7}']), "{said:?}");
}

#[test]
fn a_port_of_another_kind_is_told() {
    let health = |endpoint: &str| {
        let option = format!("endpoint={endpoint}");
        let run = triton(&["health", "-O", &option]);
        assert_eq!(run.code, Some(3), "{}", run.stderr);
        let port = endpoint.rsplit(':').next().unwrap();
        let said = run.stderr.replace(port, "PORT");
        said.lines().next().unwrap().to_owned()
    };
    let plain = SmallServer::raw(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let with_tls = plain.replace("http://", "https://");
    insta::assert_snapshot!(health(&with_tls), @"error: check liveness at https://127.0.0.1:PORT/: the port answers, but does not speak TLS; does it speak plain HTTP, so that http:// is right?");
    let silent = SmallServer::raw(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
    });
    let with_tls = silent.replace("http://", "https://");
    insta::assert_snapshot!(health(&with_tls), @"error: check liveness at https://127.0.0.1:PORT/: the connection was closed before TLS was agreed on; does the port speak plain HTTP, so that http:// is right?");
    // The first frame of HTTP/2, which gRPC speaks.
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
    let grpc = SmallServer::raw(move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(&settings);
    });
    insta::assert_snapshot!(health(&grpc), @"error: check liveness at http://127.0.0.1:PORT/: the answer is not valid HTTP/1.1; does the port speak gRPC, as Triton's 8001 does (HTTP/2), or want https://?");
    // What a port of TLS says to whoever does not begin with TLS.
    let alert = [0x15, 3, 3, 0, 2, 2, 70];
    let tls = SmallServer::raw(move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(&alert);
    });
    insta::assert_snapshot!(health(&tls), @"error: check liveness at http://127.0.0.1:PORT/: the answer is not valid HTTP/1.1; does the port speak gRPC, as Triton's 8001 does (HTTP/2), or want https://?");
}

#[test]
fn a_server_that_refuses_ends_every_command_with_code_3() {
    for status in [401, 403, 404, 500, 501] {
        let server = SmallServer::start(move |_, _| Answer::new(status, r#"{"error": "no"}"#));
        let endpoint = format!("endpoint={}", server.endpoint);
        for command in [
            "describe m",
            "models",
            "stats m",
            "bench m",
            "load m",
            "unload m",
        ] {
            let arguments: Vec<&str> = command.split(' ').collect();
            let run = triton(&[&arguments[..], &["-O", &endpoint]].concat());
            assert_eq!(run.code, Some(3), "{command}: {}", run.stderr);
            assert_eq!(run.stdout, "", "{command}");
        }
        let run = predict(&server, 1, &[]);
        assert_eq!(run.code, Some(3), "predict: {}", run.stderr);
    }
}
