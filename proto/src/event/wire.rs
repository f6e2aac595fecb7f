//! The border between an event on the wire and an [`Event`].
//!
//! Whatever a peer may write is brought to our bounds here, so that nobody behind asks again: texts
//! are cut to [`LINE_BYTES_MAX`], names to [`NAME_BYTES_MAX`], and whether anything was cut is told, to be
//! counted. A body that this version has no word for is kept as it came. Refused by field: no body or two, numbers
//! out of range, `raw` that is no base64.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Body, Event, FileChange, FileReport, Finding, Loss, NetConnection, Newer, ProcessStart, Syslog};
use crate::{
    id::{EndpointId, EventId},
    json::Any,
    limits::{ALERT_EVIDENCE_MAX, ALERT_REASONS_MAX, FIM_SESSIONS_MAX, LINE_BYTES_MAX, NAME_BYTES_MAX},
    time::Stamp,
};

/// An event as it stands in a batch; [`Event`] behind the border.
#[derive(Debug, Default)]
pub(crate) struct WireEvent<'a> {
    source: Option<Text<'a>>,
    id: Option<(u64, u64)>,
    at: Option<Stamp>,
    device_at: Option<Stamp>,
    host: Option<Box<str>>,
    raw: Option<Text<'a>>,
    syslog: Option<Syslog>,
    file: Option<Box<FileChange>>,
    report: Option<Box<FileReport>>,
    process: Option<Box<ProcessStart>>,
    connection: Option<Box<NetConnection>>,
    finding: Option<Box<Finding>>,
    loss: Option<Box<Loss>>,
    /// The first member that this version does not know, and that may be a body.
    newer: Option<Newer>,
}

/// A text, borrowed where it was written without escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for WireEvent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> de::Visitor<'de> for Members {
    type Value = WireEvent<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<WireEvent<'de>, A::Error> {
        let mut wire = WireEvent::default();
        let mut seen = 0;
        while let Some(Text(name)) = map.next_key()? {
            let (map, seen) = (&mut map, &mut seen);
            match &*name {
                "source" => wire.source = once(map, seen, (0, "source"))?,
                "id" => wire.id = once(map, seen, (1, "id"))?,
                "at" => wire.at = once(map, seen, (2, "at"))?,
                "device_at" => wire.device_at = once(map, seen, (3, "device_at"))?,
                "host" => wire.host = once(map, seen, (4, "host"))?,
                "raw" => wire.raw = once(map, seen, (5, "raw"))?,
                "syslog" => wire.syslog = once(map, seen, (6, "syslog"))?,
                "file" => wire.file = once(map, seen, (7, "file"))?,
                "report" => wire.report = once(map, seen, (8, "report"))?,
                "process" => wire.process = once(map, seen, (9, "process"))?,
                "connection" => wire.connection = once(map, seen, (10, "connection"))?,
                "finding" => wire.finding = once(map, seen, (11, "finding"))?,
                "loss" => wire.loss = once(map, seen, (12, "loss"))?,
                _ if wire.newer.is_some() => drop(map.next_value::<de::IgnoredAny>()?),
                _ => {
                    let content: Any = map.next_value()?;
                    wire.newer = content.is_object().then(|| Newer { name: name.into(), content });
                }
            }
        }
        Ok(wire)
    }
}

/// The value of a member that may stand there once.
fn once<'de, A: de::MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    seen: &mut u16,
    (bit, name): (u16, &'static str),
) -> Result<Option<T>, A::Error> {
    if *seen & (1 << bit) != 0 {
        return Err(de::Error::duplicate_field(name));
    }
    *seen |= 1 << bit;
    map.next_value()
}

/// Why an event of a batch was refused: the field, and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventError {
    pub(crate) field: &'static str,
    pub(crate) expected: &'static str,
}

impl WireEvent<'_> {
    /// The event, named by `id_of` (index and number, or neither from an original sender) and dated `now` where it
    /// has no stamp; and whether something of it was longer than is kept, and was cut.
    pub(crate) fn into_event(
        self,
        now: Stamp,
        id_of: impl FnOnce(Option<(u64, u64)>) -> Option<EventId>,
    ) -> Result<(Event, bool), EventError> {
        let id = id_of(self.id).ok_or(EventError { field: "id", expected: "an index into origins and a number" })?;
        let mut raw = self.raw.as_ref().map(|raw| read_base64(&raw.0)).transpose()?;
        let bodies = [
            self.syslog.map(Body::Syslog),
            self.file.map(Body::File),
            self.report.map(Body::Report),
            self.process.map(Body::Process),
            self.connection.map(Body::Connection),
            self.finding.map(Body::Finding),
            self.loss.map(Body::Loss),
        ];
        let mut bodies = bodies.into_iter().flatten();
        // Beside a body that is known, a member that is not is ignored.
        let first = bodies.next().or_else(|| self.newer.map(|newer| Body::Other(Box::new(newer))));
        let (Some(mut body), None) = (first, bodies.next()) else {
            return Err(EventError {
                field: "syslog",
                expected: "exactly one of syslog, file, report, process, connection, finding, loss",
            });
        };
        if let Body::Syslog(line) = &body
            && (line.facility > 23 || line.severity > 7)
        {
            return Err(EventError {
                field: "syslog.facility",
                expected: "a facility of 0 to 23 and a severity of 0 to 7",
            });
        }
        let mut host = self.host;
        let mut bounds = Bounds::default();
        bounds.event(&mut host, &mut raw, &mut body);
        let source = EndpointId::new(self.source.as_ref().map_or("", |source| &source.0));
        let event = Event { id, source, at: self.at.unwrap_or(now), device_at: self.device_at, host, raw, body };
        Ok((event, bounds.cut))
    }
}

/// Brings what a peer wrote to the bounds, and remembers whether something was cut.
#[derive(Default)]
struct Bounds {
    cut: bool,
}

impl Bounds {
    fn event(&mut self, host: &mut Option<Box<str>>, raw: &mut Option<Box<[u8]>>, body: &mut Body) {
        self.names(host);
        if let Some(bytes) = raw
            && let Some(kept) = bytes.get(..LINE_BYTES_MAX).filter(|kept| kept.len() < bytes.len())
        {
            *raw = Some(kept.into());
            self.cut = true;
        }
        match body {
            Body::Syslog(line) => self.syslog(line),
            Body::File(change) => self.file(change),
            Body::Report(report) => self.name(&mut report.command_id),
            Body::Process(start) => {
                self.texts([&mut start.exe, &mut start.cmdline, &mut start.parent]);
                self.name(&mut start.user);
            }
            Body::Connection(connection) => {
                self.text(&mut connection.exe);
                let NetConnection { proto, direction, remote, user, .. } = &mut **connection;
                self.names([proto, direction, remote, user]);
            }
            Body::Finding(finding) => self.finding(finding),
            Body::Loss(loss) => self.name(&mut loss.cause),
            Body::Other(newer) => {
                self.name(&mut newer.name);
                if newer.content.to_string().len() > LINE_BYTES_MAX {
                    newer.content = Any::object();
                    self.cut = true;
                }
            }
        }
    }

    fn syslog(&mut self, line: &mut Syslog) {
        self.names([&mut line.app, &mut line.pid, &mut line.msgid].into_iter().flatten());
        self.texts([&mut line.message].into_iter().chain(&mut line.structured_data));
    }

    fn file(&mut self, change: &mut FileChange) {
        let FileChange { path, old_sha256, new_sha256, owner, group, mode, sessions, command_id, .. } = change;
        self.text(path);
        self.names([old_sha256, new_sha256, owner, group, mode, command_id].into_iter().flatten());
        self.list(sessions, FIM_SESSIONS_MAX);
        self.names(sessions);
    }

    fn finding(&mut self, finding: &mut Finding) {
        let Finding { rule, key, message, reasons, evidence, techniques, actor, victim, .. } = finding;
        self.list(reasons, ALERT_REASONS_MAX);
        self.list(evidence, ALERT_EVIDENCE_MAX);
        self.names([rule].into_iter().chain(techniques).chain(actor).chain(victim));
        let lines = evidence.iter_mut().map(|evidence| &mut evidence.line);
        self.texts([key, message].into_iter().chain(reasons).chain(lines));
    }

    fn names<'a>(&mut self, names: impl IntoIterator<Item = &'a mut Box<str>>) {
        for name in names {
            self.name(name);
        }
    }

    fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a mut Box<str>>) {
        for text in texts {
            self.text(text);
        }
    }

    fn name(&mut self, name: &mut Box<str>) {
        self.cut_to(name, NAME_BYTES_MAX);
    }

    fn text(&mut self, text: &mut Box<str>) {
        self.cut_to(text, LINE_BYTES_MAX);
    }

    fn cut_to(&mut self, text: &mut Box<str>, bytes_max: usize) {
        let end = text.floor_char_boundary(bytes_max);
        if let Some(kept) = text.get(..end).filter(|kept| kept.len() < text.len()) {
            *text = kept.into();
            self.cut = true;
        }
    }

    fn list<T>(&mut self, list: &mut Vec<T>, entries_max: usize) {
        self.cut |= list.len() > entries_max;
        list.truncate(entries_max);
    }
}

fn read_base64(text: &str) -> Result<Box<[u8]>, EventError> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    bytes.map(Vec::into_boxed_slice).map_err(|_e| EventError { field: "raw", expected: "base64" })
}

/// An event with the index of its instance in the batch's origins, ready to be written.
pub(crate) struct Indexed<'a> {
    pub(crate) event: &'a Event,
    pub(crate) origin: u64,
}

impl Serialize for Indexed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        use serde::ser::SerializeMap as _;
        let event = self.event;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("source", event.source.as_str())?;
        map.serialize_entry("id", &(self.origin, event.id.seq))?;
        map.serialize_entry("at", &event.at)?;
        if let Some(at) = &event.device_at {
            map.serialize_entry("device_at", at)?;
        }
        if let Some(host) = &event.host {
            map.serialize_entry("host", host)?;
        }
        if let Some(raw) = &event.raw {
            map.serialize_entry("raw", &base64::engine::general_purpose::STANDARD.encode(raw))?;
        }
        match &event.body {
            Body::Syslog(body) => map.serialize_entry("syslog", body)?,
            Body::File(body) => map.serialize_entry("file", body)?,
            Body::Report(body) => map.serialize_entry("report", body)?,
            Body::Process(body) => map.serialize_entry("process", body)?,
            Body::Connection(body) => map.serialize_entry("connection", body)?,
            Body::Finding(body) => map.serialize_entry("finding", body)?,
            Body::Loss(body) => map.serialize_entry("loss", body)?,
            Body::Other(newer) => map.serialize_entry(&*newer.name, &newer.content)?,
        }
        map.end()
    }
}
