//! An end at any point is taken up again: every alert comes, once, with the same id.

use std::{path::Path, sync::Arc};

use nms_kit::store::{Db, Op, Settings, Table, ignore};
use nms_proto::{
    alert::Status,
    event::Body,
    id::{Instance, TenantId},
    limits::{ALERT_TECHNIQUES_MAX, ALERT_TEXT_BYTES, NAME_BYTES_MAX, TENANT_STANDINGS_BYTES},
    message::Results,
    session::server::Answer,
    time::Tick,
};
use nmsd_server::{
    store::{Change, Class, Cursor, LogSeq, Mark, Store as _},
    work::{
        Work,
        marks::{DEATHS_MAX, Marks},
        panics,
    },
};

use crate::world::{HUB, Hub, OTHER_HUB, Server, analyse, batch, failure, finding, flush, model, now, run, settle};

/// The alerts of RESULTS, as `id revision`.
fn told(results: &[Results]) -> Vec<String> {
    let alerts = results.iter().flat_map(|results| &results.alerts);
    alerts.map(|alert| format!("{} {}", alert.id, alert.revision)).collect()
}

#[test]
fn a_finding_comes_back_as_an_alert_with_the_models_part() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    hub.send(0, batch(1, &run(HUB)));
    analyse(&hub.tenant, 1);
    let results = hub.results();
    let alert = &results[0].alerts[0];
    assert_eq!((alert.id.as_str(), alert.revision, &alert.status), ("a-0000000000000001", 3, &Status::Open));
    assert_eq!(alert.model.as_ref().unwrap().id.as_ref(), "test");
    assert_eq!(results[0].stats.events_processed, 6);
    assert_eq!(hub.tenant.gate().backlog_bytes(), 0, "what was analysed does not wait");
    assert_eq!(hub.tenant.store().alert(&alert.id).unwrap().unwrap().alert, *alert);
}

#[test]
fn a_server_that_ends_between_ack_and_alert_tells_it_after_the_restart_once() {
    let folder = tempfile::tempdir().unwrap();
    Hub::connect(&Server::open(folder.path()), "home", HUB).send(0, batch(1, &run(HUB)));
    for _ in 0..3 {
        // Each of these ends without an acknowledgement of the RESULTS.
        let server = Server::open(folder.path());
        server.tenants.wake_all().unwrap();
        let hub = Hub::connect(&server, "home", HUB);
        analyse(&hub.tenant, 10);
        let results = hub.results();
        assert_eq!(told(&results), ["a-0000000000000001 3"]);
        assert_eq!(results[0].seq, Some(1), "the same RESULTS, not new ones");
    }
    {
        let server = Server::open(folder.path());
        let hub = Hub::connect(&server, "home", HUB);
        assert_eq!(told(&hub.results()).len(), 1);
        hub.tenant.acknowledged(HUB, Tick(0), 1);
        flush(&hub.tenant);
    }
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    analyse(&hub.tenant, 10);
    assert_eq!(told(&hub.results()), [""; 0]);
    hub.send(20, batch(2, &[finding(HUB, 9, 2, "a-0000000000000001")]));
    analyse(&hub.tenant, 30);
    let results = hub.results();
    assert_eq!(told(&results), ["a-0000000000000001 5"]);
    assert_eq!(results[0].seq, Some(2), "numbers go on after everything was acknowledged");
}

#[test]
fn the_same_finding_again_is_not_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    hub.send(0, batch(1, &run(HUB)));
    let sent_twice = batch(1, &run(HUB));
    assert_eq!(hub.tenant.take(0, HUB, sent_twice), Answer::Duplicate);
    hub.send(1, batch(2, &[finding(HUB, 6, 1, "a-0000000000000001")]));
    analyse(&hub.tenant, 5);
    assert_eq!(told(&hub.results()), ["a-0000000000000001 3"]);
}

#[test]
fn an_alert_goes_to_the_hub_whose_events_it_holds_and_to_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let (one, two) = (Hub::connect(&server, "home", HUB), Hub::connect(&server, "home", OTHER_HUB));
    let stranger = Hub::connect(&server, "work", HUB);
    one.send(0, batch(1, &run(HUB)));
    analyse(&one.tenant, 5);
    assert_eq!(told(&one.results()).len(), 1);
    assert_eq!(told(&two.results()).len(), 0);
    assert_eq!(told(&stranger.results()).len(), 0);
    assert_eq!(stranger.tenant.store().alerts().unwrap().len(), 0);
}

/// Batches of a tenant that trickle in, with findings among them.
fn history(number: u64) -> Vec<nms_proto::event::Event> {
    let at = number as i64 * 700;
    let mut events: Vec<_> = (0..20).map(|index| failure(HUB, number * 100 + index, at + index as i64 * 30)).collect();
    if number.is_multiple_of(3) {
        let alert = format!("a-{:016x}", number / 6);
        events.push(finding(HUB, number * 100 + 50, number, &alert));
    }
    events
}

/// All alerts after 12 batches, where the server ends after `ends` of them, with or without its last words.
fn alerts_after(folder: &Path, ends: &[u64], with_last_words: bool) -> Vec<String> {
    let (mut server, mut number) = (Server::open(folder), 0);
    loop {
        let hub = Hub::connect(&server, "home", HUB);
        let mut work = Work::open(Arc::clone(&hub.tenant), now(number as i64 * 700)).unwrap();
        let mut model = model();
        settle(&hub.tenant, &mut work, &mut model, now(number as i64 * 700));
        while number < 12 {
            number += 1;
            let at = number as i64 * 700;
            hub.send(at, batch(number, &history(number)));
            // Some batches are only analysed with the next ones, or after the end.
            if number.is_multiple_of(2) {
                settle(&hub.tenant, &mut work, &mut model, now(at));
            }
            if ends.contains(&number) {
                break;
            }
        }
        if with_last_words {
            work.finish(now(number as i64 * 700)).unwrap();
            flush(&hub.tenant);
        }
        if number == 12 {
            settle(&hub.tenant, &mut work, &mut model, now(60_000));
            let alerts = hub.tenant.store().alerts().unwrap();
            return alerts.iter().map(|known| serde_json::to_string(known).unwrap()).collect();
        }
        drop((work, hub));
        drop(server);
        server = Server::open(folder);
    }
}

#[test]
fn restarts_in_the_middle_of_everything_change_no_alert() {
    let fresh = || tempfile::tempdir().unwrap();
    let expected = alerts_after(fresh().path(), &[], false);
    assert_eq!(expected.len(), 3);
    for ends in [&[1][..], &[2], &[5], &[6, 7, 8], &[3, 9], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]] {
        assert_eq!(alerts_after(fresh().path(), ends, false), expected, "{ends:?} without last words");
        assert_eq!(alerts_after(fresh().path(), ends, true), expected, "{ends:?} with last words");
    }
}

/// A server that ends while batch `bad` is analysed: its mark is durable, nothing after it is. None where the batch goes
/// to quarantine first. `panicked`: the life before ended at it too, by a panic.
fn die_at(folder: &Path, bad: LogSeq, panicked: bool) -> Option<Mark> {
    let server = Server::open(folder);
    let tenant = server.tenant("home");
    let progress = tenant.store().progress().unwrap();
    let (marks, guilty) = Marks::begin(&progress, tenant.store().last(), panicked.then_some(bad));
    if guilty.is_some() {
        return None;
    }
    // As the analysis does it: mark after mark from the cursor on, until the one that holds the bad batch.
    let mut from = progress.cursor.scored.next();
    loop {
        let mark = marks.mark(from, tenant.store().last()).unwrap();
        if (mark.from..=mark.to).contains(&bad) {
            tenant.store().commit(vec![Change::Mark(mark)], Class::Upkeep, ignore()).unwrap();
            flush(&tenant);
            return Some(mark);
        }
        from = mark.to.next();
    }
}

/// A server with three batches that were not analysed.
fn three_batches() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    hub.send(0, batch(1, &[failure(HUB, 1, 0)]));
    hub.send(0, batch(2, &[finding(HUB, 2, 1, "a-00000000000000bd")]));
    hub.send(0, batch(3, &[finding(HUB, 3, 1, "a-0000000000000003")]));
    folder
}

#[test]
fn a_batch_at_which_the_process_panicked_twice_goes_to_quarantine() {
    let folder = three_batches();
    let bad = LogSeq(2);
    assert!(die_at(folder.path(), bad, false).is_some(), "the first panic");
    assert_eq!(die_at(folder.path(), bad, true).map(|mark| mark.from), Some(bad), "alone now; the second");
    assert_eq!(die_at(folder.path(), bad, true), None);
}

#[test]
fn batches_that_only_stood_near_a_kill_are_never_blamed() {
    let folder = three_batches();
    // Kills that come at any batch, as under load.
    for round in 0..60_u64 {
        let at = LogSeq(round.wrapping_mul(2_654_435_761) % 3 + 1);
        assert!(die_at(folder.path(), at, false).is_some(), "{round}");
    }
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    let work = analyse(&hub.tenant, 10);
    assert_eq!((work.standing().quarantined, told(&hub.results()).len()), (0, 2));
}

#[test]
fn a_panic_of_a_thread_that_analyses_leaves_a_note_that_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(panics::take_notes(folder.path()).is_empty());
    panics::leave_notes(folder.path());
    let home: TenantId = "home".parse().unwrap();
    let panicking = |look: fn(&TenantId)| {
        let home = home.clone();
        std::thread::spawn(move || {
            look(&home);
            panic!("a test's");
        })
    };
    panicking(|home| {
        panics::look_at(home, LogSeq(6));
        panics::look_at(home, LogSeq(7));
    })
    .join()
    .unwrap_err();
    panicking(|_| ()).join().unwrap_err();
    panicking(|home| {
        panics::look_at(home, LogSeq(8));
        panics::look_away();
    })
    .join()
    .unwrap_err();
    assert_eq!(panics::take_notes(folder.path()).into_iter().collect::<Vec<_>>(), [(home, LogSeq(7))]);
    assert!(panics::take_notes(folder.path()).is_empty());
}

#[test]
fn a_batch_that_ends_the_process_goes_to_quarantine_and_the_rest_is_analysed() {
    let folder = three_batches();
    let bad = LogSeq(2);
    let marks: Vec<Mark> = std::iter::from_fn(|| die_at(folder.path(), bad, false)).take(20).collect();
    let among = Mark { from: LogSeq(1), to: LogSeq(3), deaths: 0 };
    let alone = (0..DEATHS_MAX).map(|deaths| Mark { from: bad, to: bad, deaths });
    assert_eq!(marks, [among].into_iter().chain(alone).collect::<Vec<_>>(), "among others, then alone");
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    let work = analyse(&hub.tenant, 10);
    assert_eq!(told(&hub.results()), ["a-0000000000000003 3"]);
    assert_eq!((work.standing().quarantined, work.standing().cursor.scored), (1, LogSeq(3)));
    let progress = hub.tenant.store().progress().unwrap();
    assert_eq!((progress.mark, progress.quarantined.contains(&bad)), (None, true));
}

#[test]
fn findings_with_endless_texts_are_cut_and_what_is_at_hand_of_them_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    let endless: Box<str> = "\u{e9}x".repeat(800).into();
    let huge = |number: u64| {
        let mut event = finding(HUB, number, 1, &format!("a-{number:016x}"));
        let Body::Finding(body) = &mut event.body else { panic!() };
        (body.message, body.key) = (endless.clone(), endless.clone());
        (body.actor, body.victim) = (Some(endless.clone()), Some(endless.clone()));
        body.reasons = vec![endless.clone(); 4];
        body.techniques = vec!["T1110".into(); 500];
        body.evidence.iter_mut().for_each(|line| line.line = endless.clone());
        event
    };
    for number in 1..=80 {
        let events: Vec<_> = (number * 5 - 4..=number * 5).map(huge).collect();
        hub.send(0, batch(number, &events));
    }
    let work = analyse(&hub.tenant, 10);
    assert_eq!(work.standing().counts.cut, 400);
    for known in hub.tenant.store().alerts().unwrap() {
        let alert = known.alert;
        let lines = alert.evidence.iter().map(|line| &line.line);
        let mut texts = lines.chain(&alert.reasons).chain([&alert.message]);
        assert!(texts.all(|text| (ALERT_TEXT_BYTES - 1..=ALERT_TEXT_BYTES).contains(&text.len())));
        let mut names = alert.actor.iter().chain(&alert.victim);
        assert!(names.all(|name| (NAME_BYTES_MAX - 1..=NAME_BYTES_MAX).contains(&name.len())));
        assert_eq!((alert.techniques.len(), alert.evidence.len()), (ALERT_TECHNIQUES_MAX, 5));
    }
    let bytes = work.standings_bytes();
    assert!((TENANT_STANDINGS_BYTES / 2..=TENANT_STANDINGS_BYTES).contains(&bytes), "{bytes}");
}

#[test]
fn what_does_not_fit_in_memory_is_read_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    hub.send(0, batch(1, &[failure(HUB, 1, 0)]));
    hub.send(0, batch(2, &run(HUB)));
    // Somebody else took the first batches out of memory.
    hub.tenant.inbox().take(hub.tenant.id(), LogSeq(0), 1 << 20);
    let work = analyse(&hub.tenant, 10);
    assert_eq!(work.standing().cursor.scored, LogSeq(2));
    assert_eq!(told(&hub.results()), ["a-0000000000000001 3"]);
}

#[test]
fn each_damaged_batch_is_counted_and_the_rest_is_analysed() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = Server::open(folder.path());
        let hub = Hub::connect(&server, "home", HUB);
        (1..=4).for_each(|number| hub.send(0, batch(number, &[failure(HUB, number, 0)])));
        hub.send(0, batch(5, &run(HUB)));
    }
    let file = std::fs::read_dir(folder.path().join("log")).unwrap().map(|file| file.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "redb")).unwrap();
    {
        let db = Db::open_file(&file, Settings::with_cache(1 << 20)).unwrap();
        let key = |seq: u64| [&1_u32.to_be_bytes()[..], &seq.to_be_bytes()].concat();
        let put = |seq| Op::Put { table: Table("log.entries.v1"), key: key(seq), value: b"x".to_vec() };
        smol::block_on(db.commit(vec![put(2), put(3)], Class::Upkeep)).unwrap();
    }
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    let entries = hub.tenant.store().read(LogSeq(1), 1 << 20).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.seq().0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let work = analyse(&hub.tenant, 10);
    assert_eq!((work.standing().damaged, work.standing().cursor.scored), (2, LogSeq(5)));
    assert_eq!(told(&hub.results()).len(), 1);
}

#[test]
fn one_tenants_backlog_makes_only_that_tenant_busy() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let (flood, quiet) = (Hub::connect(&server, "flood", HUB), Hub::connect(&server, "quiet", HUB));
    let text = "x".repeat(60_000);
    let busy = (1..1_000).find_map(|number| {
        let lines = [1, 2].map(|half| crate::world::line(HUB, 2 * number + half, 0, &text));
        let big = batch(number, &lines);
        match flood.tenant.take(0, HUB, big) {
            Answer::Taken => None,
            answer => Some(answer),
        }
    });
    assert!(matches!(busy, Some(Answer::Busy { .. })), "{busy:?}");
    quiet.send(0, batch(1, &run(HUB)));
    analyse(&quiet.tenant, 10);
    assert_eq!(told(&quiet.results()).len(), 1);
    assert!(flood.tenant.counts().busy > 0 && quiet.tenant.counts().busy == 0);
}

#[test]
fn a_lost_log_begins_anew_without_waiting_for_its_old_end() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = Server::open(folder.path());
        let tenant = server.tenant("home");
        let cursor = Cursor { scored: LogSeq(500), ticked_ms: 0 };
        tenant.store().commit(vec![Change::Cursor(cursor)], Class::Upkeep, ignore()).unwrap();
        flush(&tenant);
    }
    let server = Server::open(folder.path());
    assert_eq!(server.store.tenants().unwrap(), ["home".parse::<TenantId>().unwrap()]);
    let hub = Hub::connect(&server, "home", HUB);
    hub.send(0, batch(1, &run(HUB)));
    analyse(&hub.tenant, 10);
    assert_eq!(told(&hub.results()).len(), 1);
}

#[test]
fn an_original_sender_is_logged_and_analysed_and_its_events_get_names() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let tenant = server.tenant("home");
    tenant.enter(0, Instance::UNNAMED).unwrap();
    let mut original = batch(1, &[failure(Instance::UNNAMED, 0, 0), failure(Instance::UNNAMED, 1, 0)]);
    original.batch = None;
    for _ in 0..2 {
        assert_eq!(tenant.take(0, Instance::UNNAMED, original.clone()), Answer::Taken, "not deduplicated");
    }
    let watcher = Hub::connect(&server, "home", HUB);
    watcher.send(0, batch(1, &[failure(HUB, 1, 0)]));
    let work = analyse(&tenant, 10);
    assert_eq!(work.standing().counts.events, 5);
    let entries = tenant.store().read(LogSeq(1), 1).unwrap();
    let nmsd_server::store::Entry::Batch(logged) = &entries[0] else { panic!() };
    assert_eq!(logged.events[1].id.instance, tenant.store().origin());
    assert_ne!(logged.events[0].id, logged.events[1].id);
}
