//! Settling alerts: a step is a command to the hub, and only the hub's answer says it was taken.

use std::collections::BTreeMap;

use nms_proto::{
    alert::{Alert, Verdict},
    dash::{CommandResult, DashAction, DashCommand, Role as DashRole, ToHub},
    id::AlertId,
};

use super::{App, Hub};
use crate::{msg::Effect, safe::Safe, text, theme::Role};

/// A question at the bottom of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Which verdict, for this alert.
    Verdict(AlertId),
    /// A line of text.
    Text(Prompt),
}

/// A line of text that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What it is for.
    pub purpose: Purpose,
    /// What is written so far.
    pub text: String,
}

/// What a line of text is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A note on this alert.
    Note(AlertId),
    /// The filter of the screen.
    Filter,
    /// The search.
    Search,
}

/// Commands that the hub has not answered yet.
#[derive(Debug, Default)]
pub(super) struct Triage {
    last_id: u64,
    waiting: BTreeMap<u64, AlertId>,
}

impl Triage {
    /// The connection ended; true if an answer is now missing.
    pub(super) fn forget(&mut self) -> bool {
        !std::mem::take(&mut self.waiting).is_empty()
    }

    /// What to say about an answer; nothing if nobody asked.
    pub(super) fn answered(&mut self, result: &CommandResult) -> Option<(Safe, Role)> {
        let alert = self.waiting.remove(&result.id)?;
        let role = if result.ok { Role::Good } else { Role::Bad };
        Some((Safe::say(format_args!("{alert}: {}", result.message)), role))
    }
}

/// "I am on it."
pub(super) fn acknowledge(app: &mut App) -> Vec<Effect> {
    with_alert(app, |app, id| command(app, DashAction::Acknowledge, id, None, None))
}

/// Opens the verdict menu.
pub(super) fn ask_verdict(app: &mut App) -> Vec<Effect> {
    with_alert(app, |app, id| {
        app.asking = Some(Asking::Verdict(id));
        Vec::new()
    })
}

/// Asks for a note.
pub(super) fn ask_note(app: &mut App) -> Vec<Effect> {
    with_alert(app, |app, id| {
        app.asking = Some(Asking::Text(Prompt { purpose: Purpose::Note(id), text: String::new() }));
        Vec::new()
    })
}

/// Closes with the verdict of that letter.
pub(super) fn close(app: &mut App, id: AlertId, letter: char) -> Vec<Effect> {
    let verdict = match letter {
        't' => Verdict::TruePositive,
        'f' => Verdict::FalsePositive,
        'e' => Verdict::Expected,
        'd' => Verdict::Duplicate,
        _ => return Vec::new(),
    };
    app.asking = None;
    command(app, DashAction::Close, id, Some(verdict), None)
}

/// Sends a note.
pub(super) fn note(app: &mut App, id: AlertId, words: &str) -> Vec<Effect> {
    if words.trim().is_empty() { Vec::new() } else { command(app, DashAction::Note, id, None, Some(words.into())) }
}

/// Does `then` with the current alert, if there is one and the hub would listen.
fn with_alert(app: &mut App, then: impl FnOnce(&mut App, AlertId) -> Vec<Effect>) -> Vec<Effect> {
    let refusal = match (&app.hub, app.current_alert()) {
        (_, None) => text::NO_ALERT,
        (Hub::Live(hello), Some(_)) if hello.role != DashRole::Operator => text::READ_ONLY,
        (Hub::Live(_), Some(Alert { id, .. })) => {
            let id = id.clone();
            return then(app, id);
        }
        _ => text::NOT_SENT,
    };
    app.say(Safe::of(refusal), Role::Warn);
    Vec::new()
}

fn command(
    app: &mut App,
    action: DashAction,
    alert: AlertId,
    verdict: Option<Verdict>,
    reason: Option<Box<str>>,
) -> Vec<Effect> {
    // The question may have been open while the hub went away.
    if !matches!(app.hub, Hub::Live(_)) {
        app.say(Safe::of(text::NOT_SENT), Role::Warn);
        return Vec::new();
    }
    app.triage.last_id += 1;
    let id = app.triage.last_id;
    app.triage.waiting.insert(id, alert.clone());
    app.say(Safe::of(text::SENT), Role::Dim);
    vec![Effect::Send(ToHub::Command(DashCommand { id, action, alert, verdict, reason, scope: None, for_s: None }))]
}
