//! The plain tables: endpoints, malformed input, the account of every event.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nms_proto::{
    dash::{Endpoint, EndpointStatus, ParseErrors, Sample, SourceAccount},
    time::Stamp,
};
use std::collections::BTreeMap;

use super::{page, paint::Painter};
use crate::{app::App, detail, layout::Rooms, safe::Safe, text, theme::Role};

/// One row: its cells, and how they are meant.
type Cells = Vec<(Safe, Role)>;

/// Where endpoints stand.
pub(super) fn endpoints(paint: &mut Painter<'_>, app: &App, rooms: &Rooms) {
    let row = |endpoint: &Endpoint| endpoint_cells(endpoint, app.now.wall);
    let mut rows: Vec<Cells> = app.endpoints.iter().map(row).collect();
    // The hub lists those that it heard of last; how many there are it says apart.
    let unlisted = app.stats.endpoints.unwrap_or_default().saturating_sub(rows.len() as u64);
    if unlisted > 0 {
        rows.push(vec![(text::unlisted(unlisted), Role::Dim)]);
    }
    // The last column takes room from the names, so it is there only where it says something.
    let is_overlapping = app.endpoints.iter().any(|endpoint| !endpoint.also.is_empty());
    let head = if is_overlapping { text::ENDPOINT_HEAD_OVERLAPPING } else { text::ENDPOINT_HEAD };
    table(paint, app, rooms, &Table { head, rows, none: text::NO_ENDPOINTS });
}

fn endpoint_cells(endpoint: &Endpoint, now: Stamp) -> Cells {
    let role = match endpoint.status {
        EndpointStatus::Up => Role::Good,
        EndpointStatus::Late => Role::Warn,
        EndpointStatus::Down => Role::Bad,
        _ => Role::Dim,
    };
    let plain = |text: Safe| (text, Role::Normal);
    let or_none = |text: Option<&str>| plain(Safe::of(text.unwrap_or(text::NONE)));
    vec![
        plain(Safe::of(endpoint.name.as_str())),
        or_none(endpoint.address.as_deref()),
        plain(Safe::of(endpoint.kind.as_str())),
        (Safe::of(endpoint.status.as_str()), role),
        or_none(endpoint.last_seen.map(|at| text::age(now, at)).as_deref()),
        plain(Safe::of(&text::rate(endpoint.events_per_s))),
        or_none(endpoint.queued.map(text::count).as_deref()),
        (Safe::of(&text::count(endpoint.parse_errors)), warn_above_zero(endpoint.parse_errors, Role::Warn)),
        or_none(endpoint.version.as_deref()),
        or_none(Some(text::also(&endpoint.also)).filter(|also| !also.is_empty()).as_deref()),
    ]
}

fn warn_above_zero(number: u64, role: Role) -> Role {
    if number > 0 { role } else { Role::Normal }
}

/// What could not be understood, by source, with samples of the selected one.
pub(super) fn parse_errors(paint: &mut Painter<'_>, app: &App, rooms: &Rooms) {
    let now = app.now.wall;
    let rows = app.parse_errors.iter().map(|errors| parse_cells(errors, now)).collect();
    table(paint, app, rooms, &Table { head: text::PARSE_HEAD, rows, none: text::NO_PARSE_ERRORS });
    paint.rule(rooms.rule);
    let Some(errors) = app.parse_errors.get(app.table.at) else { return };
    let mut said = Vec::new();
    for sample in errors.samples.iter().rev() {
        said.extend(detail::paragraph(&sample_words(sample, now), rooms.detail.width.into()));
    }
    page::lines(paint, &said, 0, rooms.detail);
}

fn parse_cells(errors: &ParseErrors, now: Stamp) -> Cells {
    let words = by_name(&errors.reasons);
    let count = text::total(errors.reasons.values());
    let plain = |text: &str| (Safe::of(text), Role::Normal);
    vec![
        plain(errors.source.as_str()),
        (Safe::of(&text::count(count)), Role::Warn),
        plain(&text::moment(now, errors.first_seen)),
        plain(&text::moment(now, errors.last_seen)),
        plain(&words),
    ]
}

/// A sample with its first bytes, safe to look at.
fn sample_words(sample: &Sample, now: Stamp) -> Safe {
    let raw = STANDARD.decode(sample.raw.as_bytes()).unwrap_or_default();
    let at = text::moment(now, sample.at);
    Safe::say(format_args!("{at} {} ({} bytes): {}", sample.reason, sample.bytes, Safe::of_bytes(&raw)))
}

/// `reason 3  other 1`; `-` where there is none.
fn by_name(counts: &BTreeMap<Box<str>, u64>) -> String {
    let words: Vec<String> =
        counts.iter().filter(|(_, count)| **count > 0).map(|(name, count)| format!("{name} {count}")).collect();
    if words.is_empty() { text::NONE.to_owned() } else { words.join(", ") }
}

/// The server as the hub sees it, and what became of every source's events.
pub(super) fn link(paint: &mut Painter<'_>, app: &App, rooms: &Rooms) {
    let words = text::link_words(&app.link, app.now.wall);
    paint.text(rooms.banner.x + 1, rooms.banner.y, rooms.banner.width.saturating_sub(2), &words, Role::Normal);
    let rows = app.link.sources.iter().map(source_cells).collect();
    table(paint, app, rooms, &Table { head: text::SOURCE_HEAD, rows, none: text::NO_SOURCES });
}

fn source_cells(source: &SourceAccount) -> Cells {
    let number = |count: u64| (Safe::of(&text::count(count)), Role::Normal);
    let by_name = |counts: &BTreeMap<Box<str>, u64>, role| {
        (Safe::of(&by_name(counts)), warn_above_zero(text::total(counts.values()), role))
    };
    vec![
        (Safe::of(source.source.as_str()), Role::Normal),
        number(source.received),
        number(source.delivered),
        number(source.waiting),
        by_name(&source.dropped, Role::Bad),
        by_name(&source.rejected, Role::Warn),
    ]
}

struct Table {
    head: &'static [&'static str],
    rows: Vec<Cells>,
    none: &'static str,
}

/// Cells between columns.
const GAP: usize = 1;

fn table(paint: &mut Painter<'_>, app: &App, rooms: &Rooms, table: &Table) {
    let room = rooms.list;
    if table.rows.is_empty() {
        page::paragraph(paint, &Safe::of(table.none), room);
        return;
    }
    let widths = widths(table, room.width.into());
    let mut x = room.x + 2;
    if rooms.head.height > 0 {
        for (name, width) in table.head.iter().zip(&widths) {
            paint.text(x, rooms.head.y, *width, *name, Role::Head);
            x += width + GAP as u16;
        }
    }
    for (at, y) in (app.table.top..).zip(room.top()..room.bottom()) {
        let Some(row) = table.rows.get(at) else { break };
        let mut x = room.x + 2;
        for ((cell, role), width) in row.iter().zip(&widths) {
            paint.text(x, y, *width, cell, *role);
            x += width + GAP as u16;
        }
        if at == app.table.at {
            paint.text(room.x, y, 1, ">", Role::Head);
        }
    }
}

/// Each column as wide as what stands in it; when that is too much, the widest gives way first.
fn widths(table: &Table, room: usize) -> Vec<u16> {
    let mut widths: Vec<usize> = table.head.iter().map(|name| name.len()).collect();
    for row in &table.rows {
        for ((cell, _), width) in row.iter().zip(&mut widths) {
            *width = (*width).max(cell.width());
        }
    }
    let over = |widths: &[usize]| (widths.iter().sum::<usize>() + widths.len() * GAP + 2).saturating_sub(room);
    while over(&widths) > 0 {
        let Some(widest) = widths.iter_mut().max().filter(|width| **width > 4) else { break };
        *widest -= 1;
    }
    widths.into_iter().map(|width| u16::try_from(width).unwrap_or(u16::MAX)).collect()
}
