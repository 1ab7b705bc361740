//! Calls and their events as Java would see them, without a Java in between.

use std::time::Instant;

use triton_embedded::{EmbeddedTriton, FaultScript};
use triton_model_fn::Value;

use super::*;
use crate::events::Outcome;
use crate::pointers::Place;
use crate::wire::{Reader, put_bytes, put_count};

/// What Java would hand over for a model that adds up, with further options.
fn description(
    endpoint: &str,
    row_timeout: Duration,
    outputs: &[&str],
    further: &[&str],
) -> Result<Description, Failure> {
    let mut bytes = Vec::new();
    let mut texts = |texts: &[&str]| {
        put_count(&mut bytes, texts.len() / 2).unwrap();
        texts
            .iter()
            .for_each(|text| put_bytes(&mut bytes, text.as_bytes()).unwrap());
    };
    let options = [
        "endpoint",
        endpoint,
        "model-name",
        "accumulate",
        "sequence-id",
        "a",
        "sequence-id-auto-increment",
        "true",
        // Milliseconds, as everywhere in Flink.
        "timeout",
        "20000",
    ];
    texts(&[&options, further].concat());
    texts(&["value", "INT"]);
    texts(outputs);
    bytes.extend_from_slice(&(row_timeout.as_millis() as u64).to_le_bytes());
    Description::read(&bytes, Place::Planning)
}

struct Fixture {
    server: EmbeddedTriton,
    function: Function,
    read: Vec<(u64, String)>,
}

impl Fixture {
    /// A function that is open, on a server where the fault befalls every row.
    fn open(fault: Option<&str>, row_timeout: Duration) -> Fixture {
        Fixture::open_with(&[], fault, row_timeout)
    }

    fn open_with(further: &[&str], fault: Option<&str>, row_timeout: Duration) -> Fixture {
        let mut builder = EmbeddedTriton::builder().built_in_models();
        if let Some(fault) = fault {
            let script = format!(r#"{{"faults": [{{{fault}, "rate": 1}}]}}"#);
            builder = builder.faults(FaultScript::from_json(script.as_bytes()).unwrap());
        }
        let server = builder.start().unwrap();
        let subtask = Subtask::new(1, 2, 3).unwrap();
        let description = description(&server.endpoint(), row_timeout, &["sum", "INT"], further);
        let description = description.unwrap();
        assert_eq!(description.options.timeout.get().as_secs(), 20);
        let function = Function::new(description, subtask);
        let mut fixture = Fixture {
            server,
            function: function.unwrap(),
            read: Vec::new(),
        };
        fixture.function.open().unwrap();
        assert_eq!(fixture.next(), (OPENING, "opened".to_owned()));
        fixture
    }

    fn predict(&self, row_number: u64, value: i32) -> Result<(), Failure> {
        let mut row = Vec::new();
        write_row(&mut row, &[Value::Integer(value)]).unwrap();
        self.function.predict(row_number, 1, row.into())
    }

    /// The next event, in words.
    fn next(&mut self) -> (u64, String) {
        while self.read.is_empty() {
            let events = self.function.events().next(<[u8]>::to_vec).unwrap();
            let mut reader = Reader::new(&events);
            while !reader.is_empty() {
                self.read.push(event(&mut reader));
            }
        }
        self.read.remove(0)
    }
}

fn event(reader: &mut Reader<'_>) -> (u64, String) {
    let call = u64::from_le_bytes(reader.array().unwrap());
    let [outcome] = reader.array().unwrap();
    let text = if outcome == Outcome::Failed as u8 {
        reader.text().unwrap()
    } else if call == OPENING {
        "opened".to_owned()
    } else {
        assert_eq!(reader.count().unwrap(), 1);
        assert!(reader.flag().unwrap());
        i32::from_le_bytes(reader.array().unwrap()).to_string()
    };
    (call, text)
}

const DELAY: &str = r#""fault": "delay", "milliseconds": 600000"#;

#[test]
fn every_row_has_one_event() {
    let mut fixture = Fixture::open(None, Duration::ZERO);
    for number in 0..300 {
        fixture.predict(number, number as i32).unwrap();
    }
    let mut answers: Vec<_> = (0..300).map(|_| fixture.next()).collect();
    answers.sort_unstable();
    let expected = (0..300).map(|number: u64| (number, number.to_string()));
    assert_eq!(answers, expected.collect::<Vec<_>>());
    fixture.function.close().unwrap();
}

// Holds F35.
#[test]
fn a_failure_names_row_subtask_attempt_and_sequence() {
    let mut fixture = Fixture::open(Some(r#""fault": "status", "status": 500"#), Duration::ZERO);
    fixture.predict(7, 1).unwrap();
    let (row, message) = fixture.next();
    let message = message.replace(&fixture.server.endpoint(), "http://ENDPOINT");
    insta::assert_snapshot!(message, @"row 7 (value = 1), subtask 1 of 2, attempt 3, sequence 'a-1-0': the row was not answered: infer with model 'accumulate' at http://ENDPOINT/: status 500: a fault of the script");
    assert_eq!(row, 7);
    insta::assert_snapshot!(fixture.function.predict(3, 1, vec![1, 2].into()).unwrap_err(), @"the buffer from Java ends too early; do its jar and its library belong together?");
    fixture.function.close().unwrap();
}

#[test]
fn a_row_is_given_up_before_flink_would_do_it() {
    let mut fixture = Fixture::open(Some(DELAY), Duration::from_millis(500));
    fixture.predict(0, 1).unwrap();
    let (_, message) = fixture.next();
    assert!(message.contains("sequence 'a-1-0'"), "{message}");
    assert!(message.ends_with(ADVICE), "{message}");
    fixture.function.close().unwrap();
}

const TOLD: [&str; 8] = [
    "sum",
    "INT",
    "prediction_error",
    "STRING",
    "prediction_status",
    "STRING NOT NULL",
    "sequence_id",
    "STRING",
];

// Holds F55.
#[test]
fn a_row_that_fails_is_a_row_of_nulls_that_says_why() {
    let column = ["on-error", "column"];
    let faults = br#"{"faults": [{"fault": "delay", "milliseconds": 600000, "request": 2}]}"#;
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::from_json(faults).unwrap())
        .start()
        .unwrap();
    let limit = Duration::from_secs(2);
    let description = description(&server.endpoint(), limit, &TOLD, &column).unwrap();
    let outputs = description.schema.outputs.clone();
    let function = Function::new(description, Subtask::new(1, 2, 3).unwrap()).unwrap();
    function.open().unwrap();
    let mut rows = Vec::new();
    let mut take = |value: Option<Value>| {
        if let Some(value) = value {
            let mut row = Vec::new();
            write_row(&mut row, &[value]).unwrap();
            function.predict(rows.len() as u64, 1, row.into()).unwrap();
        }
        let event = function.events().next(<[u8]>::to_vec).unwrap();
        assert_eq!(event[8], Outcome::Answered as u8);
        if event.len() > 9 {
            // After the number of rows, which is one.
            let mut row = Vec::new();
            read_row(&mut Reader::new(&event[13..]), &outputs, &[], &mut row).unwrap();
            rows.push(row);
        }
    };
    take(None);
    take(Some(Value::Integer(5)));
    take(Some(Value::Null));
    // Flink's own limit.
    take(Some(Value::Integer(6)));
    // How long the attempt had is another time each time.
    if let [.., row] = &mut rows[..]
        && let Value::String(error) = &mut row[1]
    {
        error.truncate(error.find(": infer").unwrap());
    }
    insta::assert_debug_snapshot!(rows, @r#"
    [
        [
            Integer(
                5,
            ),
            Null,
            String(
                "answered",
            ),
            String(
                "a-1-0",
            ),
        ],
        [
            Null,
            String(
                "subtask 1 of 2, attempt 3: column 'value': expected INT, found NULL",
            ),
            String(
                "failed",
            ),
            Null,
        ],
        [
            Null,
            String(
                "subtask 1 of 2, attempt 3, sequence 'a-1-1': the row was not answered by its deadline (option 'row-deadline')",
            ),
            String(
                "failed",
            ),
            String(
                "a-1-1",
            ),
        ],
    ]
    "#);
    function.close().unwrap();
}

#[test]
fn a_text_that_is_none_makes_its_row_one_that_failed() {
    let server = EmbeddedTriton::builder().built_in_models().start().unwrap();
    let key = ["sequence-key", "sensor"];
    let description = description(&server.endpoint(), Duration::ZERO, &["sum", "INT"], &key);
    let mut description = description.unwrap();
    let sensor = Column::new("sensor", triton_model_fn::DataType::String);
    description.schema.inputs.push(sensor);
    let function = Function::new(description, Subtask::new(1, 2, 3).unwrap()).unwrap();
    function.open().unwrap();
    function.events().next(<[u8]>::to_vec).unwrap();
    function
        .predict(4, 1, vec![1, 5, 0, 0, 0, 1, 2, 0, 0, 0, 0xff, b'a'].into())
        .unwrap();
    let event = function.events().next(<[u8]>::to_vec).unwrap();
    let (row, message) = self::event(&mut Reader::new(&event));
    assert_eq!(row, 4);
    insta::assert_snapshot!(message, @"row 4 (value = 5, sensor = NULL), subtask 1 of 2, attempt 3: column 'sensor': the text is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0");
    function.close().unwrap();
}

/// What Java hands over for a stateless model, with options.
fn described(options: &[&str], place: Place<'_>) -> Result<Description, Failure> {
    let mut bytes = Vec::new();
    let options = [&["model-name", "echo"], options].concat();
    for texts in [&options[..], &["value", "FLOAT"], &["echo", "FLOAT"]] {
        put_count(&mut bytes, texts.len() / 2).unwrap();
        for text in texts {
            put_bytes(&mut bytes, text.as_bytes()).unwrap();
        }
    }
    bytes.extend_from_slice(&60_000_u64.to_le_bytes());
    match place {
        Place::Planning => Description::check(&bytes)?,
        Place::Subtask(_) => {}
    }
    Description::read(&bytes, place)
}

#[test]
fn rows_of_a_batch_are_given_up_shortly_before_flink_would_do_it() {
    let times = |options: &[&str]| {
        let options = [&["endpoint", "http://localhost:9"], options].concat();
        let environment = |_: &str| None;
        let options = described(&options, Place::Subtask(&environment));
        let options = options.unwrap().options;
        let deadline = options.row_deadline.map(|it| it.get().as_millis());
        (options.timeout.get().as_millis(), deadline)
    };
    let batches = ["batch-size", "8", "timeout", "3 min"];
    assert_eq!(times(&batches), (59_500, Some(59_500)));
    assert_eq!(times(&batches[2..]), (180_000, Some(59_500)));
    let shorter = ["batch-size", "8", "timeout", "1 s", "row-deadline", "2 s"];
    assert_eq!(times(&shorter), (1000, Some(2000)));
    // The timeout of a stream is for each of its answers, and those that have come are kept.
    let stream = ["decoupled", "stream", "timeout", "3 min"];
    assert_eq!(times(&stream), (180_000, Some(59_500)));
    // A row of a sequence that is given up counts there, so the function has to know of it.
    let one = ["sequence-id", "a", "timeout", "3 min"];
    assert_eq!(times(&one), (180_000, Some(59_500)));
    let ids = ["sequence-id-auto-increment", "true"];
    let keys = [&one[..], &ids, &["sequence-key", "value"]].concat();
    assert_eq!(times(&keys), (180_000, Some(59_500)));
    let longer = [&keys[..], &["row-deadline", "2 min"]].concat();
    assert_eq!(times(&longer), (180_000, Some(59_500)));
    let sooner = [&keys[..], &["row-deadline", "2 s"]].concat();
    assert_eq!(times(&sooner), (180_000, Some(2000)));
    // The function knows the ID that the row was sent with.
    assert_eq!(times(&[&one[..], &ids].concat()), (180_000, Some(59_500)));
}

#[test]
fn what_is_not_known_yet_breaks_no_rule_while_a_query_is_planned() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem").display().to_string();
    for options in [
        &["endpoint", "${TRITON}", "tls-ca-file", &ca][..],
        &["endpoint", "http://${A}:8000,http://${B}:8000"],
        &["endpoint", "${TRITON}", "endpoint-discovery", "dns"],
        &["endpoint", "${SCHEME}://${HOST}:8000"],
        &["endpoint", "http://h:1", "proxy", "${A}:${B}"],
    ] {
        let planned = described(options, Place::Planning);
        assert!(planned.is_ok(), "{options:?}: {}", planned.unwrap_err());
    }
    // What is wrong without it is told.
    let options = ["endpoint", "${SCHEME}://h", "timeout", "soon"];
    insta::assert_snapshot!(described(&options, Place::Planning).unwrap_err(), @"option 'timeout': expected a duration longer than zero such as '30 s', '100 ms' or '1 min', found 'soon'");
}

#[test]
fn an_error_about_a_value_shows_where_it_came_from_and_not_the_value() {
    let environment = |name: &str| Some(format!("canary {name}"));
    let place = Place::Subtask(&environment);
    let failure = described(&["endpoint", "${TRITON}", "timeout", "soon"], place).unwrap_err();
    assert!(!failure.to_string().contains("canary"), "{failure}");
    insta::assert_snapshot!(failure, @"
    2 problems in the options:
      - option 'endpoint': expected the http or https address of a Triton server, such as 'http://localhost:8000', found what '${TRITON}' stands for
      - option 'timeout': expected a duration longer than zero such as '30 s', '100 ms' or '1 min', found 'soon'
    ");
    let twice = [
        "endpoint",
        "h:1",
        "auth-token",
        "@/a",
        "auth-token-file",
        "/b",
    ];
    insta::assert_snapshot!(described(&twice, place).unwrap_err(), @"option 'auth-token' names a file, and option 'auth-token-file' is given as well: leave one of them out");
}

// Holds F57, J4.
#[test]
fn a_column_that_cannot_be_null_is_refused_where_rows_that_fail_are_rows() {
    let column = ["on-error", "column"];
    let never_null = [&TOLD[2..], &["sum", "INT NOT NULL"]].concat();
    let read = |outputs: &[&str], options: &[&str]| {
        description("http://localhost:9", Duration::ZERO, outputs, options)
    };
    insta::assert_snapshot!(read(&never_null, &column).unwrap_err(), @"OUTPUT column 'sum' is NOT NULL, but it is NULL in a row that cannot be answered (option 'on-error'): leave NOT NULL out");
    read(&never_null, &[]).unwrap();
    insta::assert_snapshot!(read(&["sum", "INT", "prediction_error", "STRING NOT NULL"], &[]).unwrap_err(), @"OUTPUT column 'prediction_error' is NOT NULL, but the function leaves it NULL where it has nothing to say: leave NOT NULL out");
    read(&["sum", "INT", "sequence_id", "STRING NOT NULL"], &[]).unwrap();
    for null in ["null", r#"{"sum": null, "sequence_id": "none"}"#] {
        let columns = ["sum", "INT NOT NULL", "correlation_id", "STRING"];
        let null = null.replace("sequence_id", "correlation_id");
        insta::allow_duplicates! {
            insta::assert_snapshot!(read(&columns, &["default-value", &null]).unwrap_err(), @"OUTPUT column 'sum' is NOT NULL, but it is NULL in a row that is answered with the option 'default-value': give it a value there, or leave NOT NULL out");
        }
    }
    read(&["sum", "INT NOT NULL"], &["default-value", "-1"]).unwrap();
    // Elements are NULL where the default has them so.
    let array = |text: &'static str| ["sum", text, "correlation_id", "STRING"];
    let default = |json: &str| format!(r#"{{"sum": {json}, "correlation_id": ""}}"#);
    for (text, json) in [
        ("ARRAY<INT NOT NULL>", "[1, null]"),
        ("ARRAY<ARRAY<INT> NOT NULL>", "[[1], null]"),
        ("ARRAY<ARRAY<INT NOT NULL>>", "[null, [1, null]]"),
        ("ARRAY<ARRAY<INT NOT NULL> NOT NULL> NOT NULL", "[[null]]"),
    ] {
        let refused = read(&array(text), &["default-value", &default(json)]).unwrap_err();
        let refused = refused.to_string().replace(json, "JSON");
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused, @"OUTPUT column 'sum' has elements that are NOT NULL, but one is NULL in a row that is answered with the option 'default-value': give it a value there, or leave NOT NULL out");
        }
    }
    let only = read(
        &["sum", "ARRAY<INT NOT NULL>"],
        &["default-value", "[1, null]"],
    );
    assert!(only.is_err());
    for (text, json) in [
        ("ARRAY<INT>", "[1, null]"),
        ("ARRAY<INT NOT NULL>", "[1, 2]"),
        ("ARRAY<INT NOT NULL>", "null"),
        ("ARRAY<ARRAY<INT NOT NULL>>", "[null, [1]]"),
    ] {
        read(&array(text), &["default-value", &default(json)]).unwrap();
    }
    // A column that 'output-names' takes from the model is none that the function fills.
    let names = ["output-names", "prediction_status:sum"];
    let taken = [
        "prediction_status",
        "INT NOT NULL",
        "prediction_error",
        "STRING",
    ];
    let options = [&names[..], &column].concat();
    insta::assert_snapshot!(read(&taken, &options).unwrap_err(), @"OUTPUT column 'prediction_status' is NOT NULL, but it is NULL in a row that cannot be answered (option 'on-error'): leave NOT NULL out");
    let options = [&names[..], &["default-value", "null"]].concat();
    insta::assert_snapshot!(read(&taken[..2], &options).unwrap_err(), @"OUTPUT column 'prediction_status' is NOT NULL, but it is NULL in a row that is answered with the option 'default-value': give it a value there, or leave NOT NULL out");
    read(&taken[..2], &names).unwrap();
    let silent = read(&TOLD[..2], &column).unwrap().function().unwrap_err();
    insta::assert_snapshot!(silent, @"option 'on-error' is 'column', but no output column says which rows failed: add 'prediction_status STRING' or 'prediction_error STRING'");
}

#[test]
fn cancelling_and_closing_give_up_what_is_in_flight() {
    let fixture = Fixture::open(Some(DELAY), Duration::ZERO);
    for number in 0..3 {
        fixture.predict(number, 1).unwrap();
    }
    let in_flight = || fixture.function.lock().by_number.len();
    fixture.function.cancel(0);
    fixture.function.cancel(0);
    assert_eq!(in_flight(), 3); // the function was opened by a call, too

    let begun = Instant::now();
    fixture.function.close().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "the rows were waited for"
    );
    fixture.function.close().unwrap();
    assert_eq!(in_flight(), 0);
    assert!(fixture.function.events().next(|_| ()).is_none());
    let refused = fixture.predict(3, 1).unwrap_err();
    insta::assert_snapshot!(refused, @"the function is closed");
}

#[test]
fn a_panic_is_a_failure_with_its_text() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let panics = async { panic!("{} went through the floor", "a row") };
    let failure = runtime.block_on(caught::<()>(panics)).unwrap_err();
    insta::assert_snapshot!(failure, @"the native library panicked, which is a mistake in it: a row went through the floor");
}

// Holds F30.
#[test]
fn a_cancelled_task_gives_up_what_works_for_its_keys() {
    let fixture = Fixture::open_with(&["sequence-key", "value"], Some(DELAY), Duration::ZERO);
    fixture.predict(0, 1).unwrap();
    while fixture.server.requests().is_empty() {
        std::thread::yield_now();
    }
    let begun = Instant::now();
    fixture.function.close().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "the row was waited for"
    );
}

#[test]
fn operators_that_share_ids_are_told_what_keeps_them_apart() {
    let shared = |options: &[&str]| {
        let options = [&["endpoint", "http://localhost:9"], options].concat();
        let description = described(&options, Place::Planning).unwrap();
        let shared = description.shared_ids(1);
        shared.map(|shared| format!("{}: {}", shared.ids, shared.advice))
    };
    insta::assert_snapshot!(shared(&["sequence-id", "a"]).unwrap(), @"http://localhost:9/ echo a: Give each of them a 'sequence-id' of its own");
    let numbered = ["sequence-id", "a", "sequence-id-auto-increment", "true"];
    insta::assert_snapshot!(shared(&numbered).unwrap(), @"http://localhost:9/ echo a-1: Set 'sequence-id-scope' to 'run', or give each of them a 'sequence-id' of its own");
    let of_run = [&numbered[..], &["sequence-id-scope", "run"]].concat();
    assert_eq!(shared(&of_run), None);
}

// Holds J5.
#[test]
fn an_operator_shows_the_replicas_that_it_calls() {
    let servers = [(); 4].map(|()| EmbeddedTriton::builder().built_in_models().start().unwrap());
    let endpoints = servers.each_ref().map(EmbeddedTriton::endpoint);
    let replicas = |endpoint: &str| {
        let environment = |_: &str| None;
        let described = described(&["endpoint", endpoint], Place::Subtask(&environment));
        let function = Function::new(described.unwrap(), Subtask::new(0, 1, 0).unwrap()).unwrap();
        function.open().unwrap();
        function.events().next(<[u8]>::to_vec).unwrap();
        function
    };
    replica_metrics::start();
    let [a, b, c, d] = &endpoints;
    let first = replicas(&format!("{a},{b}"));
    let second = replicas(&format!("{c},{d}"));
    let alone = replicas(a);
    for (function, shown) in [(&first, [a, b]), (&second, [c, d])] {
        let mut expected = shown.map(|endpoint| format!("{endpoint}/"));
        expected.sort();
        assert_eq!(function.replicas(), expected);
    }
    assert!(alone.replicas().is_empty());
    for function in [first, second, alone] {
        function.close().unwrap();
    }
}

/// Somebody waits for each row, so what is lost is not rebuilt as that of a file.
#[test]
fn time_ends_no_sequence_and_the_input_has_no_end() {
    let environment = |_: &str| None;
    let keyed = [
        "endpoint",
        "http://localhost:9",
        "sequence-id",
        "a",
        "sequence-id-auto-increment",
        "true",
        "sequence-key",
        "sensor",
        "sequence-recovery",
        "replay",
    ];
    let mut description = described(&keyed, Place::Subtask(&environment)).unwrap();
    let sensor = Column::new("sensor", triton_model_fn::DataType::String);
    description.schema.inputs.push(sensor);
    let function = format!("{:?}", description.function().unwrap());
    let told = "SourceTraits { bounded: false, keeps_idle: true, without_state: true }";
    assert!(function.contains(told), "{function}");
}
