//! Random sequences of requests from a seed, compared step by step.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::runner::{describe, executions, load, until, wait};
use super::wire::{Peer, Request};

/// The sequences that the steps are about; two of them differ in their type alone.
const IDS: &[&str] = &[
    "1",
    "2",
    "3",
    r#""1""#,
    r#""sensor é""#,
    "18446744073709551615",
];

/// Short, so that waiting for it costs little.
const IDLE: Duration = Duration::from_millis(500);

/// After this pause every sequence is idle on both servers.
const LONG_PAUSE: Duration = Duration::from_millis(750);

/// One step in so many is such a pause, and one a request whose answer nobody waits for.
const STEPS_PER_PAUSE: u64 = 250;
const STEPS_PER_DISCONNECT: u64 = 100;

/// The same sequence of numbers for a seed, on every machine (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<'item, Item>(&mut self, items: &'item [Item]) -> &'item Item {
        &items[self.below(items.len() as u64) as usize]
    }
}

struct Comparison<'peer> {
    real: &'peer mut Peer,
    ours: &'peer mut Peer,
    random: Random,
    /// When each sequence of a model was last sent something.
    last_sent: HashMap<(String, String), Instant>,
    statuses: HashMap<u16, usize>,
    disconnects: usize,
    pauses: usize,
    /// Steps whose outcome depended on which side of the idle time they fell.
    undecided: usize,
}

/// Runs that many steps, fails at the first difference, and says what was seen.
pub(crate) fn compare(real: &mut Peer, ours: &mut Peer, seed: u64, steps: usize) -> String {
    let changes = |candidates: u64| {
        json!({"sequence_batching": {
            "max_sequence_idle_microseconds": IDLE.as_micros() as u64,
            "oldest": {"max_candidate_sequences": candidates},
        }})
    };
    for peer in [&mut *real, &mut *ours] {
        load(peer, "accumulate", Some(&changes(64)));
        load(peer, "anomaly", Some(&changes(64)));
    }
    let mut comparison = Comparison {
        real,
        ours,
        random: Random(seed),
        last_sent: HashMap::new(),
        statuses: HashMap::new(),
        disconnects: 0,
        pauses: 0,
        undecided: 0,
    };
    for step in 0..steps {
        comparison.step(&format!("step {step} of seed {seed}"));
    }
    for peer in [&mut *comparison.real, &mut *comparison.ours] {
        load(peer, "accumulate", None);
        load(peer, "anomaly", None);
    }
    let mut statuses: Vec<_> = comparison.statuses.into_iter().collect();
    statuses.sort_unstable();
    format!(
        "{steps} random steps of seed {seed} without a difference: statuses {statuses:?}, {} \
         pauses, {} disconnects, {} undecided",
        comparison.pauses, comparison.disconnects, comparison.undecided
    )
}

impl Comparison<'_> {
    fn step(&mut self, place: &str) {
        if self.random.one_in(STEPS_PER_PAUSE) {
            self.pauses += 1;
            wait(LONG_PAUSE);
        }
        match self.random.below(10) {
            0 => {
                let request = self.stateless_request();
                self.compare(&request, place);
            }
            1..=7 => self.sequence_step("accumulate", place),
            _ => self.sequence_step("anomaly", place),
        }
    }

    fn sequence_step(&mut self, model: &str, place: &str) {
        let id = *self.random.pick(IDS);
        let key = (model.to_owned(), id.to_owned());
        let now = Instant::now();
        let elapsed = self.last_sent.get(&key).map(|last| now - *last);
        // Near the idle time the two servers may rightly disagree, so the sequence starts over.
        let near = |elapsed: Duration| elapsed > IDLE / 2 && elapsed < LONG_PAUSE;
        let start = self.random.below(4) == 0 || elapsed.is_some_and(near);
        let end = self.random.below(6) == 0;
        let request = self.sequence_request(model, id, start, end);
        if self.random.one_in(STEPS_PER_DISCONNECT) {
            self.disconnect(model, id);
        } else {
            let answers = self.call(&request);
            let straddles = !start
                && elapsed
                    .is_some_and(|elapsed| elapsed < LONG_PAUSE && elapsed + now.elapsed() >= IDLE);
            if straddles && answers.0 != answers.1 {
                self.undecided += 1;
                let request = self.sequence_request(model, id, true, false);
                self.compare(&request, place);
            } else {
                self.check(&request, &answers, place);
            }
        }
        self.last_sent.insert(key, Instant::now());
    }

    fn sequence_request(&mut self, model: &str, id: &str, start: bool, end: bool) -> Request {
        let mut flags = String::new();
        for (flag, set) in [("sequence_start", start), ("sequence_end", end)] {
            // An absent flag and a false one are the same.
            if set || self.random.one_in(3) {
                flags.push_str(&format!(r#","{flag}":{set}"#));
            }
        }
        let fault = self.random.below(40);
        let (mut shape, mut data) = match model {
            "accumulate" => ("[1,1]".to_owned(), format!("[{}]", self.random.below(1000))),
            _ => self.readings(),
        };
        let (name, mut datatype) = match model {
            "accumulate" => ("value", "INT32"),
            _ => ("reading", "FP32"),
        };
        let mut id = id;
        let mut outputs = "";
        match fault {
            0 => (shape, data) = ("[2,1]".to_owned(), "[1,2]".to_owned()),
            1 => datatype = "FP64",
            2 => outputs = r#","outputs":[{"name":"zz"}]"#,
            3 => id = *self.random.pick(&["0", r#""""#, "null", "-1", "1.5"]),
            4 => flags.push_str(r#","sequence_start":5"#),
            5 => data = "[]".to_owned(),
            6 => outputs = r#","id":"r1""#,
            _ => {}
        }
        let body = format!(
            r#"{{"parameters":{{"sequence_id":{id}{flags}}},"inputs":[{{"name":"{name}","shape":{shape},"datatype":"{datatype}","data":{data}}}]{outputs}}}"#
        );
        Request::new("POST", &format!("/v2/models/{model}/infer"), body)
    }

    fn readings(&mut self) -> (String, String) {
        let count = 1 + self.random.below(4);
        let readings: Vec<String> = (0..count)
            .map(|_| match self.random.below(30) {
                0 => "NaN".to_owned(),
                1 => "-Infinity".to_owned(),
                2 => "1e39".to_owned(),
                _ => format!("{}", 20.0 + self.random.below(1000) as f64 / 100.0),
            })
            .collect();
        (format!("[1,{count}]"), format!("[{}]", readings.join(",")))
    }

    fn stateless_request(&mut self) -> Request {
        let count = self.random.below(4) as usize;
        let batch = 1 + self.random.below(3) as usize;
        let value = self.random.below(100_000) as f32 / 7.0;
        let binary_output = self.random.one_in(2);
        let parameters = format!(r#""parameters":{{"binary_data_output":{binary_output}}}"#);
        let mut headers = Vec::new();
        if self.random.one_in(3) {
            let encoding = *self.random.pick(&["gzip", "deflate", "identity", "br"]);
            headers.push(("Accept-Encoding".to_owned(), encoding.to_owned()));
        }
        let values = vec![value; count * batch];
        let input = format!(r#""name":"value","shape":[{batch},{count}],"datatype":"FP32""#);
        let mut body;
        if self.random.one_in(2) {
            let data = serde_json::to_string(&values).expect("JSON");
            body = format!(r#"{{{parameters},"inputs":[{{{input},"data":{data}}}]}}"#).into_bytes();
        } else {
            // Sometimes a byte too many or too few is announced.
            let off_by = *self.random.pick(&[0, 0, 0, 0, 1, -1]);
            let announced = (4 * values.len() as i64 + off_by).max(0);
            let size = format!(r#""parameters":{{"binary_data_size":{announced}}}"#);
            body = format!(r#"{{{parameters},"inputs":[{{{input},{size}}}]}}"#).into_bytes();
            let name = "Inference-Header-Content-Length".to_owned();
            headers.push((name, body.len().to_string()));
            body.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Request {
            headers,
            ..Request::new("POST", "/v2/models/echo/infer", body)
        }
    }

    fn compare(&mut self, request: &Request, place: &str) {
        let answers = self.call(request);
        self.check(request, &answers, place);
    }

    fn call(&mut self, request: &Request) -> (String, String) {
        let answer = self.real.call(request).expect("the real server answers");
        *self.statuses.entry(answer.status).or_default() += 1;
        let real = describe(request, Some(answer));
        let ours = describe(request, self.ours.call(request).ok());
        (real, ours)
    }

    fn check(&self, request: &Request, (real, ours): &(String, String), place: &str) {
        let body = request.body.escape_ascii();
        assert_eq!(ours, real, "{place} (the embedded server first): {body}");
    }

    /// Sends a request and goes away. It has to execute all the same, on both servers.
    fn disconnect(&mut self, model: &str, id: &str) {
        self.disconnects += 1;
        // Without a fault and with START, so that it is known to execute.
        let (name, datatype) = match model {
            "accumulate" => ("value", "INT32"),
            _ => ("reading", "FP32"),
        };
        let body = format!(
            r#"{{"parameters":{{"sequence_id":{id},"sequence_start":true}},"inputs":[{{"name":"{name}","shape":[1,1],"datatype":"{datatype}","data":[7]}}]}}"#
        );
        let request = Request::new("POST", &format!("/v2/models/{model}/infer"), body);
        let (real, ours) = (&mut *self.real, &mut *self.ours);
        // The real server may not have counted the latest of the requests it has answered.
        until(|| executions(real, model) == executions(ours, model));
        for peer in [real, ours] {
            let before = executions(peer, model);
            drop(peer.send(&request).expect("it is sent"));
            until(|| executions(peer, model) > before);
        }
    }
}
