//! An alert: what people see, understand and settle. One id, rising revisions.
//!
//! The original six fields (id, severity, source, category, message, confidence) are always there;
//! everything else is optional on input, so that an older server can still be understood.

use serde::{Deserialize, Serialize};

use crate::{
    confidence::Confidence,
    finding::{Category, Evidence},
    id::{AlertId, EndpointId, EventId},
    severity::Severity,
    time::Stamp,
    word::words,
};

words! {
    /// Where an alert stands.
    Status {
        /// The hub's correlators say so; the server has not answered yet.
        Provisional = "provisional",
        /// Nobody has looked yet.
        Open = "open",
        /// Somebody is on it.
        Acknowledged = "acknowledged",
        /// Settled by a person.
        Closed = "closed",
        /// Quiet for long enough.
        Resolved = "resolved",
        /// Hidden by a suppression, still counted.
        Suppressed = "suppressed",
    }
}

words! {
    /// What a person found it to be.
    Verdict {
        /// An attack or fault.
        TruePositive = "true_positive",
        /// Nothing was wrong.
        FalsePositive = "false_positive",
        /// It happened, and was meant to.
        Expected = "expected",
        /// Another alert says the same.
        Duplicate = "duplicate",
    }
}

/// One step of an alert's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Stamp,
    /// User id of who did it; none for the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// What was done: `raised`, `acknowledged`, `closed` ...
    pub what: Box<str>,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}

/// What was expected in place of an event, and how likely it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Readable text of the key.
    pub text: Box<str>,
    /// Its probability.
    pub probability: f32,
}

/// An event that did not fit, and what did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unexpected {
    /// The event; none where several of one key stand together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// The event's text or template.
    pub text: Box<str>,
    /// How often in this window.
    pub count: u64,
    /// Rank of what happened among the candidates, 1 is the likeliest.
    pub rank: u32,
    /// How many candidates there are.
    pub candidates: u32,
    /// The probability of what happened.
    pub probability: f32,
    /// The likeliest others.
    #[serde(default)]
    pub expected: Vec<Expected>,
    /// How often such an event is normal here, per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal_per_hour: Option<f32>,
    /// The hours over which that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal_over_h: Option<f32>,
}

/// Which model judged, and what it said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelVerdict {
    /// Name of the bundle.
    pub id: Box<str>,
    /// SHA-256 of its manifest, first 16 hex digits.
    pub hash: Box<str>,
    /// Surprise: the higher, the less expected.
    pub score: f32,
    /// Distance from the centre of normal windows.
    #[serde(default)]
    pub distance: f32,
    /// Share of ordinary windows at least as surprising.
    pub p_value: f32,
    /// Score from which the model alone would speak up.
    pub threshold: f32,
}

/// The rule behind an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: Box<str>,
    /// Its title.
    pub title: Box<str>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Box<str>>,
}

/// An alert, at one revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its one name.
    pub id: AlertId,
    /// How bad.
    pub severity: Severity,
    /// Where it happened.
    pub source: EndpointId,
    /// What kind.
    pub category: Category,
    /// One sentence for people.
    pub message: Box<str>,
    /// Calibrated probability that it is malicious.
    pub confidence: Confidence,
    /// Rising; a lower one never replaces a higher one.
    #[serde(default)]
    pub revision: u64,
    /// Where it stands.
    #[serde(default = "open")]
    pub status: Status,
    /// What a person found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Events in it.
    #[serde(default = "one")]
    pub count: u64,
    /// The first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Stamp>,
    /// The last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Stamp>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Box<str>>,
    /// Against whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub victim: Option<Box<str>>,
    /// ATT&CK technique ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<Box<str>>,
    /// Why, in sentences with numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Box<str>>,
    /// Lines that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The events least expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unexpected: Vec<Unexpected>,
    /// The model's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelVerdict>,
    /// The rule's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The tenant is still being learned.
    #[serde(default)]
    pub learning: bool,
    /// The alert this one went into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<AlertId>,
    /// What was done, by whom, when, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Step>,
}

fn open() -> Status {
    Status::Open
}

fn one() -> u64 {
    1
}
