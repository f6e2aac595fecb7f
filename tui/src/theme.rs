//! What things look like: a part of the screen has a [`Role`], a theme gives it a style.
//!
//! Every state is told by a word and a sign first; colour only repeats it, so the plain theme loses
//! nothing. Colours are the terminal's own 16, which its user has made readable on the background
//! in use; never 24-bit ones. `NO_COLOR` leaves bold, underline and reverse.

use nms_proto::severity::Severity;
use ratatui::style::{Color, Modifier, Style};

/// What a part of the screen is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Text.
    #[default]
    Normal,
    /// Of less weight.
    Dim,
    /// A heading.
    Head,
    /// The chosen tab.
    Active,
    /// As it should be.
    Good,
    /// Needs attention.
    Warn,
    /// Is wrong.
    Bad,
    /// A hit of the search.
    Hit,
    /// An alert's severity.
    Severity(Severity),
}

/// Which colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Palette {
    /// None.
    Mono,
    /// The 16 of the terminal.
    Sixteen,
    /// More, so that dark grey can be told from black.
    Many,
}

/// Gives roles their styles.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    palette: Palette,
}

impl Theme {
    /// No colours.
    pub const MONO: Self = Self { palette: Palette::Mono };
    /// Colours, with dark grey.
    pub const COLOUR: Self = Self { palette: Palette::Many };

    /// The theme for the environment's `NO_COLOR` (set and not empty means none), `TERM` and `COLORTERM`.
    pub fn from_env(no_color: Option<&str>, term: Option<&str>, colorterm: Option<&str>) -> Self {
        let term = term.unwrap_or_default();
        let palette = if no_color.is_some_and(|value| !value.is_empty()) || term.starts_with("vt") {
            Palette::Mono
        } else if term.contains("256") || term.contains("direct") || colorterm.is_some_and(|value| !value.is_empty()) {
            Palette::Many
        } else {
            Palette::Sixteen
        };
        Self { palette }
    }

    /// The style of `role`.
    pub fn style(self, role: Role) -> Style {
        match self.palette {
            Palette::Mono => mono(role),
            Palette::Sixteen if role == Role::Dim => Style::default(),
            Palette::Sixteen | Palette::Many => colour(role),
        }
    }

    /// The style of the selected row, over that of its parts.
    pub fn selected(self) -> Modifier {
        Modifier::REVERSED
    }
}

fn mono(role: Role) -> Style {
    let modifier = match role {
        Role::Normal | Role::Dim | Role::Good | Role::Severity(Severity::Low | Severity::Info) => Modifier::empty(),
        Role::Head | Role::Bad | Role::Severity(Severity::High) => Modifier::BOLD,
        Role::Active | Role::Hit => Modifier::REVERSED,
        Role::Warn | Role::Severity(Severity::Medium) => Modifier::UNDERLINED,
        Role::Severity(Severity::Critical) => Modifier::REVERSED.union(Modifier::BOLD),
    };
    Style::default().add_modifier(modifier)
}

fn colour(role: Role) -> Style {
    let style = Style::default();
    match role {
        Role::Normal | Role::Severity(Severity::Info) => style,
        Role::Dim => style.fg(Color::DarkGray),
        Role::Head => style.add_modifier(Modifier::BOLD),
        Role::Active => style.add_modifier(Modifier::REVERSED),
        Role::Good => style.fg(Color::Green),
        Role::Warn | Role::Severity(Severity::Medium) => style.fg(Color::Yellow),
        Role::Bad | Role::Severity(Severity::High) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
        Role::Hit => style.fg(Color::Black).bg(Color::Yellow),
        Role::Severity(Severity::Critical) => style.fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD),
        Role::Severity(Severity::Low) => style.fg(Color::Cyan),
    }
}
