//! Whether what was shown is what must come of a scenario.

use std::collections::BTreeMap;

use nms_proto::{alert::Alert, finding::Category, id::AlertId, severity::Severity};

use super::case::{Attack, Benign, Expected};

/// Alerts as they were shown during a scenario: every revision, with its time in seconds after the first line.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown(pub(super) Vec<(f64, Alert)>);

impl Shown {
    /// Each alert once, in the order in which they came: when it was shown first, and its worst revision, the last of those.
    pub(super) fn alerts(&self) -> Vec<(f64, &Alert)> {
        let mut worst: Vec<(f64, &Alert)> = Vec::new();
        for (at, alert) in &self.0 {
            match worst.iter_mut().find(|(_first, known)| known.id == alert.id) {
                Some((_first, known)) if alert.severity >= known.severity => *known = alert,
                Some(_milder) => {}
                None => worst.push((*at, alert)),
            }
        }
        worst
    }

    fn distinct(&self, is_meant: impl Fn(&Alert) -> bool) -> usize {
        let mut ids: Vec<&AlertId> =
            self.0.iter().filter(|(_at, alert)| is_meant(alert)).map(|(_at, alert)| &alert.id).collect();
        ids.sort();
        ids.dedup();
        ids.len()
    }

    /// How many alerts of which severity and category, for people.
    fn kinds(&self) -> String {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for (_first, alert) in self.alerts() {
            *kinds.entry(format!("{} {}", alert.severity, alert.category)).or_default() += 1;
        }
        let kinds: Vec<String> = kinds.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        if kinds.is_empty() { String::from("nothing") } else { kinds.join(", ") }
    }

    /// Alerts that somebody must look at.
    fn many(&self, most: usize, why: &mut Vec<String>) {
        let count = self.distinct(|alert| alert.severity >= Severity::Medium);
        if count > most {
            why.push(format!("{count} alerts of MEDIUM or more, at most {most} may be"));
        }
    }
}

/// What is wrong; nothing where all is as it must be.
pub(super) fn judge(expected: &Expected, shown: &Shown, parse_errors: u64) -> Vec<String> {
    let mut why = Vec::new();
    match expected {
        Expected::Attack(attack) => judge_attack(attack, shown, &mut why),
        Expected::Benign(benign) => judge_benign(benign, shown, parse_errors, &mut why),
    }
    why
}

fn judge_attack(attack: &Attack, shown: &Shown, why: &mut Vec<String>) {
    let fits = |alert: &Alert| attack.categories.contains(&alert.category) && alert.severity >= attack.min_severity;
    let wanted: Vec<&str> = attack.categories.iter().map(Category::as_str).collect();
    let wanted = format!("{} at {} or more", wanted.join(" or "), attack.min_severity);
    let count = shown.distinct(fits);
    if count < attack.min_alerts {
        why.push(format!("{count} alerts of {wanted}, {} must be; shown was {}", attack.min_alerts, shown.kinds()));
    }
    shown.many(attack.max_alerts, why);
    let fitting = || shown.0.iter().filter(|(_at, alert)| fits(alert));
    if let (Some(least), true) = (attack.min_confidence, count > 0) {
        let most = fitting().map(|(_at, alert)| alert.confidence.value()).fold(0.0, f32::max);
        if most < least {
            why.push(format!("confidence {most:.2}, at least {least:.2} must be"));
        }
    }
    for word in &attack.must_mention {
        if !shown.0.iter().any(|(_at, alert)| mentions(alert, word)) {
            why.push(format!("no alert mentions {word}"));
        }
    }
    if let (Some(most), Some((first, _alert))) = (attack.max_time_to_alert_s, fitting().next())
        && *first > most
    {
        why.push(format!("the first alert of {wanted} after {first:.1} s, at most {most} s may be"));
    }
}

fn judge_benign(benign: &Benign, shown: &Shown, parse_errors: u64, why: &mut Vec<String>) {
    for (_at, alert) in shown.alerts() {
        if alert.severity > benign.max_severity {
            let (severity, category) = (alert.severity, &alert.category);
            why.push(format!("{severity} {category}: {}; at most {} may be", alert.message, benign.max_severity));
        }
    }
    shown.many(benign.max_alerts, why);
    if let Some(most) = benign.max_confidence {
        for (_at, alert) in shown.alerts() {
            let confidence = alert.confidence.value();
            if confidence > most {
                why.push(format!("confidence {confidence:.2} of {}, at most {most:.2} may be", alert.category));
            }
        }
    }
    if parse_errors < benign.parse_errors_min {
        why.push(format!("{parse_errors} parse errors, at least {} must be counted", benign.parse_errors_min));
    }
}

fn mentions(alert: &Alert, word: &str) -> bool {
    let named = [alert.actor.as_deref(), alert.victim.as_deref()].into_iter().flatten();
    let told = [&*alert.message, alert.source.as_str()].into_iter().chain(named);
    told.chain(alert.reasons.iter().map(|reason| &**reason)).any(|text| text.contains(word))
}
