//! Life under systemd or a terminal: signals, readiness, the watchdog.

use std::{io, time::Duration};

use nms_proto::limits::CONNECTIONS_MAX;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use smol::channel;

use crate::{
    clock,
    exit::{Code, Failure},
    task::Tasks,
};

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

/// File descriptors that a daemon should be able to have: the connections of all its ports, and what it has besides.
const DESCRIPTORS: u64 = 4 * CONNECTIONS_MAX as u64;

/// Lets the process have as many file descriptors as its host allows; the usual 1,024 are fewer than the connections
/// that its ports take.
pub fn allow_descriptors() {
    let limits = getrlimit(Resource::Nofile);
    let maximum = limits.maximum.unwrap_or(u64::MAX);
    if limits.current.is_some_and(|current| current < maximum.min(DESCRIPTORS)) {
        let raised = Rlimit { current: Some(maximum.min(DESCRIPTORS)), ..limits };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            log::warn!("the limit of file descriptors cannot be raised error={error}");
        }
    }
    if maximum < DESCRIPTORS {
        log::warn!(
            "few file descriptors are allowed, connections may wait for one: raise LimitNOFILE limit={maximum} \
             wanted={DESCRIPTORS}"
        );
    }
}

/// The life of a daemon that has started: tells systemd that it is ready, waits for the signal to stop, ends the
/// tasks in order, and calls `close` for what is left after them. A part that cannot go on ends the daemon by asking
/// for the stop itself.
///
/// # Errors
/// Names the tasks that did not end within `stop_ms_max`; or nobody asked for the end from outside.
pub fn live(
    tasks: &Tasks,
    signals: &channel::Receiver<Signal>,
    stop_ms_max: u64,
    close: impl FnOnce(),
) -> Result<(), Failure> {
    ready(tasks);
    let by_signal = smol::block_on(tasks.stop().or(async {
        while let Ok(Signal::Reload) = signals.recv().await {
            log::warn!("settings are read at start only; restart to change them");
        }
    }));
    tell(&[NotifyState::Stopping]);
    let late = tasks.join(stop_ms_max);
    close();
    if !late.is_empty() {
        return Err(Failure::new(Code::Software, format!("did not end in time: {}", late.join(", "))));
    }
    if by_signal.is_none() {
        return Err(Failure::new(Code::Software, "a part of it could not go on; its log says which, and why"));
    }
    log::info!("stopped");
    Ok(())
}

/// Tells systemd that the daemon is ready, and keeps its watchdog quiet while tasks run.
fn ready(tasks: &Tasks) {
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

fn beat_ms(period: Duration) -> u64 {
    (period.as_millis() as u64 / 3).max(100)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("systemd was not told error={error}");
    }
}
