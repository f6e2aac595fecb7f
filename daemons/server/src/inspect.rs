//! What a person asks of the store, whether the server runs or not: `log dump`, `verify`, `backup`.
//!
//! One process owns the files. While the server runs it is asked through its control socket; while it
//! does not, they are opened here. Both print JSON, an object a line:
//!
//! ```text
//! log dump  {"seq":7,"hub":"5f0c..","arrived":"2026-01-05T14:30:00.000Z","batch":812,"origins":[..],"events":[..]}
//!           {"seq":8,"damaged":true}
//! ```

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use nms_kit::{
    control::{self, ControlError, Lines, Request},
    exit::{Code, Failure},
    spool_admin,
};
use nms_proto::{
    id::{IdError, TenantId},
    time::Stamp,
    unseen::one_line,
};

use crate::{
    backup,
    store::{
        LogSeq,
        look::{Look, Raw},
    },
    verify::verify,
};

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// Every stored batch of a tenant.
    LogDump {
        /// Whose.
        tenant: TenantId,
    },
    /// Whether everything can be read that is kept of all tenants.
    Verify,
    /// A copy of everything.
    Backup {
        /// Where to; it begins at the root.
        folder: PathBuf,
        /// With the keys of the state folder.
        with_keys: bool,
    },
}

impl Inspection {
    fn request(&self) -> Request {
        match self {
            Self::LogDump { tenant } => Request::new("log dump").with("tenant", tenant.as_str()),
            Self::Verify => Request::new("verify"),
            Self::Backup { folder, with_keys } => {
                let folder = folder.to_string_lossy();
                Request::new("backup").with("folder", &folder).with("with_keys", &with_keys.to_string())
            }
        }
    }
}

/// What `request` asks of the store; none where it asks for something else.
pub fn verb(request: &Request) -> Option<Result<Inspection, String>> {
    match request.verb.as_str() {
        "log dump" => Some(tenant(request).map(|tenant| Inspection::LogDump { tenant })),
        "verify" => Some(Ok(Inspection::Verify)),
        "backup" => Some(backup(request)),
        _ => None,
    }
}

fn tenant(request: &Request) -> Result<TenantId, String> {
    request.arg("tenant")?.parse().map_err(|error: IdError| error.to_string())
}

fn backup(request: &Request) -> Result<Inspection, String> {
    let folder = PathBuf::from(request.arg("folder")?);
    if !folder.is_absolute() {
        return Err(format!("{} does not begin at the root", folder.display()));
    }
    Ok(Inspection::Backup { folder, with_keys: request.args.get("with_keys").is_some_and(|with| with == "true") })
}

/// Answers over the control socket of the server whose store `look` shows.
///
/// # Errors
/// In words: what is damaged, or cannot be read.
pub async fn answer(look: Look, what: Inspection, lines: Lines) -> Result<(), String> {
    // The store blocks; a slow reader must hold up a thread of its own and no task.
    smol::unblock(move || print(&look, &what, |line| smol::block_on(lines.say(line)))).await
}

/// Asks the server at `control`; where none runs, looks into the folder `state` itself.
///
/// # Errors
/// There is nothing to look at, it cannot be read, or it is damaged.
pub fn run(what: &Inspection, control: &Path, state: &Path) -> Result<(), Failure> {
    let mut written = Ok(());
    let mut say = |line: &str| {
        written = writeln!(io::stdout().lock(), "{}", one_line(line));
        written.is_ok()
    };
    match smol::block_on(control::ask_while(control, &what.request(), &mut say)) {
        Err(ControlError::Unreachable(..)) => {
            let look = open(control, state)?;
            print(&look, what, |line| say(&line)).map_err(|problem| Failure::new(Code::Data, problem))?;
        }
        asked => asked.map_err(spool_admin::refused)?,
    }
    match written {
        // Whoever reads may have seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because(Code::Io, "cannot write", error))
        }
        _ => Ok(()),
    }
}

/// Puts the backup in `from` into the folder `state` of a server that does not run, and verifies what is there then.
///
/// # Errors
/// What stands in the way, or is damaged.
pub fn restore(from: &Path, control: &Path, state: &Path, mut say: impl FnMut(String) -> bool) -> Result<(), Failure> {
    let problem = |problem: String| Failure::new(Code::Data, problem);
    backup::restore::restore(from, control, state, &mut say).map_err(problem)?;
    print(&open(control, state)?, &Inspection::Verify, say).map_err(problem)
}

fn open(control: &Path, state: &Path) -> Result<Look, Failure> {
    if !state.join("log").exists() {
        let (control, state) = (control.display(), state.display());
        let problem = format!("no server answers at {control}, and there is no log in {state}");
        return Err(Failure::new(Code::Unavailable, problem));
    }
    Look::open(state).map_err(|error| Failure::because(Code::Unavailable, "cannot look into the store", error))
}

/// Says what is asked for, until `say` is told enough.
///
/// # Errors
/// In words: what is damaged, or cannot be read.
pub fn print(look: &Look, what: &Inspection, mut say: impl FnMut(String) -> bool) -> Result<(), String> {
    match what {
        Inspection::LogDump { tenant } => dump(look, tenant, say),
        Inspection::Verify => verify(look, &mut say),
        Inspection::Backup { folder, with_keys } => backup::make(look, folder, *with_keys, &mut say),
    }
}

fn dump(look: &Look, tenant: &TenantId, mut say: impl FnMut(String) -> bool) -> Result<(), String> {
    if !look.tenants().any(|known| known == tenant) {
        let known: Vec<&str> = look.tenants().map(TenantId::as_str).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        return Err(format!("nothing is kept of tenant {tenant}; tenants that are: {known}"));
    }
    let mut from = LogSeq(0);
    loop {
        let page = look.page(tenant, from).map_err(|error| error.to_string())?;
        if page.entries.is_empty() {
            break;
        }
        from = page.next;
        for (seq, raw) in &page.entries {
            if !say(line(*seq, raw.as_ref())) {
                return Ok(());
            }
        }
    }
    let closed: Vec<String> = look.closed().iter().map(ToString::to_string).collect();
    if closed.is_empty() { Ok(()) } else { Err(format!("the dump is not whole: {}", closed.join("; "))) }
}

fn line(seq: LogSeq, raw: Option<&Raw>) -> String {
    let Some(Raw { hub, batch, arrived_ms, content, .. }) = raw else {
        return format!("{{\"seq\":{seq},\"damaged\":true}}");
    };
    let batch = batch.map_or_else(|| "null".into(), |batch| batch.0.to_string());
    let (arrived, content) = (Stamp::utc(*arrived_ms), one_line(&String::from_utf8_lossy(content)));
    format!("{{\"seq\":{seq},\"hub\":\"{hub}\",\"arrived\":\"{arrived}\",\"batch\":{batch},{content}}}")
}
