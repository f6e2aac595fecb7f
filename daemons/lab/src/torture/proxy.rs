//! A link that can be cut and slowed, between hub and server.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use nms_kit::clock;

/// Bytes passed on at a time.
const PIECE_BYTES: usize = 16 << 10;

/// A proxy on a port of its own. Its threads end with the process.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) port: u16,
    /// Wait before each piece, in milliseconds.
    delay_ms: Arc<AtomicU64>,
    /// While it is set, connections are ended and none is made.
    is_cut: Arc<AtomicBool>,
}

impl Proxy {
    /// A proxy to a port of loopback.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own, which serves no tasks")]
    pub(super) fn start(to: u16) -> Result<Self, String> {
        let failed = |error| format!("no port for the proxy: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let proxy = Self { port, delay_ms: Arc::default(), is_cut: Arc::default() };
        let accepting = proxy.clone();
        std::thread::spawn(move || {
            for hub in listener.incoming().flatten() {
                if accepting.is_cut.load(Ordering::Relaxed) {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", to)) {
                    accepting.join(&hub, &server);
                }
            }
        });
        Ok(proxy)
    }

    pub(super) fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }

    pub(super) fn slow(&self, delay_ms: u64) {
        self.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    fn join(&self, hub: &TcpStream, server: &TcpStream) {
        for (from, to) in [(hub, server), (server, hub)] {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
            let proxy = self.clone();
            std::thread::spawn(move || {
                proxy.pass(&from, &to);
                from.shutdown(Shutdown::Both).ok();
                to.shutdown(Shutdown::Both).ok();
            });
        }
    }

    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            clock::block(self.delay_ms.load(Ordering::Relaxed));
            let read = piece.get(..count).unwrap_or_default();
            if self.is_cut.load(Ordering::Relaxed) || to.write_all(read).is_err() {
                return;
            }
        }
    }
}
