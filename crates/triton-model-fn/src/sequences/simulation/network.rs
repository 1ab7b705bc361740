//! The network between a function and the simulated server, and what goes wrong on it: a pure
//! picture of all requests that are somewhere, whose time comes in from outside.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::server::{Reply, Request, ServerSettings, SimulatedServer};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection could be made: certainly nothing was sent.
    NotSent,
    /// It is lost on the way, and no answer comes.
    RequestLost,
    /// The connection breaks before the server has the request.
    CutBefore,
    /// The connection breaks in place of the answer: the model has taken the row in.
    AnswerLost,
    /// The connection breaks at once, and the request is delivered so long after that.
    CutAndDelivered(Duration),
    /// No answer comes in time, and the request is delivered so long after it was given up.
    Delayed(Duration),
    /// The answer comes when nobody waits for it any more.
    AnsweredLate,
    /// The answer takes so much longer.
    Slow(Duration),
    /// The answer cannot be read, or is that of another request.
    Unreadable,
    /// The model fails (500), after it has taken the row in; it would not do so again.
    ModelFailed,
    /// The server is restarted, and then gets the request.
    Restart,
    /// The server is restarted, and the connection breaks with it.
    Crash,
    /// Whoever sends it panics.
    Panic,
}

/// What the function learns of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Sum(i64),
    NotStarted,
    Failed,
    Cut,
    TimedOut,
    NotSent,
    Unreadable,
    Panic,
}

impl Outcome {
    /// Whether the sequence can go on under its ID.
    fn leaves_it_whole(self) -> bool {
        matches!(self, Outcome::Sum(_) | Outcome::NotSent)
    }
}

/// A request as the function handed it over.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) request: Request,
    /// What the function learned of it, once it did.
    pub(super) outcome: Option<Outcome>,
}

/// Faults by chance, for a number of requests too large to name them.
#[derive(Debug)]
pub(super) struct Chance {
    pub(super) random: fastrand::Rng,
    pub(super) probability: f64,
    pub(super) fault: Fault,
}

/// What is done with the server's reply to a request that somebody may still wait for.
#[derive(Debug)]
struct Awaited {
    gives_up: Instant,
    /// What the function learns in place of a reply that says what happened to the request.
    instead: Option<Outcome>,
    answer_takes: Duration,
}

#[derive(Debug)]
struct Delivery {
    request: Request,
    after_restart: bool,
}

/// The server, and everything that is on its way to it or back. Only what goes wrong takes time on
/// the way: the model takes some as it is, and each wait costs a test more than all else.
#[derive(Debug)]
pub(super) struct World {
    pub(super) server: SimulatedServer,
    faults: VecDeque<Option<Fault>>,
    pub(super) chance: Option<Chance>,
    /// Values whose answers can never be read.
    pub(super) unreadable: HashSet<i64>,
    deliveries: BTreeMap<(Instant, u64), Delivery>,
    outcomes: BTreeMap<(Instant, u64), Outcome>,
    awaited: HashMap<u64, Awaited>,
    replies: Vec<(Instant, u64, Reply)>,
    pub(super) sent: Vec<Sent>,
    /// From when on the function may take it that a given up ID is over, even where something of it
    /// is still on its way or waits for a place.
    overdue: HashMap<Arc<str>, Instant>,
    /// Sequences that a function cannot know of, because it was killed.
    pub(super) excused: HashSet<Arc<str>>,
    lost: HashMap<Arc<str>, Outcome>,
    /// Whether functions end sequences that they leave.
    pub(super) ends_abandoned: bool,
    /// Whether answers to rows that are sent again are dropped without a look, so that one which
    /// cannot be read is as good as another.
    pub(super) drops_answers: bool,
    /// What the function has done that it must never do, first things first.
    pub(super) violations: Vec<String>,
    /// The IDs that were started, or may have been.
    started: HashSet<Arc<str>>,
    /// Those that were left, and ended with one END.
    left: HashSet<Arc<str>>,
    in_flight: HashSet<Arc<str>>,
    over_limit: bool,
}

impl World {
    pub(super) fn new(settings: ServerSettings) -> Self {
        Self {
            server: SimulatedServer::new(settings),
            faults: VecDeque::new(),
            chance: None,
            unreadable: HashSet::new(),
            deliveries: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            awaited: HashMap::new(),
            replies: Vec::new(),
            sent: Vec::new(),
            overdue: HashMap::new(),
            excused: HashSet::new(),
            lost: HashMap::new(),
            ends_abandoned: false,
            drops_answers: false,
            violations: Vec::new(),
            started: HashSet::new(),
            left: HashSet::new(),
            in_flight: HashSet::new(),
            over_limit: false,
        }
    }

    /// Says what goes wrong with the next request that has nothing said of it.
    pub(super) fn fault(&mut self, fault: Option<Fault>) {
        self.faults.push_back(fault);
    }

    pub(super) fn restart_server(&mut self, now: Instant) {
        self.advance(now);
        self.server.restart(now, &mut self.replies);
        self.carry_replies();
    }

    /// When something happens next.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let delivery = self.deliveries.first_key_value().map(|((at, _), _)| *at);
        let outcome = self.outcomes.first_key_value().map(|((at, _), _)| *at);
        let events = [self.server.next_event(), delivery, outcome];
        events.into_iter().flatten().min()
    }

    /// What the function learned of a request, once it has.
    pub(super) fn outcome(&self, number: u64) -> Option<Outcome> {
        self.sent[number as usize].outcome
    }

    /// The function sends a request, for whose answer it waits until it `gives_up`; the number by
    /// which it asks what happened to it.
    pub(super) fn hand_over(
        &mut self,
        now: Instant,
        mut request: Request,
        gives_up: Instant,
    ) -> u64 {
        self.advance(now);
        let number = self.sent.len() as u64;
        request.number = number;
        self.check_sent(&request);
        self.sent.push(Sent {
            request: request.clone(),
            outcome: None,
        });
        let fault = self.next_fault();
        let broken = gives_up.min(now + Duration::from_millis(1));
        let (mut delivered, mut known, mut instead) = (Some(now), None, None);
        let (mut answer_takes, mut after_restart) = (Duration::ZERO, false);
        match fault {
            None => {}
            Some(Fault::NotSent) => (delivered, known) = (None, Some((now, Outcome::NotSent))),
            Some(Fault::Panic) => (delivered, known) = (None, Some((now, Outcome::Panic))),
            Some(Fault::RequestLost) => delivered = None,
            Some(Fault::CutBefore) => (delivered, known) = (None, Some((broken, Outcome::Cut))),
            Some(Fault::AnswerLost) => instead = Some(Outcome::Cut),
            Some(Fault::CutAndDelivered(after)) => {
                (delivered, known) = (Some(broken + after), Some((broken, Outcome::Cut)));
            }
            Some(Fault::Delayed(after)) => delivered = Some(gives_up + after),
            Some(Fault::AnsweredLate) => answer_takes = gives_up - now,
            Some(Fault::Slow(by)) => answer_takes += by,
            Some(Fault::ModelFailed) => instead = Some(Outcome::Failed),
            Some(Fault::Unreadable) => instead = Some(Outcome::Unreadable),
            Some(Fault::Restart) => after_restart = true,
            Some(Fault::Crash) => {
                self.server.restart(now, &mut self.replies);
                self.carry_replies();
                (delivered, known) = (None, Some((broken, Outcome::Cut)));
            }
        }
        if self.unreadable.contains(&request.value) {
            instead = instead.or(Some(Outcome::Unreadable));
        }
        self.in_flight.insert(Arc::clone(&request.id));
        self.awaited.insert(
            number,
            Awaited {
                gives_up,
                instead,
                answer_takes,
            },
        );
        let (at, outcome) = known.unwrap_or((gives_up, Outcome::TimedOut));
        self.outcomes.insert((at, number), outcome);
        if let Some(at) = delivered {
            let delivery = Delivery {
                request,
                after_restart,
            };
            self.deliveries.insert((at, number), delivery);
        }
        self.advance(now);
        number
    }

    /// Lets everything happen that is due until `now`, in the order of time.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            if let Some(entry) = self.deliveries.first_entry()
                && entry.key().0 == at
            {
                let delivery = entry.remove();
                if delivery.after_restart {
                    self.server.restart(at, &mut self.replies);
                }
                self.server.queue(at, delivery.request, &mut self.replies);
            } else if let Some(entry) = self.outcomes.first_entry()
                && entry.key().0 == at
            {
                let ((at, number), outcome) = entry.remove_entry();
                self.settle(at, number, outcome);
            } else {
                self.server.advance(at, &mut self.replies);
            }
            self.carry_replies();
            self.check_places(at);
        }
    }

    /// The server's replies set out.
    fn carry_replies(&mut self) {
        for (at, number, reply) in self.replies.drain(..) {
            let Some(awaited) = self.awaited.get(&number) else {
                continue;
            };
            let outcome = match (reply, awaited.instead) {
                (_, Some(Outcome::Cut)) | (Reply::Cut, _) => Outcome::Cut,
                (Reply::NotStarted, _) => Outcome::NotStarted,
                (Reply::Failed, _) => Outcome::Failed,
                (Reply::Sum(_), Some(instead)) => instead,
                (Reply::Sum(sum), None) => Outcome::Sum(sum),
            };
            self.outcomes
                .insert((at + awaited.answer_takes, number), outcome);
        }
    }

    fn settle(&mut self, at: Instant, number: u64, outcome: Outcome) {
        let Some(awaited) = self.awaited.remove(&number) else {
            return;
        };
        self.outcomes.remove(&(awaited.gives_up, number));
        let sent = &mut self.sent[number as usize];
        sent.outcome = Some(outcome);
        let id = Arc::clone(&sent.request.id);
        self.in_flight.remove(&id);
        if matches!(outcome, Outcome::Cut | Outcome::TimedOut) {
            let idle = self.server.settings().idle;
            self.overdue.insert(Arc::clone(&id), at + idle);
        }
        let is_dropped = self.drops_answers && outcome == Outcome::Unreadable;
        if !outcome.leaves_it_whole() && !is_dropped {
            self.lost.entry(id).or_insert(outcome);
        } else if outcome == Outcome::NotSent && sent.request.start {
            self.started.remove(&id);
        }
    }

    /// Whoever has sent requests is gone. Those that are in flight may arrive at any time, which nobody
    /// knows of who takes over: what was begun holds its place for one idle limit from now on.
    pub(super) fn sender_is_gone(&mut self, now: Instant) {
        let idle = self.server.settings().idle;
        let left = self.in_flight.drain().map(|id| (id, now + idle));
        self.overdue.extend(left);
        self.awaited.clear();
        self.outcomes.clear();
    }

    fn next_fault(&mut self) -> Option<Fault> {
        if let Some(fault) = self.faults.pop_front() {
            return fault;
        }
        let chance = self.chance.as_mut()?;
        (chance.random.f64() < chance.probability).then_some(chance.fault)
    }

    /// What holds of every request of a function.
    fn check_sent(&mut self, request: &Request) {
        let Request {
            id,
            value,
            start,
            end,
            ..
        } = request;
        let mut violations = Vec::new();
        if *start && !self.started.insert(Arc::clone(id)) {
            violations.push(format!("{id} is started again, with {value}"));
        }
        // One END, and nothing else, may follow a loss: where abandoned sequences are ended.
        let ends_left = self.ends_abandoned && *end && !*start;
        if let Some(outcome) = self.lost.get(id)
            && !(ends_left && self.left.insert(Arc::clone(id)))
        {
            violations.push(format!("{value} is sent under {id} after {outcome:?}"));
        }
        if self.in_flight.contains(id) {
            violations.push(format!("{id} has two requests at once"));
        }
        self.violations.extend(violations);
    }

    /// No more sequences are open than there are places, but for those that nobody can know of.
    fn check_places(&mut self, now: Instant) {
        let places = self.server.settings().candidates;
        let known = self.server.open_ids().filter(|id| {
            let overdue = self.overdue.get(*id).is_some_and(|since| *since <= now);
            !overdue && !self.excused.contains(*id)
        });
        if known.clone().count() > places && !self.over_limit {
            let ids: Vec<&str> = known.map(|id| &**id).collect();
            let message = format!("{} of {places} places: {}", ids.len(), ids.join(", "));
            self.violations.push(message);
            self.over_limit = true;
        }
    }
}
