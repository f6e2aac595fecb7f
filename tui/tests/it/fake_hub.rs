//! A hub that says what it is told to, on a Unix socket of its own.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
};

use nms_proto::{
    dash::{CommandResult, FromHub, ToHub},
    frame::{self, Direction, FrameReader},
    json,
};

/// One client of the fake hub.
pub(crate) struct Client {
    stream: UnixStream,
    reader: FrameReader,
}

impl Client {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, reader: FrameReader::new(Direction::Downward) }
    }

    /// Waits for the next client.
    #[allow(dead_code, reason = "the tests use it, the example does not")]
    pub(crate) fn accept(listener: &UnixListener) -> Self {
        Self::new(listener.accept().unwrap().0)
    }

    /// Says `word`; false if the client is gone.
    pub(crate) fn say(&mut self, word: &FromHub) -> bool {
        let frame = frame::frame(|out| json::encode(word, out)).unwrap();
        self.stream.write_all(&frame).is_ok()
    }

    /// Waits for the client's next word; none if it is gone.
    pub(crate) fn hear(&mut self) -> Option<ToHub> {
        loop {
            if let Some(payload) = self.reader.next_frame().unwrap() {
                return Some(json::decode(payload).unwrap());
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
            self.reader.push(&chunk[..count]);
        }
    }

    /// Answers every command with yes until the client is gone.
    #[allow(dead_code, reason = "the example uses it, the tests do not")]
    pub(crate) fn obey(&mut self, mut then: impl FnMut(&mut Self, &ToHub)) {
        while let Some(word) = self.hear() {
            if let ToHub::Command(command) = &word {
                let message = format!("{} (fake hub)", command.action).into();
                self.say(&FromHub::Result(CommandResult { id: command.id, ok: true, message }));
            }
            then(self, &word);
        }
    }
}

/// Listens at `path`, in place of whatever was there.
pub(crate) fn listen(path: &Path) -> UnixListener {
    if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
    UnixListener::bind(path).unwrap()
}
