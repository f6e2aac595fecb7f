//! The terminal: keys in, cells out, and everything as it was when it ends.
//!
//! One thread reads keys, because a blocking reader does not race with answers of the terminal; all
//! else runs on the main thread. A frame is drawn only when something changed: at once after a key,
//! else at most every frame time. What differs from the frame before is one write inside a
//! synchronized update, so nothing tears and a slow link carries only what changed. A panic or a
//! signal restores the terminal first.

use std::{
    io::{self, Write as _},
    sync::Once,
    thread,
    time::Duration,
};

use crossterm::{
    cursor::{Hide, Show},
    event::{self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    execute, queue,
    style::force_color_output,
    terminal::{
        self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen,
    },
};
use nms_proto::{dash::ToHub, time::Tick};
use ratatui::{
    backend::{Backend as _, CrosstermBackend},
    buffer::Buffer,
    layout::Rect,
};
use smol::{
    Timer,
    channel::{self, Receiver, Sender},
    future,
    io::AsyncReadExt as _,
    net::unix::UnixStream,
};

use crate::{
    app::{App, update},
    clock::Clock,
    link::{self, Target},
    msg::{Effect, Key, Msg},
    theme::Theme,
    view,
};

/// Messages that may wait for the screen; then the hub is made to wait, and counts what it skips.
const HEARD_MAX: usize = 32;
/// Commands that may wait for the hub.
const WORDS_MAX: usize = 64;
/// Keys that may wait.
const KEYS_MAX: usize = 256;

/// How the screen is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Colours.
    pub theme: Theme,
    /// Shortest time between two frames that no key asked for, in milliseconds.
    pub frame_ms: u64,
}

/// Shows the dashboard until its person leaves.
///
/// # Errors
/// That the terminal cannot be read or written.
pub fn run(target: Target, clock: Clock, look: Look) -> io::Result<()> {
    restore_on_panic();
    let _restored_at_the_end = Taken::take()?;
    let (keys_out, keys) = channel::bounded(KEYS_MAX);
    thread::Builder::new().name("keys".into()).spawn(move || read_keys(&keys_out))?;
    let (heard_out, heard) = channel::bounded(HEARD_MAX);
    let (words_out, words) = channel::bounded(WORDS_MAX);
    let shell = Shell { app: App::new(&target.path()), clock, look, canvas: Canvas::default(), words: words_out };
    let ended = signals()?;
    smol::block_on(async {
        let links = async {
            link::keep(target, heard_out, words).await;
            future::pending().await
        };
        future::or(shell.live(keys, heard, ended), links).await
    })
}

/// The terminal while it is ours; gives it back when dropped.
struct Taken;

impl Taken {
    fn take() -> io::Result<Self> {
        // crossterm's own NO_COLOR writes `ESC[;m`, which wipes bold and reverse; the theme does it.
        force_color_output(true);
        terminal::enable_raw_mode()?;
        let taken = Self;
        execute!(io::stdout(), EnterAlternateScreen, Hide, EnableBracketedPaste, Clear(ClearType::All))?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        restore();
    }
}

/// Everything as it was. Called on every way out; there is nobody to tell when it fails.
fn restore() {
    let _best_effort = execute!(io::stdout(), EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _best_effort = terminal::disable_raw_mode();
}

fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
    });
}

/// A stream that can be read once a signal to end came.
fn signals() -> io::Result<UnixStream> {
    let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGINT] {
        signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    reader.set_nonblocking(true)?;
    UnixStream::try_from(reader)
}

/// Reads keys until nobody wants them or the terminal is gone.
fn read_keys(out: &Sender<Msg>) {
    loop {
        let msg = match event::read() {
            Ok(event) => translate(event),
            Err(_gone) => Some(Msg::Key(Key::Ctrl('c'))),
        };
        let is_end = msg == Some(Msg::Key(Key::Ctrl('c')));
        if msg.is_some_and(|msg| out.send_blocking(msg).is_err()) || is_end {
            return;
        }
    }
}

/// A message for what the terminal reports; none for what the dashboard has no use for.
fn translate(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => translate_key(key).map(Msg::Key),
        Event::Resize(width, height) => Some(Msg::Resize(width, height)),
        Event::Paste(text) => Some(Msg::Paste(text.into())),
        _ => None,
    }
}

fn translate_key(key: KeyEvent) -> Option<Key> {
    Some(match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(_) if key.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        _ => return None,
    })
}

/// The cells on the screen, and the bytes that change them.
#[derive(Debug, Default)]
pub struct Canvas {
    shown: Buffer,
}

impl Canvas {
    /// Forgets what is on the screen, which is now empty and of this size.
    pub fn clear(&mut self, width: u16, height: u16) {
        self.shown = Buffer::empty(Rect::new(0, 0, width, height));
    }

    /// The bytes that turn what is on the screen into `app`; empty if nothing changed.
    ///
    /// # Errors
    /// None in practice: memory is written.
    pub fn frame(&mut self, app: &App, theme: Theme) -> io::Result<Vec<u8>> {
        let mut next = Buffer::empty(self.shown.area);
        view::draw(app, theme, &mut next);
        let mut out = Vec::new();
        if self.shown != next {
            queue!(out, BeginSynchronizedUpdate)?;
            CrosstermBackend::new(&mut out).draw(self.shown.diff(&next).into_iter())?;
            queue!(out, EndSynchronizedUpdate)?;
            self.shown = next;
        }
        Ok(out)
    }
}

/// What woke the shell.
enum Wake {
    Msg(Msg),
    Time,
    End,
}

/// Carries messages to the app and its wishes out.
struct Shell {
    app: App,
    clock: Clock,
    look: Look,
    canvas: Canvas,
    words: Sender<ToHub>,
}

impl Shell {
    async fn live(mut self, keys: Receiver<Msg>, heard: Receiver<Msg>, mut ended: UnixStream) -> io::Result<()> {
        let (width, height) = terminal::size()?;
        let mut due = self.clock.now().tick;
        let mut wake = Wake::Msg(Msg::Resize(width, height));
        loop {
            update(&mut self.app, Msg::Clock(self.clock.now()));
            let mut at_once = matches!(wake, Wake::Time | Wake::Msg(Msg::Key(_) | Msg::Paste(_) | Msg::Resize(..)));
            match wake {
                Wake::End => return Ok(()),
                Wake::Time => {}
                Wake::Msg(msg) => {
                    let waiting = std::iter::repeat_with(|| heard.try_recv().ok()).map_while(|msg| msg);
                    for msg in std::iter::once(msg).chain(waiting.take(HEARD_MAX)) {
                        if !self.take(msg)? {
                            return Ok(());
                        }
                    }
                }
            }
            let now = self.clock.now().tick;
            at_once |= now >= due;
            if at_once {
                self.draw()?;
                due = now.plus(self.look.frame_ms);
            }
            // An hour would do where nothing moves; ages and the clock move every second.
            let sleep_until = if at_once { now.plus(1_000) } else { due };
            wake = self.wait(&keys, &heard, &mut ended, sleep_until).await;
        }
    }

    async fn wait(&self, keys: &Receiver<Msg>, heard: &Receiver<Msg>, ended: &mut UnixStream, until: Tick) -> Wake {
        let sleep = Duration::from_millis(until.since(self.clock.now().tick));
        let end = async {
            let _either_way = ended.read(&mut [0; 1]).await;
            Wake::End
        };
        let key = async { keys.recv().await.map_or(Wake::End, Wake::Msg) };
        let word = async { heard.recv().await.map_or(Wake::End, Wake::Msg) };
        let time = async {
            Timer::after(sleep).await;
            Wake::Time
        };
        future::or(future::or(end, key), future::or(word, time)).await
    }

    /// Takes a message in and does what the app wants done; false to leave.
    fn take(&mut self, msg: Msg) -> io::Result<bool> {
        for effect in update(&mut self.app, msg) {
            match effect {
                Effect::Quit => return Ok(false),
                Effect::Redraw => self.clear()?,
                Effect::Suspend => self.suspend()?,
                // A full queue means a hub that does not read; it will be lost soon, and said so.
                Effect::Send(word) => drop(self.words.try_send(word)),
            }
        }
        Ok(true)
    }

    fn clear(&mut self) -> io::Result<()> {
        let (width, height) = self.app.size;
        self.canvas.clear(width, height);
        queue!(io::stdout(), Clear(ClearType::All))
    }

    /// Stops like any program of the shell's job control; goes on after `fg`.
    fn suspend(&mut self) -> io::Result<()> {
        restore();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        // Taken by hand: the guard of `run` still gives it back at the end.
        std::mem::forget(Taken::take()?);
        let (width, height) = terminal::size()?;
        self.take(Msg::Resize(width, height)).map(drop)
    }

    fn draw(&mut self) -> io::Result<()> {
        let bytes = self.canvas.frame(&self.app, self.look.theme)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&bytes)?;
        stdout.flush()
    }
}
