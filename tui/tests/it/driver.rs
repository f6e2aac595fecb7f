//! Lives through a scene in virtual time, and writes the screen down as text.

use std::fmt::Write as _;

use nms_proto::{dash::FromHub, time::Tick};
use nms_tui::{
    app::{App, update},
    msg::{Effect, Key, Msg, Now, Outage},
    theme::Theme,
    view,
};
use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Modifier},
};

use crate::scene;

/// An app and its clock.
pub(crate) struct Driver {
    pub(crate) app: App,
}

impl Driver {
    /// Before the hub was reached.
    pub(crate) fn new(width: u16, height: u16) -> Self {
        let mut driver = Self { app: App::new("/run/nmsd-hub/dash.sock") };
        driver.wait(0);
        driver.msg(Msg::Resize(width, height));
        driver
    }

    /// With the hub's first words heard.
    pub(crate) fn live(width: u16, height: u16) -> Self {
        let mut driver = Self::new(width, height);
        driver.hub(FromHub::Hello(scene::hello()));
        driver.hub(FromHub::Snapshot(Box::new(scene::snapshot())));
        driver
    }

    pub(crate) fn msg(&mut self, msg: Msg) -> Vec<Effect> {
        update(&mut self.app, msg)
    }

    pub(crate) fn hub(&mut self, said: FromHub) -> Vec<Effect> {
        self.msg(Msg::Hub(Box::new(said)))
    }

    /// Lets `ms` pass; the scene's day begins at 10:42:07.
    pub(crate) fn wait(&mut self, ms: u64) {
        let tick = Tick(self.app.now.tick.0 + ms);
        let mut wall = scene::now();
        wall.unix_ms += tick.0 as i64;
        self.msg(Msg::Clock(Now { tick, wall }));
    }

    /// Presses keys: a letter is itself, `<name>` a named key.
    pub(crate) fn keys(&mut self, keys: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut rest = keys;
        while let Some(first) = rest.chars().next() {
            let (key, after) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((name, after)) => (named(name), after),
                None => (Key::Char(first), &rest[first.len_utf8()..]),
            };
            effects.extend(self.msg(Msg::Key(key)));
            rest = after;
        }
        effects
    }

    /// The hub goes away.
    pub(crate) fn lose(&mut self) {
        self.msg(Msg::Lost(Outage {
            problem: "cannot connect to /run/nmsd-hub/dash.sock: No such file or directory (os error 2)".into(),
            remedy: "look at: systemctl status nmsd-hub".into(),
            retry_ms: 5_000,
        }));
    }

    pub(crate) fn draw(&self, theme: Theme) -> Buffer {
        let (width, height) = self.app.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        view::draw(&self.app, theme, &mut buffer);
        buffer
    }

    /// The screen as text, without styles.
    pub(crate) fn text(&self) -> String {
        text(&self.draw(Theme::COLOUR))
    }
}

fn named(name: &str) -> Key {
    match name {
        "enter" => Key::Enter,
        "esc" => Key::Esc,
        "tab" => Key::Tab,
        "backtab" => Key::BackTab,
        "backspace" => Key::Backspace,
        "up" => Key::Up,
        "down" => Key::Down,
        "home" => Key::Home,
        "end" => Key::End,
        "pgup" => Key::PageUp,
        "pgdn" => Key::PageDown,
        "space" => Key::Char(' '),
        other => Key::Ctrl(other.strip_prefix("c-").expect("a known key").chars().next().expect("a letter")),
    }
}

fn rows(buffer: &Buffer) -> impl Iterator<Item = Vec<&Cell>> {
    buffer.content().chunks(usize::from(buffer.area.width).max(1)).map(|row| row.iter().collect())
}

/// The cells as text; the second half of a wide character is nothing.
pub(crate) fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for row in rows(buffer) {
        let mut line = String::new();
        let mut skip = 0;
        for cell in row {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            skip = nms_tui::safe::width(cell.symbol()).saturating_sub(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The cells as text, and below it every run of cells with a style: a highlight that is lost shows.
pub(crate) fn dump(buffer: &Buffer) -> String {
    let mut out = text(buffer);
    out.push_str("-- styles: row, columns, style --\n");
    for (y, row) in rows(buffer).enumerate() {
        let mut from = 0;
        while from < row.len() {
            let style = style(row[from]);
            let to = (from..row.len()).find(|at| self::style(row[*at]) != style).unwrap_or(row.len());
            if !style.is_empty() {
                writeln!(out, "{y} {from}-{} {style}", to - 1).unwrap();
            }
            from = to;
        }
    }
    out
}

fn style(cell: &Cell) -> String {
    let mut words = Vec::new();
    if cell.fg != Color::Reset {
        words.push(cell.fg.to_string());
    }
    if cell.bg != Color::Reset {
        words.push(format!("on {}", cell.bg));
    }
    let names = [(Modifier::BOLD, "bold"), (Modifier::REVERSED, "reversed"), (Modifier::UNDERLINED, "underlined")];
    words.extend(names.into_iter().filter(|(flag, _)| cell.modifier.contains(*flag)).map(|(_, name)| name.to_owned()));
    words.join(" ")
}

/// Compares with the file `name` in `scenes`; with `NMS_UPDATE=1` writes it.
pub(crate) fn compare(name: &str, now: &str) {
    let path = format!("{}/tests/it/scenes/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("NMS_UPDATE").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(before == now, "{name} differs from {path} (NMS_UPDATE=1 writes it); it is now:\n{now}");
}
