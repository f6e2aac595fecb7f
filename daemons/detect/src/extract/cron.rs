//! cron, anacron, at and crontab: what runs by the clock, and who changes that.

use nms_proto::extraction::{Action, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::name;

const FAMILY: AppFamily = AppFamily::Cron;

/// A line of cron: `(root) CMD (command)`, `(alice) REPLACE (alice)`, `(CRON) INFO (...)`.
pub(super) fn cron(text: &str) -> Extraction<'_> {
    said(text).unwrap_or(Extraction::unknown(FAMILY))
}

fn said(text: &str) -> Option<Extraction<'_>> {
    let (user, rest) = text.strip_prefix('(')?.split_once(") ")?;
    let (verb, inside) = rest.split_once(" (").unwrap_or((rest, ""));
    let inside = inside.strip_suffix(')').unwrap_or(inside);
    Some(match verb {
        "CMD" | "CMDOUT" => {
            of(FAMILY, Action::Command, Outcome::Ok).maybe_by(name(user)).object(Object::Program(inside.trim_ascii()))
        }
        "REPLACE" | "DELETE" | "END EDIT" => of(FAMILY, Action::File, Outcome::Ok).maybe_by(name(user)).account(inside),
        "BEGIN EDIT" | "LIST" | "RELOAD" => {
            of(FAMILY, Action::File, Outcome::None).maybe_by(name(user)).account(inside)
        }
        "AUTH" => of(FAMILY, Action::File, Outcome::Failed).maybe_by(name(user)),
        "INFO" | "STARTUP" => of(FAMILY, Action::Service, Outcome::Ok),
        _ => return None,
    })
}
