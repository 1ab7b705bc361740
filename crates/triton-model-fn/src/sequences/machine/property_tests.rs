//! Any history of rows, outcomes, time, losses, snapshots, restores, kills and closes, without a
//! task or a clock: what the machine promises, and that it asserts what it asserts.
//!
//! The server's answer to a row is the list of rows in its sequence, so a row too few, too many or
//! in the wrong sequence shows at once.

#[path = "lockstep_tests.rs"]
mod lockstep_tests;
#[path = "storm_tests.rs"]
mod storm_tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::time::Instant;
use triton_options::{ReplayOverflow, SequenceRecovery, TritonOptions};

use super::{
    Asker, Content, Effect, Event as Told, Failed, FailureEffect, HistoryLimits, KeptRow, Machine,
    MostRecovering, Offer, Outcome, RecoveryLimits, Request, Standing, digest,
};
use crate::live_numbers::LiveNumbers;
use crate::property_cases;
use crate::replicas::ReplicaId;
use crate::retry::RetryPolicy;
use crate::row_codec::EncodedCell;
use crate::sequence_id_generator::SequenceIdGenerator;
use crate::sequences::key::KeyDisplay;
use crate::sequences::{Answered, Row, RowPosition, SequenceKey, SequenceSettings};
use crate::tensor_plan::EncodedRow;
use crate::{Error, ErrorKind, SequenceIdForm, Subtask, Value, packed_row};

const IDLE: Duration = Duration::from_secs(4);
const KEYS: u8 = 5;

/// One step of a history.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A row of a key, perhaps the last of its sequence, perhaps one that nobody waits for.
    Row { key: u8, last: bool, given_up: bool },
    /// A row that cannot be sent.
    Unusable { key: u8, last: bool },
    /// What comes of one of the requests that are out.
    Outcome {
        which: prop::sample::Index,
        fault: Fault,
    },
    /// Time goes by.
    Time { millis: u64 },
    /// The server forgets everything.
    Forget,
    /// All that is out is answered, and the function goes on from a snapshot.
    Restore { compares: bool },
    /// The function is gone, with all that it knew.
    Kill,
    /// Everything is given up.
    Abort,
    /// One of several servers is another thing for sequences than before.
    Standing {
        which: prop::sample::Index,
        standing: Standing,
    },
    /// One of them is not found for a moment, and is what it was.
    Hide { which: prop::sample::Index },
    /// One of them is gone, with all that it knew, and a new one comes.
    Replace { which: prop::sample::Index },
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    NotSent,
    AnswerLost,
    RequestLost,
    /// It is executed after the answer was given up.
    Late,
    /// It is executed, and its answer cannot be read.
    Unreadable,
    /// Its server is away, while others are there.
    Away,
}

fn event() -> impl Strategy<Value = Event> {
    let fault = prop_oneof![
        10 => Just(Fault::None),
        1 => Just(Fault::NotSent),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::RequestLost),
        1 => Just(Fault::Late),
        1 => Just(Fault::Unreadable),
        1 => Just(Fault::Away),
    ];
    let standing = prop_oneof![
        2 => Just(Standing::Takes),
        1 => Just(Standing::Tries),
        1 => Just(Standing::Keeps),
        1 => Just(Standing::Leaves),
    ];
    let often = prop::bool::weighted(0.15);
    let seldom = prop::bool::weighted(0.05);
    prop_oneof![
        14 => (0..KEYS, often, seldom)
            .prop_map(|(key, last, given_up)| Event::Row { key, last, given_up }),
        1 => (0..KEYS, often).prop_map(|(key, last)| Event::Unusable { key, last }),
        20 => (any::<prop::sample::Index>(), fault)
            .prop_map(|(which, fault)| Event::Outcome { which, fault }),
        4 => prop_oneof![1_u64..50, 500_u64..6000].prop_map(|millis| Event::Time { millis }),
        1 => Just(Event::Forget),
        1 => any::<bool>().prop_map(|compares| Event::Restore { compares }),
        1 => Just(Event::Kill),
        1 => Just(Event::Abort),
        2 => (any::<prop::sample::Index>(), standing)
            .prop_map(|(which, standing)| Event::Standing { which, standing }),
        1 => any::<prop::sample::Index>().prop_map(|which| Event::Replace { which }),
        1 => any::<prop::sample::Index>().prop_map(|which| Event::Hide { which }),
    ]
}

/// What a history is played with.
#[derive(Debug, Clone, Copy)]
struct Setting {
    recovery: SequenceRecovery,
    compares: bool,
    places: usize,
    room: usize,
    bounded: bool,
    numbered: bool,
    deadline: Option<u64>,
    most_lost: usize,
    history_rows: usize,
    max_length: Option<u64>,
    ends_abandoned: bool,
    /// How many numbers there are for IDs, where these are numbers that come again.
    share: Option<u64>,
    servers: u32,
    most_recovering: usize,
    by_hash: bool,
    side_by_side: bool,
}

fn setting() -> impl Strategy<Value = Setting> {
    let recovery = prop_oneof![
        Just(SequenceRecovery::Fail),
        Just(SequenceRecovery::Restart),
        Just(SequenceRecovery::Replay),
    ];
    let places = prop_oneof![(1_usize..5), Just(64)];
    (
        (recovery, any::<bool>(), places, 0_usize..2),
        (any::<bool>(), any::<bool>()),
        prop::option::weighted(0.3, 100_u64..9000),
        prop_oneof![Just(100_usize), Just(2)],
        prop_oneof![Just(100_usize), Just(3)],
        (prop::option::weighted(0.3, 2_u64..5), any::<bool>()),
        prop::option::weighted(0.5, 1_u64..30),
        (
            prop_oneof![2 => Just(1_u32), 1 => 2_u32..4],
            1_usize..3,
            any::<bool>(),
        ),
    )
        .prop_map(
            |(
                (recovery, compares, places, room),
                (bounded, numbered),
                deadline,
                most_lost,
                rows,
                (max_length, ends_abandoned),
                share,
                (servers, most_recovering, by_hash),
            )| {
                Setting {
                    recovery,
                    compares,
                    places,
                    room: room.min(places - 1),
                    bounded,
                    numbered,
                    deadline,
                    most_lost,
                    history_rows: rows,
                    max_length: max_length.filter(|_| !numbered),
                    ends_abandoned,
                    share,
                    servers,
                    most_recovering: match servers {
                        1 => usize::MAX,
                        _ => most_recovering,
                    },
                    by_hash,
                    side_by_side: bounded,
                }
            },
        )
}

#[derive(Debug)]
struct Ticket {
    key: u8,
    number: i64,
    gone: Rc<Cell<bool>>,
}

impl Asker for Ticket {
    fn is_gone(&self) -> bool {
        self.gone.get()
    }
}

/// The server: the rows of each sequence, and when it last heard of it.
#[derive(Debug, Default)]
struct Server {
    open: BTreeMap<(u32, String), (Vec<i64>, Instant)>,
}

impl Server {
    fn execute(&mut self, now: Instant, sent: &SentRow) -> Option<Vec<i64>> {
        self.open.retain(|_, (_, last)| now < *last + IDLE);
        if sent.start {
            let name = (sent.server, sent.id.clone());
            let before = self.open.insert(name, (Vec::new(), now));
            assert_eq!(before, None, "{} is alive", sent.id);
        }
        let name = (sent.server, sent.id.clone());
        let (rows, last) = self.open.get_mut(&name)?;
        rows.push(sent.value);
        *last = now;
        let rows = rows.clone();
        if sent.end {
            self.open.remove(&name);
        }
        Some(rows)
    }

    fn alive(&self, now: Instant, server: u32) -> usize {
        self.open
            .iter()
            .filter(|((of, _), (_, last))| *of == server && now < *last + IDLE)
            .count()
    }
}

/// A request as the server sees it.
#[derive(Debug, Clone)]
struct SentRow {
    server: u32,
    id: String,
    value: i64,
    start: bool,
    end: bool,
}

/// What is expected of a key.
#[derive(Debug, Default)]
struct Expected {
    /// The rows that were handed over and not answered yet; those that are `true` end a sequence.
    pending: VecDeque<(i64, bool, Rc<Cell<bool>>)>,
    /// The rows in the answers of its sequence.
    chain: Vec<i64>,
    /// Whether the last answer was marked, and nobody saw it.
    unseen_mark: bool,
    /// How many things went wrong of which no row has failed yet.
    disturbed: usize,
    rows: u64,
}

struct Run {
    setting: Setting,
    now: Instant,
    runs: u32,
    machine: Machine<Ticket>,
    ids: Arc<SequenceIdGenerator>,
    /// The numbers that openings have left.
    live: Arc<LiveNumbers>,
    server: Server,
    /// The servers that there are.
    offers: Vec<Offer>,
    out: Vec<Request>,
    /// IDs of which a request failed, and nobody knows how.
    lost: BTreeSet<String>,
    /// Those of them that were ended all the same.
    ended: BTreeSet<String>,
    keys: BTreeMap<u8, Expected>,
    number: i64,
    answered: usize,
    /// Why rows failed.
    errors: Vec<String>,
}

fn settings(setting: Setting, has_run_before: bool) -> SequenceSettings {
    SequenceSettings {
        fixed: None,
        max_length: setting.max_length,
        boundary: (!setting.bounded && !setting.numbered).then_some(IDLE * 3 / 4),
        server_idle: Some(IDLE),
        server_forgets: Some(IDLE),
        offers: Vec::new(),
        most_open: usize::MAX,
        most_recovering: MostRecovering {
            in_turn: setting.most_recovering,
            side_by_side: setting.most_recovering.saturating_mul(4),
            is_side_by_side: setting.side_by_side,
            idle: Some(IDLE),
        },
        by_hash: setting.by_hash,
        several: None,
        recovery: setting.recovery,
        overflow: ReplayOverflow::Fail,
        history: (setting.recovery == SequenceRecovery::Replay).then_some(HistoryLimits {
            rows: setting.history_rows,
            bytes: 100_000,
            digests: setting.compares,
        }),
        ends_abandoned: setting.ends_abandoned,
        most_lost: setting.most_lost,
        row_deadline: setting.deadline.map(Duration::from_millis),
        positions: setting.numbered,
        has_run_before,
        marks_expired: false,
        marks_unknown: has_run_before && !setting.numbered,
        trusts_unknown: false,
        display: KeyDisplay::new(false),
        key_columns: vec!["key BIGINT".to_owned()],
        columns: vec!["value BIGINT".to_owned()],
    }
}

fn ids(setting: Setting, run: u32, live: &Arc<LiveNumbers>) -> Arc<SequenceIdGenerator> {
    let options = [
        ("endpoint", "http://localhost:8000".to_owned()),
        ("model-name", "m".to_owned()),
        ("sequence-id", format!("run{run}")),
        ("sequence-id-auto-increment", "true".to_owned()),
    ];
    let options = TritonOptions::parse(options).unwrap();
    let ids = options.sequence_mode().ids().unwrap().clone();
    let subtask = Subtask::new(0, 1, 0).unwrap();
    let opened = crate::executions::note(&subtask, false);
    let ids = SequenceIdGenerator::new(
        ids,
        subtask,
        &opened,
        Arc::clone(live),
        SystemTime::UNIX_EPOCH,
    );
    if let Some(share) = setting.share {
        ids.agree(&SequenceIdForm::of_numbers_up_to(share), Some(IDLE));
    }
    Arc::new(ids)
}

fn encoded(value: i64) -> EncodedRow {
    EncodedRow::new(vec![Some(EncodedCell {
        shape: vec![1],
        data: Bytes::copy_from_slice(&value.to_le_bytes()),
    })])
}

fn decoded(row: &EncodedRow) -> i64 {
    i64::from_le_bytes(<[u8; 8]>::try_from(&*row.cells()[0].as_ref().unwrap().data).unwrap())
}

fn machine(
    offers: &[Offer],
    setting: Setting,
    ids: &Arc<SequenceIdGenerator>,
    again: bool,
    now: Instant,
) -> Machine<Ticket> {
    let limits = RecoveryLimits {
        retry: RetryPolicy {
            max_retries: 3,
            initial_backoff: Duration::from_millis(10),
            max_backoff: Duration::from_millis(100),
        },
        budget: Duration::from_secs(60),
    };
    let settings = Arc::new(SequenceSettings {
        offers: offers.to_vec(),
        ..settings(setting, again)
    });
    Machine::new(settings, Some(Arc::clone(ids)), limits, now)
}

impl Run {
    fn new(setting: Setting) -> Self {
        let now = Instant::now();
        let live = Arc::default();
        let ids = ids(setting, 0, &live);
        let offer = |id| Offer {
            id: ReplicaId(id),
            name_hash: u64::from(id),
            ..Offer::only(setting.places, setting.room)
        };
        let offers: Vec<Offer> = (0..setting.servers).map(offer).collect();
        Self {
            setting,
            now,
            runs: 0,
            machine: machine(&offers, setting, &ids, false, now),
            offers,
            ids,
            live,
            server: Server::default(),
            out: Vec::new(),
            lost: BTreeSet::new(),
            ended: BTreeSet::new(),
            keys: BTreeMap::new(),
            number: 0,
            answered: 0,
            errors: Vec::new(),
        }
    }

    fn hand_over(&mut self, key: u8, last: bool, given_up: bool, usable: bool) {
        self.number += 1;
        let number = self.number;
        let gone = Rc::new(Cell::new(false));
        let expected = self.keys.entry(key).or_default();
        expected.rows += 1;
        let position = RowPosition {
            position: expected.rows,
            before: Some(expected.rows - 1),
            earlier: None,
        };
        // A row's number says where a sequence begins, so that none ends.
        let last = last && !self.setting.numbered;
        expected.pending.push_back((number, last, Rc::clone(&gone)));
        let refused = || Error::new(ErrorKind::Input, "the row cannot be sent");
        let row = Row {
            encoded: usable
                .then(|| Arc::new(encoded(number)))
                .ok_or_else(refused),
            last,
            position: self.setting.numbered.then_some(position),
        };
        let ticket = Ticket {
            key,
            number,
            gone: Rc::clone(&gone),
        };
        let key = SequenceKey::new(&key.to_string());
        let refused = self.machine.submit(self.now, &key, row, ticket);
        assert!(refused.is_none());
        gone.set(given_up);
        self.settle();
    }

    /// Carries out what the machine wants.
    fn settle(&mut self) {
        while let Some(effect) = self.machine.next_effect() {
            match effect {
                Effect::Send(request) => {
                    let id = self.ids.text(request.counter);
                    let of_key = |out: &&Request| out.key == request.key;
                    let others = self.out.iter().filter(of_key);
                    let others = others.filter(|out| out.counter == request.counter);
                    assert_eq!(others.count(), 0, "a sequence has two requests");
                    if self.lost.contains(&id) {
                        let is_end = request.end && !request.start;
                        assert!(
                            is_end && self.ended.insert(id.clone()),
                            "{id} is used after its loss"
                        );
                    }
                    self.out.push(request);
                }
                // Here every request is in flight.
                Effect::Cancel(_) => {}
                Effect::Answer(ticket, result) => self.answer(&ticket, result),
                Effect::Report(report) => {
                    let key: u8 = report.key.as_str().parse().unwrap();
                    if matches!(report.event, Told::Expired { .. }) {
                        assert!(!self.setting.bounded);
                        let expected = self.keys.entry(key).or_default();
                        expected.chain.clear();
                        expected.unseen_mark = false;
                    }
                }
            }
        }
    }

    fn answer(&mut self, ticket: &Ticket, result: Result<Answered, Error>) {
        let limit = self.setting.max_length;
        let expected = self.keys.get_mut(&ticket.key).unwrap();
        // Rows that nobody waits for may be left out.
        let (_, last, _) = loop {
            let first = expected
                .pending
                .pop_front()
                .expect("a row is answered twice");
            if first.0 == ticket.number {
                break first;
            }
            assert!(first.2.get(), "row {} is overtaken", first.0);
            expected.disturbed += 1;
        };
        self.answered += 1;
        match result {
            Ok(answered) => {
                let rows = rows(&answered.values);
                let unseen = std::mem::take(&mut expected.unseen_mark);
                assert!(answered.restarted || !unseen, "{ticket:?} lacks its mark");
                // A mark that nobody saw is given once more, with the rows since then.
                if answered.restarted && !(unseen && rows.len() > 1) {
                    expected.chain.clear();
                }
                expected.unseen_mark = answered.restarted && ticket.gone.get();
                expected.chain.push(ticket.number);
                assert_eq!(rows, expected.chain, "{ticket:?} {answered:?}");
                if last || limit.is_some_and(|most| rows.len() as u64 >= most) {
                    expected.chain.clear();
                    expected.unseen_mark = false;
                }
            }
            Err(error) => {
                self.errors.push(error.to_string());
                let is_used_up = self.setting.share.is_some()
                    && error.message().contains("may be alive on the server");
                assert!(
                    is_used_up
                        || expected.disturbed > 0
                        || self.setting.deadline.is_some()
                        || matches!(error.kind(), ErrorKind::State | ErrorKind::Input),
                    "{ticket:?} {error}"
                );
                if !is_used_up && !matches!(error.kind(), ErrorKind::State | ErrorKind::Input) {
                    expected.disturbed = expected.disturbed.saturating_sub(1);
                }
                if last {
                    expected.chain.clear();
                    expected.unseen_mark = false;
                }
            }
        }
    }

    fn outcome(&mut self, which: usize, fault: Fault) {
        let request = self.out.remove(which);
        let id = self.ids.text(request.counter);
        let sent_id = self
            .ids
            .name(request.counter)
            .into_id()
            .unwrap()
            .to_string();
        let row = match &request.content {
            Content::Encoded(row) => encoded(decoded(row)),
            Content::Packed(packed) => packed_row::unpack(packed, 1).unwrap(),
            Content::Carried(..) => unreachable!("no row carries others here"),
        };
        let is_several = self.setting.servers > 1;
        let exists = self.offers.iter().any(|offer| offer.id == request.server);
        let fault = match fault {
            Fault::Away if !is_several => Fault::NotSent,
            _ if !exists => Fault::Away,
            fault => fault,
        };
        let sent = SentRow {
            server: request.server.0,
            id: sent_id,
            value: decoded(&row),
            start: request.start,
            end: request.end,
        };
        let key: u8 = request.key.as_str().parse().unwrap();
        if fault != Fault::None {
            self.keys.entry(key).or_default().disturbed += 1;
        }
        let error = |kind, effect| {
            Outcome::Failed(Failed {
                error: Error::new(kind, "a fault"),
                effect,
                server: None,
            })
        };
        let uncertain = || error(ErrorKind::SequenceUncertain, FailureEffect::Uncertain);
        let executed = match fault {
            Fault::NotSent | Fault::RequestLost | Fault::Late | Fault::Away => None,
            _ => Some(self.server.execute(self.now, &sent)),
        };
        if matches!(
            fault,
            Fault::AnswerLost | Fault::RequestLost | Fault::Late | Fault::Away
        ) {
            self.lost.insert(id.clone());
        }
        let outcome = match (fault, executed) {
            (Fault::NotSent, _) => error(ErrorKind::Call, FailureEffect::None),
            (Fault::Away, _) => error(ErrorKind::Call, FailureEffect::Away),
            (_, Some(None)) => {
                self.lost.insert(id);
                error(ErrorKind::SequenceLost, FailureEffect::Forgotten)
            }
            (Fault::Unreadable, _) => error(ErrorKind::Output, FailureEffect::Executed),
            (Fault::None, Some(Some(rows))) => {
                let values: Vec<Value> = rows.into_iter().map(Value::BigInt).collect();
                let digest = self.setting.compares.then(|| digest(&values));
                Outcome::Answered {
                    kept: request.is_kept.then(|| KeptRow {
                        packed: packed_row::pack(&row).into(),
                        digest,
                    }),
                    digest,
                    values,
                }
            }
            _ => uncertain(),
        };
        self.machine
            .outcome(self.now, &request.key, request.number, outcome);
        if fault == Fault::Late {
            self.server.execute(self.now, &sent);
        }
        self.settle();
        self.check_places();
    }

    /// No more sequences are alive on any server than it has places.
    fn check_places(&self) {
        for offer in &self.offers {
            let alive = self.server.alive(self.now, offer.id.0);
            assert!(alive <= self.setting.places, "{alive} sequences are alive");
        }
    }

    fn pass(&mut self, time: Duration) {
        let ends = self.now + time;
        while let Some(at) = self.machine.wake_at().filter(|at| *at <= ends) {
            self.now = self.now.max(at);
            self.machine.advance(self.now);
            self.settle();
        }
        self.now = ends;
        for expected in self.keys.values_mut() {
            // While a request is out the idle clock stands still, and the server forgets all the same.
            expected.disturbed += usize::from(time * 16 > IDLE);
        }
    }

    /// Answers everything that is out, and lets time go by, until nothing is left to do.
    fn finish(&mut self) {
        // Where no server takes anything, nothing comes to its end.
        for offer in &mut self.offers {
            offer.standing = Standing::Takes;
        }
        self.machine.offered(self.now, &self.offers);
        self.settle();
        for _ in 0..2000 {
            if !self.out.is_empty() {
                self.outcome(0, Fault::None);
            } else if self.machine.counts(self.now).rows > 0 {
                self.pass(Duration::from_millis(200));
            } else {
                break;
            }
        }
        let left: usize = self
            .keys
            .values()
            .map(|key| key.pending.iter().filter(|row| !row.2.get()).count())
            .sum();
        assert_eq!(left, 0, "rows are never answered");
    }

    fn disturb(&mut self) {
        for expected in self.keys.values_mut() {
            expected.disturbed += 1;
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Row {
                key,
                last,
                given_up,
            } => self.hand_over(key, last, given_up, true),
            Event::Unusable { key, last } => self.hand_over(key, last, false, false),
            Event::Outcome { which, fault } => {
                if !self.out.is_empty() {
                    self.outcome(which.index(self.out.len()), fault);
                }
            }
            Event::Time { millis } => self.pass(Duration::from_millis(millis)),
            Event::Forget => {
                self.server.open.clear();
                self.disturb();
            }
            Event::Restore { compares } => {
                self.finish();
                let snapshot = self.machine.snapshot(self.now).unwrap();
                self.settle();
                let bytes = snapshot.to_bytes();
                let snapshot = crate::SequenceSnapshot::from_bytes(&bytes).unwrap();
                self.setting.compares = compares;
                self.runs += 1;
                // Nothing but the snapshot says what is alive.
                self.live = Arc::default();
                self.ids = ids(self.setting, self.runs, &self.live);
                self.machine = machine(&self.offers, self.setting, &self.ids, false, self.now);
                self.machine.restore(self.now, snapshot).unwrap();
                self.disturb();
                self.settle();
            }
            Event::Kill => {
                self.out.clear();
                self.runs += 1;
                let alive = self.live.alive(self.now);
                self.ids = ids(self.setting, self.runs, &self.live);
                self.machine = machine(&self.offers, self.setting, &self.ids, true, self.now);
                // What the machine held rests from when it was dropped, by a clock that stands still.
                for number in alive {
                    self.live.may_arrive_late(number, self.now);
                }
                // The run that is gone may have had all places.
                self.machine.hold_reserved(self.now, u64::MAX);
                self.disturb();
                for expected in self.keys.values_mut() {
                    expected.pending.clear();
                }
            }
            Event::Standing { which, standing } => {
                // One server has nowhere to go to.
                if self.setting.servers > 1 {
                    let which = which.index(self.offers.len());
                    self.offers[which].standing = standing;
                    self.machine.offered(self.now, &self.offers);
                    self.settle();
                }
            }
            Event::Hide { which } => {
                if self.setting.servers > 1 {
                    let mut others = self.offers.clone();
                    others.remove(which.index(others.len()));
                    self.disturb();
                    self.machine.offered(self.now, &others);
                    self.settle();
                    self.machine.offered(self.now, &self.offers);
                    self.settle();
                }
            }
            Event::Replace { which } => {
                if self.setting.servers > 1 {
                    let gone = self.offers.remove(which.index(self.offers.len()));
                    self.server
                        .open
                        .retain(|(server, _), _| *server != gone.id.0);
                    let last = self.offers.iter().map(|offer| offer.id.0).max();
                    let next = last.unwrap_or(0).max(gone.id.0) + 1;
                    self.offers.push(Offer {
                        id: ReplicaId(next),
                        name_hash: u64::from(next),
                        standing: Standing::Takes,
                        ..gone
                    });
                    self.disturb();
                    self.machine.offered(self.now, &self.offers);
                    self.settle();
                }
            }
            Event::Abort => {
                self.disturb();
                self.machine.abort(self.now, super::effect::closed);
                self.settle();
                let left = self.keys.values().flat_map(|key| &key.pending);
                assert_eq!(left.filter(|row| !row.2.get()).count(), 0);
                self.step(Event::Kill);
            }
        }
    }
}

fn rows(values: &[Value]) -> Vec<i64> {
    let rows = values.iter().map(|value| match value {
        Value::BigInt(row) => *row,
        other => panic!("expected a BIGINT, found {other:?}"),
    });
    rows.collect()
}

proptest! {
    // Many more than usual.
    #![proptest_config(property_cases(1000))]

    // Holds S5, S6, S7, S10, S13, S21, S22, S24, S28, S45, S47, S51, S60, S61.
    #[test]
    fn no_history_breaks_a_promise(setting in setting(), events in vec(event(), 1..120)) {
        let mut run = Run::new(setting);
        for event in events {
            run.step(event);
        }
        run.finish();
        // What is not open any more comes free.
        run.pass(IDLE * 2);
        let alive = run.live.alive(run.now);
        prop_assert!(alive.len() <= run.machine.open_sequences(), "{alive:?} are never free");
    }
}
