//! Who was logged in, and whether a package manager ran: what tells an update from a break-in.
//!
//! Sessions come from logind (`/run/systemd/sessions`), from utmp where there is one, and from the
//! login user ids of running processes; each alone misses some. A package manager is a process of a
//! known name. Both are read from /proc and /run when a change is noticed, at most once a second.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use nms_proto::{limits::FIM_SESSIONS_MAX, time::Tick};

pub use crate::names::names;
use crate::{
    names::{Names, PASSWD},
    procfs,
};

/// How long a look at the processes is good for, in milliseconds.
const FRESH_MS: u64 = 1_000;
/// Longest utmp or other file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Length of a record in utmp (utmp(5)), in bytes, where the C library keeps 32-bit times in it.
#[cfg(not(target_arch = "aarch64"))]
const UTMP_RECORD_BYTES: usize = 384;
/// Length of a record in utmp (utmp(5)), in bytes.
#[cfg(target_arch = "aarch64")]
const UTMP_RECORD_BYTES: usize = 400;
const UTMP_USER_PROCESS: i16 = 7;
/// The login user id of a process that no login began.
const NO_LOGIN: &str = "4294967295";

/// Commands that run while they change system files, and not longer: no `snapd`, no `unattended-upgr`, which always run.
const PACKAGE_MANAGERS: [&str; 14] = [
    "dpkg",
    "apt",
    "apt-get",
    "aptitude",
    "rpm",
    "rpm-ostree",
    "dnf",
    "dnf5",
    "yum",
    "microdnf",
    "zypper",
    "pacman",
    "apk",
    "emerge",
];

/// Who and what was there at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Users logged in, each once, at most [`FIM_SESSIONS_MAX`].
    pub sessions: Vec<Box<str>>,
    /// Whether a package manager ran.
    pub package_manager: bool,
}

/// Whether a process of that name is a package manager.
pub fn is_package_manager(comm: &str) -> bool {
    PACKAGE_MANAGERS.contains(&comm.trim_end())
}

/// The user of an open session as logind writes it.
pub fn session_user(text: &str) -> Option<&str> {
    let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let is_user = field("CLASS").is_none_or(|class| class.starts_with("user"));
    let is_open = field("STATE").is_none_or(|state| state != "closing");
    field("USER").filter(|_| is_user && is_open)
}

/// The users of an utmp file.
pub fn utmp_users(bytes: &[u8]) -> BTreeSet<Box<str>> {
    let user = |record: &[u8]| {
        let kind = i16::from_ne_bytes(*record.first_chunk::<2>()?);
        let name = record.get(44..76)?.split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        (kind == UTMP_USER_PROCESS).then(|| name.into())
    };
    bytes.chunks_exact(UTMP_RECORD_BYTES).filter_map(user).collect()
}

/// Looks at who is there, and knows users by name.
#[derive(Debug, Default)]
pub struct Observer {
    looked: Option<(Tick, Arc<Context>)>,
    users: Names,
    groups: Names,
}

impl Observer {
    /// Who and what is there now; looked at anew after a second.
    pub fn context(&mut self, now: Tick) -> Arc<Context> {
        if let Some((at, context)) = &self.looked
            && now.since(*at) < FRESH_MS
        {
            return Arc::clone(context);
        }
        self.users.refresh(Path::new(PASSWD));
        let context = Arc::new(self.look());
        self.looked = Some((now, Arc::clone(&context)));
        context
    }

    /// Names of an owner and a group, or their numbers.
    pub fn owner(&mut self, uid: u32, gid: u32) -> (Box<str>, Box<str>) {
        self.users.refresh(Path::new(PASSWD));
        self.groups.refresh(Path::new("/etc/group"));
        (self.users.name(uid), self.groups.name(gid))
    }

    fn look(&self) -> Context {
        let mut sessions = utmp_users(&procfs::read(Path::new("/run/utmp"), FILE_BYTES_MAX).unwrap_or_default());
        for entry in fs::read_dir("/run/systemd/sessions").into_iter().flatten().flatten() {
            sessions.extend(session_user(&read_text(&entry.path())).map(Box::from));
        }
        let mut package_manager = false;
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let is_process = process.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit);
            if is_process {
                package_manager |= is_package_manager(&read_text(&process.path().join("comm")));
                sessions.extend(self.login(&read_text(&process.path().join("loginuid"))));
            }
        }
        Context { sessions: sessions.into_iter().take(FIM_SESSIONS_MAX).collect(), package_manager }
    }

    fn login(&self, text: &str) -> Option<Box<str>> {
        let text = text.trim_end();
        text.parse().ok().filter(|_| text != NO_LOGIN).map(|uid| self.users.name(uid))
    }
}

/// The text of a small file; empty where there is none, which is usual for a process that ended.
fn read_text(path: &Path) -> String {
    String::from_utf8(procfs::read(path, FILE_BYTES_MAX).unwrap_or_default()).unwrap_or_default()
}
