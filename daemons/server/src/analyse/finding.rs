//! A hub's finding, fused with what the model says of the windows that hold its source and actor.
//!
//! Those windows are scored as they stand, now: the finding follows at once on the event that
//! completed it. Where none is open (a restart without a snapshot, a scope that was forgotten), the
//! finding's own evidence is the window, so that the model has always had its say. Texts that a hub should
//! not send so long are cut first.

use std::{borrow::Cow, num::NonZeroUsize};

use lru::LruCache;
use nms_detect::{extract, fuse};
use nms_model::{
    key::{Scope, TypedKey},
    window::{KeyedEvent, Window, Windows},
};
use nms_proto::{
    event::{Body, Change, Event, FileChange, Syslog},
    extraction::Actor,
    finding::{Category, Evidence, Finding},
    id::AlertId,
    limits::{
        ALERT_EVIDENCE_MAX, ALERT_REASONS_MAX, ALERT_TECHNIQUES_MAX, ALERT_TEXT_BYTES, INCIDENTS_MAX, NAME_BYTES_MAX,
    },
};

use super::{Analysis, Said, Setting, actor_scope, model::Judged, source_id};

/// The hubs' open incidents, by the scopes that they are about.
#[derive(Debug)]
pub(super) struct OpenFindings(pub(super) LruCache<Scope, AlertId>);

impl Default for OpenFindings {
    fn default() -> Self {
        Self(LruCache::new(NonZeroUsize::new(INCIDENTS_MAX).unwrap_or(NonZeroUsize::MIN)))
    }
}

impl OpenFindings {
    /// The open incident that holds a scope's events already.
    pub(super) fn of(&self, scope: Scope) -> Option<&AlertId> {
        self.0.peek(&scope)
    }

    fn note(&mut self, scopes: &[Scope], finding: &Finding) {
        for scope in scopes {
            if !finding.resolved {
                self.0.put(*scope, finding.alert.clone());
            } else if self.of(*scope) == Some(&finding.alert) {
                self.0.pop(scope);
            }
        }
    }
}

impl Analysis {
    pub(super) fn on_finding(&mut self, at: &mut Setting<'_>, seed: u64, finding: &Finding) -> Said {
        let finding = bounded(finding);
        self.counts.cut += u64::from(matches!(finding, Cow::Owned(_)));
        let finding = &*finding;
        let events: Vec<Event> = finding.evidence.iter().map(|line| event_of(finding, line)).collect();
        let scopes = scopes(seed, finding, &events);
        let open = scopes.iter().filter_map(|scope| self.windows.window(*scope));
        let mut judge = |window: Window| Some((at.model.judge(&window)?, window));
        let mut judged: Vec<(Judged, Window)> = open.filter_map(&mut judge).collect();
        if judged.is_empty() {
            judged.extend(own_window(seed, &events).and_then(judge));
        }
        self.counts.unscored += u64::from(judged.is_empty());
        let oddest = judged.iter().min_by(|(a, _), (b, _)| a.verdict.p_value.total_cmp(&b.verdict.p_value));
        let mut reader = self.reader(&mut *at.past);
        let unexpected = oddest.map(|(oddest, _)| at.model.unexpected(&oddest.score, &mut reader));
        let beside_usual = oddest.and_then(|(_, window)| reader.beside_usual(window));
        let verdict = oddest.map(|(oddest, _)| &oddest.verdict);
        let mut alert = fuse(finding, verdict, unexpected.unwrap_or_default(), self.is_learning());
        if alert.reasons.len() < ALERT_REASONS_MAX {
            alert.reasons.extend(beside_usual);
        }
        self.open.note(&scopes, finding);
        Said { hubs: vec![at.hub], finding: finding.revision, alert }
    }
}

/// A finding within the bounds of what is kept of one; a copy where it was not.
fn bounded(finding: &Finding) -> Cow<'_, Finding> {
    let texts = [&finding.key, &finding.message, &finding.rule].into_iter();
    let texts = texts.chain(&finding.reasons).chain(&finding.actor).chain(&finding.victim);
    let mut texts = texts.chain(finding.evidence.iter().map(|line| &line.line));
    let is_within = texts.all(|text| text.len() <= ALERT_TEXT_BYTES)
        && finding.techniques.iter().all(|name| name.len() <= NAME_BYTES_MAX)
        && finding.techniques.len() <= ALERT_TECHNIQUES_MAX
        && finding.reasons.len() <= ALERT_REASONS_MAX
        && finding.evidence.len() <= ALERT_EVIDENCE_MAX;
    if is_within {
        return Cow::Borrowed(finding);
    }
    let text = |text: &str| cut(text, ALERT_TEXT_BYTES);
    let line = |line: &Evidence| Evidence { line: text(&line.line), source: line.source.clone(), ..*line };
    Cow::Owned(Finding {
        rule: text(&finding.rule),
        key: text(&finding.key),
        message: text(&finding.message),
        reasons: finding.reasons.iter().take(ALERT_REASONS_MAX).map(|reason| text(reason)).collect(),
        techniques: finding
            .techniques
            .iter()
            .take(ALERT_TECHNIQUES_MAX)
            .map(|name| cut(name, NAME_BYTES_MAX))
            .collect(),
        actor: finding.actor.as_deref().map(text),
        victim: finding.victim.as_deref().map(text),
        evidence: finding.evidence.iter().take(ALERT_EVIDENCE_MAX).map(line).collect(),
        alert: finding.alert.clone(),
        category: finding.category.clone(),
        source: finding.source.clone(),
        ..*finding
    })
}

fn cut(text: &str, bytes_max: usize) -> Box<str> {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default().into()
}

/// The scopes that a finding is about: its actor, and its evidence's sources by family.
fn scopes(seed: u64, finding: &Finding, events: &[Event]) -> Vec<Scope> {
    let source = source_id(seed, &finding.source);
    let actor = finding.actor.as_deref().map(|actor| match actor.parse() {
        Ok(address) => Actor::Address(address),
        Err(_name) => Actor::Name(actor),
    });
    let mut scopes: Vec<Scope> = actor.iter().map(|actor| Scope::Actor(actor_scope(source, actor))).collect();
    for event in events {
        scopes.push(Scope::Source(source_id(seed, &event.source), extract(event).family));
    }
    scopes.sort();
    scopes.dedup();
    scopes
}

/// The event that a line of evidence was made of, as far as the line says.
fn event_of(finding: &Finding, line: &Evidence) -> Event {
    let body = if finding.category == Category::FileIntegrity {
        let (path, change) = line.line.rsplit_once(' ').unwrap_or((&line.line, "modified"));
        Body::File(Box::new(FileChange {
            path: path.into(),
            change: Change::from_text(change),
            old_sha256: None,
            new_sha256: None,
            owner: None,
            group: None,
            mode: None,
            size: None,
            inode: None,
            mtime: None,
            sessions: Vec::new(),
            package_manager: false,
            command_id: None,
        }))
    } else {
        let (app, message) = match line.line.split_once(": ") {
            Some((app, message)) => (Some(app.into()), message),
            None => (None, &*line.line),
        };
        Body::Syslog(Syslog { facility: 4, severity: 5, app, message: message.into(), ..Syslog::default() })
    };
    Event { id: line.id, source: line.source.clone(), at: line.at, device_at: None, host: None, raw: None, body }
}

/// The evidence as a window of its last event's source.
fn own_window(seed: u64, events: &[Event]) -> Option<Window> {
    let mut windows = Windows::new(events.len().max(1));
    let mut last = None;
    for event in events {
        let extraction = extract(event);
        let source = source_id(seed, &event.source);
        // What a correlator counts has an action.
        let keyed = KeyedEvent::of(event, &extraction, TypedKey::of(&extraction), 0);
        last = Some(Scope::Source(source, extraction.family));
        windows.push(0, source, None, keyed);
    }
    windows.window(last?)
}
