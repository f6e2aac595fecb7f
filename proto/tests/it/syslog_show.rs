//! How the syslog tests write a message down: one line, only what the message holds.

use nms_proto::syslog::{Message, Received, StructuredData, parse};

/// Sunday, 1 March 2026, 12:00:00 UTC, at a receiver one hour east.
pub(crate) const NOW: Received = Received { unix_ms: 1_772_366_400_000, utc_offset_s: 3600 };

/// `input` as read at [`NOW`]: `Dialect facility.severity key=value ... | text`, or `reject: name`.
pub(crate) fn show(input: &[u8]) -> String {
    match parse(input, &NOW) {
        Ok(message) => show_message(&message),
        Err(reject) => format!("reject: {}", reject.name()),
    }
}

fn show_message(message: &Message<'_>) -> String {
    let at = message.device_at.map(|at| {
        let utc = jiff::Timestamp::from_millisecond(at.unix_ms).expect("a stamp is a time");
        format!("{utc}{}", at.offset_s.map(|offset_s| format!("({offset_s:+})")).unwrap_or_default())
    });
    let data = message.structured_data.map(StructuredData::as_str);
    let fields = [
        (" at=", at.as_deref()),
        (" host=", message.host),
        (" app=", message.app),
        (" pid=", message.pid),
        (" msgid=", message.msgid),
        (" sd=", data),
        (" lossy", message.lossy.then_some("")),
        (" truncated", message.truncated.then_some("")),
    ];
    let fields: String = fields.iter().filter_map(|(name, value)| Some([*name, (*value)?].concat())).collect();
    let Message { dialect, facility, severity, message: text, .. } = message;
    format!("{dialect:?} {facility}.{severity}{fields} | {text}")
}

/// Checks a table of inputs against what they read as, and names every line that differs.
#[track_caller]
pub(crate) fn check(table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .map(|(input, expected)| (input, expected, show(input.as_bytes())))
        .filter(|(_, expected, seen)| *expected != seen)
        .map(|(input, expected, seen)| format!("input    {input}\nexpected {expected}\nseen     {seen}\n"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
