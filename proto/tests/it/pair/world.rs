//! The world of a run: what happens when, what goes wrong, and what must hold at the end.

use std::collections::{BTreeMap, BTreeSet};

use nms_proto::limits::HEARTBEAT_MS;
use nms_proto::session::client::Stage;
use nms_proto::session::server::ServerSession;
use nms_proto::time::{Stamp, Tick};

use super::hub::{Hub, Spool, Wish};
use super::link::{Arrival, Link, Rng};
use super::server::{Faults, Log, Server};

const STAMP: Stamp = Stamp { unix_ms: 1_767_623_400_000, offset_min: 0 };
/// Time in which a run must come to rest once nothing goes wrong any more.
const REST_MS: u64 = 3_600_000;

#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    now: Tick,
    pub(super) rng: Rng,
    pub(super) hub: Hub,
    pub(super) server: Server,
    links: BTreeMap<usize, Link>,
    /// The connection that the hub holds, and the next one's number.
    held: Option<usize>,
    next_link: usize,
    dial_at: Option<Tick>,
    commit_at: Option<Tick>,
    results_at: Option<Tick>,
    /// When the hub last wrote a heartbeat on the connection it holds.
    heartbeat_at: Tick,
    events: u64,
    poison: BTreeSet<u64>,
    /// The spool is a copy from before: numbers may have been used for something else.
    pub(super) restored: bool,
    pub(super) renumbered: u64,
    /// Messages of an old connection that came when a new one was open.
    pub(super) overlapped: u64,
    faulty: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let faults = match rng.below(3) {
            0 => Faults::default(),
            1 => Faults { busy: rng.below(30), ..Faults::default() },
            _ => Faults { busy: 5, refused_at_first: rng.below(20), commit_fails: rng.below(20), register_busy: 10 },
        };
        let server = Server::start(Log::default(), faults);
        Self {
            seed,
            now: Tick(seed % 7),
            hub: Hub::start(Tick(seed % 7), rng.next(), Spool::new(1)),
            rng,
            server,
            links: BTreeMap::new(),
            held: None,
            next_link: 0,
            dial_at: None,
            commit_at: None,
            results_at: None,
            heartbeat_at: Tick(0),
            events: 0,
            poison: BTreeSet::new(),
            restored: false,
            renumbered: 0,
            overlapped: 0,
            faulty: true,
        }
    }

    pub(super) fn observe(&mut self) {
        self.events += 1;
        let poison = self.faulty && self.rng.below(200) == 0;
        if poison {
            self.poison.insert(self.events);
        }
        self.hub.observe(self.now, self.events, poison);
    }

    /// Everything that follows from what just happened, at this instant.
    fn settle(&mut self) {
        loop {
            self.hub.gather(self.now);
            let mut idle = true;
            for wish in self.hub.serve(self.now) {
                idle = false;
                self.fulfil(wish);
            }
            idle &= !self.transmit_up();
            self.server.feed(self.now);
            idle &= !self.transmit_down();
            if idle {
                return self.arm();
            }
        }
    }

    fn fulfil(&mut self, wish: Wish) {
        match wish {
            Wish::Connect => self.dial_at = Some(self.now.plus(self.rng.below(200))),
            Wish::Close => {
                self.dial_at = None;
                self.hang_up();
            }
            Wish::Forgot(instance, batches) => {
                for seq in batches {
                    // What the lost spool gave up, and reported, may still be in the copy.
                    let given_up = self.restored && self.server.skipped(instance, seq);
                    assert!(
                        given_up || self.server.durable(instance, seq),
                        "seed {}: batch {seq} was deleted too soon",
                        self.seed
                    );
                }
            }
            Wish::Renumbered => {
                self.renumbered += 1;
                assert!(self.restored, "seed {}: renumbered for nothing", self.seed);
            }
        }
    }

    fn hang_up(&mut self) {
        if let Some(link) = self.held.take().and_then(|held| self.links.get_mut(&held)) {
            link.close(self.now, &mut self.rng, true);
        }
    }

    fn transmit_up(&mut self) -> bool {
        let mut wrote = false;
        let Some(link) = self.held.and_then(|held| self.links.get_mut(&held)) else { return false };
        while link.takes(true)
            && let Some(frame) = self.hub.session.poll_transmit(self.now, STAMP)
        {
            if frame[4..].starts_with(b"{\"type\":\"HEARTBEAT\"") {
                let gap_ms = self.now.since(self.heartbeat_at);
                assert!(gap_ms <= HEARTBEAT_MS + 1_000, "seed {}: {gap_ms} ms between heartbeats", self.seed);
                self.heartbeat_at = self.now;
            }
            link.write(self.now, &mut self.rng, true, &frame);
            wrote = true;
        }
        if self.hub.session.link(self.now).stage != Stage::Active {
            self.heartbeat_at = self.now;
        }
        wrote
    }

    fn transmit_down(&mut self) -> bool {
        let mut wrote = false;
        let connections: Vec<usize> = self.server.sessions.keys().copied().collect();
        for connection in connections {
            let Some(link) = self.links.get_mut(&connection) else { continue };
            while link.takes(false)
                && let Some((session, _)) = self.server.sessions.get_mut(&connection)
                && let Some(frame) = session.poll_transmit(STAMP)
            {
                link.write(self.now, &mut self.rng, false, &frame);
                wrote = true;
            }
            if self.server.serve(self.now, &mut self.rng, connection) {
                link.close(self.now, &mut self.rng, false);
                wrote = true;
            }
        }
        wrote
    }

    /// Disks take their time, and take what is there together.
    fn arm(&mut self) {
        if self.server.pending() && self.commit_at.is_none() {
            self.commit_at = Some(self.now.plus(self.rng.below(30)));
        }
        if !self.hub.undurable.is_empty() && self.results_at.is_none() {
            self.results_at = Some(self.now.plus(self.rng.below(30)));
        }
    }

    fn next_time(&self) -> Option<Tick> {
        let arrivals = self.links.values().filter_map(Link::next_arrival).min();
        let own = [self.hub.deadline(), self.server.deadline(), self.dial_at, self.commit_at, self.results_at];
        own.into_iter().flatten().chain(arrivals).min()
    }

    /// Runs until `end`, or until nothing is left to wait for.
    fn run_until(&mut self, end: Tick) {
        self.settle();
        let mut steps = 0;
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            steps += 1;
            assert!(steps < 200_000, "seed {}: spins at {:?}: {:?}", self.seed, self.now, self.hub.session);
            self.now = self.now.max(next);
            self.fire();
            self.settle();
        }
        self.now = self.now.max(end);
    }

    fn fire(&mut self) {
        let now = self.now;
        if self.dial_at.take_if(|at| *at <= now).is_some() {
            self.dial();
        }
        if self.commit_at.take_if(|at| *at <= now).is_some() {
            self.server.commit(&mut self.rng);
        }
        if self.results_at.take_if(|at| *at <= now).is_some() {
            self.hub.commit_results();
        }
        if self.hub.session.deadline().is_some_and(|at| at <= now) {
            self.hub.session.handle_timeout(now);
        }
        for (session, _) in self.server.sessions.values_mut() {
            if session.deadline().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
            }
        }
        let connections: Vec<usize> = self.links.keys().copied().collect();
        for connection in connections {
            self.arrive(connection);
        }
        let (sessions, held) = (&self.server.sessions, self.held);
        self.links.retain(|connection, link| {
            held == Some(*connection) || sessions.contains_key(connection) || link.next_arrival().is_some()
        });
    }

    fn dial(&mut self) {
        if self.faulty && self.rng.percent(10) {
            return self.hub.session.closed(self.now, "connection refused");
        }
        let delay_ms = [2, 20, 400][self.rng.below(3) as usize];
        self.links.insert(self.next_link, Link::new(delay_ms));
        self.server.sessions.insert(self.next_link, (ServerSession::new(self.now), None));
        self.held = Some(self.next_link);
        self.next_link += 1;
        self.hub.session.connected(self.now);
    }

    fn arrive(&mut self, connection: usize) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        let up = link.arrivals(self.now, STAMP, true);
        let down = link.arrivals(self.now, STAMP, false);
        let old = self.held.is_some_and(|held| held > connection);
        for arrival in up {
            self.overlapped += u64::from(old);
            let Some((session, _)) = self.server.sessions.get_mut(&connection) else { break };
            match arrival {
                Arrival::Message(message) => session.received(self.now, message),
                Arrival::Malformed(problem) => session.malformed(self.now, &problem),
                Arrival::Closed => drop(self.server.sessions.remove(&connection)),
            }
            self.server.serve(self.now, &mut self.rng, connection);
        }
        for arrival in down {
            if self.held != Some(connection) {
                break;
            }
            match arrival {
                Arrival::Message(message) => self.hub.session.received(self.now, message),
                Arrival::Malformed(problem) => panic!("seed {}: the server said: {problem}", self.seed),
                Arrival::Closed => {
                    self.held = None;
                    self.hub.session.closed(self.now, "connection reset");
                }
            }
        }
    }

    fn go_wrong(&mut self) {
        let held = self.held.and_then(|held| self.links.get_mut(&held));
        match (self.rng.below(13), held) {
            (0..=4, Some(link)) => link.cut(self.now, &mut self.rng),
            (5, Some(link)) => link.silence(),
            // The hub notices at once and comes back while its old bytes are on their way.
            (6 | 7, Some(link)) => {
                let late_ms = self.rng.below(3_000);
                link.hold_up(late_ms);
                self.hang_up();
                self.hub.session.closed(self.now, "network is down");
            }
            (8 | 9, _) => {
                let spool = self.hub.spool.clone();
                self.restart_hub(spool);
            }
            (10, _) => {
                self.server.crash();
                for link in self.links.values_mut() {
                    link.cut(self.now, &mut self.rng);
                }
            }
            (11, _) => self.hub.overflow(),
            (12, _) => self.hub.reads_that_fail = self.rng.below(4),
            _ => {}
        }
    }

    pub(super) fn restart_hub(&mut self, spool: Spool) {
        self.hang_up();
        (self.dial_at, self.results_at) = (None, None);
        self.hub = Hub::start(self.now, self.rng.next(), spool);
    }

    pub(super) fn misfortunes(&mut self) {
        let bursts = 2 + self.rng.below(10);
        let damage_at = self.rng.below(20);
        for burst in 0..bursts {
            if burst == damage_at {
                self.hub.damage();
            }
            let events = match self.rng.below(20) {
                0 => 300,
                1..=9 => 1,
                _ => self.rng.below(20),
            };
            for _ in 0..events {
                self.observe();
                if self.rng.percent(10) {
                    self.run_until(self.now.plus(self.rng.0 % 15));
                }
            }
            let pause = [10, 100, 3_000, 200_000][self.rng.below(4) as usize];
            let pause = self.rng.below(pause);
            self.run_until(self.now.plus(pause));
            if self.rng.percent(80) {
                self.go_wrong();
            }
        }
    }

    /// No more faults: everything must arrive, and a last batch carries what was skipped.
    pub(super) fn come_to_rest(&mut self) {
        self.faulty = false;
        self.server.faults = Faults::default();
        let end = self.now.plus(REST_MS);
        self.run_until(end);
        for _ in 0..4 {
            self.observe();
        }
        self.run_until(end.plus(HEARTBEAT_MS * 2));
        let spool = &self.hub.spool;
        let rest = (spool.batches.len(), spool.holes.len(), self.server.outbox.len());
        assert_eq!(rest, (0, 0, 0), "seed {}: does not come to rest: {:?}", self.seed, self.hub.session);
        assert!(self.hub.session.is_idle(), "seed {}: not idle", self.seed);
        let link = self.hub.session.link(self.now);
        assert_eq!((link.stage, link.busy_percent, link.problem), (Stage::Active, None, None), "seed {}", self.seed);
        assert_eq!(self.server.sessions.len(), 1, "seed {}: a dead connection is held", self.seed);
    }

    /// How often each event is in the log, the quarantine or the account of what was dropped.
    pub(super) fn settled(&self) -> BTreeMap<u64, u64> {
        let spool = &self.hub.spool;
        let logged = self.server.log.batches.iter().flat_map(|(_, _, events)| events);
        let refused = spool.quarantine.iter().flat_map(|(_, _, batch)| &batch.events);
        let mut times = BTreeMap::new();
        for event in logged.chain(refused).chain(&spool.dropped) {
            *times.entry(*event).or_default() += 1;
        }
        times
    }

    pub(super) fn check_once(&self) {
        let seed = self.seed;
        let expected: BTreeMap<u64, u64> = self.hub.spool.accepted.iter().map(|event| (*event, 1)).collect();
        assert_eq!(self.settled(), expected, "seed {seed}: not each event once");
        let mut last = 0;
        for (_, seq, events) in &self.server.log.batches {
            assert!(*seq > last, "seed {seed}: batch {seq} after {last}");
            assert!(events.iter().all(|event| !self.poison.contains(event)), "seed {seed}: poison in the log");
            last = *seq;
        }
        for (instance, seq, _) in &self.hub.spool.quarantine {
            assert!(self.server.skipped(*instance, *seq), "seed {seed}: batch {seq} was refused and not named");
        }
        let refused = self.hub.spool.quarantine.iter().map(|(_, _, batch)| batch.events.len() as u64).sum::<u64>();
        let told = |cause: &str| {
            let runs = self.server.log.skipped.iter().filter(|(_, run)| &*run.cause == cause);
            runs.map(|(_, run)| run.events).sum::<u64>()
        };
        assert_eq!(told("spool_full"), self.hub.spool.dropped.len() as u64, "seed {seed}: losses not reported");
        assert_eq!(told("refused"), refused, "seed {seed}: refusals not reported");
        assert_eq!(told("missing"), 0, "seed {seed}: numbers went missing");
        assert_eq!(
            self.server.log.batches.last().map(|(_, seq, _)| *seq),
            Some(self.hub.spool.next - 1),
            "seed {seed}"
        );
        assert_eq!(self.server.last(self.hub.spool.instance).next().0, self.hub.spool.next, "seed {seed}");
        let results: BTreeSet<u64> = (1..=self.server.results_pushed).collect();
        assert_eq!(self.hub.spool.results, results, "seed {seed}: RESULTS lost");
    }
}
