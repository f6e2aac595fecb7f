//! The sender's end of a link, one test a rule of the protocol.

use nms_proto::id::{BatchSeq, Instance};
use nms_proto::json::Decoder;
use nms_proto::limits::{COMMANDS_WAITING_MAX, HEARTBEAT_MS, WINDOW_BATCHES, WINDOW_BYTES};
use nms_proto::message::{
    self, Ack, AckConfig, AckStatus, Batch, BatchBuilder, Command, CommandAction, Message, Register, Results,
    ResultsStats, Skipped,
};
use nms_proto::session::client::{ClientSession, Output, SpooledBatch, Stage};
use nms_proto::session::{BATCH_NUMBER_REUSED, CAUSE_MISSING, End};
use nms_proto::time::{Stamp, Tick};

use super::pair::hub::event;

const START: Tick = Tick(1_000);

/// A session, its clock, and a spool that holds `first..next`.
struct Client {
    now: Tick,
    session: ClientSession,
    held: std::ops::Range<u64>,
    content_bytes: usize,
    skipped: Vec<Skipped>,
}

impl Client {
    fn new(held: std::ops::Range<u64>) -> Self {
        let register = Register { instance: Some(Instance([5; 16])), ..Register::default() };
        let session = ClientSession::new(START, 7, register, BatchSeq(held.start)..BatchSeq(held.end));
        Self { now: START, session, held, content_bytes: 0, skipped: vec![] }
    }

    /// Registered, with nothing durable at the receiver, its first heartbeat answered.
    fn active(held: std::ops::Range<u64>) -> Self {
        let mut client = Self::new(held);
        client.register(Ack { batch: Some(BatchSeq(0)), ..Ack::ok() });
        client
    }

    fn register(&mut self, ack: Ack) {
        assert_eq!(self.session.poll_output(), Some(Output::Connect));
        self.session.connected(self.now);
        assert!(matches!(self.frame(), Some(Message::Register(_))));
        self.session.received(self.now, Message::Ack(ack));
        if let Some(Message::Heartbeat(beat)) = self.frame() {
            self.ack(Ack { heartbeat: beat.heartbeat, ..Ack::ok() });
        }
    }

    fn ack(&mut self, ack: Ack) {
        self.session.received(self.now, Message::Ack(ack));
    }

    fn durable(&mut self, batch: u64) {
        self.ack(Ack { batch: Some(BatchSeq(batch)), ..Ack::ok() });
    }

    fn refuse(&mut self, batch: Option<u64>) {
        self.ack(Ack { batch: batch.map(BatchSeq), ..Ack::new(AckStatus::Error, "no") });
    }

    fn busy(&mut self, durable: u64, retry_after_ms: u64) {
        let busy = Ack::new(AckStatus::Busy, "backlog");
        self.ack(Ack { batch: Some(BatchSeq(durable)), retry_after_ms: Some(retry_after_ms), ..busy });
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        while let Some(deadline) = self.session.deadline().filter(|at| *at <= self.now) {
            self.session.handle_timeout(deadline);
        }
        self.session.handle_timeout(self.now);
    }

    /// Waits as long as the backoff says.
    fn retry(&mut self) {
        assert_eq!(self.stage(), Stage::Backoff);
        self.now = self.session.deadline().unwrap();
        self.session.handle_timeout(self.now);
    }

    fn frame(&mut self) -> Option<Message> {
        let frame = self.session.poll_transmit(self.now, Stamp::utc(0))?;
        Some(message::read(&mut Decoder::default(), &frame[4..], Stamp::utc(0)).unwrap())
    }

    /// What the session asks for, with its reads answered.
    fn outputs(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.session.poll_output() {
            let Output::Read(read) = output else {
                outputs.push(output);
                continue;
            };
            let from = read.from.0.max(self.held.start);
            let batches = (from..self.held.end).take(read.batches_max).map(|seq| SpooledBatch {
                seq: BatchSeq(seq),
                skipped: self.skipped.iter().filter(|run| run.to.next().0 == seq).cloned().collect(),
                content: content(self.content_bytes),
            });
            self.session.loaded(read, batches);
        }
        outputs
    }

    /// The batches that go out now.
    fn batches(&mut self) -> Vec<Batch> {
        let mut batches = Vec::new();
        loop {
            let outputs = self.outputs();
            assert_eq!(outputs, vec![], "only reads were expected");
            match self.frame() {
                Some(Message::Batch(batch)) => batches.push(batch),
                Some(Message::Heartbeat(_)) => {}
                None => return batches,
                Some(other) => panic!("not a batch: {other:?}"),
            }
        }
    }

    fn numbers(&mut self) -> Vec<u64> {
        self.batches().iter().map(|batch| batch.batch.unwrap().0).collect()
    }

    fn stage(&self) -> Stage {
        self.session.link(self.now).stage
    }

    /// Why the session ended the connection.
    fn end(&mut self) -> Option<End> {
        self.outputs().into_iter().find_map(|output| if let Output::Close(end) = output { Some(end) } else { None })
    }
}

/// The content of a batch of at least that many bytes.
fn content(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.push(&event(Instance([5; 16]), 1, false)).unwrap();
    let mut content = builder.finish().1;
    let space = bytes.saturating_sub(content.len());
    content.splice(content.len() - 1..content.len() - 1, std::iter::repeat_n(b' ', space));
    content
}

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
fn up_to_64_batches_may_be_unacknowledged_or_as_many_as_the_ack_says() {
    let mut client = Client::active(1..200);
    assert_eq!(client.numbers().len(), WINDOW_BATCHES);
    client.durable(10);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(10))]);
    assert_eq!(client.numbers(), (65..=74).collect::<Vec<_>>());
    let config = AckConfig { window: Some(4), ..AckConfig::default() };
    client.ack(Ack { batch: Some(BatchSeq(72)), config: Some(config), ..Ack::ok() });
    client.outputs();
    assert_eq!(client.numbers(), [75, 76]);
}

#[test]
fn up_to_4_mib_may_be_unacknowledged() {
    let mut client = Client::active(1..60);
    client.content_bytes = 300 << 10;
    assert_eq!(client.numbers().len(), WINDOW_BYTES / (300 << 10));
}

#[test]
fn an_ack_covers_every_batch_up_to_its_number_and_no_other() {
    let mut client = Client::active(1..6);
    client.numbers();
    client.durable(3);
    client.durable(2);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(3))]);
    client.durable(6);
    assert_eq!(client.end(), Some(End::NeverSent(BatchSeq(6))), "nothing is deleted that was not sent");
}

#[test]
fn after_server_busy_all_that_is_unacknowledged_goes_again_after_the_wait() {
    let mut client = Client::active(1..6);
    assert_eq!(client.numbers(), [1, 2, 3, 4, 5]);
    client.busy(2, 700);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(2))]);
    assert_eq!(client.session.link(client.now).busy_percent, Some(90));
    client.wait(699);
    assert_eq!(client.numbers(), Vec::<u64>::new());
    assert_eq!(client.session.deadline(), Some(client.now.plus(1)));
    client.wait(100);
    assert_eq!(client.numbers(), [3, 4, 5]);
}

#[test]
fn a_batch_that_was_stored_while_waiting_does_not_go_again() {
    let mut client = Client::active(1..6);
    client.numbers();
    client.busy(2, 100);
    client.durable(4);
    client.outputs();
    client.wait(200);
    assert_eq!(client.numbers(), [5]);
}

#[test]
fn a_batch_refused_three_times_moves_to_quarantine_and_the_next_names_it() {
    let mut client = Client::active(1..5);
    client.numbers();
    for _ in 0..2 {
        client.refuse(Some(2));
        assert_eq!(client.numbers(), [2, 3, 4]);
    }
    client.refuse(Some(2));
    let quarantine = Output::Quarantine { batch: BatchSeq(2), problem: "no".into() };
    assert_eq!(client.outputs(), vec![quarantine]);
    assert_eq!(client.frame(), None, "nothing until the spool has moved it");
    client.held.start = 3;
    client.skipped = vec![Skipped { from: BatchSeq(2), to: BatchSeq(2), events: 1, cause: "refused".into() }];
    client.session.quarantined(BatchSeq(2));
    let batches = client.batches();
    assert_eq!((batches[0].batch, &batches[0].skipped), (Some(BatchSeq(3)), &client.skipped));
    client.refuse(Some(2));
    assert_eq!(client.outputs(), vec![], "a late refusal of a copy");
}

#[test]
fn a_refusal_that_names_no_batch_counts_only_against_one_that_was_alone() {
    let mut client = Client::active(1..4);
    assert_eq!(client.numbers(), [1, 2, 3]);
    let mut register = |refusals: u32| {
        client.refuse(None);
        let quarantine = client.outputs();
        client.session.closed(client.now, "closed by the peer");
        client.retry();
        client.register(Ack::ok());
        if refusals < 4 {
            assert_eq!((quarantine, client.numbers()), (vec![], vec![1]), "one at a time, after {refusals}");
            return;
        }
        assert_eq!(quarantine, vec![Output::Quarantine { batch: BatchSeq(1), problem: "no".into() }]);
    };
    (1..=4).for_each(&mut register);
}

#[test]
fn a_spool_older_than_what_the_receiver_knows_draws_a_new_instance() {
    let mut client = Client::new(1..5);
    client.register(Ack { batch: Some(BatchSeq(5)), ..Ack::ok() });
    let outputs = client.outputs();
    assert!(matches!(&outputs[..], [Output::Close(End::Renumbering), Output::NewInstance { .. }]), "{outputs:?}");
    assert_eq!((client.stage(), client.session.deadline()), (Stage::Renumbering, None));
    client.session.renumbered(client.now, Instance([6; 16]), BatchSeq(5));
    client.retry();
    client.register(Ack { batch: Some(BatchSeq(0)), ..Ack::ok() });
    assert_eq!(client.numbers(), [1, 2, 3, 4], "all is sent again");
}

#[test]
fn a_number_that_another_sender_used_draws_a_new_instance() {
    let mut client = Client::active(1..3);
    client.numbers();
    client.ack(Ack { batch: Some(BatchSeq(1)), ..Ack::new(AckStatus::Error, BATCH_NUMBER_REUSED) });
    let problem = BATCH_NUMBER_REUSED.into();
    assert_eq!(client.outputs(), vec![Output::Close(End::Renumbering), Output::NewInstance { problem }]);
}

#[test]
fn what_the_ack_of_register_covers_is_deleted_once_its_last_batch_is_confirmed() {
    let mut client = Client::new(1..6);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    assert_eq!(client.numbers(), [3, 4, 5]);
    client.durable(3);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(3))]);
}

#[test]
fn a_refused_batch_that_was_called_durable_draws_a_new_instance() {
    let mut client = Client::new(1..4);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    for _ in 0..3 {
        assert_eq!(client.numbers(), [3]);
        client.refuse(Some(3));
    }
    assert!(matches!(client.outputs()[..], [Output::Close(End::Renumbering), Output::NewInstance { .. }]));
}

#[test]
fn what_the_ack_of_register_covers_is_believed_where_its_last_batch_is_not_held() {
    let mut client = Client::new(4..6);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(3))]);
    assert_eq!(client.numbers(), [4, 5]);
}

#[test]
fn numbers_that_nobody_accounts_for_are_named_missing() {
    let mut client = Client::new(7..8);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    client.outputs();
    let Some(Message::Batch(batch)) = client.frame() else { panic!("no batch") };
    let missing = Skipped { from: BatchSeq(4), to: BatchSeq(6), events: 0, cause: CAUSE_MISSING.into() };
    assert_eq!((batch.batch, batch.skipped), (Some(BatchSeq(7)), vec![missing]));
}

#[test]
fn batches_without_a_word_for_a_whole_interval_go_again() {
    let mut client = Client::active(1..3);
    assert_eq!(client.numbers(), [1, 2]);
    client.wait(HEARTBEAT_MS);
    assert_eq!(client.numbers(), Vec::<u64>::new());
    client.wait(HEARTBEAT_MS);
    assert_eq!(client.numbers(), [1, 2]);
}

#[test]
fn a_batch_too_long_for_a_frame_goes_to_quarantine() {
    let mut client = Client::active(1..2);
    client.content_bytes = 1 << 20;
    client.outputs();
    assert_eq!(client.frame(), None);
    let problem = "too long for a frame".into();
    assert_eq!(client.outputs(), vec![Output::Quarantine { batch: BatchSeq(1), problem }]);
}

#[test]
fn a_new_batch_is_read_when_the_spool_says_so() {
    let mut client = Client::active(1..1);
    assert_eq!((client.outputs(), client.session.is_idle()), (vec![], true));
    client.held.end = 2;
    client.session.spooled(BatchSeq(2));
    assert!(!client.session.is_idle());
    assert_eq!(client.numbers(), [1]);
    client.durable(1);
    client.outputs();
    assert!(client.session.is_idle());
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
