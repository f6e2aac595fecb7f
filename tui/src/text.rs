//! Every sentence that the dashboard says, and how it writes numbers and times.
//!
//! In one place so that the words stay the same on the screen, in plain output and in the manual.
//! Sentences with values in them come back as [`Safe`]: values from outside cannot pass unseen.
//! Nothing is decided here; a sentence gets all it says as arguments.

use nms_proto::{
    alert::{Alert, Status},
    dash::{Hello, Link, ServerState, Stats},
    id::{AlertId, EndpointId, TenantId},
    severity::Severity,
    time::Stamp,
};

use crate::safe::Safe;

/// Shown where the hub did not send a value.
pub const NONE: &str = "-";
/// Names the program in the first row.
pub const NAME: &str = "NMS";
/// The command and the version that it prints.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Where nothing is wrong: how to get logs in.
pub const NO_EVENTS: &str = "No events yet: point a device's syslog at this hub, or install nmsd-agent there.";
/// Where a filter hides all.
pub const NOTHING_MATCHES: &str = "Nothing matches the filter (x turns it off).";
/// The screens of malformed input, when there was none.
pub const NO_PARSE_ERRORS: &str = "No malformed messages since the hub started.";
/// The screen of endpoints, when there is none.
pub const NO_ENDPOINTS: &str = "No endpoints yet.";
/// The link screen, before any source was counted.
pub const NO_SOURCES: &str = "No source has sent anything since the hub started.";
/// Heads of the alert list: narrow, middle, wide.
pub const ALERT_HEAD: &[&str] = &["SEV", "AGE", "STAT", "SOURCE", "CATEGORY", "SCORE", "x", "MESSAGE"];
/// Heads of the endpoint table.
pub const ENDPOINT_HEAD: &[&str] =
    &["NAME", "ADDRESS", "KIND", "STATUS", "SEEN", "EV/S 60s", "QUEUED", "BAD", "VERSION"];
/// The same where sources overlap.
pub const ENDPOINT_HEAD_OVERLAPPING: &[&str] =
    &["NAME", "ADDRESS", "KIND", "STATUS", "SEEN", "EV/S 60s", "QUEUED", "BAD", "VERSION", "ALSO AS"];
/// Heads of the table of malformed input.
pub const PARSE_HEAD: &[&str] = &["SOURCE", "COUNT", "FIRST", "LAST", "REASONS"];
/// Heads of the account of every source.
pub const SOURCE_HEAD: &[&str] = &["SOURCE", "RECEIVED", "DELIVERED", "WAITING", "DROPPED", "REJECTED"];
/// Over the events of a window that fit least.
pub const UNEXPECTED: &str = "least expected here (rank of what came among what could have come):";
/// A verdict from the hub alone.
pub const PROVISIONAL: &str = "the hub's correlators alone say so; the server has not answered yet";
/// While a tenant is new.
pub const LEARNING: &str = "the model is still learning what is normal here";
/// Titles of a detail's parts.
pub const WHY: &str = "WHY";
/// The lines that show it.
pub const EVENTS: &str = "EVENTS";
/// What was done.
pub const HISTORY: &str = "HISTORY";
/// Title of the help.
pub const HELP_TITLE: &str = " Keys of this screen (Esc closes)";
/// The verdict menu.
pub const VERDICTS: &str = "t true  f false positive  e expected  d duplicate";
/// The first row while the hub was never reached.
pub const HUB_NOT_REACHED: &str = "HUB NOT REACHED";
/// The first row while the hub speaks another version.
pub const HUB_MISMATCH: &str = "HUB SPEAKS ANOTHER VERSION";
/// Before the keys of the help page.
pub const BACK: &str = "Esc back  ";
/// Before the keys of a page.
pub const BACK_SCROLL: &str = "Esc back  j/k scroll  ";
/// What to do when no hub runs.
pub const REMEDY_START: &str = "look at: systemctl status nmsd-hub";
/// What to do when the sockets are closed to this user.
pub const REMEDY_GROUP: &str =
    "ask for the group nms (or nms-read to look only): sudo usermod -aG nms $USER, then log in anew";
/// What to do when hub and dashboard are of different versions.
pub const REMEDY_UPGRADE: &str = "install nmsd-hub and nms-tui of the same version";
/// Before a line that held what had to be made visible.
pub const FLAG: &str = "^! ";
/// Over the running log of a large screen.
pub const TAIL_HEAD: &str = " Live log ";
/// Asked when notes and filters are written.
pub const NOTE_PROMPT: &str = "note: ";
/// Before a filter.
pub const FILTER_PROMPT: &str = "filter: ";
/// Before a search.
pub const SEARCH_PROMPT: &str = "search: ";
/// What a filter may say, in the footer while one is written.
pub const FILTER_HELP: &str =
    "sev>=HIGH  sev<=warn  status=open|all  app=sshd  source=web01  word  -word  \"two words\"   Enter  Esc";
/// The footer while anything else is written.
pub const PROMPT_HELP: &str = "Enter  Esc";
/// Readers may not settle.
pub const READ_ONLY: &str = "read only: you came in as a reader; operators are in group nms";
/// Nothing to act on.
pub const NO_ALERT: &str = "no alert is selected";
/// A command that cannot be sent.
pub const NOT_SENT: &str = "not sent: the hub is not reached";
/// A command on its way.
pub const SENT: &str = "sent to the hub ...";
/// The connection ended while a command was on its way.
pub const UNANSWERED: &str = "the hub was lost before it answered: look whether your last step was taken";
/// Search without a hit.
pub const NOT_FOUND: &str = "not found";
/// No alert above or below in the log.
pub const NO_MORE_ALERTS: &str = "no more alerts in this direction";
/// First words of the full-screen page while no hub was ever reached.
pub const LOOKING: &str = "Looking for the hub at";

/// A severity's word on the screen: 4 letters wide.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRIT",
        Severity::High => "HIGH",
        Severity::Medium => "MED",
        Severity::Low => "LOW",
        Severity::Info => "INFO",
    }
}

/// A severity's sign on the screen: 2 letters wide.
pub fn severity_sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "!!",
        Severity::High => " !",
        Severity::Medium => " *",
        Severity::Low => " -",
        Severity::Info => " .",
    }
}

/// A status in 4 letters.
pub fn status(status: &Status) -> &'static str {
    match status {
        Status::Provisional => "prov",
        Status::Open => "open",
        Status::Acknowledged => "ack",
        Status::Closed => "done",
        Status::Resolved => "over",
        Status::Suppressed => "supp",
        Status::Other(_) => "?",
    }
}

/// A status with its verdict, in words.
pub fn status_long(alert: &Alert) -> Safe {
    match &alert.verdict {
        Some(verdict) => Safe::say(format_args!("{} as {}", alert.status, verdict)),
        None => Safe::of(alert.status.as_str()),
    }
}

/// `10:41:31`, UTC.
pub fn clock(at: Stamp) -> String {
    let second = at.unix_ms.div_euclid(1_000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// `01-05 10:41`, UTC, for what may be days old.
pub fn day_and_minute(at: Stamp) -> String {
    let text = Stamp::utc(at.unix_ms).to_string();
    text.get(5..16).unwrap_or_default().replace('T', " ")
}

/// `10:41:31` within the last day, else `01-05 10:41`; both UTC.
pub fn moment(now: Stamp, at: Stamp) -> String {
    if now.unix_ms.abs_diff(at.unix_ms) < 86_400_000 { clock(at) } else { day_and_minute(at) }
}

/// How long ago, in 4 letters at most: `12s`, `3m`, `5h`, `9d`.
pub fn age(now: Stamp, then: Stamp) -> String {
    let seconds = now.unix_ms.saturating_sub(then.unix_ms).max(0) / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", (seconds / 86_400).min(999)),
    }
}

/// A span of time with its two largest units: `12s`, `2m14s`, `3h05m`, `2d03h`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A count in 5 letters at most: `812`, `3.1k`, `61k`, `1M`.
pub fn count(number: u64) -> String {
    let (unit, sign) = match number {
        0..1_000 => return number.to_string(),
        1_000..1_000_000 => (1_000, 'k'),
        1_000_000..1_000_000_000 => (1_000_000, 'M'),
        _ => (1_000_000_000, 'G'),
    };
    let tenths = number / (unit / 10);
    if tenths < 100 && !tenths.is_multiple_of(10) {
        format!("{}.{}{sign}", tenths / 10, tenths % 10)
    } else {
        format!("{}{sign}", tenths / 10)
    }
}

/// Events a second: one decimal below 10.
pub fn rate(per_s: f32) -> String {
    if per_s > 0.0 && per_s < 10.0 { format!("{per_s:.1}") } else { count(per_s.max(0.0) as u64) }
}

/// All of the hub's counters together; where they are too many to count, as many as can be.
pub fn total<'a>(counts: impl IntoIterator<Item = &'a u64>) -> u64 {
    counts.into_iter().fold(0, |sum, count| sum.saturating_add(*count))
}

fn since_ms(now: Stamp, then: Option<Stamp>) -> Option<u64> {
    then.map(|then| now.unix_ms.saturating_sub(then.unix_ms).max(0) as u64)
}

/// The server's state in the words of the first row.
pub fn server(link: &Link, now: Stamp) -> Safe {
    let since = since_ms(now, link.since).map(span).unwrap_or_default();
    let queue = format!("queue {}/{}", count(link.queue), count(link.queue_max));
    match &link.server {
        ServerState::Ok => match link.rtt_ms {
            Some(ms) => Safe::say(format_args!("SERVER OK {ms}ms")),
            None => Safe::of("SERVER OK"),
        },
        ServerState::Busy => match link.busy_percent {
            Some(percent) => Safe::say(format_args!("SERVER BUSY slowed to {percent} %  {queue}")),
            None => Safe::say(format_args!("SERVER BUSY  {queue}")),
        },
        ServerState::Connecting => Safe::say(format_args!("SERVER CONNECTING {since}  {queue}")),
        ServerState::Down => match link.retry_in_s {
            Some(retry) => Safe::say(format_args!("SERVER DOWN {since} retry {retry}s  {queue}")),
            None => Safe::say(format_args!("SERVER DOWN {since}  {queue}")),
        },
        ServerState::None => Safe::say(format_args!("no server configured  {queue}")),
        ServerState::Other(word) => Safe::say(format_args!("SERVER {}  {queue}", word.to_uppercase())),
    }
}

/// The first row while the hub is away.
pub fn hub_lost(away_ms: u64, retry_ms: u64) -> Safe {
    Safe::say(format_args!("HUB LOST {} retry {}", span(away_ms), retry(retry_ms)))
}

/// The line under the tabs while the hub is away.
pub fn hub_lost_banner(problem: &str, last: Stamp) -> Safe {
    Safe::say(format_args!("as last known at {}: {problem}", clock(last)))
}

/// After the hub was away.
pub fn hub_back(missed: u64) -> Safe {
    match missed {
        0 => Safe::of("the hub is back; no lines were missed"),
        _ => Safe::say(format_args!("the hub is back; {missed} lines were missed")),
    }
}

/// While the server is away: what that means for the alerts, and why it is.
pub fn server_away(link: &Link) -> Safe {
    let since = link.since.map_or_else(|| NONE.to_owned(), clock);
    let problem = link.problem.as_deref().map_or_else(String::new, |problem| format!(" ({problem})"));
    Safe::say(format_args!("the server's word is as of {since}; the hub goes on alone{problem}"))
}

/// The spool in the first row.
pub fn queue(link: &Link) -> Safe {
    Safe::say(format_args!("queue {}/{}", count(link.queue), count(link.queue_max)))
}

/// Events that were lost.
pub fn lost_events(lost: u64) -> Safe {
    Safe::say(format_args!("LOST {}", count(lost)))
}

/// The rate in the first row: of the last second.
pub fn rate_words(stats: &Stats) -> Safe {
    Safe::say(format_args!("ev/s {}", rate(stats.events_per_s)))
}

/// The alerts in the first row.
pub fn alert_counts(stats: &Stats) -> Safe {
    Safe::say(format_args!("alerts {} open/{}", stats.alerts_open, stats.alerts))
}

/// The other sources of an endpoint's lines.
pub fn also(sources: &[EndpointId]) -> String {
    sources.iter().map(EndpointId::as_str).collect::<Vec<_>>().join(", ")
}

/// The endpoints in the first row.
pub fn endpoint_counts(up: usize, late: usize, down: usize) -> Safe {
    Safe::say(format_args!("endpoints {up} up {late} late {down} down"))
}

/// A tab, with a count where one matters.
pub fn tab(number: u8, name: &str, badge: u64) -> String {
    if badge == 0 { format!("{number} {name}") } else { format!("{number} {name} ({})", count(badge)) }
}

/// A filter as it stands over a list.
pub fn filter(filter: &str, on: bool) -> Safe {
    match (filter.is_empty(), on) {
        (true, _) => Safe::of("filter: none"),
        (false, true) => Safe::say(format_args!("filter: {filter}")),
        (false, false) => Safe::say(format_args!("filter off: {filter}")),
    }
}

/// The verdict menu for an alert.
pub fn verdicts(alert: &AlertId) -> Safe {
    Safe::say(format_args!("close {alert} as:  {VERDICTS}"))
}

/// One bar of one cell for each value, the highest full.
pub fn bars(values: &[u64]) -> Safe {
    const BARS: [char; 8] =
        ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
    let highest = values.iter().copied().max().unwrap_or(0).max(1);
    let step = |value: &u64| usize::try_from(value.saturating_mul(7) / highest).unwrap_or(7);
    Safe::made(values.iter().map(|value| BARS.get(step(value)).copied().unwrap_or(' ')).collect())
}

/// `1 event`, `37 events`.
pub fn events(number: u64) -> String {
    if number == 1 { "1 event".into() } else { format!("{number} events") }
}

/// Heads a histogram of events.
pub fn histogram(events_per_min: &[u64]) -> Safe {
    let most = events_per_min.iter().copied().max().unwrap_or(0);
    Safe::say(format_args!("events/min, last {} min, max {} ", events_per_min.len(), count(most)))
}

/// Seconds to wait, with one decimal while short.
pub fn retry(ms: u64) -> String {
    if ms < 1_000 { format!("0.{}s", ms / 100) } else { format!("{}s", ms / 1_000) }
}

/// A line for lines that were not sent.
pub fn skipped(lines: u64) -> Safe {
    Safe::say(format_args!("-- {lines} lines skipped --"))
}

/// A line where the hub's store of lines was begun anew.
pub fn begun_anew() -> Safe {
    Safe::of("-- the hub began its store of lines anew --")
}

/// The empty alert screen.
pub fn no_alerts(stats: &Stats, endpoints: usize, link: &Link) -> Safe {
    let model = match (&link.server, &link.model) {
        (ServerState::Ok | ServerState::Busy, Some(model)) => format!("model {model} ready"),
        (ServerState::None, _) => "no server, so no model".into(),
        _ => "model not known now".into(),
    };
    let events = rate(stats.events_per_s);
    Safe::say(format_args!("No alerts. {events} ev/s from {endpoints} endpoints, {model}."))
}

/// Hub and dashboard do not speak the same version.
pub fn mismatch(hello: &Hello, ours: u32) -> Safe {
    let what = if hello.protocol > ours { "nms-tui" } else { "nmsd-hub" };
    Safe::say(format_args!(
        "nms-tui {VERSION} speaks v{ours}, hub {} speaks v{}: upgrade {what}",
        hello.version, hello.protocol
    ))
}

/// A screen that has no room.
pub fn too_small(width: u16, height: u16, open: Option<u64>) -> Safe {
    let open = open.map_or_else(|| NONE.to_owned(), |open| open.to_string());
    Safe::say(format_args!("terminal too small (need {width}x{height}), data still flowing: {open} open alerts"))
}

/// The line under a paused log.
pub fn paused(at: Stamp, new: u64) -> Safe {
    let at = clock(at);
    Safe::say(format_args!("PAUSED at {at}  +{new} new  space/G follow"))
}

/// How many of a list are shown.
pub fn shown(shown: usize, all: usize) -> Safe {
    Safe::say(format_args!("{shown} of {all} shown"))
}

/// An alert as a line among the log lines.
pub fn alert_line(alert: &Alert) -> Safe {
    Safe::say(format_args!(
        "alert {} {} {} -> Enter",
        severity(alert.severity),
        alert.category,
        alert.actor.as_deref().unwrap_or(alert.source.as_str())
    ))
}

/// Lines of a page that have no room.
pub fn more_below(lines: usize) -> Safe {
    Safe::say(format_args!("... {lines} more lines"))
}

/// No alert passes the filter.
pub fn none_open(held: usize) -> Safe {
    Safe::say(format_args!("No alert passes the filter; {held} are held (x turns the filter off)."))
}

/// When the hub is tried again.
pub fn next_try(ms: u64) -> Safe {
    Safe::say(format_args!("next try in {}", retry(ms)))
}

/// The link in one line: what the server is and since when, whom it takes the hub for, its model.
pub fn link_words(link: &Link, now: Stamp) -> Safe {
    let or_none = |text: Option<&str>| text.unwrap_or(NONE).to_owned();
    let since = link.since.map_or_else(|| NONE.to_owned(), |since| moment(now, since));
    let problems = [&link.problem, &link.disk].into_iter().flatten();
    let problem = problems.fold(String::new(), |words, problem| words + "  " + problem);
    Safe::say(format_args!(
        "server {} since {since}  {}  tenant {}  model {}{problem}",
        link.server,
        queue(link),
        or_none(link.tenant.as_ref().map(TenantId::as_str)),
        or_none(link.model.as_deref()),
    ))
}

/// Endpoints that the hub knows and does not list.
pub fn unlisted(count: u64) -> Safe {
    Safe::say(format_args!("+{count} unlisted"))
}
