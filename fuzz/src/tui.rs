//! What reaches a person's terminal: no text from outside is obeyed by it, on the screen and in scripts.

use std::sync::OnceLock;

use nms_proto::{
    dash::{FromHub, Line},
    id::EndpointId,
    json,
    time::Tick,
};
use nms_tui::{
    app::{App, update},
    filter::{Filter, Subject},
    msg::{Key, Msg, Now, Outage},
    plain::{self, Form, Part, Tail},
    safe::{self, Safe},
    theme::Theme,
    view,
};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use regex::Regex;

use crate::{input::Script, travel::NOW};

/// Controls, format characters, private use, separators, the ignorable; and marks without end. A spacing mark has a cell of
/// its own, as a letter has.
fn assert_shown(text: &str) {
    static UNSEEN: OnceLock<Regex> = OnceLock::new();
    let unseen = UNSEEN.get_or_init(|| {
        Regex::new(r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|[\p{Mn}\p{Me}]{5}").unwrap()
    });
    assert!(!unseen.is_match(text), "{text:?}");
}

/// Text made safe: it holds nothing unseen, stays as it is the second time, and takes the room that was counted.
pub(crate) fn safe_text(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    assert_shown(Safe::of_bytes(bytes).as_str());
    let shown = Safe::of(text);
    assert_shown(shown.as_str());
    assert_eq!(Safe::of(shown.as_str()), shown);
    let width = shown.width();
    if let Ok(columns) = u16::try_from(width + 2) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, columns, 1));
        let (end, _) = buffer.set_stringn(0, 0, shown.as_str(), width, Style::default());
        assert_eq!(usize::from(end), width, "{shown}");
    }
    let written = serde_json::to_string(text).unwrap();
    let escaped = safe::escape_json(&written);
    assert_shown(&escaped);
    assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
}

/// Filters: one that is understood is written so that it is understood again, and shows the same.
pub(crate) fn filter(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    match Filter::parse(text) {
        Ok(mut filter) => {
            let written = filter.to_string();
            let again = Filter::parse(&written).unwrap();
            assert_eq!(again.to_string(), written);
            for line in [line("sshd", "Failed password for root", 3), line("", text, 7)] {
                assert_eq!(filter.shows(&Subject::from(&line)), again.shows(&Subject::from(&line)), "{written}");
            }
            for step in 0..6 {
                filter.step_alerts(step % 3 > 0);
                filter.step_lines(step % 5 > 1);
                Filter::parse(&filter.to_string()).unwrap();
            }
        }
        Err(error) => assert!(error.to_string().starts_with("filter: ")),
    }
}

fn line(app: &str, message: &str, severity: u8) -> Line {
    let app = Some(app).filter(|app| !app.is_empty()).map(Into::into);
    let source = EndpointId::new("pi");
    Line { seq: 1, at: NOW, source, host: None, app, pid: None, facility: 4, severity, message: message.into() }
}

const KEYS: [Key; 14] = [
    Key::Enter,
    Key::Esc,
    Key::Tab,
    Key::BackTab,
    Key::Backspace,
    Key::Up,
    Key::Down,
    Key::Home,
    Key::End,
    Key::PageUp,
    Key::PageDown,
    Key::Ctrl('d'),
    Key::Ctrl('l'),
    Key::Ctrl('u'),
];

/// A whole dashboard, line by line of the input: JSON is said by the hub, `!` presses the keys that follow, `<` pastes,
/// `#` is a size of the screen, `%` a named key, `~` loses the hub. Whatever comes, every cell shows what it is.
pub(crate) fn dashboard(bytes: &[u8]) {
    let mut app = App::new("/run/nmsd-hub/dash.sock");
    update(&mut app, Msg::Clock(Now { tick: Tick(5), wall: NOW }));
    let mut tails = [Form::Plain, Form::Json].map(|form| Tail::new(form, Filter::default(), 3));
    for (count, part) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let wall = nms_proto::time::Stamp { unix_ms: NOW.unix_ms + 900 * count as i64, ..NOW };
        update(&mut app, Msg::Clock(Now { tick: Tick(900 * count as u64), wall }));
        let Some((first, rest)) = part.split_first() else { continue };
        let text = String::from_utf8_lossy(rest);
        match first {
            b'!' => {
                for c in text.chars() {
                    update(&mut app, Msg::Key(Key::Char(c)));
                }
            }
            b'<' => drop(update(&mut app, Msg::Paste((*text).into()))),
            b'%' => {
                for byte in rest {
                    update(&mut app, Msg::Key(KEYS[usize::from(*byte) % KEYS.len()]));
                }
            }
            b'#' => {
                let mut script = Script(rest);
                update(&mut app, Msg::Resize(script.byte().into(), (script.byte() % 80).into()));
            }
            b'~' => {
                let outage = Outage { problem: (*text).into(), remedy: (*text).into(), retry_ms: 5_000 };
                update(&mut app, Msg::Lost(outage));
            }
            _ => {
                let Ok(said) = json::decode::<FromHub>(part) else { continue };
                printed(&said, &mut tails);
                update(&mut app, Msg::Hub(Box::new(said)));
            }
        }
        drawn(&app);
    }
}

fn drawn(app: &App) {
    let (width, height) = app.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    view::draw(app, Theme::COLOUR, &mut buffer);
    for cell in buffer.content() {
        assert_shown(cell.symbol());
    }
}

fn printed(said: &FromHub, tails: &mut [Tail]) {
    for tail in tails {
        assert_shown(&tail.take(said, NOW).unwrap().join(" "));
    }
    if let FromHub::Snapshot(snapshot) = said {
        for part in [Part::Alerts, Part::Endpoints, Part::Link] {
            for form in [Form::Plain, Form::Json] {
                let lines = plain::once(snapshot, NOW, part, form, &Filter::default()).unwrap();
                assert_shown(&lines.join(" "));
            }
        }
        plain::verdict(snapshot);
    }
}
