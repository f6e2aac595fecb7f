//! What can happen to the dashboard, and what it wants done: the two ends of `app::update`.
//!
//! Time comes as [`Msg::Clock`]; nothing below the shells reads a clock, so a test can live through
//! an hour in a loop.

use nms_proto::{
    dash::{FromHub, ToHub},
    time::{Stamp, Tick},
};

/// A key, as the terminal shell understood it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A letter with Ctrl.
    Ctrl(char),
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Deletes to the left.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// First.
    Home,
    /// Last.
    End,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For waiting.
    pub tick: Tick,
    /// For showing.
    pub wall: Stamp,
}

/// Why the hub is not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// What failed, on which path, in words.
    pub problem: Box<str>,
    /// What to do about it.
    pub remedy: Box<str>,
    /// Milliseconds until the next try.
    pub retry_ms: u64,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Msg {
    /// It is now this late.
    Clock(Now),
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(Box<str>),
    /// The screen has this many columns and rows.
    Resize(u16, u16),
    /// The hub said something.
    Hub(Box<FromHub>),
    /// The hub is not reached, or not any more.
    Lost(Outage),
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell the hub.
    Send(ToHub),
    /// Draw everything anew.
    Redraw,
    /// Stop, until the shell says go on.
    Suspend,
    /// Leave.
    Quit,
}
