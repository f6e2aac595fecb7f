//! What an agent's connection has to do with its certificate: issued to it, renewed, and the end when it is revoked.

use std::sync::Arc;

use nms_kit::{
    clock,
    downlink::Downlink,
    pki::Holder,
    roll::{Ended, Refusal, Watch},
};
use nms_proto::{
    id::EndpointId,
    message::{Ack, AckStatus, Command},
    session::End,
};

use super::{Agents, connection::Connection};

/// How a peer came, and what it showed.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Whether it came by TLS: only there may a token be shown.
    pub(super) is_secret: bool,
    /// The certificate that it showed, DER.
    pub(super) certificate: Option<Box<[u8]>>,
    /// What holds the connection to its certificate once it is registered.
    pub(super) watch: Option<Watch>,
}

impl Shown {
    /// The name that the peer's certificate gives it; none where it showed none.
    pub(super) async fn name(&mut self, agents: &Arc<Agents>) -> Result<Option<EndpointId>, Refusal> {
        let Some(certificate) = self.certificate.clone() else { return Ok(None) };
        let agents = Arc::clone(agents);
        let admitted = smol::unblock(move || agents.identity.roll.admit(clock::unix_ms(), &certificate)).await;
        let (holder, watch) = admitted?;
        let Holder::Agent(name) = holder else { return Err(Refusal::Unknown) };
        self.watch = Some(watch);
        Ok(Some(EndpointId::new(&name)))
    }

    /// Ends when the certificate does.
    pub(super) async fn ended(&self) -> Ended {
        match &self.watch {
            Some(watch) => watch.ended().await,
            None => std::future::pending().await,
        }
    }
}

impl Connection {
    /// Issues a certificate for a token, and ends the connection.
    pub(super) async fn enroll(&mut self, link: &mut Downlink, command: &Command) {
        let answer = if let Err(problem) = self.settle() {
            Err(Refusal::Request(problem))
        } else if self.shown.is_secret {
            self.agents.identity.roll.answer_enrol(clock::unix_ms(), command).await
        } else {
            Err(Refusal::Request("agents are enrolled over TLS only: a token must not be readable on its way".into()))
        };
        let now = clock::tick();
        match answer {
            Ok(ack) => link.session().enrolled(now, ack),
            Err(refusal) => {
                self.turned_away(refusal.reason());
                log::warn!("an agent was not enrolled peer={} reason={:?}", self.peer, refusal.to_string());
                link.session().reject(now, &refusal.to_string(), None);
            }
        }
    }

    /// Issues the certificate that follows the agent's own.
    pub(super) async fn renew(&mut self, link: &mut Downlink, command: &Command) {
        let roll = &self.agents.identity.roll;
        let answer = roll.answer_renewal(clock::unix_ms(), self.shown.watch.as_mut(), command).await;
        let answer = answer.unwrap_or_else(|refusal| {
            log::warn!("a certificate was not renewed source={} reason={:?}", self.source, refusal.to_string());
            let refused = Ack::new(AckStatus::Error, refusal.to_string());
            Ack { command_id: Some(command.command_id.clone()), ..refused }
        });
        link.session().answer_command(answer);
    }

    /// The certificate that opened this connection is good no more.
    pub(super) fn disowned(&self, link: &mut Downlink, ended: Ended) {
        let end = match ended {
            Ended::Revoked => End::Revoked,
            Ended::Expired => End::Expired,
        };
        log::warn!("an agent's connection ends, {end} source={}", self.source);
        link.session().end(clock::tick(), end);
    }
}
