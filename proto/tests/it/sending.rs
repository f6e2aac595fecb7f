//! The life of a sender's connection, one test a rule of the protocol.

use nms_proto::id::{BatchSeq, Instance};
use nms_proto::limits::{COMMANDS_WAITING_MAX, HEARTBEAT_MS};
use nms_proto::message::{Ack, AckConfig, AckStatus, Command, CommandAction, Message, Results, ResultsStats};
use nms_proto::session::End;
use nms_proto::session::client::{Output, Stage};

use super::client::Client;

#[test]
fn register_carries_instance_and_next() {
    let mut client = Client::new(3..9);
    client.session.connected(client.now);
    let Some(Message::Register(register)) = client.frame() else { panic!("not a REGISTER") };
    assert_eq!((register.instance, register.next), (Some(Instance([5; 16])), Some(BatchSeq(9))));
    assert_eq!(client.frame(), None, "once");
}

#[test]
fn register_is_answered_within_10_s_or_the_connection_ends() {
    let mut client = Client::new(1..1);
    client.session.connected(client.now);
    client.wait(9_999);
    assert_eq!(client.stage(), Stage::Registering);
    client.wait(1);
    assert_eq!((client.end(), client.stage()), (Some(End::RegisterTimeout), Stage::Backoff));
}

#[test]
fn only_the_ack_of_register_makes_a_connection_active() {
    let mut client = Client::new(1..3);
    client.session.connected(client.now);
    assert!(matches!(client.frame(), Some(Message::Register(_))));
    assert_eq!(client.session.poll_output(), Some(Output::Connect));
    assert_eq!((client.session.poll_output(), client.frame()), (None, None), "no batch before it");
    let results = Results { alerts: vec![], stats: ResultsStats::default(), seq: Some(1) };
    client.session.received(client.now, Message::Results(results));
    assert_eq!(client.end(), Some(End::Unexpected("RESULTS")));
}

#[test]
fn a_refused_registration_is_tried_again_later() {
    let mut client = Client::new(1..1);
    client.register(Ack::new(AckStatus::Error, "unknown token"));
    assert_eq!((client.end(), client.stage()), (Some(End::Rejected("unknown token".into())), Stage::Backoff));
    client.retry();
    let busy = Ack { retry_after_ms: Some(20_000), ..Ack::new(AckStatus::Busy, "starting") };
    client.register(busy);
    client.outputs();
    assert_eq!(client.session.link(client.now).retry_in_ms, Some(20_000));
}

#[test]
fn backoff_starts_over_only_after_60_s_of_active() {
    let retry_ms = |active_ms: u64| {
        let mut client = Client::new(1..1);
        for _ in 0..9 {
            client.session.closed(client.now, "refused");
            client.retry();
        }
        client.outputs();
        client.session.connected(client.now);
        client.frame();
        client.ack(Ack::ok());
        let end = client.now.plus(active_ms);
        while client.now < end {
            if let Some(Message::Heartbeat(beat)) = client.frame() {
                client.ack(Ack { heartbeat: beat.heartbeat, ..Ack::ok() });
            }
            client.wait(end.since(client.now).min(HEARTBEAT_MS));
        }
        client.session.closed(client.now, "reset");
        client.session.link(client.now).retry_in_ms.unwrap()
    };
    assert!(retry_ms(59_999) >= 128_000);
    assert!((500..=1_000).contains(&retry_ms(60_000)));
}

#[test]
fn an_unreachable_peer_is_given_up_and_tried_again() {
    let mut client = Client::new(1..1);
    client.outputs();
    client.wait(30_000);
    assert_eq!(client.outputs(), vec![Output::Close(End::ConnectTimeout)]);
    client.retry();
    assert_eq!(client.outputs(), vec![Output::Connect]);
}

#[test]
fn a_heartbeat_goes_before_any_waiting_batch() {
    let mut client = Client::active(1..50);
    client.outputs();
    assert!(matches!(client.frame(), Some(Message::Batch(_))));
    client.wait(HEARTBEAT_MS);
    client.outputs();
    assert!(matches!(client.frame(), Some(Message::Heartbeat(_))));
    assert!(matches!(client.frame(), Some(Message::Batch(_))));
}

#[test]
fn heartbeats_go_every_30_s_and_three_unanswered_end_the_connection() {
    let mut client = Client::active(1..1);
    for number in 2..=4 {
        client.wait(HEARTBEAT_MS - 1);
        assert_eq!(client.frame(), None);
        client.wait(1);
        let Some(Message::Heartbeat(beat)) = client.frame() else { panic!("no heartbeat") };
        assert_eq!(beat.heartbeat, Some(number));
    }
    client.wait(HEARTBEAT_MS - 1);
    assert_eq!(client.stage(), Stage::Active);
    client.wait(1);
    assert_eq!(client.end(), Some(End::Silent));
}

/// The times until the next heartbeats, each answered at once.
fn beats(client: &mut Client, count: usize) -> Vec<u64> {
    let mut gaps = Vec::new();
    for _ in 0..count {
        let before = client.now;
        let beat = loop {
            client.wait(100);
            match client.frame() {
                Some(Message::Heartbeat(beat)) => break beat,
                Some(other) => panic!("{}", other.type_name()),
                None => {}
            }
        };
        client.ack(Ack { heartbeat: beat.heartbeat, ..Ack::ok() });
        gaps.push(client.now.since(before));
    }
    gaps
}

#[test]
fn heartbeats_go_as_often_as_the_peer_asks_from_its_word_on() {
    let every = |seconds| Some(AckConfig { heartbeat_interval: seconds, ..AckConfig::default() });
    let mut client = Client::new(1..1);
    client.register(Ack { batch: Some(BatchSeq(0)), config: every(1), ..Ack::ok() });
    assert_eq!(beats(&mut client, 3), [1_000; 3], "asked at the registration");
    client.ack(Ack { config: every(300), ..Ack::ok() });
    assert_eq!(beats(&mut client, 3), [1_000, 300_000, 300_000], "what was due stays due");
    client.ack(Ack { config: every(2), ..Ack::ok() });
    assert_eq!(beats(&mut client, 3), [2_000; 3], "the old interval is not waited for");
    client.wait(2_000 * 4);
    assert_eq!(client.end(), Some(End::Silent), "three that are missed are so by the new interval");
}

#[test]
fn a_stream_that_takes_nothing_ends_like_one_that_gives_nothing() {
    let mut client = Client::active(1..1);
    client.wait(HEARTBEAT_MS * 4);
    assert_eq!(client.end(), Some(End::Silent), "no heartbeat could be written");
}

#[test]
fn an_echoed_heartbeat_measures_the_round_trip() {
    let mut client = Client::active(1..1);
    client.wait(HEARTBEAT_MS);
    let Some(Message::Heartbeat(beat)) = client.frame() else { panic!("no heartbeat") };
    client.wait(40);
    client.durable(0);
    assert_eq!(client.session.link(client.now).rtt_ms, Some(0), "of the first; an ACK of a batch is no answer");
    client.ack(Ack { heartbeat: beat.heartbeat, ..Ack::ok() });
    assert_eq!(client.session.link(client.now).rtt_ms, Some(40));
}

#[test]
fn from_a_peer_without_numbered_heartbeats_the_next_ack_counts() {
    let mut client = Client::new(1..1);
    client.outputs();
    client.session.connected(client.now);
    client.frame();
    client.ack(Ack::ok());
    for _ in 0..8 {
        assert!(matches!(client.frame(), Some(Message::Heartbeat(_))));
        client.ack(Ack::ok());
        client.wait(HEARTBEAT_MS);
    }
    assert_eq!(client.stage(), Stage::Active);
}

#[test]
fn results_are_acknowledged_when_they_are_durable_and_together() {
    let mut client = Client::active(1..1);
    let results = |seq| Results { alerts: vec![], stats: ResultsStats::default(), seq: Some(seq) };
    client.session.received(client.now, Message::Results(results(4)));
    client.session.received(client.now, Message::Results(results(5)));
    assert_eq!(client.outputs(), vec![Output::Results(results(4)), Output::Results(results(5))]);
    assert_eq!(client.frame(), None);
    client.session.results_durable(4);
    client.session.results_durable(5);
    let Some(Message::Ack(ack)) = client.frame() else { panic!("no ACK") };
    assert_eq!((ack.results, client.frame()), (Some(5), None));
}

#[test]
fn a_command_is_sent_again_after_a_reconnect_until_it_is_answered() {
    let mut client = Client::active(1..1);
    let command = |id: usize| Command {
        command_id: format!("c{id}").into(),
        action: CommandAction::Note,
        target: "a-1".into(),
        arguments: std::collections::BTreeMap::default(),
    };
    for id in 0..COMMANDS_WAITING_MAX {
        client.session.command(command(id)).unwrap();
    }
    assert!(client.session.command(command(999)).is_err());
    assert_eq!(client.frame(), Some(Message::Command(command(0))));
    client.session.closed(client.now, "reset");
    client.retry();
    client.register(Ack::ok());
    assert_eq!(client.frame(), Some(Message::Command(command(0))));
    let answer = Ack { command_id: Some("c0".into()), ..Ack::ok() };
    client.ack(answer.clone());
    client.ack(answer.clone());
    assert_eq!(client.outputs(), vec![Output::CommandAnswered(answer)], "once");
}

#[test]
fn what_a_peer_asks_for_is_kept_within_the_limits() {
    let mut client = Client::active(1..1);
    let config = AckConfig { heartbeat_interval: 0, batch_size: 1 << 40, window: Some(0) };
    client.ack(Ack { config: Some(config), ..Ack::ok() });
    let kept = AckConfig { heartbeat_interval: 1, batch_size: 1_024, window: Some(1) };
    assert_eq!(client.session.config(), kept);
}

#[test]
fn bytes_that_are_no_message_end_the_connection_by_name() {
    let mut client = Client::active(1..1);
    client.session.malformed(client.now, &"frame of length 0");
    let end = client.end().unwrap();
    assert_eq!(end.to_string(), "not understood: frame of length 0");
    assert_eq!(client.session.link(client.now).problem, Some(end));
}
