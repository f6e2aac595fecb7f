//! Admin verbs of the running hub, by its control socket: `status`, `spool check`, `spool dump`, tokens, and who is enrolled.

use std::sync::Arc;

use nms_kit::{
    control::{Lines, Request},
    identity_admin::Desk,
    net::gate::Gate,
    roll::Roll,
    spool_admin,
    store::spool::Spool,
};
use serde_json::json;

use crate::{agents::Registry, identity};

/// Who answers.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) spool: Spool,
    pub(crate) agents: Arc<Registry>,
    pub(crate) roll: Arc<Roll>,
    pub(crate) doors: Doors,
}

/// Who may connect at each port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doors {
    pub(crate) syslog_tcp: Gate,
    pub(crate) syslog_tls: Gate,
    pub(crate) agents: Gate,
}

impl Admin {
    /// Carries out a request.
    ///
    /// # Errors
    /// In words: what failed, and what to do.
    pub(crate) async fn answer(self, request: Request, lines: Lines) -> Result<(), String> {
        if let Some(verb) = spool_admin::verb(&request) {
            return spool_admin::answer(self.spool, verb, lines).await;
        }
        let desk = Desk { roll: &self.roll, holder: identity::agent, enroll: "nmsd-agent enroll" };
        if let Some(answer) = desk.answer(&request, &lines).await {
            return answer;
        }
        if request.verb != "status" {
            return Err(format!("unknown verb {}: this hub knows status, spool, token and agent", request.verb));
        }
        let (agents, replaced) = self.agents.connected();
        let whole = json!({
            "hub": env!("CARGO_PKG_VERSION"), "agents": agents, "agent_connections_replaced": replaced,
            "spool": spool_admin::standing(&self.spool),
            "connections": {
                "syslog_tcp": self.doors.syslog_tcp.standing(), "syslog_tls": self.doors.syslog_tls.standing(),
                "agents": self.doors.agents.standing(),
            },
            "disk": self.spool.db().problem().map(|problem| problem.to_string()),
        });
        lines.say(whole.to_string()).await;
        Ok(())
    }
}
