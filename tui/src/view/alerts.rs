//! The screen of alerts: the list, the selected alert in full, and on a large screen the log below.

use nms_proto::{alert::Alert, time::Stamp};
use ratatui::layout::Rect;

use super::{logs, page, paint::Painter};
use crate::{app::App, detail, layout::Rooms, safe::Safe, text, theme::Role};

/// Where the columns begin and how wide they are; a column of no width is left out.
struct Columns {
    age: (u16, u16),
    status: (u16, u16),
    source: (u16, u16),
    category: (u16, u16),
    score: (u16, u16),
    count: (u16, u16),
    message: u16,
}

/// Cells before the first column: the mark of the selected row, the sign, the severity.
const SEVERITY_AT: u16 = 1;
const AGE_AT: u16 = 8;

fn columns(width: u16) -> Columns {
    let mut at = AGE_AT;
    let mut place = |wide: u16| {
        let from = at;
        at += if wide == 0 { 0 } else { wide + 1 };
        (from, wide)
    };
    let (source, category, numbers) = if width < 78 { (13, 0, 0) } else { (15, 14, 4) };
    Columns {
        age: place(4),
        status: place(if numbers == 0 { 0 } else { 4 }),
        source: place(source),
        category: place(category),
        score: place(if numbers == 0 { 0 } else { 5 }),
        count: place(numbers),
        message: at,
    }
}

/// Draws the screen.
pub(super) fn draw(paint: &mut Painter<'_>, app: &App, rooms: &Rooms) {
    head(paint, rooms.head);
    list(paint, app, rooms.list);
    if rooms.histogram.height > 0 {
        let room = rooms.histogram;
        let bars = &app.stats.events_per_min;
        let x = paint.text(room.x + 1, room.y, room.width, &text::histogram(bars), Role::Dim);
        paint.text(x, room.y, room.width.saturating_sub(x), &text::bars(bars), Role::Normal);
    }
    if let Some(alert) = app.alerts.selected().filter(|_| rooms.detail.height > 0) {
        paint.rule(rooms.rule);
        let lines = detail::alert(alert, app.now.wall, rooms.detail.width.into());
        page::lines(paint, &lines, 0, rooms.detail);
    }
    if rooms.tail.height > 0 {
        let room = rooms.tail_head;
        paint.rule(room);
        paint.text(room.x, room.y, room.width, text::TAIL_HEAD, Role::Head);
        logs::tail(paint, app, rooms.tail);
    }
}

fn head(paint: &mut Painter<'_>, room: Rect) {
    if room.height == 0 {
        return;
    }
    let columns = columns(room.width);
    let places = [columns.age, columns.status, columns.source, columns.category, columns.score, columns.count];
    let names = text::ALERT_HEAD;
    let last = (columns.message, room.width.saturating_sub(columns.message));
    let all = std::iter::once((SEVERITY_AT + 2, 4)).chain(places).chain([last]);
    for (name, (x, width)) in names.iter().zip(all) {
        paint.text(room.x + x, room.y, width, *name, Role::Head);
    }
}

fn list(paint: &mut Painter<'_>, app: &App, room: Rect) {
    if app.alerts.shown_len() == 0 {
        let words = if app.alerts.is_empty() || app.stats.alerts == 0 {
            text::no_alerts(&app.stats, app.endpoints.len(), &app.link)
        } else {
            text::none_open(app.alerts.len())
        };
        page::paragraph(paint, &words, room);
        return;
    }
    for (at, y) in (app.alerts.cursor.top..).zip(room.top()..room.bottom()) {
        let Some(alert) = app.alerts.shown(at) else { break };
        let line = Rect { y, height: 1, ..room };
        row(paint, alert, app.now.wall, line);
        if at == app.alerts.cursor.at {
            paint.select(Rect { x: line.x + AGE_AT, width: line.width.saturating_sub(AGE_AT), ..line });
            paint.text(line.x, y, 1, ">", Role::Head);
        }
    }
}

fn row(paint: &mut Painter<'_>, alert: &Alert, now: Stamp, room: Rect) {
    let columns = columns(room.width);
    let role = Role::Severity(alert.severity);
    let x = paint.text(room.x + SEVERITY_AT, room.y, 2, text::severity_sign(alert.severity), role);
    paint.text(x, room.y, 4, text::severity(alert.severity), role);
    let age = alert.last_seen.map_or_else(|| Safe::of(text::NONE), |at| Safe::of(&text::age(now, at)));
    let (x, width) = columns.age;
    paint.right(room.x + x, room.x + x + width, room.y, &age, Role::Normal);
    let cells = [
        (columns.status, Safe::of(text::status(&alert.status))),
        (columns.source, Safe::of(alert.source.as_str())),
        (columns.category, Safe::of(alert.category.as_str())),
        (columns.score, Safe::say(format_args!("{}", alert.confidence))),
        (columns.count, Safe::of(&text::count(alert.count))),
    ];
    for ((x, width), cell) in cells {
        paint.text(room.x + x, room.y, width, &cell, Role::Normal);
    }
    let x = room.x + columns.message;
    paint.text(x, room.y, room.right().saturating_sub(x), &Safe::of(&alert.message), Role::Normal);
}
