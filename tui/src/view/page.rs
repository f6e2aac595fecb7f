//! Pages of lines: an alert in full, one log line, the help, and what stands there while there is no hub.

use nms_proto::dash::DASH_PROTOCOL;
use ratatui::layout::Rect;

use super::paint::Painter;
use crate::{
    app::{App, Hub},
    detail::{self, Said},
    layout,
    safe::Safe,
    text,
    theme::Role,
};

/// Draws `lines` from the line `top` on; where they do not fit, the last row says how many are hidden.
pub(super) fn lines(paint: &mut Painter<'_>, lines: &[Said], top: usize, room: Rect) {
    let rest = lines.len().saturating_sub(top);
    let is_cut = rest > usize::from(room.height);
    let rows = room.height.saturating_sub(u16::from(is_cut));
    for (said, y) in lines.iter().skip(top).zip(room.top()..room.top() + rows) {
        let indent = u16::try_from(said.indent).unwrap_or(u16::MAX).saturating_add(1);
        paint.text(room.x + 1, y, room.width.saturating_sub(1), said.label, Role::Head);
        let x = room.x.saturating_add(indent);
        paint.text(x, y, room.right().saturating_sub(x), &said.text, said.role);
    }
    if is_cut && room.height > 0 {
        let more = text::more_below(rest - usize::from(rows));
        paint.text(room.x + 1, room.bottom() - 1, room.width.saturating_sub(1), &more, Role::Dim);
    }
}

/// Draws one sentence in an otherwise empty room.
pub(super) fn paragraph(paint: &mut Painter<'_>, words: &Safe, room: Rect) {
    lines(paint, &detail::paragraph(words, room.width.into()), 0, room);
}

/// Draws the open page.
pub(super) fn draw(paint: &mut Painter<'_>, app: &App) {
    let room = layout::page(app.size.0, app.size.1);
    let said = app.page_lines();
    let top = app.scroll.top.min(said.len().saturating_sub(room.height.into()));
    lines(paint, &said, top, room);
}

/// Draws what stands there while there is nothing to show; false if there is.
pub(super) fn no_hub(paint: &mut Painter<'_>, app: &App, room: Rect) -> bool {
    let mut words = Vec::new();
    match &app.hub {
        Hub::Live(_) | Hub::Lost(..) => return false,
        Hub::Mismatch(hello) => words.push(text::mismatch(hello, DASH_PROTOCOL)),
        Hub::Looking(missing) => {
            words.push(Safe::say(format_args!("{} {}", text::LOOKING, app.socket)));
            if let Some(missing) = missing {
                words.push(Safe::of(&missing.outage.problem));
                words.push(Safe::of(&missing.outage.remedy));
                words.push(text::next_try(missing.retry_ms(app.now.tick)));
            }
        }
    }
    let mut said = Vec::new();
    for paragraph in words {
        said.extend(detail::paragraph(&paragraph, room.width.into()));
        said.extend(detail::paragraph(&Safe::default(), room.width.into()));
    }
    lines(paint, &said, 0, Rect { y: room.y + 1, height: room.height.saturating_sub(1), ..room });
    true
}
