//! What there is to say about one alert or one line, and the help, as lines of a given width.
//!
//! Apart from drawing because its length is needed to scroll, and so that a test reads it as text.
//! A value that was not sent is `-`: the reason for an alert is never made up.

use nms_proto::{
    alert::{Alert, ModelVerdict, Status, Step, Unexpected},
    time::Stamp,
};

use crate::{
    keys::{self, Place},
    safe::{self, Safe},
    text,
    theme::Role,
};

/// One line of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Name of the part, on its first line.
    pub label: &'static str,
    /// Cells before the text.
    pub indent: usize,
    /// The text.
    pub text: Safe,
    /// How it is meant.
    pub role: Role,
}

/// Cells before the text of a labelled part.
const LABELLED: usize = 9;

/// Lines as they are written.
struct Sheet {
    width: usize,
    label: &'static str,
    lines: Vec<Said>,
}

impl Sheet {
    fn new(width: usize) -> Self {
        Self { width, label: "", lines: Vec::new() }
    }

    /// The next line begins the part of that name.
    fn part(&mut self, label: &'static str) {
        self.label = label;
    }

    /// Adds `text` from column `indent` on, wrapped; the lines after the first stand 2 further in.
    fn put(&mut self, indent: usize, role: Role, text: &Safe) {
        for (at, piece) in wrap(text.as_str(), self.width.saturating_sub(indent + 3)).into_iter().enumerate() {
            let indent = if at == 0 { indent } else { indent + 2 };
            let label = std::mem::take(&mut self.label);
            self.lines.push(Said { label, indent, text: Safe::made(piece), role });
        }
    }

    fn say(&mut self, indent: usize, role: Role, args: std::fmt::Arguments<'_>) {
        self.put(indent, role, &Safe::say(args));
    }
}

/// Everything about `alert`.
pub fn alert(alert: &Alert, now: Stamp, width: usize) -> Vec<Said> {
    let mut sheet = Sheet::new(width);
    head(&mut sheet, alert, now);
    sheet.part(text::WHY);
    why(&mut sheet, alert);
    sheet.part(text::EVENTS);
    events(&mut sheet, alert, now);
    sheet.part(text::HISTORY);
    if alert.history.is_empty() {
        sheet.say(LABELLED, Role::Dim, format_args!("{}", text::NONE));
    }
    for step in &alert.history {
        history(&mut sheet, step, now);
    }
    sheet.lines
}

fn head(sheet: &mut Sheet, alert: &Alert, now: Stamp) {
    let at = |stamp: Option<Stamp>| stamp.map_or_else(|| text::NONE.to_owned(), |stamp| text::moment(now, stamp));
    let role = Role::Severity(alert.severity);
    let (first, last) = (at(alert.first_seen), at(alert.last_seen));
    sheet.say(
        0,
        role,
        format_args!(
            "{} {}  first {first}  last {last}  {}  {}",
            text::severity(alert.severity),
            alert.category,
            text::events(alert.count),
            text::status_long(alert)
        ),
    );
    sheet.say(0, Role::Normal, format_args!("{}", alert.message));
    let party = |party: &Option<Box<str>>| party.as_deref().unwrap_or(text::NONE).to_owned();
    let (actor, victim) = (party(&alert.actor), party(&alert.victim));
    let mut techniques = alert.techniques.join(" ");
    if techniques.is_empty() {
        techniques = text::NONE.into();
    }
    sheet.say(0, Role::Normal, format_args!("source {}  actor {actor}  victim {victim}", alert.source));
    sheet.say(0, Role::Dim, format_args!("id {}  ATT&CK {techniques}", alert.id));
    if let Some(into) = &alert.merged_into {
        sheet.say(0, Role::Normal, format_args!("merged into {into}"));
    }
}

fn why(sheet: &mut Sheet, alert: &Alert) {
    let score = alert.confidence;
    match &alert.model {
        Some(model) => sheet.say(LABELLED, Role::Normal, format_args!("score {score}  {}", model_words(model))),
        None => sheet.say(LABELLED, Role::Normal, format_args!("score {score}  model -  threshold -")),
    }
    if alert.status == Status::Provisional {
        sheet.say(LABELLED, Role::Warn, format_args!("{}", text::PROVISIONAL));
    }
    if alert.learning {
        sheet.say(LABELLED, Role::Warn, format_args!("{}", text::LEARNING));
    }
    for reason in &alert.reasons {
        sheet.say(LABELLED, Role::Normal, format_args!("- {reason}"));
    }
    if let Some(rule) = &alert.rule {
        sheet.say(LABELLED, Role::Normal, format_args!("rule {}: {}", rule.id, rule.title));
    }
    if !alert.unexpected.is_empty() {
        sheet.say(LABELLED, Role::Dim, format_args!("{}", text::UNEXPECTED));
    }
    for (at, event) in alert.unexpected.iter().enumerate() {
        unexpected(sheet, at + 1, event);
    }
}

fn model_words(model: &ModelVerdict) -> String {
    let hash = model.hash.get(..4).unwrap_or(text::NONE);
    format!(
        "model {} ({hash}..)  surprise {:.2}  threshold {:.2}  distance {:.2}  p {}",
        model.id,
        model.score,
        model.threshold,
        model.distance,
        probability(model.p_value)
    )
}

/// A probability with two significant digits, however small.
fn probability(value: f32) -> String {
    if value >= 0.01 || value == 0.0 { format!("{value:.2}") } else { format!("{value:.0e}") }
}

fn unexpected(sheet: &mut Sheet, number: usize, event: &Unexpected) {
    sheet.say(
        LABELLED,
        Role::Normal,
        format_args!(
            "{number}  {}  rank {}/{}  p {}  x{}",
            event.text,
            event.rank,
            event.candidates,
            probability(event.probability),
            event.count
        ),
    );
    let others: Vec<String> =
        event.expected.iter().map(|other| format!("{} ({})", other.text, probability(other.probability))).collect();
    if !others.is_empty() {
        sheet.say(LABELLED + 3, Role::Dim, format_args!("expected: {}", others.join(", ")));
    }
    let normal =
        event.normal_per_hour.map_or_else(|| text::NONE.to_owned(), |per_hour| format!("~{per_hour:.1} such/h"));
    let over = event.normal_over_h.map_or_else(String::new, |hours| format!(" (over {hours:.0} h)"));
    sheet.say(LABELLED + 3, Role::Dim, format_args!("normal here: {normal}{over}"));
}

fn events(sheet: &mut Sheet, alert: &Alert, now: Stamp) {
    for line in &alert.evidence {
        let at = text::moment(now, line.at);
        if line.source == alert.source {
            sheet.say(LABELLED, Role::Normal, format_args!("{at} {}", line.line));
        } else {
            sheet.say(LABELLED, Role::Normal, format_args!("{at} {}: {}", line.source, line.line));
        }
    }
    let more = alert.count.saturating_sub(alert.evidence.len() as u64);
    match (alert.evidence.is_empty(), more) {
        (true, _) => sheet.say(LABELLED, Role::Dim, format_args!("{}", text::NONE)),
        (_, 0) => {}
        _ => sheet.say(LABELLED, Role::Dim, format_args!("... {more} more  (l shows the log)")),
    }
}

fn history(sheet: &mut Sheet, step: &Step, now: Stamp) {
    let who = step.uid.map_or_else(|| "the system".to_owned(), |uid| format!("uid {uid}"));
    let why = step.why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
    sheet.say(LABELLED, Role::Normal, format_args!("{} {} by {who}{why}", text::moment(now, step.at), step.what));
}

/// The parts of one log line.
pub fn line(parts: &[(&'static str, Safe)], width: usize) -> Vec<Said> {
    let mut sheet = Sheet::new(width);
    for (name, value) in parts {
        sheet.part(name);
        let value = if value.as_str().is_empty() { &Safe::of(text::NONE) } else { value };
        sheet.put(LABELLED + 2, Role::Normal, value);
    }
    sheet.lines
}

/// One sentence.
pub fn paragraph(words: &Safe, width: usize) -> Vec<Said> {
    let mut sheet = Sheet::new(width);
    sheet.put(0, Role::Normal, words);
    sheet.lines
}

/// The keys that work at `place`.
pub fn help(place: Place, width: usize) -> Vec<Said> {
    let mut sheet = Sheet::new(width);
    sheet.say(0, Role::Head, format_args!("{}", text::HELP_TITLE));
    for binding in keys::at(place) {
        sheet.part(binding.label);
        sheet.say(LABELLED + 3, Role::Normal, format_args!("{}", binding.help));
    }
    sheet.lines
}

/// Cuts `text` into pieces of at most `width` cells, between words where that is possible.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let wide = safe::width(word.trim_end());
        if used + wide > width && used > 0 {
            pieces.push(String::new());
            used = 0;
        }
        for symbol in safe::graphemes(word) {
            let wide = safe::width(symbol);
            if used + wide > width {
                pieces.push(String::new());
                used = 0;
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(symbol);
                used += wide;
            }
        }
    }
    for piece in &mut pieces {
        piece.truncate(piece.trim_end().len());
    }
    pieces
}
