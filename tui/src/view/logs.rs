//! The screen of log lines, and the strip of the newest ones on a large screen.

use nms_proto::severity::{Severity, syslog_severity_name};
use ratatui::layout::Rect;

use super::{page, paint::Painter};
use crate::{
    app::{App, Follow},
    lines::{Kind, Row},
    safe::{self, Safe},
    text,
    theme::Role,
};

/// Draws the screen.
pub(super) fn draw(paint: &mut Painter<'_>, app: &App, room: Rect) {
    let logs = &app.logs;
    if logs.lines.shown_len() == 0 {
        let words = if logs.lines.is_empty() { text::NO_EVENTS } else { text::NOTHING_MATCHES };
        page::paragraph(paint, &Safe::of(words), room);
        return;
    }
    for (at, y) in (logs.cursor.top..).zip(room.top()..room.bottom()) {
        let Some(line) = logs.lines.shown(at) else { break };
        let place = Rect { y, height: 1, ..room };
        row(paint, app, line, place);
        if at == logs.cursor.at && logs.follow != Follow::On {
            paint.select(place);
        }
    }
}

/// The newest rows.
pub(super) fn tail(paint: &mut Painter<'_>, app: &App, room: Rect) {
    let first = app.logs.lines.shown_len().saturating_sub(room.height.into());
    for (at, y) in (first..).zip(room.top()..room.bottom()) {
        let Some(line) = app.logs.lines.shown(at) else { break };
        row(paint, app, line, Rect { y, height: 1, ..room });
    }
}

fn row(paint: &mut Painter<'_>, app: &App, row: &Row, room: Rect) {
    let (y, right) = (room.y, room.right());
    let rest = |x: u16| right.saturating_sub(x);
    let message_at = match row.kind {
        Kind::Notice => {
            paint.text(room.x + 9, y, rest(room.x + 9), row.message(), Role::Warn);
            return;
        }
        Kind::Alert(severity) => {
            let role = Role::Severity(severity);
            let sign = Safe::say(format_args!("{} {}", text::clock(row.at()), text::severity_sign(severity)));
            let x = paint.text(room.x, y, room.width, &sign, role);
            x + 1
        }
        Kind::Line => columns(paint, row, room),
    };
    let role = match row.kind {
        Kind::Alert(severity) => Role::Severity(severity),
        _ if row.severity == 7 => Role::Dim,
        _ => Role::Normal,
    };
    let x = if row.flagged { paint.text(message_at, y, rest(message_at), text::FLAG, Role::Warn) } else { message_at };
    paint.text(x, y, rest(x), row.message(), role);
    if let Some(pattern) = &app.search {
        for hit in pattern.find_iter(row.message().as_str()).filter(|hit| !hit.is_empty()).take(50) {
            let before = row.message().as_str().get(..hit.start()).unwrap_or_default();
            let at = usize::from(x) + safe::width(before);
            let area = Rect::new(u16::try_from(at).unwrap_or(u16::MAX), y, cells(hit.as_str()), 1);
            paint.recolour(area.intersection(room), Role::Hit);
        }
    }
}

fn cells(text: &str) -> u16 {
    u16::try_from(safe::width(text)).unwrap_or(u16::MAX)
}

/// Draws what stands before a line's message; returns where that begins.
fn columns(paint: &mut Painter<'_>, row: &Row, room: Rect) -> u16 {
    let (wide_host, wide_app) = if room.width < 78 { (8, 0) } else { (11, 13) };
    let (mut x, y) = (room.x, room.y);
    let mut cell = |paint: &mut Painter<'_>, width: u16, text: &Safe, role: Role| {
        if width > 0 {
            paint.text(x, y, width, text, role);
            x += width + 1;
        }
    };
    cell(paint, 8, &Safe::of(&text::clock(row.at())), Role::Normal);
    let name = Safe::of(syslog_severity_name(row.severity));
    cell(paint, if wide_app == 0 { 4 } else { 6 }, &name, role(row.severity));
    cell(paint, wide_host, &row.host().to_safe(), Role::Normal);
    let app = if row.pid().is_empty() {
        row.app().to_safe()
    } else {
        Safe::say(format_args!("{}[{}]", row.app(), row.pid()))
    };
    cell(paint, wide_app, &app, Role::Dim);
    x
}

/// How a syslog severity looks.
fn role(severity: u8) -> Role {
    match severity {
        0..=2 => Role::Severity(Severity::Critical),
        3 => Role::Severity(Severity::High),
        4 => Role::Severity(Severity::Medium),
        7 => Role::Dim,
        _ => Role::Normal,
    }
}
