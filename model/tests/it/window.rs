//! Windows in virtual time: when they are ready, what a flood costs, what survives a restart.

use nms_model::key::{Context, Factor, Scope};
use nms_model::window::{KeyedEvent, Window, Windows, actor_id};
use nms_proto::extraction::{Actor, AppFamily};
use nms_proto::limits::{MODEL_WINDOW_EVENTS, MODEL_WINDOW_IDLE_MS, MODEL_WINDOW_STRIDE};
use proptest::prelude::*;

use crate::key::key;

pub(crate) fn event(name: &str, at_ms: i64) -> KeyedEvent {
    let key = key(name);
    KeyedEvent { key, family: key.family(), context: Context::default(), at_ms, times: 1, token: at_ms as u64 }
}

const LOGIN: &str = "sshd.login.failed";
const CLOSED: &str = "sshd.connection.none";

fn alternate(windows: &mut Windows, from: i64, count: i64) -> Vec<Window> {
    (from..from + count)
        .flat_map(|at| windows.push(at as u64, 1, None, event(if at % 2 == 0 { LOGIN } else { CLOSED }, at)))
        .collect()
}

#[test]
fn a_window_is_ready_at_the_stride_and_keeps_what_came_before() {
    let mut windows = Windows::default();
    let stride = MODEL_WINDOW_STRIDE as i64;
    assert!(alternate(&mut windows, 0, stride - 1).is_empty());
    let ready = alternate(&mut windows, stride - 1, 1);
    assert_eq!((ready.len(), ready[0].positions.len(), ready[0].fresh), (1, MODEL_WINDOW_STRIDE, MODEL_WINDOW_STRIDE));
    assert_eq!(ready[0].scope, Scope::Source(1, AppFamily::Sshd));
    let ready = alternate(&mut windows, stride, 2 * stride);
    assert_eq!(ready.len(), 2);
    assert_eq!(ready[1].positions.len(), MODEL_WINDOW_EVENTS);
    assert_eq!(ready[1].positions.last().unwrap().last, 3 * stride as u64 - 1);
}

#[test]
fn a_window_is_ready_once_when_nothing_more_comes() {
    let mut windows = Windows::default();
    assert_eq!(windows.deadline(), None);
    windows.push(1_000, 1, None, event(LOGIN, 1_000));
    windows.push(1_500, 1, None, event(CLOSED, 1_500));
    assert_eq!(windows.deadline(), Some(1_000 + MODEL_WINDOW_IDLE_MS));
    assert!(windows.tick(1_000 + MODEL_WINDOW_IDLE_MS).is_empty(), "something came in between");
    assert_eq!(windows.deadline(), Some(1_500 + MODEL_WINDOW_IDLE_MS));
    let ready = windows.tick(1_500 + MODEL_WINDOW_IDLE_MS);
    assert_eq!((ready.len(), ready[0].fresh), (1, 2));
    assert_eq!(windows.deadline(), None);
    assert!(windows.tick(u64::MAX).is_empty());
}

#[test]
fn a_flood_is_one_position_and_a_few_windows() {
    let mut windows = Windows::default();
    windows.push(0, 1, None, event("sshd.login.ok", 0));
    let mut ready = Vec::new();
    for at in 1..=10_000 {
        while windows.deadline().is_some_and(|due| due <= at as u64) {
            ready.extend(windows.tick(at as u64));
        }
        ready.extend(windows.push(at as u64, 1, None, event(LOGIN, at)));
    }
    ready.extend(windows.tick(u64::MAX));
    assert!(ready.len() <= 3, "{} windows", ready.len());
    let last = ready.last().unwrap();
    assert_eq!(last.positions.len(), 2, "the login before the flood is still there");
    let flood = last.positions[1];
    assert_eq!((flood.first, flood.first_at_ms, flood.context.value(Factor::Repeat)), (1, 1, 8));
}

#[test]
fn another_class_of_path_is_not_one_more_of_a_run() {
    use nms_proto::extraction::{Action, Extraction, Object};
    let mut windows = Windows::default();
    for (at, path) in ["/etc/nginx/nginx.conf", "/etc/nginx/mime.types", "/etc/passwd"].into_iter().enumerate() {
        let extraction = Extraction {
            action: Action::File,
            object: Some(Object::Path(path)),
            ..Extraction::unknown(AppFamily::FileIntegrity)
        };
        let context = Context::of(&extraction, &crate::key::situation(0));
        let event = KeyedEvent { context, ..event("file_integrity.file.ok", at as i64) };
        windows.push(0, 1, None, event);
    }
    let counts: Vec<u32> = windows.tick(u64::MAX)[0].positions.iter().map(|position| position.count).collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn an_actor_has_a_window_across_sources() {
    let mut windows = Windows::default();
    let actor = actor_id(&Actor::Address([192, 0, 2, 1].into()));
    assert_eq!(actor, actor_id(&Actor::Address("::ffff:192.0.2.1".parse().unwrap())), "one address, two spellings");
    windows.push(0, 1, Some(actor), event(LOGIN, 0));
    windows.push(1, 2, Some(actor), event("nginx.request.failed", 1));
    let ready = windows.tick(u64::MAX);
    let across = ready.iter().find(|window| window.scope == Scope::Actor(actor)).unwrap();
    assert_eq!((ready.len(), across.positions.len()), (3, 2));
    assert_ne!(
        across.positions[0].context.value(Factor::Scope),
        ready.iter().find(|w| w.scope != across.scope).unwrap().positions[0].context.value(Factor::Scope)
    );
}

#[test]
fn the_window_unused_for_longest_is_handed_out_before_it_is_forgotten() {
    let mut windows = Windows::new(2);
    assert!(windows.push(0, 1, None, event(LOGIN, 0)).is_empty());
    assert!(windows.push(0, 2, None, event(LOGIN, 0)).is_empty());
    let ready = windows.push(0, 3, None, event(LOGIN, 0));
    assert_eq!(ready[0].scope, Scope::Source(1, AppFamily::Sshd));
    assert_eq!((windows.len(), windows.counts().forgotten), (2, 1));
    assert_eq!(windows.tick(u64::MAX).len(), 2);
}

#[test]
fn gaps_follow_the_events_time_not_the_clock() {
    let mut windows = Windows::default();
    windows.push(0, 1, None, event(LOGIN, 0));
    windows.push(1, 1, None, event(CLOSED, 7_200_000));
    windows.push(2, 1, None, event(LOGIN, 7_000_000));
    let gaps: Vec<u8> = windows.tick(u64::MAX)[0].positions.iter().map(|p| p.context.value(Factor::Gap)).collect();
    assert_eq!(gaps, [0, 7, 1], "none, two hours, and back in time counts as at once");
}

proptest! {
    /// A restart at any moment loses no event and no waiting window.
    #[test]
    fn a_snapshot_changes_nothing(names in prop::collection::vec(0..4usize, 1..80), cut in 0..80usize) {
        let names: Vec<&str> = names.iter().map(|n| [LOGIN, CLOSED, "sshd.login.ok", "cron.command.none"][*n]).collect();
        let run = |restart: bool| {
            let mut windows = Windows::new(16);
            let mut ready = Vec::new();
            for (at, name) in names.iter().enumerate() {
                if restart && at == cut {
                    windows = Windows::restore(&windows.snapshot(), 16, at as u64).unwrap();
                }
                ready.extend(windows.push(at as u64, 7, Some(at as u64 % 3), event(name, at as i64)));
            }
            ready.extend(windows.tick(u64::MAX));
            ready.sort_by_key(|window| (window.scope, window.positions.last().map(|p| p.last)));
            ready
        };
        prop_assert_eq!(run(false), run(true));
    }

    /// No bytes make a restore panic.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let restored = Windows::restore(&bytes, 4, 0);
        prop_assert!(restored.is_err() || restored.is_ok_and(|windows| windows.len() <= 4));
    }
}
