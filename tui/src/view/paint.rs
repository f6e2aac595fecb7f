//! The only hand that writes on the screen; it takes nothing but safe text.
//!
//! Works on a buffer of cells: no widgets, only the visible rows are ever touched.

use ratatui::{
    buffer::{Buffer, CellWidth as _},
    layout::Rect,
};

use crate::{
    safe::{self, SafeStr},
    theme::{Role, Theme},
};

/// Writes on a buffer of cells.
#[derive(Debug)]
pub(super) struct Painter<'b> {
    buffer: &'b mut Buffer,
    theme: Theme,
}

impl<'b> Painter<'b> {
    pub(super) fn new(buffer: &'b mut Buffer, theme: Theme) -> Self {
        Self { buffer, theme }
    }

    /// Writes `text` into `width` cells from (`x`, `y`) on; `~` ends what had to be cut. Returns the
    /// column after it.
    pub(super) fn text<'t>(&mut self, x: u16, y: u16, width: u16, text: impl Into<SafeStr<'t>>, role: Role) -> u16 {
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() {
            return x;
        }
        let width = width.min(area.right() - x);
        let text = text.into().as_str();
        let style = self.theme.style(role);
        let (end, _) = self.buffer.set_stringn(x, y, text, width.into(), style);
        // What fills the room exactly may have been cut; only then is all of it measured.
        if end.saturating_add(1) >= x.saturating_add(width) && width > 0 && safe::width(text) > usize::from(width) {
            let last = x + width - 1;
            if let Some(cell) = self.buffer.cell_mut((last, y)) {
                cell.set_symbol("~").set_style(style);
            }
            if last > x
                && let Some(cell) = self.buffer.cell_mut((last - 1, y))
                && cell.symbol().cell_width() > 1
            {
                cell.set_symbol(" ");
            }
            return last + 1;
        }
        end
    }

    /// Writes `text` so that it ends before column `right`; does nothing if that would begin before `left`.
    pub(super) fn right<'t>(&mut self, left: u16, right: u16, y: u16, text: impl Into<SafeStr<'t>>, role: Role) {
        let text = text.into();
        let width = u16::try_from(safe::width(text.as_str())).unwrap_or(u16::MAX);
        if let Some(x) = right.checked_sub(width).filter(|x| *x >= left) {
            self.text(x, y, width, text, role);
        }
    }

    /// Reverses what stands in `area`.
    pub(super) fn select(&mut self, area: Rect) {
        let style = ratatui::style::Style::default().add_modifier(self.theme.selected());
        self.buffer.set_style(area, style);
    }

    /// Gives what stands in `area` another role.
    pub(super) fn recolour(&mut self, area: Rect, role: Role) {
        self.buffer.set_style(area, self.theme.style(role));
    }

    /// Draws a line across `area`, or down along it if it is one column wide.
    pub(super) fn rule(&mut self, area: Rect) {
        let symbol = if area.width == 1 { "\u{2502}" } else { "\u{2500}" };
        for position in area.positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.set_symbol(symbol).set_style(self.theme.style(Role::Dim));
            }
        }
    }
}
