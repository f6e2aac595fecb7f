//! The receiving end of a connection: a hub for its agents, a server for its hubs.
//!
//! [`Downlink`] moves frames between the stream and the session machine and hands out what the
//! session asks of its daemon; the daemon answers through [`Downlink::session`].

use std::future::Future;

use nms_proto::{
    frame::Direction,
    session::server::{Output, ServerSession},
};
use smol::io::{AsyncRead, AsyncWrite};

use crate::{
    clock,
    drive::{Inbound, Wire, Woken},
    task::Tasks,
};

/// One connection of a sender.
#[derive(Debug)]
pub struct Downlink {
    session: ServerSession,
    wire: Wire,
    is_over: bool,
    malformed: Option<&'static str>,
}

/// What the daemon has to deal with.
#[derive(Debug)]
pub enum Next<T> {
    /// The session asks for something.
    Output(Box<Output>),
    /// The other future ended.
    Other(T),
    /// The connection is over, and why, in words.
    Over(String),
}

impl Downlink {
    /// Takes over a stream that was just accepted, TLS included.
    pub fn over(tasks: &Tasks, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let wire = Wire::over_stranger(tasks, stream, Direction::Upward);
        Self { session: ServerSession::new(clock::tick()), wire, is_over: false, malformed: None }
    }

    /// The session, to be answered.
    pub fn session(&mut self) -> &mut ServerSession {
        &mut self.session
    }

    /// The name of what was wrong with the bytes that ended the connection.
    pub fn malformed(&self) -> Option<&'static str> {
        self.malformed
    }

    /// The next thing to deal with; `other` is whatever else the daemon waits for.
    pub async fn next<T>(&mut self, other: impl Future<Output = T>) -> Next<T> {
        let mut other = std::pin::pin!(other);
        loop {
            if let Some(output) = self.session.poll_output() {
                self.is_over = matches!(output, Output::Close(_));
                return Next::Output(Box::new(output));
            }
            if self.session.is_active() {
                self.wire.open();
            }
            if self.wire.has_room()
                && let Some(frame) = self.session.poll_transmit(clock::stamp())
            {
                self.wire.write(frame);
                continue;
            }
            let deadline = self.session.deadline();
            let due = async {
                match deadline {
                    Some(at) => clock::until(at).await,
                    None => std::future::pending().await,
                }
                None
            };
            let waited = smol::future::or(async { Some((&mut other).await) }, due);
            match self.wire.next(waited).await {
                Woken::Inbound(Inbound::Message(message)) => self.session.received(clock::tick(), *message),
                Woken::Inbound(Inbound::Malformed { reason, problem }) => {
                    self.malformed = Some(reason);
                    self.session.malformed(clock::tick(), &problem);
                }
                Woken::Inbound(Inbound::Ended(problem)) => return Next::Over(problem),
                Woken::Room => {}
                Woken::Other(Some(value)) => return Next::Other(value),
                Woken::Other(None) => self.session.handle_timeout(clock::tick()),
            }
        }
    }

    /// Writes what the session still wants to say, and closes.
    pub async fn finish(mut self) {
        while self.wire.has_room()
            && let Some(frame) = self.session.poll_transmit(clock::stamp())
        {
            self.wire.write(frame);
        }
        self.wire.finish().await;
    }
}
