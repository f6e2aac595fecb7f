//! Settling alerts: what is sent to the hub, and what is said while and after.

use nms_proto::{
    alert::Verdict,
    dash::{CommandResult, DashAction, DashCommand, FromHub, Hello, Role, ToHub},
};
use nms_tui::msg::Effect;

use crate::{driver::Driver, scene};

fn operator() -> Driver {
    let mut driver = Driver::live(80, 24);
    driver.keys("j");
    driver
}

/// The one command in `effects`.
fn command(effects: &[Effect]) -> DashCommand {
    match effects {
        [Effect::Send(ToHub::Command(command))] => command.clone(),
        other => panic!("no command: {other:?}"),
    }
}

#[test]
fn keys_become_commands_on_the_selected_alert() {
    let check = |keys: &str, action: DashAction, verdict: Option<Verdict>, reason: Option<&str>| {
        let sent = command(&operator().keys(keys));
        assert_eq!((sent.action, sent.verdict, sent.reason.as_deref()), (action, verdict, reason), "{keys}");
        assert_eq!(sent.alert.as_str(), "a-00000000000000a1");
    };
    check("a", DashAction::Acknowledge, None, None);
    check("tt", DashAction::Close, Some(Verdict::TruePositive), None);
    check("tf", DashAction::Close, Some(Verdict::FalsePositive), None);
    check("te", DashAction::Close, Some(Verdict::Expected), None);
    check("td", DashAction::Close, Some(Verdict::Duplicate), None);
    check("txf", DashAction::Close, Some(Verdict::FalsePositive), None);
    check("cmy own scan<backspace>ner<enter>", DashAction::Note, None, Some("my own scaner"));
    check("<enter>a", DashAction::Acknowledge, None, None);
}

#[test]
fn a_habit_never_settles_an_alert() {
    for keys in ["f<esc>", "t<esc>", "t<esc>f<esc>", "c<enter>", "c  <enter>", "2a", "3a", "2t", "?a"] {
        let sent = operator().keys(keys);
        assert_eq!(sent, [], "{keys}");
    }
}

#[test]
fn only_the_hubs_answer_says_it_was_done() {
    let mut driver = operator();
    let sent = command(&driver.keys("a"));
    assert!(driver.text().contains("sent to the hub ..."));
    let answer = |id, ok, message: &str| FromHub::Result(CommandResult { id, ok, message: message.into() });
    driver.hub(answer(sent.id + 1, true, "somebody else's"));
    assert!(driver.text().contains("sent to the hub ..."));
    driver.hub(answer(sent.id, true, "acknowledged"));
    assert!(driver.text().contains("a-00000000000000a1: acknowledged"));
    let second = command(&driver.keys("a"));
    assert_ne!(second.id, sent.id);
    driver.hub(answer(second.id, false, "already closed by uid 1001"));
    assert!(driver.text().contains("already closed by uid 1001"));
}

#[test]
fn readers_are_told_that_they_may_only_look() {
    let mut driver = Driver::live(80, 24);
    driver.hub(FromHub::Hello(Hello { role: Role::Reader, ..scene::hello() }));
    for keys in ["a", "tt", "cx<enter>"] {
        assert_eq!(driver.keys(keys), [], "{keys}");
        assert!(driver.text().contains("read only"));
        driver.keys("<esc>");
    }
}

#[test]
fn nothing_is_sent_to_a_hub_that_is_away() {
    let mut driver = operator();
    driver.keys("t");
    driver.lose();
    assert_eq!(driver.keys("t"), [], "the menu was open when the hub went away");
    assert!(driver.text().contains("not sent: the hub is not reached"));
    assert_eq!(driver.keys("a"), []);
}

#[test]
fn a_missing_answer_is_told() {
    let mut driver = operator();
    driver.keys("a");
    driver.lose();
    assert!(driver.text().contains("the hub was lost before it answered"));
}

#[test]
fn an_empty_list_has_nothing_to_settle() {
    let mut driver = Driver::live(80, 24);
    driver.keys("f<c-u>nothing-like-this<enter>");
    assert_eq!(driver.keys("a"), []);
    assert!(driver.text().contains("no alert is selected"));
}
