//! The uplink as people see it, and the commands that come down it.

use nms_collect::plan;
use nms_kit::{clock, uplink::News};
use nms_proto::{
    dash::{Link, ServerState},
    id::EndpointId,
    message::{Ack, AckStatus, Command, CommandAction},
    session::client::{LinkView, Stage},
    time::{Stamp, Tick},
};
use smol::channel::Sender;

use crate::{agents::Registry, core::Core};
use nms_kit::uplink::Ask;

/// Who carries out commands of the server.
pub(crate) struct Below<'a> {
    pub(crate) agents: &'a Registry,
    pub(crate) collectors: Option<&'a plan::Running>,
}

/// Deals with news of the uplink.
pub(crate) fn news(core: &mut Core, below: &Below<'_>, asks: &Sender<Ask>, news: News) {
    match news {
        News::Link(view) => show(core.state().link(), &view, clock::tick(), clock::stamp()),
        News::Delivered(batch) => core.books().delivered(batch),
        News::Quarantined(batch) => core.books().quarantined(batch),
        News::Missing(missing) => core.books().missing(&missing),
        News::Renumbered { base } => core.renumbered(base),
        News::Config(config) => core.set_batch_events(config.batch_size),
        News::Results(results) => {
            let (seq, asks) = (results.seq, asks.clone());
            let model = results.alerts.iter().rev().find_map(|alert| alert.model.as_ref());
            if let Some(model) = model {
                core.state().link().model = Some(format!("{} {}", model.id, model.hash).into());
            }
            core.results(results, move || {
                if let Some(seq) = seq {
                    asks.try_send(Ask::ResultsDurable(seq)).ok();
                }
            });
        }
        News::Command(command) => {
            if let Some(refusal) = command_down(below, command) {
                asks.try_send(Ask::Answer(refusal)).ok();
            }
        }
        News::CommandAnswered(ack) => {
            log::debug!("the server answered a command id={:?} status={}", ack.command_id, ack.status);
        }
    }
}

/// Passes a command on to its agent; the refusal, if it cannot be.
fn command_down(below: &Below<'_>, command: Command) -> Option<Ack> {
    let id = command.command_id.clone();
    let refuse = |problem: String| Ack { command_id: Some(id.clone()), ..Ack::new(AckStatus::Error, problem) };
    match command.action {
        CommandAction::RequestFimReport => {
            let target = EndpointId::new(&command.target);
            if let Some(own) = below.collectors.filter(|_| &*command.target == EndpointId::SELF) {
                let done = own.report(&command.command_id);
                return Some(done.map_or_else(|error| refuse(error.to_string()), |()| accepted(&id)));
            }
            let sent = below.agents.command(&target, command);
            (!sent).then(|| refuse(format!("no agent named {target} is connected")))
        }
        CommandAction::BlockIp | CommandAction::UnblockIp => {
            Some(refuse(format!("{} is not carried out: prevention is not built yet", command.action)))
        }
        other => Some(refuse(format!("this hub does not know {other}"))),
    }
}

fn accepted(id: &str) -> Ack {
    Ack { command_id: Some(id.into()), ..Ack::ok() }
}

fn show(link: &mut Link, view: &LinkView, now: Tick, stamp: Stamp) {
    let was_up = matches!(link.server, ServerState::Ok | ServerState::Busy);
    link.server = match view.stage {
        Stage::Active if view.busy_percent.is_some() => ServerState::Busy,
        Stage::Active => ServerState::Ok,
        Stage::Connecting | Stage::Registering if view.problem.is_none() => ServerState::Connecting,
        _ => ServerState::Down,
    };
    // A link that is tried again is down since it went down, not since the last try.
    let is_up = view.stage == Stage::Active;
    if is_up != was_up || link.since.is_none() {
        let ago_ms = now.since(view.since) as i64;
        link.since = Some(Stamp { unix_ms: stamp.unix_ms - ago_ms, ..stamp });
    }
    link.tenant.clone_from(&view.tenant);
    link.problem = view.problem.as_ref().map(|problem| problem.to_string().into());
    link.rtt_ms = view.rtt_ms;
    link.retry_in_s = view.retry_in_ms.map(|ms| ms.div_ceil(1_000));
    link.busy_percent = view.busy_percent;
}
