//! The analysis core: what is said of events, in the time of the log.

use std::{collections::HashMap, sync::Arc};

use nms_detect::Standing;
use nms_proto::{
    alert::{Alert, Status},
    event::Event,
    finding::Category,
    id::Instance,
    limits::MODEL_WINDOW_IDLE_MS,
    severity::Severity,
};
use nmsd_server::{
    analyse::{
        Analysis, Said, SnapshotError,
        model::Model,
        past::{Past, place},
    },
    store::{LogSeq, Logged},
};

use crate::world::{HUB, START_MS, failure, finding, line, model, nervous};

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

#[derive(Default)]
pub(crate) struct Kept(HashMap<LogSeq, Arc<Logged>>);

impl Past for Kept {
    fn event(&mut self, reference: u64) -> Option<(Instance, Event)> {
        let (seq, index) = place(reference);
        self.0.get(&seq)?.events.get(index).map(|event| (HUB, event.clone()))
    }
}

pub(crate) struct Bench {
    pub(crate) analysis: Analysis,
    pub(crate) model: Model,
    past: Kept,
    next: u64,
}

impl Bench {
    pub(crate) fn new(model: Model) -> Self {
        Self { analysis: Analysis::default(), model, past: Kept::default(), next: 0 }
    }

    pub(crate) fn take(&mut self, after_ms: i64, events: Vec<Event>) -> Vec<Said> {
        self.next += 1;
        let seq = LogSeq(self.next);
        let batch = Arc::new(Logged { seq, hub: HUB, arrived_ms: START_MS + after_ms, bytes: 1, events });
        self.past.0.insert(seq, Arc::clone(&batch));
        let mut said = Vec::new();
        self.analysis.handle(&mut self.model, &mut self.past, &batch, &mut said, |_| ());
        said
    }

    pub(crate) fn tick(&mut self, after_ms: i64) -> Vec<Said> {
        let mut said = Vec::new();
        self.analysis.tick(&mut self.model, &mut self.past, START_MS + after_ms, &mut said);
        said
    }
}

fn alerts(said: &[Said]) -> Vec<&Alert> {
    said.iter().map(|said| &said.alert).collect()
}

#[test]
fn a_finding_without_its_lines_still_has_the_models_word() {
    let said = Bench::new(model()).take(0, vec![finding(HUB, 6, 1, "a-0000000000000001")]);
    let alert = &said[0].alert;
    assert_eq!((alert.category.clone(), alert.severity), (Category::BruteForce, Severity::High));
    let verdict = alert.model.as_ref().expect("scored from its own evidence");
    assert!(verdict.score.is_finite() && (0.0..=1.0).contains(&verdict.p_value));
    assert_eq!(said[0].hubs, [HUB]);
}

#[test]
fn windows_are_scored_when_their_source_falls_quiet_in_the_logs_time() {
    let mut bench = Bench::new(model());
    bench.take(0, vec![failure(HUB, 1, 0)]);
    assert_eq!(bench.analysis.counts().windows, 0);
    let due = bench.analysis.deadline().unwrap();
    assert_eq!(due, START_MS + MODEL_WINDOW_IDLE_MS as i64);
    bench.tick(MODEL_WINDOW_IDLE_MS as i64);
    assert_eq!(bench.analysis.counts().windows, 1, "of the source; the actor was at no other");
    assert_eq!(bench.analysis.deadline(), None);
    let elsewhere = Event { source: nms_proto::id::EndpointId::new("192.0.2.8"), ..failure(HUB, 2, 20_000) };
    bench.take(20_000, vec![elsewhere]);
    bench.tick(30_000);
    assert_eq!(bench.analysis.counts().windows, 3, "of the other source, and of the actor across both");
}

/// Ordinary life for a day, so that the model may speak alone.
pub(crate) fn grown_up(model: Model) -> Bench {
    let mut bench = Bench::new(model);
    bench.take(0, vec![line(HUB, 1, 0, "Server listening on 0.0.0.0 port 22.")]);
    bench.tick(10_000);
    bench.take(86_400_000, vec![line(HUB, 2, 86_400_000, "Server listening on 0.0.0.0 port 22.")]);
    assert!(!bench.analysis.is_learning());
    bench
}

#[test]
fn a_tenant_that_is_being_learned_hears_nothing_of_the_model_alone() {
    let mut bench = Bench::new(Model::new(&nervous()).unwrap());
    bench.take(0, (0..60).map(|at| failure(HUB, at, at as i64)).collect());
    assert_eq!(bench.tick(10_000), []);
    assert!(bench.analysis.is_learning());
}

#[test]
fn an_unusual_window_is_one_mild_alert_however_often_it_comes_and_ends_quietly() {
    let mut bench = grown_up(Model::new(&nervous()).unwrap());
    let first = bench.tick(DAY + 10_000);
    let first = alerts(&first);
    assert_eq!(first.len(), 1);
    assert!(first[0].severity <= Severity::Low, "{:?}", first[0].severity);
    assert_eq!((first[0].category.clone(), first[0].revision), (Category::Anomaly, 1));
    assert!(first[0].model.is_some() && !first[0].evidence.is_empty());
    assert_eq!(&*first[0].evidence[0].line, "sshd: Server listening on 0.0.0.0 port 22.");
    let mut revisions = Vec::new();
    for round in 1..30_i64 {
        let at = DAY + 10_000 + round * 20_000;
        let text =
            if round % 2 == 0 { "Server listening on :: port 22." } else { "Received disconnect from 192.0.2.9" };
        bench.take(at, vec![line(HUB, 10 + round as u64, at, text)]);
        revisions.extend(bench.tick(at + 5_000));
    }
    assert!(revisions.iter().all(|said| said.alert.id == first[0].id), "one id");
    assert!(revisions.len() <= 2, "few revisions: {}", revisions.len());
    let last = bench.tick(2 * DAY);
    assert_eq!(last.len(), 1);
    assert_eq!((&last[0].alert.status, &last[0].alert.id), (&Status::Resolved, &first[0].id));
}

#[test]
fn what_was_unexpected_is_told_in_the_words_of_the_tenants_own_lines_with_how_often_they_come() {
    let mut bench = Bench::new(Model::new(&nervous()).unwrap());
    // A day and an hour with two logins an hour; their lines differ in what is masked.
    for hour in 0..25_i64 {
        for (seq, user) in [(1, "anna"), (2, "ben")] {
            let at = hour * 3_600_000 + seq * 60_000;
            let text = format!("Accepted publickey for {user} from 192.0.2.{hour} port {} ssh2", 40_000 + hour);
            bench.take(at, vec![line(HUB, (hour * 2 + seq) as u64, at, &text)]);
            bench.tick(at + 10_000);
        }
    }
    let at = DAY + 3_600_000;
    let login = "Accepted publickey for eve from 192.0.2.99 port 40999 ssh2";
    bench.take(at, vec![failure(HUB, 90, at), line(HUB, 91, at + 5, login)]);
    let said = bench.tick(at + 10_000);
    let odd: Vec<_> = said.iter().flat_map(|said| &said.alert.unexpected).collect();
    let login = odd.iter().find(|odd| odd.text.contains("Accepted publickey")).expect("a login is among what is told");
    assert_eq!(&*login.text, "sshd: Accepted publickey for <user> from <ip> port <port> ssh<n>");
    let (per_hour, hours) = (login.normal_per_hour.unwrap(), login.normal_over_h.unwrap());
    assert!((per_hour - 2.0).abs() < 0.05 && (hours - 25.0).abs() < 0.05, "{per_hour} an hour over {hours} hours");
    let expected: Vec<&str> = odd.iter().flat_map(|odd| &odd.expected).map(|expected| &*expected.text).collect();
    assert!(expected.iter().any(|text| text.contains("<ip>")), "what was expected is shown as lines: {expected:?}");
    let failed = odd.iter().find(|odd| odd.text.contains("Failed password")).expect("and the failure");
    assert!(failed.normal_per_hour.unwrap().abs() < f32::EPSILON, "it never came before: {failed:?}");
}

#[test]
fn what_an_open_finding_explains_is_no_alert_of_its_own() {
    let mut bench = grown_up(Model::new(&nervous()).unwrap());
    let before: Vec<_> = bench.tick(DAY + 10_000).into_iter().map(|said| said.alert.id).collect();
    let mut said =
        bench.take(DAY + 20_000, vec![failure(HUB, 50, DAY + 20_000), finding(HUB, 51, 1, "a-00000000000000aa")]);
    for round in 0..200 {
        said.extend(bench.take(DAY + 21_000, vec![failure(HUB, 60 + round, DAY + 21_000 + round as i64)]));
    }
    said.extend(bench.tick(DAY + 60_000));
    let new: Vec<_> = said.iter().filter(|said| !before.contains(&said.alert.id)).collect();
    assert!(new.iter().all(|said| said.alert.id.as_str() == "a-00000000000000aa"), "{new:?}");
}

/// Everything that is said of a mixed history, with the state put away and taken up at each of `cuts`, and ticks in
/// between or not.
fn history(cuts: &[i64], with_ticks: bool) -> Vec<Said> {
    let mut bench = grown_up(Model::new(&nervous()).unwrap());
    let mut all = Vec::new();
    for round in 0..40_i64 {
        let at = DAY + 10_000 + round * 900;
        let mut events =
            vec![failure(HUB, 100 + round as u64, at), line(HUB, 200 + round as u64, at, "Connection closed")];
        if round % 10 == 9 {
            events.push(finding(HUB, 300 + round as u64, round as u64, "a-00000000000000bb"));
        }
        all.extend(bench.take(at, events));
        if with_ticks {
            all.extend(bench.tick(at + 450));
            all.extend(bench.tick(at + 800));
        }
        if cuts.contains(&round) {
            bench.analysis = Analysis::restore(&bench.analysis.snapshot()).unwrap();
        }
    }
    all.extend(bench.tick(2 * DAY));
    all
}

#[test]
fn snapshots_and_ticks_in_between_change_nothing_that_is_said() {
    let expected = history(&[], false);
    assert!(expected.len() > 4);
    assert_eq!(history(&[], true), expected);
    assert_eq!(history(&[0, 7, 20], false), expected);
    assert_eq!(history(&(0..40).collect::<Vec<_>>(), true), expected);
}

#[test]
fn a_sequence_that_is_unusual_again_reopens_its_alert_and_is_heard() {
    let mut bench = grown_up(Model::new(&nervous()).unwrap());
    let first = bench.tick(DAY + 10_000).remove(0);
    let (mut known, mut told) = (Standing::settle(None, first.finding, first.alert.clone()), vec![]);
    // Within a day it is the same; after two days another, unless its events would give it the same id.
    for hours in [0, 3, 20, 68] {
        let at = DAY + 20_000 + hours * 3_600_000;
        let text = if hours == 3 { "Received disconnect from 192.0.2.9" } else { "Server listening on :: port 22." };
        let mut said = bench.take(at, vec![line(HUB, 50 + hours as u64, at, text)]);
        said.extend(bench.tick(at + 2 * 3_600_000));
        for Said { finding, alert, .. } in said {
            assert_eq!(alert.id, first.alert.id);
            let settled = Standing::settle(known.as_ref(), finding, alert).expect("no word is swallowed");
            told.push(settled.alert.status.to_string());
            known = Some(settled);
        }
    }
    assert_eq!(told.join(" "), "resolved open resolved open resolved open resolved");
    assert!(known.unwrap().alert.history.iter().any(|step| &*step.what == "reopened"));
}

#[test]
fn what_ends_between_two_lines_ends_at_its_own_time_whoever_ticks() {
    const PAUSE: i64 = 65 * 60_000;
    let told = |tick_ms: Option<i64>| {
        let mut bench = grown_up(Model::new(&nervous()).unwrap());
        let mut all = Vec::new();
        for round in 0..4_i64 {
            let at = DAY + 10_000 + round * PAUSE;
            let text =
                if round % 2 == 0 { "Server listening on :: port 22." } else { "Received disconnect from 192.0.2.9" };
            all.extend(bench.take(at, vec![line(HUB, 100 + round as u64, at, text)]));
            let ticks = tick_ms.into_iter().flat_map(|every| (1..).map(move |nth| nth * every));
            for after in ticks.take_while(|after| *after < PAUSE) {
                all.extend(bench.tick(at + after));
            }
        }
        all.extend(bench.tick(2 * DAY));
        all
    };
    let expected = told(None);
    let ended = expected.iter().filter(|said| said.alert.status == Status::Resolved).count();
    assert!(ended >= 4, "an hour without one is the end of each: {ended}");
    for every in [700, 60_000, 11 * 60_000] {
        assert_eq!(told(Some(every)), expected, "a tick every {every} ms");
    }
}

#[test]
fn damaged_snapshots_are_refused() {
    let whole = grown_up(model()).analysis.snapshot();
    assert!(Analysis::restore(&whole).is_ok());
    assert_eq!(Analysis::restore(&[]).err(), Some(SnapshotError::Damaged));
    assert_eq!(Analysis::restore(&[0, 9]).err(), Some(SnapshotError::Version(9)));
    for length in [3, 7, whole.len() / 2, whole.len() - 1] {
        assert!(Analysis::restore(&whole[..length]).is_err(), "{length}");
    }
}
