//! One scenario through the cores of hub and server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use nms_detect::{Settings, newer, provisional};
use nms_model::bundle::Bundle;
use nms_proto::{
    alert::Alert,
    event::Event,
    finding::Category,
    id::{AlertId, EventId, EventSeq, Instance},
    syslog::{self, Received},
    time::Stamp,
};
use nmsd_server::{
    analyse::model::Model,
    chain::{Chain, Told},
};

use super::{
    case::{Case, Line, Sent},
    judge::Shown,
};
use crate::corpus::{DAY_MS, EPOCH_MS, ordinary_days};

/// Ordinary traffic before a scenario, in milliseconds.
const BEFORE_MS: i64 = 2 * DAY_MS;
/// Time for which the clock runs on after the last line: until what is over is told as over, in milliseconds.
const AFTER_MS: i64 = 65 * 60_000;
/// The spool of the scenarios' hub.
const INSTANCE: Instance = Instance(*b"nms-lab scenario");

/// What was generated already, by weekday of the first day and number of days.
type Made = HashMap<(usize, usize), Arc<Vec<Event>>>;

/// Ordinary traffic to run a scenario in.
pub(super) enum Traffic {
    /// Lines of a file, from two days before the scenario on; again from the first where they end.
    Recorded(Vec<Line>),
    /// The generator's network of a seed.
    Generated(u64, Mutex<Made>),
}

impl Traffic {
    pub(super) fn recorded(lines: Vec<Line>) -> Self {
        Self::Recorded(lines)
    }

    pub(super) fn generated(seed: u64) -> Self {
        Self::Generated(seed, Mutex::default())
    }

    /// What is sent between two days before `start_ms` and `end_ms`, in the order of time.
    fn between(&self, start_ms: i64, end_ms: i64) -> Vec<(i64, Sendable)> {
        let begin_ms = start_ms - BEFORE_MS;
        match self {
            Self::Recorded(lines) => {
                let last_ms = lines.last().map_or(0, |line| line.at_ms);
                let period_ms = (last_ms / DAY_MS + 1).max(1) * DAY_MS;
                let rounds = (end_ms - begin_ms).div_euclid(period_ms).max(0);
                let round = |number: i64| {
                    lines.iter().map(move |line| (begin_ms + number * period_ms + line.at_ms, Sendable::of(line)))
                };
                (0..=rounds).flat_map(round).filter(|(at_ms, _)| (begin_ms..=end_ms).contains(at_ms)).collect()
            }
            Self::Generated(seed, made) => {
                let first_day = begin_ms.div_euclid(DAY_MS);
                let days = (end_ms.div_euclid(DAY_MS) - first_day + 1) as usize;
                // The generator's first day is a Monday, as 1969-12-29 was.
                let weekday = (first_day + 3).rem_euclid(7) as usize;
                let shift_ms = first_day * DAY_MS - (EPOCH_MS + weekday as i64 * DAY_MS);
                let known = made.lock().ok().and_then(|made| made.get(&(weekday, days)).cloned());
                let events = known.unwrap_or_else(|| {
                    let (network, emissions) = ordinary_days(*seed, weekday..weekday + days);
                    let events = Arc::new(emissions.iter().map(|emission| emission.event(&network)).collect());
                    if let Ok(mut made) = made.lock() {
                        made.insert((weekday, days), Arc::clone(&events));
                    }
                    events
                });
                let shifted = |event: &Event| {
                    let at = Stamp { unix_ms: event.at.unix_ms + shift_ms, ..event.at };
                    (at.unix_ms, Sendable::Event(Event { at, ..event.clone() }))
                };
                events.iter().map(shifted).filter(|(at_ms, _)| (begin_ms..=end_ms).contains(at_ms)).collect()
            }
        }
    }
}

/// What goes to the hub.
enum Sendable {
    /// An event that is whole.
    Event(Event),
    /// What becomes one when it comes.
    Line(Line),
}

impl Sendable {
    fn of(line: &Line) -> Self {
        Self::Line(line.clone())
    }
}

/// What came of a scenario.
pub(super) struct Ran {
    /// By layer: the correlators, the model, and both.
    pub(super) shown: [Shown; 3],
    /// Datagrams that were no message.
    pub(super) parse_errors: u64,
}

/// Runs a scenario, in the traffic where there is any.
pub(super) fn run(case: &Case, bundle: &Bundle, traffic: Option<&Traffic>) -> Result<Ran, String> {
    let model = Model::new(bundle).map_err(|error| error.to_string())?;
    let first_ms = case.start_ms + case.lines.first().map_or(0, |line| line.at_ms);
    let end_ms = case.start_ms + case.lines.last().map_or(0, |line| line.at_ms) + AFTER_MS;
    let mut network = Network {
        chain: Chain::new(Settings { instance: INSTANCE, admins: Vec::new() }, model),
        offset_s: case.utc_offset_s,
        screens: [Screen::new(first_ms), Screen::new(first_ms), Screen::new(first_ms)],
        parse_errors: 0,
    };
    let traffic = traffic.map(|traffic| traffic.between(case.start_ms, end_ms)).unwrap_or_default();
    let mut traffic = traffic.into_iter().peekable();
    for line in &case.lines {
        let at_ms = case.start_ms + line.at_ms;
        while let Some((other_ms, sendable)) = traffic.next_if(|(other_ms, _)| *other_ms <= at_ms) {
            network.send(other_ms, sendable, false);
        }
        network.send(at_ms, Sendable::of(line), true);
    }
    for (other_ms, sendable) in traffic {
        network.send(other_ms, sendable, false);
    }
    let end = network.stamp(end_ms);
    let mut told = Vec::new();
    network.chain.advance(end, &mut |now, word| told.push((now, word)));
    network.show(told);
    Ok(Ran { shown: network.screens.map(|screen| screen.shown), parse_errors: network.parse_errors })
}

struct Network {
    chain: Chain,
    offset_s: i32,
    screens: [Screen; 3],
    parse_errors: u64,
}

impl Network {
    fn stamp(&self, unix_ms: i64) -> Stamp {
        Stamp::bounded(unix_ms, self.offset_s)
    }

    fn send(&mut self, at_ms: i64, sendable: Sendable, is_the_case: bool) {
        let now = self.stamp(at_ms);
        let id = EventId { instance: INSTANCE, seq: EventSeq::default() };
        let event = match sendable {
            Sendable::Event(event) => event,
            Sendable::Line(Line { source, sent: Sent::Draft(draft), .. }) => draft.named(id, source, now),
            Sendable::Line(Line { source, sent: Sent::Datagram(raw), .. }) => {
                let received = Received { unix_ms: at_ms, utc_offset_s: self.offset_s };
                let Ok((draft, _cut)) = syslog::draft(raw.as_bytes(), &received) else {
                    self.parse_errors += u64::from(is_the_case);
                    return;
                };
                draft.named(id, source, now)
            }
        };
        let mut told = Vec::new();
        self.chain.event(now, event, &mut |now, word| told.push((now, word)), &mut |_, _| ());
        self.show(told);
    }

    fn show(&mut self, told: Vec<(Stamp, Told)>) {
        let [correlators, model, fused] = &mut self.screens;
        for (now, word) in told {
            match word {
                Told::Finding(finding) => {
                    correlators.show(now, provisional(&finding));
                    fused.show(now, provisional(&finding));
                }
                Told::Alert(alert) => {
                    if alert.category == Category::Anomaly {
                        model.show(now, alert.clone());
                    }
                    // What went into another alert is shown with that one.
                    if alert.merged_into.is_none() {
                        fused.show(now, alert);
                    }
                }
            }
        }
    }
}

/// What a person sees.
struct Screen {
    first_ms: i64,
    known: HashMap<AlertId, Alert>,
    shown: Shown,
}

impl Screen {
    fn new(first_ms: i64) -> Self {
        Self { first_ms, known: HashMap::new(), shown: Shown::default() }
    }

    /// What was shown before the scenario counts only where it became worse in it.
    fn show(&mut self, now: Stamp, alert: Alert) {
        let known = self.known.get(&alert.id);
        let is_old = known.is_some() && !self.shown.0.iter().any(|(_at, shown)| shown.id == alert.id);
        let before = known.map(|known| known.severity);
        let Some(new) = newer(known, alert) else { return };
        let counts = now.unix_ms >= self.first_ms && (!is_old || Some(new.severity) > before);
        if counts {
            self.shown.0.push(((now.unix_ms - self.first_ms) as f64 / 1_000.0, new.clone()));
        }
        self.known.insert(new.id.clone(), new);
    }
}
