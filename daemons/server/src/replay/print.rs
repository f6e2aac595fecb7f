//! How a replay is printed: alerts as in the protocol, one JSON object a revision, or text for people.

use nms_proto::{
    alert::Alert,
    event::Body,
    extraction::{Actor, Extraction, Object},
    finding::Category,
};
use serde_json::{Value, json};

use crate::analyse::Seen;

/// What is printed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// JSON, one object a line.
    pub json: bool,
    /// Also what each line came to; these are always JSON.
    pub lines: bool,
}

/// Whoever prints.
pub type Print<'a> = dyn FnMut(String) + 'a;

/// One revision of an alert.
pub(super) fn alert(alert: &Alert, style: Style) -> String {
    if style.json {
        return serde_json::to_string(alert).unwrap_or_default();
    }
    let last = alert.last_seen.map(|last| last.to_string()).unwrap_or_default();
    let mut text = format!(
        "{last} {:<8} {:<18} {:.2} {} (source {}, {} events, {}, {} revision {})",
        alert.severity,
        alert.category.as_str(),
        alert.confidence.value(),
        safe(&alert.message),
        safe(alert.source.as_str()),
        alert.count,
        alert.status,
        alert.id,
        alert.revision,
    );
    for reason in &alert.reasons {
        text.push_str("\n    ");
        text.push_str(&safe(reason));
    }
    text
}

/// Control characters of a log line do not reach a terminal.
fn safe(text: &str) -> String {
    let is_safe = |character: char| !character.is_control() && !('\u{202a}'..='\u{202e}').contains(&character);
    text.chars().map(|character| if is_safe(character) { character } else { '\u{fffd}' }).collect()
}

/// What one line came to.
pub(super) fn line(number: u64, seen: &Seen<'_>, category: Option<&Category>) -> String {
    let Extraction { family, action, outcome, .. } = *seen.extraction;
    let app = if let Body::Syslog(line) = &seen.event.body { line.app.as_deref() } else { None };
    let last = seen.judged.last();
    json!({
        "line": number,
        "at": seen.event.at,
        "source": seen.event.source,
        "app": app,
        "family": word(&family),
        "action": word(&action),
        "outcome": word(&outcome),
        "actor": actor(seen.extraction),
        "victim": victim(seen.extraction),
        "score": last.map(|judged| judged.verdict.score),
        "p": last.map(|judged| judged.verdict.p_value),
        "category": category,
    })
    .to_string()
}

/// The plain word of an enum of the extraction's vocabulary.
fn word(variant: &dyn std::fmt::Debug) -> String {
    let name = format!("{variant:?}");
    let mut word = String::with_capacity(name.len() + 2);
    for (at, character) in name.chars().enumerate() {
        if at > 0 && character.is_ascii_uppercase() {
            word.push('_');
        }
        word.push(character.to_ascii_lowercase());
    }
    word
}

fn actor(extraction: &Extraction<'_>) -> Value {
    match extraction.actor {
        Some(Actor::Address(address)) => json!(address.to_string()),
        Some(Actor::Name(name)) => json!(name),
        None => Value::Null,
    }
}

/// The account that was aimed at, else the endpoint.
fn victim(extraction: &Extraction<'_>) -> Value {
    match (extraction.account, extraction.object) {
        (Some(account), _) => json!(account),
        (None, Some(Object::Endpoint { address, .. })) => json!(address.to_string()),
        _ => Value::Null,
    }
}
