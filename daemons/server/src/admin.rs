//! Admin verbs of the running server, by its control socket: `status`, `command`, tokens, who is enrolled, and those that
//! look into its store.

use std::sync::Arc;

use nms_kit::{
    clock,
    control::{Lines, Request},
    digest,
    identity_admin::Desk,
    pki::Holder,
    roll::Roll,
    store::draw_instance,
};
use nms_proto::{
    event::{Body, Event},
    id::TenantId,
    message::{AckStatus, Command, CommandAction},
};
use serde_json::json;

use crate::{
    clients::Clients,
    command::{News, Ticket},
    config::ADDRESS_PREFIX,
    inspect,
    live::{Tenant, Tenants},
    store::disk::DiskStore,
};

/// Longest silence of a command that hubs work on, in milliseconds.
const SILENCE_MS: u64 = 60_000;

/// Who answers.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The tenants.
    pub tenants: Arc<Tenants>,
    /// The connections.
    pub clients: Arc<Clients>,
    /// What is kept.
    pub store: Arc<DiskStore>,
    /// Who is enrolled; none where the server has no authority.
    pub roll: Option<Arc<Roll>>,
}

impl Admin {
    /// Carries out a request.
    ///
    /// # Errors
    /// In words: what failed, and what to do.
    pub async fn answer(self, request: Request, lines: Lines) -> Result<(), String> {
        if let Some(verb) = inspect::verb(&request) {
            let identity = self.roll.as_ref().map(|roll| roll.db().clone());
            return inspect::answer(self.store.look().with_identity(identity), verb?, lines).await;
        }
        if let Some(answer) = self.identity(&request, &lines).await {
            return answer;
        }
        match request.verb.as_str() {
            "status" => self.status(&lines).await,
            "command" => self.command(&request, &lines).await,
            other => Err(format!(
                "unknown verb {other}: this server knows status, command, token, hub, log dump, verify and backup"
            )),
        }
    }

    /// Answers where the request is about tokens or certificates.
    async fn identity(&self, request: &Request, lines: &Lines) -> Option<Result<(), String>> {
        if let Some(roll) = &self.roll {
            return Desk { roll, holder: tenant, enroll: "nmsd-hub enroll" }.answer(request, lines).await;
        }
        let is_asked = request.verb.starts_with("token ") || request.verb.starts_with("enrolled ");
        is_asked.then(|| Err("this server has no authority: make it with nmsd-server init".into()))
    }

    async fn status(&self, lines: &Lines) -> Result<(), String> {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        let counts = &self.clients.counts;
        let own = json!({
            "server": env!("CARGO_PKG_VERSION"),
            "connections_accepted": count(&counts.accepted),
            "handshakes_failed": count(&counts.handshakes_failed),
            "strangers": count(&counts.strangers),
            "refused": counts.refusals.counts(),
            "heartbeats": count(&counts.heartbeats),
            "connections": self.clients.gate().standing(),
            "disk": self.store.problem().map(|problem| problem.to_string()),
        });
        lines.say(own.to_string()).await;
        for tenant in self.tenants.all() {
            lines.say(status_of(&tenant).to_string()).await;
        }
        Ok(())
    }

    async fn command(&self, request: &Request, lines: &Lines) -> Result<(), String> {
        let (name, target, action) = (request.arg("tenant")?, request.arg("target")?, request.arg("action")?);
        let action = CommandAction::from_text(action);
        if action != CommandAction::RequestFimReport {
            return Err(format!("{action} is not sent by this server: only request_fim_report is"));
        }
        let id: TenantId = name.parse().map_err(|error: nms_proto::id::IdError| error.to_string())?;
        let tenant = self.tenants.known(&id).ok_or_else(|| {
            let known: Vec<String> = self.tenants.all().iter().map(|tenant| tenant.id().to_string()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            format!("no hub of tenant {name} was seen since the start; tenants that were: {known}")
        })?;
        let drawn = draw_instance().map_err(|error| error.to_string())?;
        let command_id: Box<str> = format!("cmd-{}", digest::hex(&drawn)).into();
        let ticket = tenant.commands.wait(&command_id).ok_or("too many commands are waited for, try again later")?;
        let command =
            Command { command_id, action, target: target.into(), arguments: std::collections::BTreeMap::new() };
        let asked = tenant.command(&command).len();
        if asked == 0 {
            return Err(format!("no hub of tenant {name} is connected"));
        }
        let as_json = request.args.get("json").is_some_and(|json| json == "true");
        follow(&ticket, asked, as_json, lines).await
    }
}

/// Whom a token is for.
fn tenant(name: &str) -> Result<Holder, String> {
    if name.starts_with(ADDRESS_PREFIX) {
        return Err(format!("{name} cannot be enrolled: names that begin with {ADDRESS_PREFIX} are of addresses"));
    }
    let id: TenantId = name.parse().map_err(|error: nms_proto::id::IdError| error.to_string())?;
    Ok(Holder::Tenant(id.as_str().into()))
}

fn status_of(tenant: &Tenant) -> serde_json::Value {
    let (counts, standing) = (tenant.counts(), tenant.analysis());
    let (backlog_bytes, logged) = {
        let gate = tenant.gate();
        (gate.backlog_bytes(), gate.logged())
    };
    let hubs = tenant.hubs();
    let health = hubs.health().into_iter().map(|(hub, health)| {
        json!({ "hub": hub.to_string(), "said": health.said, "heartbeat_gap_ms_max": health.gap_ms_max })
    });
    let health: Vec<_> = health.collect();
    json!({
        "tenant": tenant.id(),
        "hubs_connected": hubs.live(),
        "connections_replaced": hubs.replaced(),
        "hubs": health,
        "results_waiting": hubs.waiting(),
        "results_dropped": hubs.dropped(),
        "refused": tenant.refusals.counts(),
        "alerts_let_go": tenant.store().alerts_let_go(),
        "batches": { "taken": counts.taken, "duplicates": counts.duplicates, "reused": counts.reused,
                     "gaps": counts.gaps, "busy": counts.busy, "withdrawn": counts.withdrawn, "skipped": counts.skipped_batches },
        "events": { "taken": counts.events, "skipped": counts.skipped_events, "analysed": standing.counts.events },
        "log": { "last": logged.0, "analysed": standing.cursor.scored.0, "backlog_bytes": backlog_bytes,
                 "quarantined": standing.quarantined, "damaged": standing.damaged },
        "analysis": { "findings": standing.counts.findings, "windows": standing.counts.windows,
                      "unusual": standing.counts.unusual, "unscored": standing.counts.unscored,
                      "not_finite": standing.not_finite, "findings_cut": standing.counts.cut,
                      "cache_hits": standing.cache.hits, "cache_misses": standing.cache.misses },
    })
}

/// Prints what comes of a command until its report ends, every hub refused, or nothing came for too long.
async fn follow(ticket: &Ticket, asked: usize, as_json: bool, lines: &Lines) -> Result<(), String> {
    let mut refusals: Vec<String> = Vec::new();
    loop {
        let silence = async {
            clock::pause(SILENCE_MS).await;
            None
        };
        let gone = async {
            lines.gone().await;
            None
        };
        let news = async { ticket.news.recv().await.ok() };
        match smol::future::or(news, smol::future::or(silence, gone)).await {
            Some(News::Answer(_, ack)) if ack.status == AckStatus::Ok => {}
            Some(News::Answer(hub, ack)) => {
                refusals.push(format!("hub {hub}: {}", ack.message));
                if refusals.len() >= asked {
                    return Err(refusals.join("; "));
                }
            }
            Some(News::Row(event)) => {
                let is_end = matches!(event.body, Body::Report(_));
                if is_end {
                    say_omitted(ticket.omitted(), as_json, lines).await;
                }
                lines.say(if as_json { row_json(&event) } else { row_text(&event) }).await;
                if is_end {
                    return Ok(());
                }
            }
            None => return Err(format!("nothing came for {} s; the report goes on in the log", SILENCE_MS / 1_000)),
        }
    }
}

/// Says how many rows this admin was too slow for.
async fn say_omitted(omitted: u64, as_json: bool, lines: &Lines) {
    if omitted > 0 {
        let text = format!("{omitted} rows left out; they stand in the log");
        lines.say(if as_json { json!({ "omitted": omitted }).to_string() } else { text }).await;
    }
}

fn row_json(event: &Event) -> String {
    let row = match &event.body {
        Body::File(row) => json!({ "source": event.source, "at": event.at, "file": row }),
        Body::Report(end) => json!({ "source": event.source, "at": event.at, "report": end }),
        other => json!({ "source": event.source, "at": event.at, "body": other.name() }),
    };
    row.to_string()
}

fn row_text(event: &Event) -> String {
    match &event.body {
        Body::File(row) => {
            let sha256 = row.new_sha256.as_deref().unwrap_or("-");
            let mode = row.mode.as_deref().unwrap_or("-");
            let owner = row.owner.as_deref().unwrap_or("-");
            format!("{:<10} {sha256} {mode} {owner} {}", row.change.as_str(), row.path.escape_debug())
        }
        Body::Report(end) => {
            format!("{} files, {} differ from the baseline, {} unreadable", end.files, end.changed, end.unreadable)
        }
        other => other.name().to_owned(),
    }
}
