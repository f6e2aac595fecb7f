//! Admin verbs of the running agent, by its control socket: `status`, `spool check`, `spool dump`.

use std::collections::BTreeMap;

use nms_collect::plan::Running;
use nms_kit::{
    control::{Lines, Request},
    spool_admin,
    store::spool::Spool,
};
use serde_json::json;

/// Who answers.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) spool: Spool,
    pub(crate) collectors: Running,
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
        if request.verb != "status" {
            return Err(format!("unknown verb {}: this agent knows status, spool check and spool dump", request.verb));
        }
        let counted: BTreeMap<_, _> = self.collectors.counters.all().collect();
        let whole = json!({
            "agent": env!("CARGO_PKG_VERSION"), "collectors": counted, "spool": spool_admin::standing(&self.spool),
            "disk": self.spool.db().problem().map(|problem| problem.to_string()),
        });
        lines.say(whole.to_string()).await;
        Ok(())
    }
}
