//! Life under systemd or a terminal: signals, readiness, the watchdog.

use std::{io, time::Duration};

use sd_notify::NotifyState;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use smol::channel;

use crate::{clock, task::Tasks};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End (SIGTERM, SIGINT).
    Stop,
    /// Read the settings again (SIGHUP).
    Reload,
}

/// Signals as a channel. A second request to end ends the process at once.
pub fn signals() -> io::Result<channel::Receiver<Signal>> {
    let (sender, receiver) = channel::bounded(8);
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut stopping = false;
        for signal in &mut signals {
            if signal == SIGHUP {
                sender.try_send(Signal::Reload).ok();
            } else if stopping {
                std::process::exit(130);
            } else {
                stopping = true;
                sender.try_send(Signal::Stop).ok();
            }
        }
    })?;
    Ok(receiver)
}

/// Tells systemd that the daemon is ready, and keeps its watchdog quiet while tasks run.
pub fn ready(tasks: &Tasks) {
    tell(&[NotifyState::Ready]);
    if let Some(period) = sd_notify::watchdog_enabled() {
        let stop = tasks.stop().clone();
        tasks.spawn("watchdog", async move {
            while stop.or(clock::pause(beat_ms(period))).await.is_some() {
                tell(&[NotifyState::Watchdog]);
            }
        });
    }
}

/// Tells systemd that the daemon is on its way out.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn beat_ms(period: Duration) -> u64 {
    (period.as_millis() as u64 / 3).max(100)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("systemd was not told error={error}");
    }
}
