//! What lines mean: the extractors over any line, who is believed to have done it, and the correlators over any run
//! of lines.

use nms_detect::{Correlator, Settings};
use nms_proto::{
    event::{Body, Draft, Event, FileChange, Syslog},
    extraction::{Actor, Extraction, Object},
    id::{EndpointId, EventId, EventSeq, Instance},
    limits::{ALERT_EVIDENCE_MAX, ALERT_REASONS_MAX, ALERT_TECHNIQUES_MAX, EVIDENCE_LINE_BYTES, INCIDENTS_MAX},
    time::Stamp,
};

use crate::{
    input::Script,
    travel::{self, NOW},
};

fn event(app: &str, message: &str) -> Event {
    let app = Some(app).filter(|app| !app.is_empty()).map(Into::into);
    travel::named(Draft::new(Body::Syslog(Syslog { app, message: message.into(), ..Syslog::default() })))
}

/// Any line of any application: what is found stands in the line.
pub(crate) fn extract(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (app, message) = text.split_once('\n').unwrap_or(("", &text));
    let event = event(app, message);
    let found = nms_detect::extract(&event);
    // sshd says `ROOT LOGIN REFUSED`, and means the account `root`.
    for part in parts(&found).into_iter().filter(|part| *part != "root") {
        assert!(app.contains(part) || message.contains(part), "{part:?} stands nowhere in it");
    }
    assert_eq!(nms_detect::extract(&event), found);
}

fn parts<'a>(found: &Extraction<'a>) -> Vec<&'a str> {
    let actor = if let Some(Actor::Name(name)) = found.actor { Some(name) } else { None };
    let object = match found.object {
        Some(Object::Path(text) | Object::Program(text) | Object::Service(text)) => Some(text),
        Some(Object::Endpoint { .. }) | None => None,
    };
    [actor, found.account, object].into_iter().flatten().collect()
}

/// A name that somebody chose, in lines whose end the application wrote: the actor is the one at the end.
pub(crate) fn hidden_actor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // Daemons write a name without its control characters.
    let name: String = text.chars().filter(|c| !c.is_control()).collect();
    let (address, actor) = ("203.0.113.9", Actor::Address("203.0.113.9".parse().unwrap()));
    let lines = [
        ("sshd", format!("Failed password for invalid user {name} from {address} port 40022 ssh2")),
        ("sshd", format!("Failed password for {name} from {address} port 40022 ssh2")),
        ("sshd", format!("Accepted password for {name} from {address} port 40022 ssh2")),
        ("sshd", format!("Invalid user {name} from {address} port 40022")),
        ("dropbear", format!("Bad password attempt for '{name}' from {address}:40022")),
        (
            "dovecot",
            format!("imap-login: Aborted login (auth failed, 1 attempts): user=<{name}>, rip={address}, lip=10.0.0.1"),
        ),
        ("mysqld", format!("7 [Note] Access denied for user '{name}'@'{address}' (using password: YES)")),
    ];
    for (app, line) in lines {
        let event = event(app, &line);
        let found = nms_detect::extract(&event);
        assert_eq!(found.actor, Some(actor), "{app}: {line}");
    }
}

/// Lines, each behind a byte for its source and one for the time since the one before.
pub(crate) fn correlate(bytes: &[u8]) {
    let settings = Settings { instance: Instance([7; 16]), admins: vec!["admin".into()] };
    let mut correlator = Correlator::new(settings);
    let mut script = Script(bytes);
    let (mut clock, mut seq, mut out) = (NOW, 0, Vec::new());
    while let Some(step) = script.step() {
        clock.unix_ms = clock.unix_ms.saturating_add(i64::from(script.byte()) * 700);
        let far = if step & 0x80 > 0 { script.number() as i64 } else { i64::from(script.byte()) };
        let at = Stamp::bounded(clock.unix_ms.saturating_sub(far), 0);
        let end = script.0.iter().position(|byte| *byte == b'\n').unwrap_or(script.0.len());
        let text = String::from_utf8_lossy(script.bytes(end));
        script.step();
        seq += 1;
        let source = EndpointId::new(["pi", "fritz", "192.0.2.1", "nas"][usize::from(step) % 4]);
        let id = EventId { instance: Instance([7; 16]), seq: EventSeq(seq) };
        let event = Event { id, source, at, device_at: None, host: None, raw: None, body: body(step, &text) };
        correlator.observe(clock, &event, &mut out);
        if step & 0x40 > 0 {
            out.extend(correlator.tick(clock));
        }
        drop(correlator.take_overlaps());
    }
    // Time goes on until everything was said.
    for _ in 0..10_000 {
        let Some(due) = correlator.deadline() else { break };
        clock.unix_ms = clock.unix_ms.max(due.unix_ms);
        out.extend(correlator.tick(clock));
    }
    assert_eq!(correlator.deadline(), None, "a deadline that never passes");
    let counters = correlator.counters();
    assert_eq!((counters.events, counters.findings), (seq, out.len() as u64));
    assert!(counters.incidents <= INCIDENTS_MAX as u64);
    let mut revisions = std::collections::HashMap::new();
    for finding in &out {
        let before = revisions.insert(finding.alert.clone(), finding.revision);
        assert!(before.is_none_or(|before| before < finding.revision), "revisions rise: {finding:?}");
        assert!(finding.evidence.len() <= ALERT_EVIDENCE_MAX && finding.reasons.len() <= ALERT_REASONS_MAX);
        assert!(
            finding.techniques.len() <= ALERT_TECHNIQUES_MAX && finding.first_seen.unix_ms <= finding.last_seen.unix_ms
        );
        assert!(finding.evidence.iter().all(|evidence| evidence.line.len() <= EVIDENCE_LINE_BYTES));
        travel::sent(&[travel::named(Draft::new(Body::Finding(Box::new(finding.clone()))))]);
    }
}

fn body(step: u8, text: &str) -> Body {
    let (app, message) = text.split_once(' ').unwrap_or(("", text));
    if step & 0x20 == 0 {
        let app = Some(app).filter(|app| !app.is_empty()).map(Into::into);
        return Body::Syslog(Syslog { facility: 4, severity: 5, app, message: message.into(), ..Syslog::default() });
    }
    Body::File(Box::new(FileChange {
        path: app.into(),
        change: nms_proto::event::Change::from_text(message),
        old_sha256: None,
        new_sha256: None,
        owner: None,
        group: None,
        mode: None,
        size: None,
        inode: None,
        mtime: None,
        sessions: vec![message.into()],
        package_manager: step & 0x10 > 0,
        command_id: None,
    }))
}
