//! Hub and server as a bench starts them: release binaries, a temporary folder, loopback.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use nms_e2e::Stage;

/// Kernel ticks a second of /proc/PID/stat; fixed on Linux.
const TICKS_PER_S: f64 = 100.0;

/// Hub and server.
pub(super) struct Daemons {
    stage: Stage,
    pub(super) syslog: SocketAddr,
}

/// What a process used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) cpu_s: f64,
    pub(super) rss_mb: f64,
}

impl Daemons {
    /// Starts both from `binaries`, the server with these settings.
    pub(super) fn start(binaries: &Path, settings: &str) -> Result<Self, String> {
        let mut stage = Stage::new("nms-bench-", binaries, settings)?;
        let hub = stage.hub("hub", "")?;
        stage.start("nmsd-server", "server")?;
        stage.start("nmsd-hub", "hub")?;
        Ok(Self { stage, syslog: SocketAddr::from(([127, 0, 0, 1], hub.tcp)) })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.stage.socket("hub")
    }

    /// CPU and memory of one of them.
    pub(super) fn usage(&self, name: &str) -> Usage {
        self.stage.process_id(name).map_or_else(Usage::default, |id| usage(&id.to_string()))
    }

    /// What the server says of its only tenant; null where it has none.
    pub(super) fn tenant(&self) -> serde_json::Value {
        let text = self.stage.verb(&["status"]).unwrap_or_default();
        let said = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        said.into_iter().find(|value| value.get("tenant").is_some()).unwrap_or_default()
    }

    /// The end of both logs.
    pub(super) fn logs(&self) -> String {
        self.stage.logs()
    }
}

/// CPU and memory of a process, by its number or `self`.
pub(super) fn usage(process: &str) -> Usage {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let stat = read("stat");
    // Fields after the name in parentheses: user and system time are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    let status = read("status");
    let rss_kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    Usage { cpu_s: (ticks(11) + ticks(12)) / TICKS_PER_S, rss_mb: rss_kb.unwrap_or(0.0) / 1_024.0 }
}
