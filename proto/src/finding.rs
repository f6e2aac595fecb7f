//! What a correlator at the hub found: the facts of an incident, travelling upward as an event.
//!
//! A finding is one revision of one incident. The hub shows it at once as a provisional alert with
//! the same id; the server fuses it with the model and answers with a higher revision.

use serde::{Deserialize, Serialize};

use crate::{
    confidence::Confidence,
    id::{AlertId, EndpointId, EventId},
    severity::Severity,
    time::Stamp,
    word::words,
};

words! {
    /// What kind of incident.
    Category {
        /// Password guessing (ATT&CK T1110).
        BruteForce = "brute_force",
        /// Somebody else uses an account (T1078).
        AccountCompromise = "account_compromise",
        /// Looking for open ports or hosts (T1046).
        PortScan = "port_scan",
        /// Talking to a controller outside (TA0011).
        C2Communication = "c2_communication",
        /// Attack on a web application (T1190).
        WebAttack = "web_attack",
        /// A watched file changed (T1565).
        FileIntegrity = "file_integrity",
        /// Malicious software.
        Malware = "malware",
        /// Data encrypted for impact (T1486).
        Ransomware = "ransomware",
        /// A process that should not run (T1059).
        SuspiciousProcess = "suspicious_process",
        /// A foothold that outlives a restart (TA0003).
        Persistence = "persistence",
        /// More rights than given (TA0004).
        PrivilegeEscalation = "privilege_escalation",
        /// Logs removed or stopped (T1070).
        LogTampering = "log_tampering",
        /// Service made unusable (T1499).
        DenialOfService = "denial_of_service",
        /// Data carried out (TA0010).
        Exfiltration = "exfiltration",
        /// Traffic that does not fit.
        NetworkAnomaly = "network_anomaly",
        /// Against the rules of the house.
        PolicyViolation = "policy_violation",
        /// A source that always talks is silent (T1562).
        Silence = "silence",
        /// A sequence that does not fit.
        Anomaly = "anomaly",
    }
}

/// A line that shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The event.
    pub id: EventId,
    /// When it happened.
    pub at: Stamp,
    /// Where it came from.
    pub source: EndpointId,
    /// Application and text as they stood, on one line.
    pub line: Box<str>,
}

/// One revision of an incident, as the hub's correlators know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The incident's alert.
    pub alert: AlertId,
    /// Rising with each finding of this incident, from 1.
    pub revision: u64,
    /// The correlator, such as `guessing`.
    pub rule: Box<str>,
    /// The incident's key: category family and actor or victim.
    pub key: Box<str>,
    /// What kind.
    pub category: Category,
    /// The least severity this deserves, whatever the model says.
    pub floor: Severity,
    /// How sure the correlator alone is.
    pub confidence: Confidence,
    /// One sentence for people.
    pub message: Box<str>,
    /// Why, in sentences with numbers.
    pub reasons: Vec<Box<str>>,
    /// ATT&CK technique ids.
    #[serde(default)]
    pub techniques: Vec<Box<str>>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Box<str>>,
    /// Against whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub victim: Option<Box<str>>,
    /// The source under attack, or that behaves.
    pub source: EndpointId,
    /// Events so far.
    pub count: u64,
    /// The first of them.
    pub first_seen: Stamp,
    /// The last of them.
    pub last_seen: Stamp,
    /// The first of them and some of the last.
    pub evidence: Vec<Evidence>,
    /// It went quiet: this revision closes the incident.
    #[serde(default)]
    pub resolved: bool,
}
