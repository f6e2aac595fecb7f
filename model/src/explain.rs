//! Scores in words: what was odd in a window, and what was expected instead.
//!
//! Text for people, made only of the vocabulary's words; nothing from a log line enters it.

use nms_proto::extraction::{Action, Outcome};

use crate::key::TypedKey;
use crate::score::{EventScore, Score};

/// One odd event in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The sentence.
    pub text: String,
    /// How much the event adds, in nats.
    pub weight: f32,
    /// The caller's reference to the first event of the run.
    pub first: u64,
    /// The caller's reference to the last event of the run.
    pub last: u64,
}

/// The oddest events of a window, oddest first, at most `most`; unseen keys stand before the others.
pub fn explain(score: &Score, most: usize) -> Vec<Explanation> {
    let mut events: Vec<&EventScore> = score.events.iter().filter(|event| event.unseen || event.rank > 0).collect();
    events.sort_by(|a, b| b.unseen.cmp(&a.unseen).then(b.surprise.total_cmp(&a.surprise)));
    events.into_iter().take(most).map(one).collect()
}

fn one(event: &EventScore) -> Explanation {
    let times = if event.count > 1 { format!(" {} times", event.count) } else { String::new() };
    let what = describe(event.key);
    let text = if event.unseen {
        format!("{what}{times}: the model was never shown this kind of event")
    } else {
        let expected: Vec<String> = event
            .expected
            .iter()
            .filter(|expected| expected.key != event.key)
            .map(|expected| format!("{} ({})", describe(expected.key), percent(expected.probability)))
            .collect();
        format!("{what}{times}: {} likely here, expected {}", percent(event.probability), expected.join(", "))
    };
    Explanation { text, weight: event.surprise, first: event.first, last: event.last }
}

fn percent(probability: f32) -> String {
    if probability < 0.001 { "under 0.1 %".to_owned() } else { format!("{:.1} %", probability * 100.0) }
}

/// A key in words: `sshd: login failed`.
pub fn describe(key: TypedKey) -> String {
    let name = key.to_string();
    let family = name.split('.').next().unwrap_or_default();
    let action = match key.action() {
        Action::Other => "other message",
        Action::Login => "login",
        Action::Logout => "logout",
        Action::Command => "command",
        Action::Account => "account change",
        Action::Service => "service",
        Action::File => "file change",
        Action::Process => "process",
        Action::Connection => "connection",
        Action::Block => "blocked packet",
        Action::Lease => "address lease",
        Action::Request => "request",
        Action::Ids => "intrusion notice",
    };
    let outcome = match key.outcome() {
        Outcome::None => "",
        Outcome::Ok => " succeeded",
        Outcome::Failed => " failed",
    };
    format!("{family}: {action}{outcome}")
}
