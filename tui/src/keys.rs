//! Every key in one table: what it does, where, and what the help says about it.
//!
//! The help page and the footer are read out of the same table, so they cannot promise a key that
//! does nothing. No key needs Alt, and Ctrl-S and Ctrl-Q are left to the terminal.

use crate::msg::Key;

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The list of alerts.
    Alerts,
    /// The log.
    Logs,
    /// A table: endpoints, malformed input, link.
    Table,
    /// One alert or one line, full screen.
    Detail,
    /// The help page.
    Help,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// To the first row.
    First,
    /// To the last row; in the log this follows again.
    Last,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Half a page up.
    HalfUp,
    /// Half a page down.
    HalfDown,
    /// The next screen.
    NextScreen,
    /// The screen before.
    PreviousScreen,
    /// The screen of that number.
    Screen(u8),
    /// Opens what is selected.
    Open,
    /// Closes what is open.
    Back,
    /// Closes what is open, or leaves.
    Quit,
    /// Leaves at once.
    QuitNow,
    /// The help page.
    Help,
    /// Pauses or follows the log.
    Pause,
    /// Asks what to search.
    Search,
    /// The next hit.
    SearchNext,
    /// The hit before.
    SearchPrevious,
    /// Asks for a filter.
    Filter,
    /// Turns the filter off and on.
    ToggleFilter,
    /// Shows only what is worse.
    Stricter,
    /// Shows what is less bad too.
    Looser,
    /// The next alert in the log.
    NextAlert,
    /// The alert before in the log.
    PreviousAlert,
    /// "I am on it."
    Acknowledge,
    /// Opens the verdict menu.
    Verdict,
    /// Asks for a note.
    Note,
    /// The log, at the lines of this alert's source.
    ShowLogs,
    /// Draws everything anew.
    Redraw,
    /// Stops, as the shell's job control does.
    Suspend,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    keys: &'static [Key],
    /// What it does.
    pub action: Action,
    places: &'static [Place],
    /// The keys as the help shows them.
    pub label: &'static str,
    /// What it does, in words.
    pub help: &'static str,
    /// Key and word in the footer, for the most useful.
    pub footer: Option<&'static str>,
}

const EVERYWHERE: &[Place] = &[Place::Alerts, Place::Logs, Place::Table, Place::Detail, Place::Help];
const LISTS: &[Place] = &[Place::Alerts, Place::Logs, Place::Table];
const SETTLE: &[Place] = &[Place::Alerts, Place::Detail];
const ROWS: &[Place] = &[Place::Alerts, Place::Logs];
const LOGS: &[Place] = &[Place::Logs];

const fn row(
    keys: &'static [Key],
    action: Action,
    places: &'static [Place],
    label: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, action, places, label, help, footer: None }
}

const fn main_row(binding: Binding, footer: &'static str) -> Binding {
    Binding { footer: Some(footer), ..binding }
}

/// The table, in the order of the help.
pub const BINDINGS: &[Binding] = &[
    main_row(row(&[Key::Char('a')], Action::Acknowledge, SETTLE, "a", "acknowledge: you are on it"), "a ack"),
    main_row(
        row(
            &[Key::Char('t')],
            Action::Verdict,
            SETTLE,
            "t",
            "close with a verdict: tt true, tf false, te expected, td duplicate",
        ),
        "t verdict..",
    ),
    row(&[Key::Char('c')], Action::Note, SETTLE, "c", "add a note"),
    main_row(row(&[Key::Char('l')], Action::ShowLogs, SETTLE, "l", "show its source in the log"), "l logs"),
    main_row(row(&[Key::Char(' ')], Action::Pause, LOGS, "space", "pause, or follow again"), "space pause"),
    main_row(row(&[Key::Char('f')], Action::Filter, ROWS, "f", "edit the filter"), "f filter"),
    main_row(row(&[Key::Char('/')], Action::Search, ROWS, "/", "search (a regular expression)"), "/ search"),
    row(&[Key::Char('n')], Action::SearchNext, ROWS, "n", "next hit"),
    row(&[Key::Char('N')], Action::SearchPrevious, ROWS, "N", "hit before"),
    main_row(row(&[Key::Char('e')], Action::NextAlert, LOGS, "e", "next alert"), "e/E alert"),
    row(&[Key::Char('E')], Action::PreviousAlert, LOGS, "E", "alert before"),
    row(&[Key::Char('x')], Action::ToggleFilter, ROWS, "x", "filter off and on"),
    row(&[Key::Char('+')], Action::Stricter, ROWS, "+", "only what is worse"),
    row(&[Key::Char('-')], Action::Looser, ROWS, "-", "what is less bad too"),
    main_row(row(&[Key::Enter], Action::Open, ROWS, "Enter", "everything about the selected row"), "Enter open"),
    row(&[Key::Char('j'), Key::Down], Action::Down, EVERYWHERE, "j Down", "down"),
    row(&[Key::Char('k'), Key::Up], Action::Up, EVERYWHERE, "k Up", "up"),
    row(&[Key::Ctrl('d')], Action::HalfDown, EVERYWHERE, "Ctrl-d", "half a page down"),
    row(&[Key::Ctrl('u')], Action::HalfUp, EVERYWHERE, "Ctrl-u", "half a page up"),
    row(&[Key::PageDown], Action::PageDown, EVERYWHERE, "PgDn", "a page down"),
    row(&[Key::PageUp], Action::PageUp, EVERYWHERE, "PgUp", "a page up"),
    row(&[Key::Char('g'), Key::Home], Action::First, EVERYWHERE, "g Home", "to the first row"),
    row(&[Key::Char('G'), Key::End], Action::Last, EVERYWHERE, "G End", "to the last row; the log follows again"),
    row(&[Key::Tab], Action::NextScreen, LISTS, "Tab", "next screen"),
    row(&[Key::BackTab], Action::PreviousScreen, LISTS, "Shift-Tab", "screen before"),
    row(&[Key::Char('1')], Action::Screen(1), LISTS, "1", "alerts"),
    row(&[Key::Char('2')], Action::Screen(2), LISTS, "2", "logs"),
    row(&[Key::Char('3')], Action::Screen(3), LISTS, "3", "endpoints"),
    row(&[Key::Char('5')], Action::Screen(5), LISTS, "5", "parse errors"),
    row(&[Key::Char('6')], Action::Screen(6), LISTS, "6", "link to the server"),
    row(&[Key::Esc], Action::Back, EVERYWHERE, "Esc", "back"),
    main_row(row(&[Key::Char('?')], Action::Help, EVERYWHERE, "?", "this page"), "? help"),
    main_row(row(&[Key::Char('q')], Action::Quit, EVERYWHERE, "q", "back, then leave"), "q quit"),
    row(&[Key::Ctrl('c')], Action::QuitNow, EVERYWHERE, "Ctrl-c", "leave at once"),
    row(&[Key::Ctrl('l')], Action::Redraw, EVERYWHERE, "Ctrl-l", "draw anew"),
    row(&[Key::Ctrl('z')], Action::Suspend, EVERYWHERE, "Ctrl-z", "stop; the shell's fg goes on"),
];

/// The rows of the table that work at `place`.
pub fn at(place: Place) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.places.contains(&place))
}

/// What `key` does at `place`.
pub fn action(place: Place, key: Key) -> Option<Action> {
    at(place).find(|binding| binding.keys.contains(&key)).map(|binding| binding.action)
}
