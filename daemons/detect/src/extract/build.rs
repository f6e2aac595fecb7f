//! Short words for filling an extraction, so that each extractor reads as a table of phrasings.

use std::net::IpAddr;

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

/// An extraction of `family` that says what was done and how it ended.
pub(super) fn of<'a>(family: AppFamily, action: Action, outcome: Outcome) -> Extraction<'a> {
    Extraction { action, outcome, ..Extraction::unknown(family) }
}

/// Adds what else a line says.
pub(super) trait Build<'a>: Sized {
    /// Who did it.
    fn by(self, actor: Actor<'a>) -> Self;
    /// Who did it, where the line says so.
    fn maybe_by(self, actor: Option<Actor<'a>>) -> Self;
    /// The account aimed at; an empty name is one too.
    fn account(self, account: &'a str) -> Self;
    /// Whether that account exists.
    fn exists(self, exists: bool) -> Self;
    /// What it was done to.
    fn object(self, object: Object<'a>) -> Self;
    /// The endpoint it was done to.
    fn towards(self, address: IpAddr, port: Option<u16>) -> Self;
    /// The line only goes with an attempt that another line usually reports.
    fn companion(self) -> Self;
}

impl<'a> Build<'a> for Extraction<'a> {
    fn by(self, actor: Actor<'a>) -> Self {
        Self { actor: Some(actor), ..self }
    }
    fn maybe_by(self, actor: Option<Actor<'a>>) -> Self {
        Self { actor, ..self }
    }
    fn account(self, account: &'a str) -> Self {
        Self { account: Some(account), ..self }
    }
    fn exists(self, exists: bool) -> Self {
        Self { account_exists: Some(exists), ..self }
    }
    fn object(self, object: Object<'a>) -> Self {
        Self { object: Some(object), ..self }
    }
    fn towards(self, address: IpAddr, port: Option<u16>) -> Self {
        self.object(Object::Endpoint { address, port })
    }
    fn companion(self) -> Self {
        Self { times: 0, ..self }
    }
}
