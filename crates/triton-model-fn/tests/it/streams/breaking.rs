//! Streams that break, that never end, and those whose reader goes away.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use metrics_util::debugging::DebuggingRecorder;
use tokio::sync::mpsc::unbounded_channel;
use triton_model_fn::{
    AnswerSink, ErrorKind, InferenceFunction, ModelFunction as _, ServerWait, Subtask, Value,
};
use triton_options::TritonOptions;

use super::server::{HEAD, StreamServer, head_of, left, until_gone, whole};
use super::{COLUMN, STREAM, countdown, open, shown, streamed, told_countdown};
use crate::monitoring::counted;
use crate::options;

const ROW: [Value; 1] = [Value::Integer(3)];

/// A function with options that no other sets.
async fn open_with(server: &StreamServer, extra: &[(&str, &str)]) -> InferenceFunction {
    let common = [
        ("endpoint", server.endpoint.as_str()),
        ("model-name", "m"),
        STREAM,
    ];
    let options = TritonOptions::parse(common.iter().chain(extra).copied()).unwrap();
    let function = InferenceFunction::new(options, countdown()).unwrap();
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    function
}

fn write(connection: &mut TcpStream, text: &str) {
    // Whoever asked may have gone.
    let _ = connection.write_all(text.as_bytes());
    let _ = connection.flush();
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_sent_again_only_before_its_first_row() {
    let server = StreamServer::start(|connection, number| match number {
        // The first breaks before it has said anything, the second after two rows.
        1 => write(connection, HEAD.split_at(20).0),
        2 => write(
            connection,
            &[HEAD, &left(3), &left(2), "data: {\"le"].concat(),
        ),
        _ => write(connection, &whole(&[left(1)])),
    });
    let retries = [("max-retries", "5"), ("retry-initial-backoff", "1 ms")];
    let function = open(&server.endpoint, "m", countdown(), &retries).await;
    let answers = streamed(function.predict_many(&ROW)).await;
    insta::assert_snapshot!(answers.replace(&server.endpoint, "URL"), @"
    0: 3
    1: 2
    Call: subtask 0 of 1, attempt 0: the stream broke after 2 rows; what came is given out, so the row is not sent again: stream from model 'm' at URL/: the connection broke before the answer was complete
    ");
    assert_eq!(server.asked(), 2);
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn all_answers_together_are_asked_for_again_where_rows_can_wait() {
    let server = StreamServer::start(|connection, number| match number {
        1 => write(connection, &[HEAD, &left(3), &left(2), "data: {"].concat()),
        2 => write(connection, &whole(&[left(3), left(2), left(1)])),
        // What the model says of a row is no failure that passes.
        _ => write(
            connection,
            &[HEAD, &left(3), "data: {\"error\":\"no\"}\n\n"].concat(),
        ),
    });
    let wait = ServerWait::new(Duration::from_secs(60));
    let retries = [
        STREAM,
        ("max-retries", "3"),
        ("retry-initial-backoff", "1 ms"),
    ];
    let options = options(&server.endpoint, "m", &retries);
    let function = InferenceFunction::new(options, countdown()).unwrap();
    let function = function.waiting_for_server(&wait);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    let answers = function.predict_all(&ROW).await.unwrap();
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| shown(&Ok(answer)))
        .collect();
    insta::assert_snapshot!(answers.join("\n"), @"
    0: 3
    1: 2
    2, last: 1
    ");
    assert_eq!((server.asked(), wait.calls(), wait.waiting()), (2, 0, 0));
    // Two calls, and the five answers of their streams.
    assert_eq!((wait.answered(), wait.heard()), (2, 7));
    let error = function.predict_all(&ROW).await.unwrap_err();
    assert!(
        error.message().starts_with("the stream broke after 1 row"),
        "{error}"
    );
    assert_eq!(server.asked(), 3);
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn all_answers_together_are_those_of_the_stream() {
    let server = StreamServer::start(|connection, number| match number {
        1 | 4 => write(connection, &[HEAD, &left(3), &left(2), "data: {"].concat()),
        2 => write(connection, &whole(&[])),
        _ => write(connection, &whole(&[left(1)])),
    });
    let function = open(&server.endpoint, "m", countdown(), &[]).await;
    // Without patience with the server a stream that breaks is an error as a whole.
    let error = function.predict_all(&ROW).await.unwrap_err();
    assert!(
        error.message().starts_with("the stream broke after 2 rows"),
        "{error}"
    );
    assert!(function.predict_all(&ROW).await.unwrap().is_empty());
    let only = function.predict_all(&ROW).await.unwrap().remove(0);
    assert_eq!(shown(&Ok(only)), "0, last: 1");
    let function = open(&server.endpoint, "m", told_countdown(), &[COLUMN]).await;
    let answers = function.predict_all(&ROW).await.unwrap();
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| shown(&Ok(answer)))
        .collect();
    insta::assert_snapshot!(answers.join("\n").replace(&server.endpoint, "URL"), @"
    0: 0 | 3 | false | answered | -
    1: 1 | 2 | false | answered | -
    2, last: 2 | - | true | failed | subtask 0 of 1, attempt 0: the stream broke after 2 rows: stream from model 'm' at URL/: the connection broke before the answer was complete
    ");
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_off_at_any_byte_has_no_last_row() {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head = HEAD.replace("Connection: close", "Transfer-Encoding: chunked");
    let end = "0\r\n\r\n";
    let whole = [&head, &chunk(&left(3)), &chunk(&left(2)), end].concat();
    let text = whole.clone();
    let server = StreamServer::start(move |connection, length| {
        write(connection, &text[..length as usize]);
    });
    let options = [("max-retries", "0")];
    let function = open(&server.endpoint, "m", countdown(), &options).await;
    for length in 1..whole.len() {
        let answers = streamed(function.predict_many(&ROW)).await;
        let is_error = answers.contains("Call: ") && !answers.contains("last");
        assert!(is_error, "after {length} bytes: {answers}");
    }
    assert_eq!(
        streamed(function.predict_many(&ROW)).await,
        "0: 3\n1, last: 2"
    );
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nothing_but_its_connection_ends_has_no_last_row() {
    let server = StreamServer::start(|connection, _| {
        write(connection, &[HEAD, &left(3), &left(2)].concat());
    });
    let function = open(&server.endpoint, "m", countdown(), &[("max-retries", "0")]).await;
    let answers = streamed(function.predict_many(&ROW)).await;
    insta::assert_snapshot!(answers.replace(&server.endpoint, "URL"), @"
    0: 3
    1: 2
    Call: subtask 0 of 1, attempt 0: the stream broke after 2 rows; what came is given out, so the row is not sent again: stream from model 'm' at URL/: the connection ended, and nothing says that the stream was complete: an answer in chunks would, as HTTP/1.1 has them
    ");
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_fit_ends_the_stream() {
    let server = StreamServer::start(|connection, number| {
        let second = match number {
            1 => "data: {\"left\":2.5}\n\n",
            2 => "data: {\"left\":[2,1]}\n\n",
            _ => "data: {\"right\":2}\n\n",
        };
        write(connection, &[HEAD, &left(3), second, &left(1)].concat());
    });
    let function = open(&server.endpoint, "m", countdown(), &[]).await;
    let answers = [
        streamed(function.predict_many(&ROW)).await,
        streamed(function.predict_many(&ROW)).await,
        streamed(function.predict_many(&ROW)).await,
    ];
    insta::assert_snapshot!(answers.join("\n"), @"
    0: 3
    Output: subtask 0 of 1, attempt 0: after 1 row: output 'left': its element 0 is 2.5, which is no INT32
    0: 3
    Output: subtask 0 of 1, attempt 0: after 1 row: output 'left': expected 1 element, found 2
    0: 3
    Output: subtask 0 of 1, attempt 0: after 1 row: output 'left': the answer does not have it
    ");
}

/// A stream of one row that then says nothing more, and tells when its reader is gone.
fn silent() -> (StreamServer, mpsc::Receiver<()>) {
    let (gone, is_gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let server = StreamServer::start(move |connection, _| {
        write(connection, &[HEAD, &left(3), &left(2)].concat());
        until_gone(connection);
        let _ = gone.lock().unwrap().send(());
    });
    (server, is_gone)
}

fn hung_up(is_gone: &mpsc::Receiver<()>) {
    is_gone.recv_timeout(Duration::from_secs(20)).unwrap();
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_for_each_answer_and_for_the_row_ends_a_stream() {
    for option in ["timeout", "row-deadline"] {
        let (server, is_gone) = silent();
        let function = open_with(&server, &[(option, "400 ms"), ("max-retries", "3")]).await;
        let answers = streamed(function.predict_many(&ROW)).await;
        let answers = answers.replace(&server.endpoint, "URL");
        match option {
            "timeout" => insta::assert_snapshot!(answers, @"
            0: 3
            1: 2
            Call: subtask 0 of 1, attempt 0: the stream broke after 2 rows; what came is given out, so the row is not sent again: stream from model 'm' at URL/: no complete answer within 400ms
            "),
            _ => insta::assert_snapshot!(answers, @"
            0: 3
            1: 2
            Call: subtask 0 of 1, attempt 0: the stream was not over by the row's deadline (option 'row-deadline'), after 2 rows
            "),
        }
        hung_up(&is_gone);
        assert_eq!(server.asked(), 1);
        // Its permits are back, or this would wait for them.
        function.close().await.unwrap();
    }
}

// Holds F36.
#[tokio::test]
async fn streams_that_are_open_and_their_answers_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    // It holds for this thread, on which the function is opened.
    let guard = metrics::set_default_local_recorder(&recorder);
    let (server, _is_gone) = silent();
    let function = open_with(&server, &[]).await;
    drop(guard);
    let counted = || {
        // A look takes them back to 0, so it shows what changed since the last one.
        let all = counted(&snapshots, "triton_function_");
        let value = |name: &str| {
            let mut lines = all.lines();
            let line = lines.find(|line| line.contains(name)).unwrap();
            line.rsplit(' ').next().unwrap().to_owned()
        };
        ["open_streams", "stream_answers"].map(value)
    };
    assert_eq!(counted(), ["0", "0"]);
    let mut stream = function.predict_many(&ROW);
    assert_eq!(shown(&stream.next().await.unwrap()), "0: 3");
    assert_eq!(counted(), ["1", "1"]);
    drop(stream);
    assert_eq!(counted()[0], "-1");
    function.abort().await;
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_of_a_row_ends_a_stream_that_always_has_an_answer() {
    let server = StreamServer::start(|connection, _| {
        write(connection, HEAD);
        while connection.write_all(left(3).repeat(99).as_bytes()).is_ok() {}
    });
    let function = open_with(&server, &[("row-deadline", "400 ms")]).await;
    // Who reads is slower than the server, so there is never anything to wait for.
    let answers = function.predict_many(&ROW).then(async |answer| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer
    });
    let answers: Vec<_> = answers.take(200).collect().await;
    let last = shown(answers.last().unwrap());
    assert!(
        last.contains("the stream was not over by the row's deadline (option 'row-deadline')"),
        "{last}"
    );
}

// Holds F30, F77.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_polls_is_ended_all_the_same() {
    for ended_by in ["abort", "close", "row-deadline"] {
        let (server, is_gone) = silent();
        let extra = match ended_by {
            "row-deadline" => ("row-deadline", "1 s"),
            _ => ("timeout", "1 s"),
        };
        let function = open_with(&server, &[extra]).await;
        let mut stream = function.predict_many(&ROW);
        assert_eq!(shown(&stream.next().await.unwrap()), "0: 3");
        match ended_by {
            "abort" => function.abort().await,
            "close" => drop(function.close().await.unwrap_err()),
            _ => {}
        }
        hung_up(&is_gone);
        let rest = streamed(stream).await;
        match ended_by {
            "abort" => insta::assert_snapshot!(rest, @"
            1: 2
            State: subtask 0 of 1, attempt 0: the function was given up after 2 rows of the stream
            "),
            "close" => insta::assert_snapshot!(rest, @"
            1: 2
            State: subtask 0 of 1, attempt 0: the function was closed after 2 rows of the stream
            "),
            _ => insta::assert_snapshot!(rest, @"
            1: 2
            Call: subtask 0 of 1, attempt 0: the stream was not over by the row's deadline (option 'row-deadline'), after 2 rows
            "),
        }
    }
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn giving_up_ends_every_stream() {
    let (server, is_gone) = silent();
    let function = open_with(&server, &[]).await;
    let (sender, mut answers) = unbounded_channel();
    let sink: Arc<dyn AnswerSink> = Arc::new(sender);
    function.submit_to(7, &ROW, &sink);
    let first = answers.recv().await.unwrap();
    assert_eq!(shown(&first[0].result), "0: 3");
    let mut stream = function.predict_many(&ROW);
    assert_eq!(shown(&stream.next().await.unwrap()), "0: 3");

    function.abort().await;
    hung_up(&is_gone);
    // The row that was held back may be given out before.
    let last = loop {
        let answer = answers.recv().await.unwrap().remove(0);
        if answer.is_last {
            break answer;
        }
    };
    let error = last.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(
        error
            .message()
            .starts_with("the function was given up after "),
        "{error}"
    );
    insta::assert_snapshot!(streamed(stream).await, @"
    1: 2
    State: subtask 0 of 1, attempt 0: the function was given up after 2 rows of the stream
    ");
    hung_up(&is_gone);
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_hangs_up_and_gives_its_permits_back() {
    let (server, is_gone) = silent();
    let one = [("max-in-flight", "1"), ("connection-pool-max-total", "1")];
    let function = open_with(&server, &one).await;
    let mut first = function.predict_many(&ROW);
    assert_eq!(shown(&first.next().await.unwrap()), "0: 3");
    let mut second = function.predict_many(&ROW);
    // There is room for one.
    let waits = tokio::time::timeout(Duration::from_millis(100), second.next()).await;
    assert!(waits.is_err() && server.asked() == 1);
    drop(first);
    hung_up(&is_gone);
    assert_eq!(shown(&second.next().await.unwrap()), "0: 3");
}

// Holds F77.
#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_a_stream_and_then_gives_it_up() {
    let (server, is_gone) = silent();
    let function = open_with(&server, &[("timeout", "400 ms")]).await;
    let mut stream = function.predict_many(&ROW);
    assert_eq!(shown(&stream.next().await.unwrap()), "0: 3");
    let error = function.close().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Close);
    insta::assert_snapshot!(streamed(stream).await, @"
    1: 2
    State: subtask 0 of 1, attempt 0: the function was closed after 2 rows of the stream
    ");
    hung_up(&is_gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_keeps_the_server_from_sending() {
    /// More than sockets and buffers between the two can hold.
    const BYTES: usize = 32 << 20;
    let (progress, written) = mpsc::channel();
    let progress = Mutex::new(progress);
    let server = StreamServer::start(move |connection, _| {
        let padded = left(3)
            .replace('\n', "")
            .replace('}', &format!(",\"pad\":\"{}\"}}\n\n", "x".repeat(1 << 20)));
        write(connection, &head_of((BYTES >> 20) * padded.len()));
        for _ in 0..BYTES >> 20 {
            if connection.write_all(padded.as_bytes()).is_err() {
                return;
            }
            let _ = progress.lock().unwrap().send(());
        }
    });
    let function = open_with(&server, &[("timeout", "5 s")]).await;
    let mut stream = function.predict_many(&ROW);
    assert_eq!(shown(&stream.next().await.unwrap()), "0: 3");
    // Until the server cannot go on, because nobody reads.
    let mut sent = 0;
    while written.recv_timeout(Duration::from_millis(500)).is_ok() {
        sent += 1;
    }
    assert!(sent < BYTES >> 20, "{sent} MiB were sent to nobody");
    let rest = stream.count().await;
    assert_eq!(rest, (BYTES >> 20) - 1);
}
