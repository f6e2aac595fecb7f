//! What a connection has to do with its peer's certificate: issued to it, renewed, and the end when it is revoked.

use nms_kit::{
    clock,
    downlink::Downlink,
    roll::{Ended, Refusal, Watch},
};
use nms_proto::{
    message::{Ack, AckStatus, Command},
    session::End,
};

use super::connection::{Connection, Wake};

/// What a peer is told where there is no authority.
const NO_AUTHORITY: &str = "this server has no authority that could issue certificates: make it with nmsd-server init";

/// The certificate that a peer showed, DER, and what holds the connection to it once it is registered.
pub(super) struct Shown {
    pub(super) certificate: Option<Box<[u8]>>,
    pub(super) watch: Option<Watch>,
}

impl Shown {
    /// Ends when the certificate does.
    pub(super) async fn ended(&self) -> Wake {
        match &self.watch {
            Some(watch) => Wake::Ended(watch.ended().await),
            None => std::future::pending().await,
        }
    }
}

impl Connection {
    /// Issues a certificate for a token, and ends the connection.
    pub(super) async fn enroll(&mut self, link: &mut Downlink, command: &Command) {
        let answer = match &self.clients.door.roll {
            _ if !self.place.settle() => Err(Refusal::Request("too many connections at this server, try again".into())),
            Some(roll) => roll.answer_enrol(clock::unix_ms(), command).await,
            None => Err(Refusal::Request(NO_AUTHORITY.into())),
        };
        let now = clock::tick();
        match answer {
            Ok(ack) => link.session().enrolled(now, ack),
            Err(refusal) => {
                log::warn!("a peer was not enrolled peer={} reason={:?}", self.peer, refusal.to_string());
                self.clients.counts.refusals.count(refusal.reason());
                link.session().reject(now, &refusal.to_string(), None);
            }
        }
    }

    /// Issues the certificate that follows the peer's own.
    pub(super) async fn renew(&mut self, link: &mut Downlink, command: &Command) {
        let answer = match &self.clients.door.roll {
            Some(roll) => roll.answer_renewal(clock::unix_ms(), self.shown.watch.as_mut(), command).await,
            None => Err(Refusal::Request(NO_AUTHORITY.into())),
        };
        let answer = answer.unwrap_or_else(|refusal| {
            log::warn!("a certificate was not renewed peer={} reason={:?}", self.peer, refusal.to_string());
            self.clients.counts.refusals.count(refusal.reason());
            let refused = Ack::new(AckStatus::Error, refusal.to_string());
            Ack { command_id: Some(command.command_id.clone()), ..refused }
        });
        link.session().answer_command(answer);
    }

    /// The certificate that opened this connection is good no more.
    pub(super) fn disowned(&self, link: &mut Downlink, ended: Ended) {
        let (end, reason) = match ended {
            Ended::Revoked => (End::Revoked, "certificate_revoked"),
            Ended::Expired => (End::Expired, "certificate_expired"),
        };
        log::warn!("a connection ends, {end} peer={}", self.peer);
        self.clients.counts.refusals.count(reason);
        link.session().end(clock::tick(), end);
    }
}
