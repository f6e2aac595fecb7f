//! From findings and the model's verdict to alerts, and from alert to alert as revisions come.
//!
//! A finding's severity is a floor. Where it states a hard fact (guessing, a login after guessing,
//! blocked calls home) the model can only make it surer; where the fact has a plausible benign reading
//! (a file, a setting, rights taken by sudo) an ordinary window lowers it, by one step at most, and never
//! while the tenant is still being learned. What only the model noticed is INFO or LOW.
//!
//! ```text
//! revision on the wire    hub, provisional 2 f       server 2 f + 1, or one above what it has
//! ```
//! for revision `f` of the finding, so that the server's answer always replaces the hub's word on the
//! same finding, and the hub's next word the server's answer. A server remembers which finding it has
//! answered ([`Standing`]): the same finding again changes nothing.

use nms_proto::{
    alert::{Alert, ModelVerdict, Status, Step, Unexpected},
    finding::{Category, Evidence, Finding},
    id::{AlertId, EndpointId, Instance},
    limits::{ALERT_EVIDENCE_MAX, ALERT_HISTORY_MAX},
    severity::Severity,
    time::Stamp,
};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::calibrate::{alone, shifted, weight};

/// How far the model moves the confidence of a hard fact, and of one with a benign reading, in log odds.
const HARD: (f32, f32) = (0.0, 1.5);
const SOFT: (f32, f32) = (-0.7, 0.5);
/// Shift and confidence below which a soft fact loses a step of severity.
const LOWERED: (f32, f32) = (-0.5, 0.5);
/// p value from which an only surprising window is LOW instead of INFO.
const LOW_P: f32 = 0.001;

/// The alert that the hub shows before the server has answered.
pub fn provisional(finding: &Finding) -> Alert {
    let status = if finding.resolved { Status::Resolved } else { Status::Provisional };
    Alert {
        id: finding.alert.clone(),
        severity: finding.floor,
        source: finding.source.clone(),
        category: finding.category.clone(),
        message: finding.message.clone(),
        confidence: finding.confidence,
        revision: finding.revision.saturating_mul(2),
        status,
        verdict: None,
        count: finding.count,
        first_seen: Some(finding.first_seen),
        last_seen: Some(finding.last_seen),
        actor: finding.actor.clone(),
        victim: finding.victim.clone(),
        techniques: finding.techniques.clone(),
        reasons: finding.reasons.clone(),
        evidence: finding.evidence.clone(),
        unexpected: Vec::new(),
        model: None,
        rule: None,
        learning: false,
        merged_into: None,
        history: Vec::new(),
    }
}

/// The server's alert for a finding: the correlator's facts, the model's verdict on the window they came
/// from (none where it was not scored), and what was unexpected in it.
pub fn fuse(finding: &Finding, model: Option<&ModelVerdict>, unexpected: Vec<Unexpected>, learning: bool) -> Alert {
    let soft = has_benign_reading(&finding.category);
    let (lowest, highest) = if soft { SOFT } else { HARD };
    let lowest = if learning { 0.0 } else { lowest };
    let shift = model.map_or(0.0, |model| weight(model.p_value).clamp(lowest, highest));
    let confidence = shifted(finding.confidence, shift);
    let lowered = soft && shift <= LOWERED.0 && confidence.value() < LOWERED.1;
    let known = provisional(finding);
    Alert {
        severity: if lowered { one_less(finding.floor) } else { finding.floor },
        confidence: if shift == 0.0 { finding.confidence } else { confidence },
        revision: known.revision.saturating_add(1),
        status: if finding.resolved { Status::Resolved } else { Status::Open },
        unexpected,
        model: model.cloned(),
        learning,
        ..known
    }
}

/// Whether context may lower a fact of this category.
fn has_benign_reading(category: &Category) -> bool {
    matches!(category, Category::FileIntegrity | Category::PrivilegeEscalation | Category::PolicyViolation)
}

fn one_less(severity: Severity) -> Severity {
    Severity::ALL.into_iter().rev().find(|lower| *lower < severity).unwrap_or(Severity::Info)
}

/// A window that only the model found unusual.
#[derive(Clone, Debug)]
pub struct Unusual {
    /// The spool whose events it holds.
    pub instance: Instance,
    /// Where they came from.
    pub source: EndpointId,
    /// The family of applications, such as `sshd`.
    pub family: Box<str>,
    /// The model's verdict.
    pub model: ModelVerdict,
    /// What did not fit.
    pub unexpected: Vec<Unexpected>,
    /// The window's events, oldest first; the first of them names the alert.
    pub evidence: Vec<Evidence>,
    /// The tenant is still being learned.
    pub learning: bool,
    /// The hub's open incident that holds these events already, if there is one.
    pub part_of: Option<AlertId>,
}

/// The alert of an unusual window: INFO, or LOW where hardly any ordinary window is as surprising. None without events.
pub fn model_only(unusual: Unusual) -> Option<Alert> {
    let Unusual { instance, source, family, model, unexpected, mut evidence, learning, part_of } = unusual;
    let (first, last) = (evidence.first()?.clone(), evidence.last()?.at);
    let key = format!("{instance}\nanomaly/{source}/{family}\n{}", first.id);
    let count = evidence.len() as u64;
    evidence.truncate(ALERT_EVIDENCE_MAX);
    let low = model.p_value <= LOW_P && !learning;
    let reason = format!(
        "surprise {:.2} (threshold {:.2}) and distance {:.2}: {:.2} % of ordinary windows are as unusual",
        model.score,
        model.threshold,
        model.distance,
        model.p_value * 100.0
    );
    Some(Alert {
        id: AlertId::from_hash(xxh3_64(key.as_bytes())),
        severity: if low { Severity::Low } else { Severity::Info },
        category: Category::Anomaly,
        message: format!("unusual sequence of {family} events on {source}").into(),
        confidence: alone(model.p_value),
        revision: 1,
        status: Status::Open,
        verdict: None,
        count,
        first_seen: Some(first.at),
        last_seen: Some(last),
        actor: None,
        victim: None,
        techniques: Vec::new(),
        reasons: vec![reason.into()],
        evidence,
        unexpected,
        model: Some(model),
        rule: None,
        learning,
        merged_into: part_of,
        history: Vec::new(),
        source,
    })
}

/// What a server keeps of an alert: its last revision, and the finding that it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The alert, with what people made of it.
    pub alert: Alert,
    /// Revision of the last finding that went into it; 0 where only the model spoke.
    pub finding: u64,
}

impl Standing {
    /// Takes the fused alert of revision `finding` into what is `known`; none where that finding was answered before.
    ///
    /// What people settled stays: an acknowledged, suppressed or closed alert keeps its status while it
    /// only grows, and is open again when it becomes worse.
    pub fn settle(known: Option<&Self>, finding: u64, fused: Alert) -> Option<Self> {
        let at = fused.last_seen.unwrap_or_default();
        let Some(known) = known else {
            let mut alert = fused;
            alert.history.push(step(at, "raised"));
            return Some(Self { alert, finding });
        };
        if finding <= known.finding {
            return None;
        }
        let mut alert = fused;
        let before = &known.alert;
        alert.revision = alert.revision.max(before.revision.saturating_add(1));
        alert.verdict.clone_from(&before.verdict);
        alert.history.clone_from(&before.history);
        let worse = alert.severity > before.severity;
        let settled = matches!(before.status, Status::Acknowledged | Status::Suppressed | Status::Closed);
        let again = before.status == Status::Resolved && alert.status == Status::Open;
        if worse {
            alert.history.push(step(at, "worse"));
        } else if settled && !(alert.status == Status::Resolved && before.status == Status::Acknowledged) {
            alert.status = before.status.clone();
        } else if alert.status == Status::Resolved {
            alert.history.push(step(at, "resolved"));
        } else if again {
            alert.history.push(step(at, "reopened"));
        }
        let surplus = alert.history.len().saturating_sub(ALERT_HISTORY_MAX);
        alert.history.drain(..surplus);
        Some(Self { alert, finding })
    }
}

fn step(at: Stamp, what: &str) -> Step {
    Step { at, uid: None, what: what.into(), why: None }
}

/// What the hub shows after `new`, its own or the server's; none where what it shows is as new.
///
/// A revision of the hub's own, provisional or resolved, of an alert that the server has answered keeps what only the
/// server knows: the model's part, what people settled, and that it is no longer provisional.
pub fn newer(known: Option<&Alert>, new: Alert) -> Option<Alert> {
    let Some(known) = known else { return Some(new) };
    if new.revision <= known.revision {
        return None;
    }
    let is_over = new.status == Status::Resolved;
    let is_of_the_hub = new.status == Status::Provisional || (is_over && new.model.is_none());
    if !is_of_the_hub || known.status == Status::Provisional {
        return Some(new);
    }
    let worse = new.severity > known.severity;
    let status = match known.status {
        Status::Open | Status::Resolved if is_over => Status::Resolved,
        Status::Resolved => Status::Open,
        _ if worse => Status::Open,
        _ => known.status.clone(),
    };
    Some(Alert {
        status,
        verdict: known.verdict.clone(),
        confidence: if known.confidence > new.confidence { known.confidence } else { new.confidence },
        unexpected: known.unexpected.clone(),
        model: known.model.clone(),
        rule: known.rule.clone(),
        learning: known.learning,
        history: known.history.clone(),
        ..new
    })
}
