//! What keys do, once the table in `keys` has said what they mean.

use nms_proto::severity::{SYSLOG_FACILITIES, syslog_severity_name};
use regex::{Regex, RegexBuilder};

use super::{App, Asking, Follow, Hub, Page, Prompt, Purpose, Screen, triage};
use crate::{
    filter::Filter,
    keys::{self, Action, Place},
    layout,
    lines::{Kind, Row},
    list::{Cursor, Direction, Motion},
    msg::{Effect, Key},
    safe::Safe,
    text,
    theme::Role,
};

/// Characters that a line of text may have.
const PROMPT_CHARS_MAX: usize = 500;
/// Most memory that a pattern may be compiled to, and again that it may use while it looks, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Where keys are pressed now.
pub(super) fn place(app: &App) -> Place {
    match &app.page {
        Some(Page::Help) => Place::Help,
        Some(Page::Alert(_) | Page::Line(_)) => Place::Detail,
        None => place_below(app),
    }
}

/// Where keys are pressed when no page is open.
pub(super) fn place_below(app: &App) -> Place {
    // While there is nothing to show there is nothing to settle or filter.
    let has_data = matches!(app.hub, Hub::Live(_) | Hub::Lost(..));
    match app.screen {
        Screen::Alerts if has_data => Place::Alerts,
        Screen::Logs if has_data => Place::Logs,
        _ => Place::Table,
    }
}

/// A key was pressed.
pub(super) fn key(app: &mut App, key: Key) -> Vec<Effect> {
    match (app.asking.take(), key) {
        (_, Key::Ctrl('c')) => vec![Effect::Quit],
        (Some(Asking::Verdict(id)), Key::Char(letter)) => {
            app.asking = Some(Asking::Verdict(id.clone()));
            triage::close(app, id, letter)
        }
        (Some(Asking::Text(prompt)), key) => write_prompt(app, prompt, key),
        (Some(Asking::Verdict(_)), _) => Vec::new(),
        (None, key) => keys::action(place(app), key).map_or_else(Vec::new, |action| act(app, action)),
    }
}

/// Text was pasted: only a prompt takes it, so that a pasted log line never acts as keys.
pub(super) fn paste(app: &mut App, pasted: &str) -> Vec<Effect> {
    if let Some(Asking::Text(prompt)) = &mut app.asking {
        let room = PROMPT_CHARS_MAX.saturating_sub(prompt.text.chars().count());
        prompt.text.extend(pasted.chars().filter(|c| !c.is_control()).take(room));
    }
    Vec::new()
}

fn write_prompt(app: &mut App, mut prompt: Prompt, key: Key) -> Vec<Effect> {
    match key {
        Key::Esc => return Vec::new(),
        Key::Enter => return finish_prompt(app, prompt),
        Key::Char(c) if prompt.text.chars().count() < PROMPT_CHARS_MAX => prompt.text.push(c),
        Key::Backspace => {
            prompt.text.pop();
        }
        Key::Ctrl('u') => prompt.text.clear(),
        _ => {}
    }
    app.asking = Some(Asking::Text(prompt));
    Vec::new()
}

fn finish_prompt(app: &mut App, prompt: Prompt) -> Vec<Effect> {
    match &prompt.purpose {
        Purpose::Note(id) => return triage::note(app, id.clone(), &prompt.text),
        Purpose::Filter => match Filter::parse(&prompt.text) {
            Ok(filter) => set_filter(app, filter, true),
            Err(error) => {
                app.say(Safe::say(format_args!("{error}")), Role::Bad);
                app.asking = Some(Asking::Text(prompt));
            }
        },
        Purpose::Search if prompt.text.is_empty() => app.search = None,
        Purpose::Search => match pattern(&prompt.text) {
            Ok(pattern) => {
                app.search = Some(pattern);
                search(app, first_direction(app));
            }
            Err(error) => app.say(Safe::say(format_args!("search: {error}")), Role::Bad),
        },
    }
    Vec::new()
}

/// A pattern of the search; its time is linear in the text, its memory bounded.
fn pattern(text: &str) -> Result<Regex, regex::Error> {
    let mut builder = RegexBuilder::new(text);
    builder.case_insensitive(true).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build()
}

/// A search begins with what is older in a log, as its end is where one stands; else with what follows.
fn first_direction(app: &App) -> Direction {
    if app.screen == Screen::Logs { Direction::Up } else { Direction::Down }
}

fn set_filter(app: &mut App, filter: Filter, on: bool) {
    let height = app.height_of(app.screen);
    if app.screen == Screen::Logs {
        (app.logs.filter, app.logs.filter_on) = (filter, on);
        app.logs.refilter(height);
    } else {
        (app.alerts.filter, app.alerts.filter_on) = (filter, on);
        app.alerts.refilter(height);
    }
}

/// The filter of the screen, and whether it is on.
fn filter(app: &App) -> (Filter, bool) {
    match app.screen {
        Screen::Logs => (app.logs.filter.clone(), app.logs.filter_on),
        _ => (app.alerts.filter.clone(), app.alerts.filter_on),
    }
}

fn motion(action: Action) -> Option<Motion> {
    Some(match action {
        Action::Up => Motion::Up,
        Action::Down => Motion::Down,
        Action::First => Motion::First,
        Action::Last => Motion::Last,
        Action::PageUp => Motion::PageUp,
        Action::PageDown => Motion::PageDown,
        Action::HalfUp => Motion::HalfUp,
        Action::HalfDown => Motion::HalfDown,
        _ => return None,
    })
}

fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::QuitNow => return vec![Effect::Quit],
        Action::Quit if app.page.is_none() => return vec![Effect::Quit],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Acknowledge => return triage::acknowledge(app),
        Action::Verdict => return triage::ask_verdict(app),
        Action::Note => return triage::ask_note(app),
        Action::Quit | Action::Back => app.page = None,
        Action::Help if app.page == Some(Page::Help) => app.page = None,
        Action::Help => open_page(app, Page::Help),
        Action::Open => open(app),
        Action::NextScreen => turn(app, 1),
        Action::PreviousScreen => turn(app, Screen::ALL.len() - 1),
        Action::Screen(number) => go_to(app, number),
        Action::ShowLogs => show_logs(app),
        Action::Pause => pause(app),
        Action::Filter | Action::Search => ask(app, action),
        Action::ToggleFilter | Action::Stricter | Action::Looser => change_filter(app, action),
        Action::SearchNext => search(app, Direction::Down),
        Action::SearchPrevious => search(app, Direction::Up),
        Action::NextAlert => seek_alert(app, Direction::Down),
        Action::PreviousAlert => seek_alert(app, Direction::Up),
        _ => {
            if let Some(motion) = motion(action) {
                step(app, motion);
            }
        }
    }
    Vec::new()
}

fn step(app: &mut App, motion: Motion) {
    let height = app.height_of(app.screen);
    if app.page.is_some() {
        let (lines, room) = (app.page_lines().len(), layout::page(app.size.0, app.size.1));
        app.scroll.scroll(motion, lines, room.height.into());
        return;
    }
    match app.screen {
        Screen::Alerts => app.alerts.step(motion, height),
        Screen::Logs => app.logs.step(motion, app.now.wall, height),
        Screen::Endpoints => app.table.step(motion, app.endpoints.len(), height),
        Screen::ParseErrors => app.table.step(motion, app.parse_errors.len(), height),
        Screen::Link => app.table.step(motion, app.link.sources.len(), height),
    }
}

fn open_page(app: &mut App, page: Page) {
    app.page = Some(page);
    app.scroll = Cursor::default();
}

fn open(app: &mut App) {
    if app.screen == Screen::Alerts {
        if let Some(id) = app.alerts.selected().map(|alert| alert.id.clone()) {
            open_page(app, Page::Alert(id));
        }
    } else if let Some(id) = app.logs.selected_alert() {
        let height = app.height_of(Screen::Alerts);
        if app.alerts.select(&id, height) {
            app.screen = Screen::Alerts;
            open_page(app, Page::Alert(id));
        }
    } else if let Some(row) = app.logs.selected().filter(|row| row.kind == Kind::Line) {
        let page = Page::Line(parts(row));
        app.logs.pause(app.now.wall);
        open_page(app, page);
    }
}

/// A line's parts by name.
fn parts(row: &Row) -> Vec<(&'static str, Safe)> {
    let facility = SYSLOG_FACILITIES.get(usize::from(row.facility)).copied().unwrap_or("?");
    vec![
        ("at", Safe::say(format_args!("{}", row.at()))),
        ("source", row.source().to_safe()),
        ("host", row.host().to_safe()),
        ("app", row.app().to_safe()),
        ("pid", row.pid().to_safe()),
        ("severity", Safe::of(syslog_severity_name(row.severity))),
        ("facility", Safe::of(facility)),
        ("message", row.message().to_safe()),
    ]
}

fn turn(app: &mut App, by: usize) {
    let at = Screen::ALL.iter().position(|screen| *screen == app.screen).unwrap_or(0);
    if let Some(screen) = Screen::ALL.get((at + by) % Screen::ALL.len()) {
        go_to(app, screen.number());
    }
}

fn go_to(app: &mut App, number: u8) {
    if let Some(screen) = Screen::ALL.into_iter().find(|screen| screen.number() == number) {
        app.screen = screen;
        app.table = Cursor::default();
    }
}

fn pause(app: &mut App) {
    let height = app.height_of(Screen::Logs);
    match app.logs.follow {
        Follow::On => app.logs.pause(app.now.wall),
        Follow::Paused { .. } => app.logs.resume_following(height),
    }
}

fn ask(app: &mut App, action: Action) {
    let (purpose, text) = match action {
        Action::Filter => (Purpose::Filter, filter(app).0.to_string()),
        _ => (Purpose::Search, String::new()),
    };
    app.asking = Some(Asking::Text(Prompt { purpose, text }));
}

fn change_filter(app: &mut App, action: Action) {
    let (mut filter, mut on) = filter(app);
    match (action, app.screen) {
        (Action::ToggleFilter, _) => on = !on,
        (_, Screen::Logs) => filter.step_lines(action == Action::Stricter),
        _ => filter.step_alerts(action == Action::Stricter),
    }
    set_filter(app, filter, on || action != Action::ToggleFilter);
}

fn search(app: &mut App, direction: Direction) {
    let Some(pattern) = app.search.clone() else {
        return ask(app, Action::Search);
    };
    let height = app.height_of(app.screen);
    let found = match app.screen {
        Screen::Logs => app.logs.search(&pattern, direction, app.now.wall, height),
        _ => app.alerts.search(&pattern, direction, height),
    };
    if !found {
        app.say(Safe::of(text::NOT_FOUND), Role::Warn);
    }
}

fn seek_alert(app: &mut App, direction: Direction) {
    let height = app.height_of(Screen::Logs);
    if !app.logs.seek_alert(direction, app.now.wall, height) {
        app.say(Safe::of(text::NO_MORE_ALERTS), Role::Dim);
    }
}

/// The log, filtered to the source of the current alert.
fn show_logs(app: &mut App) {
    let Some(source) = app.current_alert().map(|alert| alert.source.clone()) else {
        return;
    };
    match Filter::parse(&format!("\"source={source}\"")) {
        Ok(filter) => {
            app.screen = Screen::Logs;
            app.page = None;
            set_filter(app, filter, true);
        }
        Err(error) => app.say(Safe::say(format_args!("{error}")), Role::Bad),
    }
}
