//! Draws what the dashboard knows into a buffer of cells; changes nothing.

mod alerts;
mod head;
mod logs;
mod page;
mod paint;
mod tables;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    app::{App, Hub, Screen},
    layout::{HEIGHT_MIN, WIDTH_MIN},
    text,
    theme::Theme,
};
use paint::Painter;

/// Draws `app` on a buffer of the size that the app was told.
pub fn draw(app: &App, theme: Theme, buffer: &mut Buffer) {
    let whole = buffer.area;
    let mut paint = Painter::new(buffer, theme);
    let Some(rooms) = app.rooms() else {
        let open = matches!(app.hub, Hub::Live(_)).then_some(app.stats.alerts_open);
        page::paragraph(&mut paint, &text::too_small(WIDTH_MIN, HEIGHT_MIN, open), whole);
        return;
    };
    head::header(&mut paint, app, rooms.header);
    let has_notice = head::notice(&mut paint, app, rooms.notice);
    if rooms.footer.height > 0 {
        head::footer(&mut paint, app, rooms.footer);
    } else if !has_notice {
        head::footer(&mut paint, app, rooms.notice);
    }
    let body = Rect { y: 1, height: whole.height.saturating_sub(2), ..whole };
    if page::no_hub(&mut paint, app, body) {
        return;
    }
    if app.page.is_some() {
        page::draw(&mut paint, app);
        return;
    }
    if rooms.tabs.height > 0 {
        head::tabs(&mut paint, app, rooms.tabs);
        head::banner(&mut paint, app, rooms.banner);
    }
    match app.screen {
        Screen::Alerts => alerts::draw(&mut paint, app, &rooms),
        Screen::Logs => logs::draw(&mut paint, app, rooms.list),
        Screen::Endpoints => tables::endpoints(&mut paint, app, &rooms),
        Screen::ParseErrors => tables::parse_errors(&mut paint, app, &rooms),
        Screen::Link => tables::link(&mut paint, app, &rooms),
    }
}
