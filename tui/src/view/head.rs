//! What stands on every screen: the state of the link, the tabs, what just happened, the keys.
//!
//! The first row answers three questions within two seconds: is something wrong, where, and is what
//! is seen current. Words come first; when the room is short, what matters least goes first.

use nms_proto::dash::{EndpointStatus, ServerState};
use ratatui::layout::Rect;

use super::paint::Painter;
use crate::{
    app::{App, Asking, Follow, Hub, Page, Purpose, Screen},
    keys,
    safe::Safe,
    text,
    theme::Role,
};

/// Queue fill from which it is a warning, in percent.
const QUEUE_WARN_PERCENT: u64 = 80;
/// Minutes of the small bars beside the rate.
const BARS_MIN: usize = 6;

/// A part of the first row.
struct Part {
    text: Safe,
    role: Role,
    /// The higher, the longer it stays when room is short.
    weight: u8,
}

/// The first row.
pub(super) fn header(paint: &mut Painter<'_>, app: &App, room: Rect) {
    let mut parts = vec![Part { text: Safe::of(text::NAME), role: Role::Head, weight: 2 }];
    if let Hub::Live(hello) | Hub::Lost(hello, _) | Hub::Mismatch(hello) = &app.hub {
        parts.push(Part { text: Safe::say(format_args!("hub:{}", hello.hub)), role: Role::Normal, weight: 4 });
    }
    parts.extend(link(app));
    if matches!(app.hub, Hub::Live(_) | Hub::Lost(..)) {
        parts.extend(counts(app));
    }
    let clock = Safe::say(format_args!("{} UTC ", text::clock(app.now.wall)));
    let clock_width = u16::try_from(clock.width()).unwrap_or(0);
    let has_clock = room.width >= 60;
    let width = if has_clock { room.width.saturating_sub(clock_width + 1) } else { room.width };
    while total(&parts) > usize::from(width) && parts.len() > 1 {
        let lightest = parts.iter().enumerate().min_by_key(|(_, part)| part.weight).map_or(0, |(at, _)| at);
        parts.remove(lightest);
    }
    let mut x = room.x + 1;
    for part in &parts {
        x = paint.text(x, room.y, width.saturating_sub(x), &part.text, part.role) + 2;
    }
    if has_clock {
        paint.right(x, room.right(), room.y, &clock, Role::Normal);
    }
}

fn total(parts: &[Part]) -> usize {
    1 + parts.iter().map(|part| part.text.width() + 2).sum::<usize>()
}

/// The links: to the hub if that is broken, else the hub's to the server.
fn link(app: &App) -> Vec<Part> {
    let always = |text, role| Part { text, role, weight: u8::MAX };
    match &app.hub {
        Hub::Looking(_) => return vec![always(Safe::of(text::HUB_NOT_REACHED), Role::Bad)],
        Hub::Mismatch(_) => return vec![always(Safe::of(text::HUB_MISMATCH), Role::Bad)],
        Hub::Lost(_, missing) => {
            let away = app.now.tick.since(missing.since.tick);
            return vec![always(text::hub_lost(away, missing.retry_ms(app.now.tick)), Role::Bad)];
        }
        Hub::Live(_) => {}
    }
    let link = &app.link;
    let full = link.queue_max > 0 && link.queue.saturating_mul(100) / link.queue_max >= QUEUE_WARN_PERCENT;
    let role = match link.server {
        ServerState::Ok if !full => Role::Good,
        ServerState::Down => Role::Bad,
        ServerState::None => Role::Normal,
        _ => Role::Warn,
    };
    let mut parts = vec![always(text::server(link, app.now.wall), role)];
    if link.server == ServerState::Ok {
        let weight = if full { u8::MAX } else { 1 };
        parts.push(Part { text: text::queue(link), role: if full { Role::Warn } else { Role::Normal }, weight });
    }
    if app.dropped() > 0 {
        parts.push(always(text::lost_events(app.dropped()), Role::Bad));
    }
    parts
}

/// Counts and rates.
fn counts(app: &App) -> Vec<Part> {
    let stats = &app.stats;
    let open = if stats.alerts_open > 0 { Role::Head } else { Role::Normal };
    let minutes = &stats.events_per_min;
    let last = minutes.get(minutes.len().saturating_sub(BARS_MIN)..).unwrap_or_default();
    let mut parts = vec![
        Part { text: text::rate_words(stats), role: Role::Normal, weight: 3 },
        Part { text: text::bars(last), role: Role::Normal, weight: 1 },
        Part { text: text::alert_counts(stats), role: open, weight: 5 },
    ];
    let count = |status| app.endpoints.iter().filter(|endpoint| endpoint.status == status).count();
    let (up, late, down) = (count(EndpointStatus::Up), count(EndpointStatus::Late), count(EndpointStatus::Down));
    let role = if late + down > 0 { Role::Warn } else { Role::Normal };
    parts.push(Part { text: text::endpoint_counts(up, late, down), role, weight: 0 });
    if let Some(model) = &app.link.model {
        parts.push(Part { text: Safe::say(format_args!("model {model}")), role: Role::Normal, weight: 0 });
    }
    parts
}

/// The names of the screens.
pub(super) fn tabs(paint: &mut Painter<'_>, app: &App, room: Rect) {
    let mut x = room.x;
    for screen in Screen::ALL {
        let name = text::tab(screen.number(), screen.name(), badge(app, screen));
        let chosen = screen == app.screen;
        let tab = if chosen { Safe::say(format_args!("[{name}]")) } else { Safe::say(format_args!(" {name} ")) };
        x = paint.text(x, room.y, room.right() - x, &tab, if chosen { Role::Active } else { Role::Normal });
    }
}

fn badge(app: &App, screen: Screen) -> u64 {
    match screen {
        Screen::Alerts if app.screen != Screen::Alerts => app.stats.alerts_open,
        Screen::ParseErrors => app.stats.parse_errors,
        _ => 0,
    }
}

/// The line under the tabs: the filter, or that all is as last known.
pub(super) fn banner(paint: &mut Painter<'_>, app: &App, room: Rect) {
    if let Hub::Lost(_, missing) = &app.hub {
        let words = text::hub_lost_banner(&missing.outage.problem, missing.since.wall);
        paint.text(room.x + 1, room.y, room.width.saturating_sub(2), &words, Role::Bad);
        return;
    }
    let (filter, on, shown, all) = match app.screen {
        Screen::Alerts => (&app.alerts.filter, app.alerts.filter_on, app.alerts.shown_len(), app.alerts.len()),
        Screen::Logs => (&app.logs.filter, app.logs.filter_on, app.logs.lines.shown_len(), app.logs.lines.len()),
        _ => return,
    };
    let words = text::filter(&filter.to_string(), on);
    let end = paint.text(room.x + 1, room.y, room.width.saturating_sub(20), &words, Role::Dim);
    paint.right(end + 1, room.right().saturating_sub(1), room.y, &text::shown(shown, all), Role::Dim);
}

/// The line above the keys: a question, what just happened, or what else must be known; false if
/// there is nothing to say.
pub(super) fn notice(paint: &mut Painter<'_>, app: &App, room: Rect) -> bool {
    if let Some(Asking::Text(prompt)) = &app.asking {
        let label = match prompt.purpose {
            Purpose::Note(_) => text::NOTE_PROMPT,
            Purpose::Filter => text::FILTER_PROMPT,
            Purpose::Search => text::SEARCH_PROMPT,
        };
        let x = paint.text(room.x + 1, room.y, room.width, label, Role::Head);
        let written = Safe::of(&prompt.text);
        let width = room.right().saturating_sub(x + 1);
        let end = paint.text(x, room.y, width, tail(&written, width.into()).as_safe(), Role::Normal);
        paint.select(Rect::new(end, room.y, 1, 1).intersection(room));
        return true;
    }
    let (words, role) = match (&app.asking, &app.notice, app.screen, app.logs.follow) {
        (Some(Asking::Verdict(id)), ..) => (text::verdicts(id), Role::Head),
        (_, Some(notice), ..) => (notice.text.clone(), notice.role),
        (_, _, Screen::Logs, Follow::Paused { at, new }) if app.page.is_none() => (text::paused(at, new), Role::Active),
        _ => match &app.hub {
            Hub::Live(_) if app.link.server == ServerState::Down => (text::server_away(&app.link), Role::Warn),
            Hub::Lost(_, missing) => (Safe::of(&missing.outage.remedy), Role::Warn),
            _ => return false,
        },
    };
    paint.text(room.x + 1, room.y, room.width.saturating_sub(2), &words, role);
    true
}

/// The last part of `text` that fits into `width` cells.
fn tail(text: &Safe, width: usize) -> Safe {
    let mut rest = text.as_str();
    while crate::safe::width(rest) > width {
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    Safe::of(rest)
}

/// The most useful keys of where one is.
pub(super) fn footer(paint: &mut Painter<'_>, app: &App, room: Rect) {
    let words = match &app.asking {
        Some(Asking::Text(prompt)) if prompt.purpose == Purpose::Filter => Safe::of(text::FILTER_HELP),
        Some(_) => Safe::of(text::PROMPT_HELP),
        None => keys_words(app),
    };
    paint.text(room.x + 1, room.y, room.width.saturating_sub(1), &words, Role::Dim);
}

fn keys_words(app: &App) -> Safe {
    let back = app.page.as_ref().map_or("", |page| if *page == Page::Help { text::BACK } else { text::BACK_SCROLL });
    let words: Vec<&str> = keys::at(app.place()).filter_map(|binding| binding.footer).collect();
    Safe::say(format_args!("{back}{}", words.join("  ")))
}
