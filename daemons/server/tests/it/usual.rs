//! What is missing or too many in an unusual window, beside the ordinary ones that were seen here.

use nms_proto::{alert::Alert, event::Event, id::EndpointId};
use nmsd_server::analyse::{Analysis, model::Model};

use crate::{
    analyse::{Bench, DAY, grown_up},
    world::{HUB, line, model, nervous},
};

const LOGIN: &str = "Accepted publickey for anna from 192.0.2.9 port 40999 ssh2";
const LOGOUT: &str = "Disconnected from user anna 192.0.2.9 port 40999";
const FAILURE: &str = "Failed password for root from 203.0.113.9 port 4022 ssh2";

fn at(source: &str, seq: u64, after_ms: i64, text: &str) -> Event {
    Event { source: EndpointId::new(source), ..line(HUB, seq, after_ms, text) }
}

/// A day and a bit of sessions that end as they should, which the model finds ordinary.
fn settled() -> Bench {
    let mut bench = Bench::new(model());
    for session in 0..6_i64 {
        let begun = session * 5 * 3_600_000;
        bench.take(begun, vec![at("192.0.2.7", 1, begun, LOGIN), at("192.0.2.7", 2, begun + 500, LOGOUT)]);
        bench.tick(begun + 10_000);
    }
    bench
}

/// What a model that finds everything unusual says of these lines of another host.
fn odd(bench: &mut Bench, texts: &[&str]) -> Alert {
    bench.model = Model::new(&nervous()).unwrap();
    let begun = DAY + 5 * 3_600_000;
    let events = texts.iter().zip(0_i64..).map(|(text, nth)| at("192.0.2.8", 100 + nth as u64, begun + nth, text));
    let events: Vec<Event> = events.collect();
    bench.take(begun, events);
    bench
        .tick(begun + 10_000)
        .into_iter()
        .map(|said| said.alert)
        .find(|alert| alert.source.as_str() == "192.0.2.8")
        .unwrap()
}

#[test]
fn an_end_that_is_missing_is_named_in_the_tenants_words() {
    let alert = odd(&mut settled(), &[LOGIN, LOGOUT, LOGIN]);
    assert_eq!(
        &*alert.reasons[1],
        "beside the most alike ordinary window here: missing 1 of \"sshd: Disconnected from user <user> <ip> port <port>\""
    );
    assert_eq!(alert.reasons.len(), 2);
}

#[test]
fn too_many_of_one_kind_are_counted() {
    let texts: Vec<&str> = [LOGIN, LOGOUT].into_iter().chain([FAILURE; 12]).collect();
    let alert = odd(&mut settled(), &texts);
    assert_eq!(
        &*alert.reasons[1],
        "beside the most alike ordinary window here: 12 more of \"sshd: Failed password for <user> from <ip> port <port> ssh<n>\""
    );
}

#[test]
fn where_nothing_alike_was_seen_nothing_is_said() {
    let mut fresh = grown_up(Model::new(&nervous()).unwrap());
    assert_eq!(odd(&mut fresh, &[LOGIN, LOGOUT, LOGIN]).reasons.len(), 1, "a tenant without ordinary windows");
    let strange = odd(&mut settled(), &["Server listening on 0.0.0.0 port 22."]);
    assert_eq!(strange.reasons.len(), 1, "a window that shares no kind of event with any");
}

#[test]
fn a_restart_forgets_no_ordinary_window() {
    let mut bench = settled();
    bench.analysis = Analysis::restore(&bench.analysis.snapshot()).unwrap();
    assert_eq!(odd(&mut bench, &[LOGIN, LOGOUT, LOGIN]), odd(&mut settled(), &[LOGIN, LOGOUT, LOGIN]));
}
