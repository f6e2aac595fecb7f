//! What was sent against what is stored: pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// What a torture run found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Lines sent by each sender.
    pub sent: BTreeMap<String, u64>,
    /// Different lines stored of each.
    pub stored: BTreeMap<String, u64>,
    /// Lines that are stored more than once.
    pub duplicates_stored: u64,
    /// Losses that were reported, by cause.
    pub dropped: BTreeMap<String, u64>,
    /// Lines of tailed files that are neither stored nor reported lost.
    pub unexplained: u64,
    /// Lines sent over TCP and UDP that are neither: the hub that had them was killed before it committed them.
    pub unconfirmed: u64,
    /// How often each point, and a process at random, was met by a kill.
    pub kills: BTreeMap<String, u64>,
    /// How often the link was cut or slowed, the hub overloaded, and the disk of a daemon full.
    pub troubles: BTreeMap<String, u64>,
    /// Batches that the server set aside: none should be.
    pub quarantined: u64,
    /// Longest time from a start after a kill until the daemon served again.
    pub longest_recovery_ms: u64,
    /// Longest time from the moment a full disk had room again until its daemon took data.
    pub longest_disk_recovery_ms: u64,
}

/// Lines of each sender, as they are stored.
#[derive(Debug, Default)]
pub struct Stored {
    lines: BTreeMap<String, Vec<bool>>,
    duplicates: u64,
    lost: BTreeMap<(String, String), u64>,
}

impl Stored {
    /// Counts a batch as `nmsd-server log dump` prints it.
    pub fn batch(&mut self, batch: &Value) {
        for event in batch.get("events").and_then(Value::as_array).into_iter().flatten() {
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if let (Some(cause), Some(count)) = (
                event.pointer("/loss/cause").and_then(Value::as_str),
                event.pointer("/loss/count").and_then(Value::as_u64),
            ) {
                *self.lost.entry((text("/loss/source").into(), cause.into())).or_default() += count;
            }
            if let Some((sender, number)) = numbered(text("/syslog/message")) {
                self.line(sender, number);
            }
        }
    }

    fn line(&mut self, sender: &str, number: usize) {
        let lines = self.lines.entry(sender.into()).or_default();
        if lines.len() <= number {
            lines.resize(number + 1, false);
        }
        if let Some(seen) = lines.get_mut(number)
            && std::mem::replace(seen, true)
        {
            self.duplicates += 1;
        }
    }

    /// The report of a run in which `sent` lines were sent; those of senders called `file...` are durable at their source.
    pub fn report(&self, sent: &[(String, u64)]) -> Report {
        let mut report = Report { duplicates_stored: self.duplicates, ..Report::default() };
        let mut missing = (0, 0);
        for (name, sent) in sent {
            let stored = self.lines.get(name).map_or(0, |lines| lines.iter().filter(|seen| **seen).count() as u64);
            let gone = sent.saturating_sub(stored);
            if name.starts_with("file") {
                missing.0 += gone;
            } else {
                missing.1 += gone;
            }
            report.sent.insert(name.clone(), *sent);
            report.stored.insert(name.clone(), stored);
        }
        let mut lost = (0, 0);
        for ((source, cause), count) in &self.lost {
            // An agent is `address/name`; a sender over a socket is an address, or `udp`.
            if source.contains('/') {
                lost.0 += count;
            } else {
                lost.1 += count;
            }
            *report.dropped.entry(cause.clone()).or_default() += count;
        }
        report.unexplained = missing.0.saturating_sub(lost.0);
        report.unconfirmed = missing.1.saturating_sub(lost.1);
        report
    }
}

/// The sender and the number of a line.
fn numbered(message: &str) -> Option<(&str, usize)> {
    let (_, rest) = message.split_once("torture ")?;
    let mut words = rest.split(' ');
    Some((words.next()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(lines: &[(&str, u64)], lost: &[(&str, u64)]) -> Stored {
        let line =
            |(name, number): &(&str, u64)| json!({ "syslog": { "message": format!("torture {name} {number} x") } });
        let loss =
            |(source, count): &(&str, u64)| json!({ "loss": { "source": source, "cause": "shed", "count": count } });
        let events: Vec<Value> = lines.iter().map(line).chain(lost.iter().map(loss)).collect();
        let mut stored = Stored::default();
        stored.batch(&json!({ "events": events }));
        stored
    }

    #[test]
    fn what_is_neither_stored_nor_reported_is_named_by_who_could_have_kept_it() {
        let sent = [("file0".to_owned(), 4), ("udp".to_owned(), 5)];
        let whole = stored(&[("file0", 0), ("file0", 1), ("file0", 2), ("file0", 3), ("udp", 4)], &[("127.0.0.1", 1)]);
        let report = whole.report(&sent);
        assert_eq!((report.unexplained, report.unconfirmed, report.duplicates_stored), (0, 3, 0));
        assert_eq!(report.dropped, BTreeMap::from([("shed".to_owned(), 1)]));
        // One line of a file that vanished, and one that is there twice, are found.
        let report = stored(&[("file0", 0), ("file0", 2), ("file0", 2), ("file0", 3)], &[]).report(&sent);
        assert_eq!((report.unexplained, report.duplicates_stored), (1, 1));
    }
}
