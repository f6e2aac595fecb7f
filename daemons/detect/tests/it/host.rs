//! What the tests speak with: events of a host that does not exist.

use nms_detect::{Correlator, Settings};
use nms_proto::{
    event::{Body, Event, Syslog},
    finding::Finding,
    id::{EndpointId, EventId, EventSeq, Instance},
    time::Stamp,
};

/// 2026-03-10, a Tuesday, 10:00 UTC.
pub(crate) const TEN: i64 = 1_773_136_800_000;

/// The spool that numbers the tests' events.
pub(crate) const INSTANCE: Instance = Instance([7; 16]);

/// An event of `source` at `unix_ms`.
pub(crate) fn event(seq: u64, source: &str, unix_ms: i64, body: Body) -> Event {
    Event {
        id: EventId { instance: INSTANCE, seq: EventSeq(seq) },
        source: EndpointId::new(source),
        at: Stamp::utc(unix_ms),
        device_at: None,
        host: None,
        raw: None,
        body,
    }
}

/// `app[pid]: message` as a body.
pub(crate) fn line(app: &str, pid: u32, message: &str) -> Body {
    Body::Syslog(Syslog {
        facility: 4,
        severity: 6,
        app: (!app.is_empty()).then(|| app.into()),
        pid: (pid != 0).then(|| pid.to_string().into()),
        message: message.into(),
        ..Syslog::default()
    })
}

/// A hub in virtual time: a correlator, and all that it said.
pub(crate) struct Hub {
    pub(crate) correlator: Correlator,
    pub(crate) said: Vec<Finding>,
    seq: u64,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let settings = Settings { instance: INSTANCE, admins: vec!["carol".into()] };
        Self { correlator: Correlator::new(settings), said: Vec::new(), seq: 0 }
    }

    /// `body` of `source`, seen `after_s` seconds after ten, when it happened.
    pub(crate) fn feed(&mut self, after_s: f64, source: &str, body: Body) {
        let at = TEN + (after_s * 1_000.0) as i64;
        self.feed_late(at, at, source, body);
    }

    /// `body` of `source` that happened at `at`, seen when the hub's clock said `now`.
    pub(crate) fn feed_late(&mut self, at: i64, now: i64, source: &str, body: Body) {
        self.seq += 1;
        let event = event(self.seq, source, at, body);
        self.correlator.observe(Stamp::utc(now), &event, &mut self.said);
    }

    /// Lets the hub's clock run to `after_s` seconds after ten, doing what is due on the way.
    pub(crate) fn wait(&mut self, after_s: f64) {
        let until = TEN + (after_s * 1_000.0) as i64;
        while let Some(due) = self.correlator.deadline().filter(|due| due.unix_ms <= until) {
            self.said.extend(self.correlator.tick(due));
        }
    }

    /// All that was said, a line each: `revision severity category xcount status: message`.
    pub(crate) fn text(&self) -> String {
        self.said.iter().map(say).collect::<Vec<_>>().join("\n")
    }

    /// The distinct alerts.
    pub(crate) fn alerts(&self) -> usize {
        let mut ids: Vec<_> = self.said.iter().map(|finding| finding.alert.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }
}

/// A finding on one line.
pub(crate) fn say(finding: &Finding) -> String {
    let status = if finding.resolved { "resolved" } else { "open" };
    format!(
        "{} {} {} x{} {status}: {}",
        finding.revision, finding.floor, finding.category, finding.count, finding.message
    )
}

/// sshd refuses a password: one line of one connection.
pub(crate) fn refused(account: &str, from: &str, pid: u32) -> Body {
    line("sshd", pid, &format!("Failed password for {account} from {from} port 40022 ssh2"))
}

/// Compares text by lines, whatever their indentation.
pub(crate) fn check(said: &str, expected: &str) {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let (said, expected): (Vec<String>, Vec<String>) = (lines(said), lines(expected));
    assert_eq!(said, expected, "\nsaid:\n{}", said.join("\n"));
}
