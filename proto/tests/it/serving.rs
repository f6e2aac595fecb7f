//! The receiver's end of a link, one test a rule of the protocol.

use nms_proto::id::{BatchSeq, Instance};
use nms_proto::json::Decoder;
use nms_proto::limits::{CLOSE_MS, COMMANDS_WAITING_MAX, FRAME_REPLY_BYTES_MAX, HEARTBEAT_MS, REGISTER_MS};
use nms_proto::message::{
    self, Ack, AckConfig, AckStatus, Batch, Command, CommandAction, Heartbeat, Message, Register, Results,
    ResultsStats, Single,
};
use nms_proto::session::receiver::Judgement;
use nms_proto::session::server::{Answer, Output, ServerSession};
use nms_proto::session::{BATCH_NUMBER_REUSED, End};
use nms_proto::time::{Stamp, Tick};

use super::pair::hub::event;

const START: Tick = Tick(1_000);

fn frame(session: &mut ServerSession) -> Option<Message> {
    let frame = session.poll_transmit(Stamp::utc(0))?;
    Some(message::read(&mut Decoder::default(), &frame[4..], Stamp::utc(0)).unwrap())
}

fn ack(session: &mut ServerSession) -> Ack {
    match frame(session) {
        Some(Message::Ack(ack)) => ack,
        other => panic!("not an ACK: {other:?}"),
    }
}

fn outputs(session: &mut ServerSession) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

/// A registered session whose sender numbers its batches, or not.
fn active(numbered: bool, durable: u64) -> ServerSession {
    let mut session = ServerSession::new(START);
    let instance = numbered.then_some(Instance([5; 16]));
    session.received(START, Message::Register(Register { instance, ..Register::default() }));
    session.accept(START, BatchSeq(durable), AckConfig::default());
    assert_eq!((outputs(&mut session).len(), ack(&mut session).status), (1, AckStatus::Ok));
    session
}

fn batch(seq: u64, events: usize) -> Batch {
    let events = (0..events).map(|number| event(Instance([5; 16]), number as u64, false)).collect();
    Batch { batch: Some(BatchSeq(seq)), skipped: vec![], events, content_hash: seq, content: Box::default(), cut: 0 }
}

/// Passes a batch in and gives it that answer.
fn offer(session: &mut ServerSession, seq: u64, answer: Answer) {
    session.received(START, Message::Batch(batch(seq, 1)));
    assert_eq!(session.poll_output(), Some(Output::Batch(batch(seq, 1))));
    session.answer(START, answer);
}

fn busy(retry_after_ms: u64) -> Answer {
    Answer::Busy { retry_after_ms, message: format!("backlog {retry_after_ms}").into() }
}

fn command(id: usize, action: CommandAction) -> Command {
    let arguments = std::collections::BTreeMap::default();
    Command { command_id: format!("c{id}").into(), action, target: "t".into(), arguments }
}

/// The end of a session that was told to close, and the last thing its peer reads.
fn farewell(session: &mut ServerSession) -> (Box<str>, End) {
    let last = ack(session);
    assert_eq!(last.status, AckStatus::Error);
    match &outputs(session)[..] {
        [Output::Close(end)] => (last.message, end.clone()),
        other => panic!("not closed: {other:?}"),
    }
}

#[test]
fn a_peer_registers_within_10_s_or_is_told_so_and_closed() {
    let mut session = ServerSession::new(START);
    assert_eq!(session.deadline(), Some(START.plus(REGISTER_MS)));
    session.handle_timeout(START.plus(REGISTER_MS));
    assert_eq!(farewell(&mut session), ("not registered in time".into(), End::RegisterTimeout));
}

#[test]
fn nothing_is_taken_before_registration_and_nobody_registers_twice() {
    for message in [Message::Batch(batch(1, 1)), Message::Heartbeat(Heartbeat::default()), Message::Ack(Ack::ok())] {
        let mut session = ServerSession::new(START);
        let name = message.type_name();
        session.received(START, message);
        assert_eq!(farewell(&mut session), (format!("{name} has no place here").into(), End::Unexpected(name)));
    }
    let mut session = active(true, 0);
    session.received(START, Message::Register(Register::default()));
    assert_eq!(farewell(&mut session).1, End::Unexpected("REGISTER"));
    session.received(START, Message::Batch(batch(1, 1)));
    assert_eq!((outputs(&mut session), frame(&mut session)), (vec![], None), "nothing after the end");
}

#[test]
fn the_ack_of_register_carries_the_durable_batch_and_what_to_keep_to() {
    let mut session = ServerSession::new(START);
    let register = Register { instance: Some(Instance([5; 16])), ..Register::default() };
    session.received(START, Message::Register(register.clone()));
    assert_eq!((session.poll_output(), frame(&mut session)), (Some(Output::Register(register)), None));
    session.accept(START, BatchSeq(811), AckConfig::default());
    let ack = ack(&mut session);
    assert_eq!((ack.batch, ack.config), (Some(BatchSeq(811)), Some(AckConfig::default())));
}

#[test]
fn a_refused_registration_says_why_or_when_to_come_back() {
    let register = |retry_after_ms| {
        let mut session = ServerSession::new(START);
        session.received(START, Message::Register(Register::default()));
        session.reject(START, "no such token", retry_after_ms);
        ack(&mut session)
    };
    assert_eq!((register(None).status, register(None).message), (AckStatus::Error, "no such token".into()));
    assert_eq!((register(Some(9)).status, register(Some(9)).retry_after_ms), (AckStatus::Busy, Some(9)));
}

#[test]
fn enroll_takes_the_place_of_register() {
    let mut session = ServerSession::new(START);
    let enroll = command(1, CommandAction::Enroll);
    session.received(START, Message::Command(enroll.clone()));
    assert_eq!(session.poll_output(), Some(Output::Enroll(enroll)));
    let answer = Ack { certificate: Some("PEM".into()), command_id: Some("c1".into()), ..Ack::ok() };
    session.enrolled(START, answer.clone());
    assert_eq!((ack(&mut session), outputs(&mut session)), (answer, vec![Output::Close(End::Done)]));
    let mut other = ServerSession::new(START);
    other.received(START, Message::Command(command(1, CommandAction::Note)));
    assert_eq!(farewell(&mut other).1, End::Unexpected("COMMAND"));
}

#[test]
fn a_heartbeat_is_answered_before_everything_else_and_many_by_one_answer() {
    let mut session = active(true, 0);
    session.results(Results { alerts: vec![], stats: ResultsStats::default(), seq: Some(1) });
    offer(&mut session, 3, Answer::Taken);
    session.committed(BatchSeq(3));
    for number in 7..=9 {
        session.received(START, Message::Heartbeat(Heartbeat { heartbeat: Some(number), ..Heartbeat::default() }));
    }
    assert_eq!(ack(&mut session), Ack { heartbeat: Some(9), ..Ack::ok() });
    assert_eq!(ack(&mut session).batch, Some(BatchSeq(3)));
    assert!(matches!(frame(&mut session), Some(Message::Results(_))));
}

#[test]
fn a_batch_is_acknowledged_only_when_it_is_durable_and_many_by_one_ack() {
    let mut session = active(true, 0);
    for seq in 1..=3 {
        offer(&mut session, seq, Answer::Taken);
    }
    assert_eq!(frame(&mut session), None);
    session.committed(BatchSeq(2));
    session.committed(BatchSeq(3));
    assert_eq!((ack(&mut session), frame(&mut session)), (Ack { batch: Some(BatchSeq(3)), ..Ack::ok() }, None));
}

#[test]
fn a_duplicate_is_acknowledged_again_and_a_pending_one_is_not() {
    let mut session = active(true, 5);
    offer(&mut session, 5, Answer::from_judgement(Judgement::Duplicate).unwrap());
    assert_eq!(ack(&mut session).batch, Some(BatchSeq(5)));
    offer(&mut session, 6, Answer::from_judgement(Judgement::Pending).unwrap());
    assert_eq!(frame(&mut session), None);
}

/// Found by `pair`, seed 583: a restored spool believed an ACK for a batch that the lost one had sent.
#[test]
fn what_came_on_another_connection_is_acknowledged_when_it_comes_on_this_one() {
    let mut session = active(true, 4);
    session.committed(BatchSeq(6));
    assert_eq!(frame(&mut session), None);
    offer(&mut session, 5, Answer::Duplicate);
    assert_eq!(ack(&mut session).batch, Some(BatchSeq(5)));
    offer(&mut session, 6, Answer::Duplicate);
    assert_eq!(ack(&mut session).batch, Some(BatchSeq(6)));
}

#[test]
fn server_busy_names_the_durable_batch_and_the_longest_wait_and_is_said_once() {
    let mut session = active(true, 0);
    offer(&mut session, 9, Answer::Taken);
    offer(&mut session, 10, busy(500));
    session.committed(BatchSeq(9));
    offer(&mut session, 11, Answer::from_judgement(Judgement::Gap).unwrap());
    let ack = ack(&mut session);
    assert_eq!((ack.status, ack.batch, ack.retry_after_ms), (AckStatus::Busy, Some(BatchSeq(9)), Some(500)));
    assert_eq!((&*ack.message, frame(&mut session)), ("backlog 500", None));
}

#[test]
fn a_refusal_names_its_batch() {
    let mut session = active(true, 0);
    offer(&mut session, 7, Answer::Refused { message: "damaged".into() });
    assert_eq!(ack(&mut session), Ack { batch: Some(BatchSeq(7)), ..Ack::new(AckStatus::Error, "damaged") });
}

#[test]
fn a_reused_number_is_refused_and_ends_the_connection() {
    let mut session = active(true, 9);
    offer(&mut session, 7, Answer::from_judgement(Judgement::Reused).unwrap());
    session.received(START, Message::Batch(batch(10, 1)));
    assert_eq!(farewell(&mut session), (BATCH_NUMBER_REUSED.into(), End::Renumbering), "and takes nothing more");
}

#[test]
fn batches_of_an_original_sender_are_taken_and_not_acknowledged() {
    let mut session = active(false, 0);
    session.received(START, Message::Batch(batch(4, 1)));
    assert_eq!(session.poll_output(), Some(Output::Batch(Batch { batch: None, ..batch(4, 1) })));
    session.answer(START, Answer::Taken);
    assert_eq!(frame(&mut session), None);
    session
        .received(START, Message::Event(Box::new(Single { event: event(Instance([5; 16]), 1, false), is_cut: false })));
    assert!(matches!(session.poll_output(), Some(Output::Event(_))));
}

#[test]
fn batches_lost_in_a_failed_commit_are_asked_for_again() {
    let mut session = active(true, 3);
    offer(&mut session, 4, Answer::Taken);
    session.withdrawn(500, "disk full");
    let ack = ack(&mut session);
    assert_eq!((ack.status, ack.batch, ack.retry_after_ms), (AckStatus::Busy, Some(BatchSeq(3)), Some(500)));
}

#[test]
fn three_missed_heartbeats_end_the_connection() {
    let mut session = active(true, 0);
    let missed = |session: &ServerSession, ms| session.missed(START.plus(ms));
    assert_eq!(missed(&session, HEARTBEAT_MS * 2 - 1), 1);
    assert_eq!(missed(&session, HEARTBEAT_MS * 2), 2);
    let silent = START.plus(HEARTBEAT_MS * 7 / 2);
    session.handle_timeout(Tick(silent.0 - 1));
    assert_eq!((session.deadline(), session.is_active()), (Some(silent), true));
    session.handle_timeout(silent);
    assert_eq!(outputs(&mut session), vec![Output::Close(End::Silent)]);
}

#[test]
fn what_is_no_message_is_answered_with_the_field_and_closed() {
    let mut session = active(true, 0);
    session.malformed(START, &"field payload.events[3].at: expected an RFC 3339 time");
    let (message, end) = farewell(&mut session);
    assert!(message.contains("payload.events[3].at") && matches!(end, End::Malformed(_)), "{message}");
    let mut zero = active(true, 0);
    zero.received(START, Message::Batch(batch(0, 1)));
    assert!(farewell(&mut zero).0.contains("payload.batch"));
}

#[test]
fn a_peer_that_does_not_read_its_last_words_is_closed_all_the_same() {
    let mut session = active(true, 0);
    session.malformed(START, &"frame of length 0");
    assert_eq!(outputs(&mut session), vec![]);
    session.handle_timeout(session.deadline().unwrap());
    assert_eq!((outputs(&mut session).len(), session.deadline()), (1, None));
    assert_eq!(CLOSE_MS, 5_000);
}

#[test]
fn the_batch_size_grows_with_the_rate_and_is_told_when_it_changes() {
    let mut session = active(true, 0);
    let mut sizes = Vec::new();
    for ms in 0..3_000 {
        let now = START.plus(ms);
        session.received(now, Message::Batch(batch(ms + 1, 64)));
        outputs(&mut session);
        session.answer(now, Answer::Taken);
        session.committed(BatchSeq(ms + 1));
        sizes.extend(ack(&mut session).config.map(|config| config.batch_size));
    }
    assert_eq!(sizes, [1_024], "64,000 events a second; said once");
}

#[test]
fn results_longer_than_a_frame_are_handed_back() {
    let mut session = active(true, 0);
    let text = "x".repeat(FRAME_REPLY_BYTES_MAX);
    let alert: nms_proto::alert::Alert = serde_json::from_value(serde_json::json!({
        "id": "a-1", "severity": "HIGH", "source": "s", "category": "anomaly", "message": text, "confidence": 0.5,
    }))
    .unwrap();
    session.results(Results { alerts: vec![alert], stats: ResultsStats::default(), seq: Some(1) });
    session.results(Results { alerts: vec![], stats: ResultsStats::default(), seq: Some(2) });
    assert!(matches!(frame(&mut session), Some(Message::Results(results)) if results.seq == Some(2)));
    assert_eq!(outputs(&mut session), vec![Output::ResultsTooLong(1)]);
}

#[test]
fn acks_of_results_and_answers_to_commands_are_passed_on() {
    let mut session = active(true, 0);
    assert!(session.command(command(1, CommandAction::Collect)));
    assert!(matches!(frame(&mut session), Some(Message::Command(_))));
    let answer = Ack { command_id: Some("c1".into()), ..Ack::ok() };
    session.received(START, Message::Ack(answer.clone()));
    session.received(START, Message::Ack(Ack { results: Some(4), ..Ack::ok() }));
    assert_eq!(outputs(&mut session), vec![Output::CommandAnswered(answer), Output::ResultsAcked(4)]);
}

#[test]
fn a_peer_with_too_many_commands_is_closed() {
    let mut session = active(true, 0);
    for id in 0..=COMMANDS_WAITING_MAX {
        session.received(START, Message::Command(command(id, CommandAction::Note)));
    }
    assert_eq!(farewell_after_commands(&mut session), End::TooManyCommands);
}

fn farewell_after_commands(session: &mut ServerSession) -> End {
    let taken = outputs(session).len();
    assert_eq!(taken, COMMANDS_WAITING_MAX);
    farewell(session).1
}

#[test]
fn a_command_is_answered_by_name() {
    let mut session = active(true, 0);
    session.received(START, Message::Command(command(1, CommandAction::BlockIp)));
    let refusal = Ack { command_id: Some("c1".into()), ..Ack::new(AckStatus::Error, "block_ip is not built yet") };
    session.answer_command(refusal.clone());
    session.answer_command(Ack::ok());
    assert_eq!((ack(&mut session), frame(&mut session)), (refusal, None), "one answer a command");
}
