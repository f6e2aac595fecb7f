//! Which part of the screen is where, at every size.
//!
//! Its own module because both sides need it: drawing, and the keys that move by pages. Below
//! [`WIDTH_MIN`] x [`HEIGHT_MIN`] nothing fits; below 80x24 there is one pane without chrome; from
//! 120 columns the detail stands beside the list, and from 40 rows the log runs below it.

use ratatui::layout::Rect;

/// Columns that are needed to show anything.
pub const WIDTH_MIN: u16 = 40;
/// Rows that are needed to show anything.
pub const HEIGHT_MIN: u16 = 10;

/// The screens, by the number of their key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// 1: what is wrong.
    Alerts,
    /// 2: what is said.
    Logs,
    /// 3: who says it.
    Endpoints,
    /// 5: what could not be understood.
    ParseErrors,
    /// 6: the server, and the account of every event.
    Link,
}

impl Screen {
    /// In the order of the tabs.
    pub const ALL: [Self; 5] = [Self::Alerts, Self::Logs, Self::Endpoints, Self::ParseErrors, Self::Link];

    /// The number of its key.
    pub fn number(self) -> u8 {
        match self {
            Self::Alerts => 1,
            Self::Logs => 2,
            Self::Endpoints => 3,
            Self::ParseErrors => 5,
            Self::Link => 6,
        }
    }

    /// Its name on the tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts => "Alerts",
            Self::Logs => "Logs",
            Self::Endpoints => "Endpoints",
            Self::ParseErrors => "Parse errors",
            Self::Link => "Link",
        }
    }
}

/// Where the parts of one screen are; an absent part has no rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rooms {
    /// The first row: link state, rates, counts.
    pub header: Rect,
    /// The names of the screens.
    pub tabs: Rect,
    /// Events a minute over the last hour.
    pub histogram: Rect,
    /// The filter, or what is wrong with the hub.
    pub banner: Rect,
    /// The names of the columns.
    pub head: Rect,
    /// The rows.
    pub list: Rect,
    /// The line between list and detail.
    pub rule: Rect,
    /// The selected row, in full.
    pub detail: Rect,
    /// The line over the running log.
    pub tail_head: Rect,
    /// The running log.
    pub tail: Rect,
    /// What just happened, or a question.
    pub notice: Rect,
    /// The most useful keys.
    pub footer: Rect,
}

/// Cuts rows off the ends of an area.
struct Cut(Rect);

impl Cut {
    fn top(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        let cut = Rect { height: rows, ..self.0 };
        self.0 = Rect { y: self.0.y + rows, height: self.0.height - rows, ..self.0 };
        cut
    }

    fn bottom(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        self.0.height -= rows;
        Rect { y: self.0.y + self.0.height, height: rows, ..self.0 }
    }
}

/// The rooms of `screen` on a terminal of `width` columns and `height` rows; none if it is too small.
pub fn rooms(width: u16, height: u16, screen: Screen) -> Option<Rooms> {
    if width < WIDTH_MIN || height < HEIGHT_MIN {
        return None;
    }
    let mut rest = Cut(Rect::new(0, 0, width, height));
    let mut rooms = Rooms { header: rest.top(1), ..Rooms::default() };
    if width < 80 || height < 24 {
        rooms.notice = rest.bottom(1);
        rooms.list = rest.0;
        return Some(rooms);
    }
    rooms.tabs = rest.top(1);
    rooms.footer = rest.bottom(1);
    rooms.notice = rest.bottom(1);
    if height >= 40 && screen == Screen::Alerts {
        rooms.histogram = rest.top(1);
    }
    rooms.banner = rest.top(1);
    match screen {
        Screen::Alerts if width >= 120 => beside(&mut rooms, rest.0, height),
        Screen::Alerts | Screen::ParseErrors => below(&mut rooms, rest),
        Screen::Logs => rooms.list = rest.0,
        Screen::Endpoints | Screen::Link => {
            rooms.head = rest.top(1);
            rooms.list = rest.0;
        }
    }
    Some(rooms)
}

/// The room of a page over the screen: the header, the notice and the keys stay.
pub fn page(width: u16, height: u16) -> Rect {
    let rows = if width < 80 || height < 24 { 2 } else { 3 };
    Rect::new(0, 1, width, height.saturating_sub(rows))
}

fn below(rooms: &mut Rooms, mut rest: Cut) {
    rooms.head = rest.top(1);
    rooms.list = rest.top((rest.0.height / 3).max(5));
    rooms.rule = rest.top(1);
    rooms.detail = rest.0;
}

fn beside(rooms: &mut Rooms, body: Rect, height: u16) {
    let left = body.width / 2;
    let right = Rect { x: left, width: body.width - left, ..body };
    rooms.rule = Rect { width: 1, ..right };
    rooms.detail = Rect { x: right.x + 1, width: right.width - 1, ..right };
    let mut rest = Cut(Rect { width: left, ..body });
    if height >= 40 {
        rooms.tail = rest.bottom(12);
        rooms.tail_head = rest.bottom(1);
    }
    rooms.head = rest.top(1);
    rooms.list = rest.0;
}
