//! What the dashboard knows, and what each message changes: `update(&mut App, Msg) -> Vec<Effect>`.
//!
//! Pure: time comes as a message, nothing is written, drawn or waited for. The state is the hub's
//! words as they came; a number that the hub did not send is not invented.

mod alerts;
mod input;
mod logs;
mod triage;

pub use alerts::{Alerts, News};
pub use logs::{Follow, Logs};
pub use triage::{Asking, Prompt, Purpose};

use nms_proto::{
    alert::Alert,
    dash::{DASH_PROTOCOL, Endpoint, FromHub, Hello, Link, ParseErrors, Snapshot, Stats, Subscribe, ToHub},
    id::AlertId,
    time::{Stamp, Tick},
};
use regex::Regex;

pub use crate::layout::Screen;
use crate::{
    detail,
    keys::Place,
    layout::{self, Rooms, rooms},
    list::Cursor,
    msg::{Effect, Msg, Now, Outage},
    safe::Safe,
    text,
    theme::Role,
};

/// How long a word on what just happened stays, in milliseconds.
const NOTICE_MS: u64 = 8_000;

/// The connection to the hub.
#[derive(Clone, Debug, PartialEq)]
pub enum Hub {
    /// Never reached so far.
    Looking(Option<Missing>),
    /// Here.
    Live(Hello),
    /// Reached before, away now.
    Lost(Hello, Missing),
    /// Speaks another version.
    Mismatch(Hello),
}

/// The hub is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// When it was first missed.
    pub since: Now,
    /// When `outage` came.
    pub told: Tick,
    /// Why.
    pub outage: Outage,
}

impl Missing {
    /// Milliseconds until the next try.
    pub fn retry_ms(&self, now: Tick) -> u64 {
        self.outage.retry_ms.saturating_sub(now.since(self.told))
    }
}

/// A page over the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Page {
    /// The keys.
    Help,
    /// One alert.
    Alert(AlertId),
    /// One log line, as it was when it was opened: name and value of its parts.
    Line(Vec<(&'static str, Safe)>),
}

/// A word on what just happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The word.
    pub text: Safe,
    /// How it is meant.
    pub role: Role,
    until: Tick,
}

/// All that the dashboard knows.
#[derive(Debug)]
pub struct App {
    /// The path of the hub's socket.
    pub socket: Safe,
    /// The time of the last [`Msg::Clock`].
    pub now: Now,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The chosen screen.
    pub screen: Screen,
    /// The connection to the hub.
    pub hub: Hub,
    /// Alerts.
    pub alerts: Alerts,
    /// Log.
    pub logs: Logs,
    /// Endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Malformed input by source.
    pub parse_errors: Vec<ParseErrors>,
    /// Counters.
    pub stats: Stats,
    /// The link to the server.
    pub link: Link,
    /// Where one stands in the table on the screen.
    pub table: Cursor,
    /// A page over the screen.
    pub page: Option<Page>,
    /// The first line of the page on the screen.
    pub scroll: Cursor,
    /// A question at the bottom.
    pub asking: Option<Asking>,
    /// A word on what just happened.
    pub notice: Option<Notice>,
    /// What is searched.
    pub search: Option<Regex>,
    triage: triage::Triage,
}

impl App {
    /// A dashboard that has not reached the hub at `socket` yet.
    pub fn new(socket: &str) -> Self {
        Self {
            socket: Safe::of(socket),
            now: Now::default(),
            size: (80, 24),
            screen: Screen::Alerts,
            hub: Hub::Looking(None),
            alerts: Alerts::default(),
            logs: Logs::default(),
            endpoints: Vec::new(),
            parse_errors: Vec::new(),
            stats: Stats::default(),
            link: Link::default(),
            table: Cursor::default(),
            page: None,
            scroll: Cursor::default(),
            asking: None,
            notice: None,
            search: None,
            triage: triage::Triage::default(),
        }
    }

    /// Where things are on the screen; none if it is too small.
    pub fn rooms(&self) -> Option<Rooms> {
        rooms(self.size.0, self.size.1, self.screen)
    }

    /// Rows of the list of `screen`.
    fn height_of(&self, screen: Screen) -> usize {
        rooms(self.size.0, self.size.1, screen).map_or(1, |rooms| usize::from(rooms.list.height))
    }

    /// Where keys are pressed now.
    pub fn place(&self) -> Place {
        input::place(self)
    }

    /// The lines of the open page, as wide as the screen allows.
    pub fn page_lines(&self) -> Vec<detail::Said> {
        let width = layout::page(self.size.0, self.size.1).width.into();
        match &self.page {
            None => Vec::new(),
            Some(Page::Help) => detail::help(input::place_below(self), width),
            Some(Page::Line(parts)) => detail::line(parts, width),
            Some(Page::Alert(id)) => {
                self.alerts.of(id).map_or_else(Vec::new, |alert| detail::alert(alert, self.now.wall, width))
            }
        }
    }

    /// Events that were lost, over all sources and causes.
    pub fn dropped(&self) -> u64 {
        text::total(self.link.sources.iter().flat_map(|source| source.dropped.values()))
    }

    /// The alert that triage keys concern: that of the open page, else the selected one.
    pub fn current_alert(&self) -> Option<&Alert> {
        match (&self.page, self.screen) {
            (Some(Page::Alert(id)), _) => self.alerts.of(id),
            (None, Screen::Alerts) => self.alerts.selected(),
            _ => None,
        }
    }

    fn say(&mut self, text: Safe, role: Role) {
        self.notice = Some(Notice { text, role, until: self.now.tick.plus(NOTICE_MS) });
    }
}

/// Takes one message in; says what is to be done.
pub fn update(app: &mut App, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Clock(now) => {
            app.now = now;
            if app.notice.as_ref().is_some_and(|notice| now.tick >= notice.until) {
                app.notice = None;
            }
            Vec::new()
        }
        Msg::Key(key) => input::key(app, key),
        Msg::Paste(text) => input::paste(app, &text),
        Msg::Resize(width, height) => {
            app.size = (width, height);
            resized(app);
            vec![Effect::Redraw]
        }
        Msg::Hub(said) => hub_said(app, *said),
        Msg::Lost(outage) => {
            lost(app, outage);
            Vec::new()
        }
    }
}

/// Keeps what is selected on a screen of another size.
fn resized(app: &mut App) {
    let (alerts, logs) = (app.height_of(Screen::Alerts), app.height_of(Screen::Logs));
    app.alerts.cursor.fit(app.alerts.shown_len(), alerts);
    match app.logs.follow {
        Follow::On => app.logs.resume_following(logs),
        Follow::Paused { .. } => app.logs.cursor.fit(app.logs.lines.shown_len(), logs),
    }
}

fn lost(app: &mut App, outage: Outage) {
    if app.triage.forget() {
        app.say(Safe::of(text::UNANSWERED), Role::Warn);
    }
    let missing = |since| Missing { since, told: app.now.tick, outage };
    app.hub = match std::mem::replace(&mut app.hub, Hub::Looking(None)) {
        Hub::Looking(None) => Hub::Looking(Some(missing(app.now))),
        Hub::Looking(Some(before)) => Hub::Looking(Some(missing(before.since))),
        Hub::Live(hello) => Hub::Lost(hello, missing(app.now)),
        Hub::Lost(hello, before) => Hub::Lost(hello, missing(before.since)),
        Hub::Mismatch(hello) => Hub::Mismatch(hello),
    };
}

fn hub_said(app: &mut App, said: FromHub) -> Vec<Effect> {
    let logs = app.height_of(Screen::Logs);
    let now: Stamp = app.now.wall;
    match said {
        FromHub::Hello(hello) => return hello_said(app, hello),
        FromHub::Snapshot(snapshot) => return take_snapshot(app, *snapshot),
        FromHub::Lines(lines) => app.logs.extend(&lines, logs),
        FromHub::Gap(gap) => app.logs.gap(now, gap.lines, logs),
        FromHub::Alert(alert) => {
            let height = app.height_of(Screen::Alerts);
            if app.alerts.upsert((*alert).clone(), height) == News::Raised {
                app.logs.alert(now, &alert, logs);
            }
        }
        FromHub::Endpoints(endpoints) => app.endpoints = endpoints,
        FromHub::Stats(stats) => app.stats = stats,
        FromHub::ParseErrors(errors) => merge_parse_errors(&mut app.parse_errors, errors),
        FromHub::Link(link) => app.link = *link,
        FromHub::Result(result) => {
            if let Some((text, role)) = app.triage.answered(&result) {
                app.say(text, role);
            }
        }
    }
    Vec::new()
}

fn hello_said(app: &mut App, hello: Hello) -> Vec<Effect> {
    if hello.protocol != DASH_PROTOCOL {
        app.hub = Hub::Mismatch(hello);
    } else if let Hub::Lost(old, missing) = &mut app.hub {
        // The snapshot that follows makes it whole; until then all is as last known.
        *old = hello;
        missing.outage.retry_ms = 0;
    } else {
        app.hub = Hub::Live(hello);
    }
    Vec::new()
}

fn take_snapshot(app: &mut App, snapshot: Snapshot) -> Vec<Effect> {
    if matches!(app.hub, Hub::Mismatch(_)) {
        return Vec::new();
    }
    let (alerts, logs) = (app.height_of(Screen::Alerts), app.height_of(Screen::Logs));
    app.alerts.replace(snapshot.alerts, alerts);
    let missed = app.logs.resume(&snapshot.lines, logs);
    app.endpoints = snapshot.endpoints;
    app.stats = snapshot.stats;
    app.parse_errors = snapshot.parse_errors;
    app.link = snapshot.link;
    if let Hub::Lost(hello, _) = &app.hub {
        app.hub = Hub::Live(hello.clone());
        app.say(text::hub_back(missed), if missed == 0 { Role::Good } else { Role::Warn });
    }
    let after = app.logs.lines.last_seq();
    vec![Effect::Send(ToHub::Subscribe(Subscribe { after, lines_per_s_max: None }))]
}

/// The hub sends the sources that changed.
fn merge_parse_errors(held: &mut Vec<ParseErrors>, changed: Vec<ParseErrors>) {
    for errors in changed {
        match held.iter_mut().find(|known| known.source == errors.source) {
            Some(known) => *known = errors,
            None => held.push(errors),
        }
    }
}
