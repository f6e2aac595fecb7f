//! What a person asks of a spool, the same at agent and hub: `spool check` and `spool dump`.
//!
//! One process owns a store. While the daemon runs it is asked through its control socket; while it
//! does not, the file is opened here. Both print JSON, an object a line:
//!
//! ```text
//! check  {"instance":"..","batches":3,"events":120,"bytes":31415,"fill_percent":0,"delivered":9000,
//!         "damaged":[],"skipped":[{"from":7,"to":9,"events":192,"cause":"spool_full"}],
//!         "lost":[{"cause":"spool_full","source":"192.0.2.1","severity":6,"events":192}],
//!         "quarantined":0,"totals_agree":true}
//! dump   {"batch":812,"origins":["5f0c.."],"events":[..]}                    what is sent
//!        {"quarantined":811,"instance":"5f0c..","reason":"..","origins":..}  what was refused
//! ```

use std::{
    io::{self, Write as _},
    path::Path,
};

use clap::Subcommand;
use nms_proto::unseen::one_line;
use serde_json::json;

use crate::{
    control::{self, ControlError, Lines, Request},
    digest,
    exit::{Code, Failure},
    store::{
        self, Db, Settings,
        spool::{Limits, Spool, SpoolError},
    },
};

/// Page cache of a spool that is looked at, in bytes.
const CACHE_BYTES: usize = 1 << 20;

/// What can be asked of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum SpoolVerb {
    /// Read every batch that waits and compare with the totals; fails where something is damaged.
    Check,
    /// Print every batch that waits, and those in quarantine, as JSON.
    Dump,
}

impl SpoolVerb {
    const fn word(self) -> &'static str {
        match self {
            Self::Check => "spool check",
            Self::Dump => "spool dump",
        }
    }
}

/// Where a running daemon's answer to `request` comes from; none where it asks for something else.
pub fn verb(request: &Request) -> Option<SpoolVerb> {
    [SpoolVerb::Check, SpoolVerb::Dump].into_iter().find(|verb| verb.word() == request.verb)
}

/// Answers a verb over the control socket of the daemon that owns `spool`.
///
/// # Errors
/// In words: what is damaged, or cannot be read.
pub async fn answer(spool: Spool, verb: SpoolVerb, lines: Lines) -> Result<(), String> {
    // The store blocks; a slow reader must hold up a thread of its own and no task.
    smol::unblock(move || print(&spool, verb, |line| smol::block_on(lines.say(line)))).await
}

/// Asks the daemon at `control`; where none runs, looks at the file `spool` itself.
///
/// # Errors
/// There is no spool, it cannot be opened, or it is damaged.
pub fn run(verb: SpoolVerb, control: &Path, spool: &Path) -> Result<(), Failure> {
    let asked = Request::new(verb.word());
    match smol::block_on(control::ask_while(control, &asked, |line| say(line).is_ok())) {
        Err(ControlError::Unreachable(..)) => {}
        asked => return asked.map_err(refused),
    }
    if !spool.exists() {
        let problem = format!("no daemon answers at {}, and there is no spool {}", control.display(), spool.display());
        return Err(Failure::new(Code::Unavailable, problem));
    }
    let opened = open(spool).map_err(|error| Failure::because(Code::Unavailable, "cannot look at the spool", error))?;
    print(&opened, verb, |line| say(&line).is_ok()).map_err(|problem| Failure::new(Code::Data, problem))
}

/// Asks the running daemon at `control` and prints its lines.
///
/// # Errors
/// The daemon is not there, or says no.
pub fn ask(control: &Path, request: &Request) -> Result<(), ControlError> {
    smol::block_on(control::ask(control, request, |line| say(line).unwrap_or_default()))
}

/// A daemon's refusal as the end of a program.
#[expect(clippy::needless_pass_by_value, reason = "the signature map_err asks for")]
pub fn refused(error: ControlError) -> Failure {
    let code = if matches!(error, ControlError::Refused(_)) { Code::Data } else { Code::Unavailable };
    Failure::new(code, error.to_string())
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", one_line(line))
}

/// Opens a spool to look at it: nothing is dropped, whatever its bounds were.
fn open(path: &Path) -> Result<Spool, SpoolError> {
    let db = Db::open_file(path, Settings::with_cache(CACHE_BYTES))?;
    let limits = Limits { events_max: u64::MAX, bytes_max: u64::MAX, memory_bytes_max: 0, history_bytes_max: u64::MAX };
    Spool::open(db, limits, store::draw_instance()?)
}

fn print(spool: &Spool, verb: SpoolVerb, say: impl FnMut(String) -> bool) -> Result<(), String> {
    match verb {
        SpoolVerb::Check => check(spool, say),
        SpoolVerb::Dump => dump(spool, say).map_err(|error| error.to_string()),
    }
}

/// How a spool stands, as a daemon's `status` shows it.
pub fn standing(spool: &Spool) -> serde_json::Value {
    let stats = spool.stats();
    json!({
        "instance": digest::hex(&spool.instance()), "store": spool.db().health().to_string(),
        "batches": stats.batches, "events": stats.events, "bytes": stats.bytes, "fill_percent": stats.fill_percent,
        "appended": stats.appended, "delivered": stats.delivered, "quarantined": stats.quarantined,
        "renumbered": stats.renumbered,
    })
}

fn check(spool: &Spool, mut say: impl FnMut(String) -> bool) -> Result<(), String> {
    let found = spool.check().map_err(|error| error.to_string())?;
    let stats = spool.stats();
    let skipped = |run: &store::spool::Skipped| json!({ "from": run.from, "to": run.to, "events": run.events, "cause": run.cause.word() });
    let lost = |loss: store::spool::Loss| json!({ "cause": loss.cause.word(), "source": &*loss.source, "severity": loss.severity, "events": loss.events });
    let whole = json!({
        "instance": digest::hex(&spool.instance()),
        "batches": found.batches, "events": found.events, "bytes": found.bytes,
        "fill_percent": stats.fill_percent, "delivered": stats.delivered, "damaged": found.damaged,
        "skipped": found.skipped.iter().map(skipped).collect::<Vec<_>>(),
        "lost": spool.losses().into_iter().map(lost).collect::<Vec<_>>(),
        "quarantined": stats.quarantined, "totals_agree": found.totals_agree,
    });
    say(whole.to_string());
    match found.damaged.len() {
        0 => Ok(()),
        count => Err(format!("{count} batches are damaged; they are skipped and counted when they are due")),
    }
}

fn dump(spool: &Spool, mut say: impl FnMut(String) -> bool) -> Result<(), SpoolError> {
    let mut from = 0;
    loop {
        let page = spool.contents(from)?;
        let Some(last) = page.last() else { break };
        from = last.number + 1;
        for batch in &page {
            let head = format!("\"batch\":{}", batch.number);
            if !say(object(&head, &batch.body)) {
                return Ok(());
            }
        }
    }
    for refused in spool.quarantined()? {
        let (instance, reason) = (digest::hex(&refused.instance), json!(refused.reason));
        let head = format!("\"quarantined\":{},\"instance\":\"{instance}\",\"reason\":{reason}", refused.number);
        if !say(object(&head, &refused.body)) {
            return Ok(());
        }
    }
    Ok(())
}

/// One JSON object of a head and the members that a batch's body is made of.
fn object(head: &str, body: &[u8]) -> String {
    format!("{{{head},{}}}", one_line(&String::from_utf8_lossy(body)))
}
