//! The scripting verbs: print once and end, or follow the hub line by line.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use nms_proto::{
    dash::{FromHub, Subscribe, ToHub},
    json::JsonError,
};
use smol::Timer;

use crate::{
    clock::Clock,
    filter::Filter,
    link::{Connection, LinkError, Retry, Target},
    plain::{self, Exit, Form, Part, Tail},
    safe::Safe,
};

/// Prints `part` as it stands now.
pub async fn once(target: &Target, clock: Clock, part: Part, form: Form, filter: &Filter) -> Exit {
    let answer = async { Connection::open(target).await?.first_words().await };
    let snapshot = match answer.await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            complain(&error);
            return Exit::Unreachable;
        }
    };
    match plain::once(&snapshot, clock.now().wall, part, form, filter).map(|lines| print(&lines)) {
        // If the output was closed, whoever read it has seen enough.
        Ok(Ok(()) | Err(_)) => plain::verdict(&snapshot),
        Err(error) => {
            complain(&LinkError::NotUnderstood(error));
            Exit::Unreachable
        }
    }
}

/// Why following ended.
enum End {
    /// Nobody reads the output any more.
    Closed,
    /// The hub.
    Link(LinkError),
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<JsonError> for End {
    fn from(error: JsonError) -> Self {
        Self::Link(LinkError::NotUnderstood(error))
    }
}

/// Follows the hub until the output is closed; comes back to a hub that was lost, but gives up at
/// once on one that was never there.
pub async fn tail(target: &Target, clock: Clock, mut tail: Tail) -> Exit {
    let mut retry = Retry::new();
    let mut was_there = false;
    loop {
        let mut heard = false;
        match follow(target, clock, &mut tail, &mut heard).await {
            End::Closed => return Exit::Fine,
            End::Link(error) => {
                if heard || !was_there {
                    complain(&error);
                }
                was_there |= heard;
                if !was_there || matches!(error, LinkError::Mismatch(_)) {
                    return Exit::Unreachable;
                }
            }
        }
        if heard {
            retry = Retry::new();
        }
        Timer::after(Duration::from_millis(retry.next_ms())).await;
    }
}

async fn follow(target: &Target, clock: Clock, tail: &mut Tail, heard: &mut bool) -> End {
    match follow_until(target, clock, tail, heard).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn follow_until(
    target: &Target,
    clock: Clock,
    tail: &mut Tail,
    heard: &mut bool,
) -> Result<std::convert::Infallible, End> {
    let mut connection = Connection::open(target).await?;
    let snapshot = connection.first_words().await?;
    *heard = true;
    let lines = tail.take(&FromHub::Snapshot(snapshot), clock.now().wall)?;
    print(&lines).map_err(|_closed| End::Closed)?;
    let subscribe = Subscribe { after: tail.last_seq(), lines_per_s_max: None };
    connection.send(&ToHub::Subscribe(subscribe)).await?;
    loop {
        let said = connection.next().await?;
        let lines = tail.take(&said, clock.now().wall)?;
        print(&lines).map_err(|_closed| End::Closed)?;
    }
}

fn print(lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut out = lines.join("\n");
    out.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(out.as_bytes())?;
    stdout.flush()
}

fn complain(error: &LinkError) {
    let words = Safe::say(format_args!("nms-tui: {error}; {}", error.remedy()));
    // Where even this cannot be written, the exit code says it.
    let _best_effort = writeln!(io::stderr(), "{words}");
}
