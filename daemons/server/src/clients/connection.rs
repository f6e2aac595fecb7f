//! One hub's connection: what its session asks for, its batches into the log, what it is owed on its way out.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use nms_kit::{
    clock,
    downlink::{Downlink, Next},
    net::{canonical, gate::Place},
    refusals,
    roll::Ended,
};
use nms_proto::{
    id::Instance,
    limits::BUSY_RETRY_MS,
    message::{Ack, AckStatus, Batch, Command, CommandAction, Register, Single},
    session::{
        End,
        server::{Answer, Output},
    },
};

use super::{Admitted, Clients, Refused, identity::Shown};
use crate::{
    live::{Tenant, Unserved},
    outbox::Attached,
};

/// What wakes a connection besides its peer.
pub(super) enum Wake {
    Look,
    Ended(Ended),
    Stop,
}

pub(super) struct Connection {
    pub(super) clients: Arc<Clients>,
    pub(super) peer: SocketAddr,
    pub(super) shown: Shown,
    pub(super) place: Arc<Place>,
    tenant: Option<Arc<Tenant>>,
    attached: Option<Attached>,
    /// Losses on the way into the log that the peer was told of.
    losses: u64,
}

impl Connection {
    /// A connection of `peer` after its handshake.
    pub(super) fn new(clients: Arc<Clients>, peer: SocketAddr, shown: Shown, place: Arc<Place>) -> Self {
        Self { clients, peer, shown, place, tenant: None, attached: None, losses: 0 }
    }

    pub(super) async fn run(&mut self, link: &mut Downlink) {
        let stop = self.clients.tasks.stop().clone();
        loop {
            let stopped = async {
                stop.requested().await;
                Wake::Stop
            };
            let ended = smol::future::or(self.shown.ended(), stopped);
            match link.next(smol::future::or(self.look_again(), ended)).await {
                Next::Output(output) => match *output {
                    Output::Register(register) => self.register(link, register).await,
                    Output::Batch(batch) => {
                        let answer = self.take(batch).await;
                        link.session().answer(clock::tick(), answer);
                    }
                    Output::Event(single) => self.take_event(*single).await,
                    Output::Enroll(command) => self.enroll(link, &command).await,
                    Output::Command(command) if command.action == CommandAction::Enroll => {
                        self.renew(link, &command).await;
                    }
                    Output::Close(end) => return self.closed(&end, link.malformed()),
                    output => self.carry_out(link, output),
                },
                Next::Over(problem) => return self.gone(&problem),
                Next::Other(Wake::Look) => self.look(link),
                Next::Other(Wake::Ended(ended)) => self.disowned(link, ended),
                Next::Other(Wake::Stop) => link.session().end(clock::tick(), End::Stopping),
            }
        }
    }

    /// Ends when there is something to look at: the bell rang, or RESULTS are to be sent again.
    async fn look_again(&self) -> Wake {
        let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) else {
            return std::future::pending().await;
        };
        let deadline = tenant.hubs().deadline(attached.hub);
        let due = async {
            match deadline {
                Some(at) => clock::until(at).await,
                None => std::future::pending().await,
            }
        };
        let rung = async {
            // The bell outlives the connection's place at its hub: a closed one says that it was taken.
            attached.bell.recv().await.ok();
        };
        smol::future::or(rung, due).await;
        Wake::Look
    }

    /// The connection ended in words that both sides know; what the peer is to blame for is counted.
    fn closed(&self, end: &End, malformed: Option<&'static str>) {
        if let Some(reason) = refusals::reason(end, malformed) {
            log::warn!("a peer was turned away peer={} reason={reason} words={:?}", self.peer, end.to_string());
            self.clients.counts.refusals.count(reason);
            if let Some(tenant) = &self.tenant {
                tenant.refusals.count(reason);
            }
        }
        self.gone(&end.to_string());
    }

    fn gone(&self, reason: &str) {
        match &self.tenant {
            Some(tenant) => log::debug!("hub gone tenant={} peer={} reason={reason:?}", tenant.id(), self.peer),
            None => log::debug!("peer gone peer={} reason={reason:?}", self.peer),
        }
    }

    pub(super) fn leave(&self) {
        if let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) {
            tenant.hubs().detach(attached);
        }
    }

    fn carry_out(&mut self, link: &mut Downlink, output: Output) {
        let now = clock::tick();
        match output {
            Output::Heartbeat(vitals) => {
                self.clients.counts.heartbeats.fetch_add(1, Ordering::Relaxed);
                if let Some(tenant) = &self.tenant {
                    tenant.hubs().heard(self.hub(), now, vitals);
                }
            }
            // Dealt with before, because they are waited for.
            Output::Close(_) | Output::Enroll(_) | Output::Register(_) | Output::Batch(_) | Output::Event(_) => {}
            Output::ResultsAcked(seq) => {
                if let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) {
                    tenant.acknowledged(attached.hub, now, seq);
                }
                self.look(link);
            }
            Output::ResultsTooLong(seq) => {
                if let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) {
                    tenant.too_long(attached.hub, seq);
                }
            }
            Output::Command(command) => link.session().answer_command(refusal(command)),
            Output::CommandAnswered(ack) => {
                if let Some(tenant) = &self.tenant {
                    tenant.commands.answered(self.hub(), ack);
                }
            }
        }
    }

    /// The instance of the peer; that of nobody for an original one.
    fn hub(&self) -> Instance {
        self.attached.as_ref().map_or(Instance::UNNAMED, |attached| attached.hub)
    }

    async fn register(&mut self, link: &mut Downlink, register: Register) {
        let admitted = {
            let (clients, place) = (Arc::clone(&self.clients), Arc::clone(&self.place));
            let (address, certificate) = (canonical(self.peer.ip()), self.shown.certificate.clone());
            let name: String = register.hostname.chars().take(64).collect();
            let admitted =
                smol::unblock(move || clients.admit(address, certificate.as_deref(), &register, &place)).await;
            admitted.map(|admitted| (admitted, name))
        };
        let now = clock::tick();
        match admitted {
            Ok((Admitted { tenant, watch, attached, durable }, name)) => {
                let (id, peer) = (tenant.id().clone(), self.peer);
                log::debug!("hub registered tenant={id} peer={peer} name={name:?} durable={durable}");
                self.losses = attached.as_ref().map_or(0, |attached| tenant.gate().losses(attached.hub));
                self.shown.watch = watch;
                self.attached = attached;
                self.tenant = Some(tenant);
                link.session().is_of(id);
                link.session().accept(now, durable, self.clients.asked);
                self.look(link);
            }
            Err(refused) => {
                log::warn!("a peer was refused peer={} reason={:?}", self.peer, refused.words());
                self.clients.counts.refusals.count(refused.reason());
                let is_later = matches!(refused, Refused::Unserved(Unserved::Store(_)) | Refused::GaveWay);
                link.session().reject(now, &refused.words(), is_later.then_some(BUSY_RETRY_MS));
            }
        }
    }

    /// Takes a batch, or says why not. Where a segment of the log ends, the way into it waits for the disk: apart from
    /// this task.
    async fn take(&self, batch: Batch) -> Answer {
        let Some(tenant) = self.tenant.clone() else {
            return Answer::Refused { message: "not registered".into() };
        };
        if self.attached.as_ref().is_some_and(|attached| !tenant.hubs().is_current(attached)) {
            return Answer::Busy { retry_after_ms: BUSY_RETRY_MS, message: End::Replaced.to_string().into() };
        }
        let hub = self.hub();
        smol::unblock(move || tenant.take(clock::unix_ms(), hub, batch)).await
    }

    /// One event of an original sender; where it is not taken it is lost, and counted as busy.
    async fn take_event(&self, single: Single) {
        match Batch::of_one(single) {
            Ok(batch) => drop(self.take(batch).await),
            Err(error) => log::warn!("an event cannot be kept peer={} error={error}", self.peer),
        }
    }

    /// Passes on whatever there is for this peer.
    fn look(&mut self, link: &mut Downlink) {
        let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) else { return };
        let now = clock::tick();
        if !tenant.hubs().is_current(attached) {
            link.session().end(now, End::Replaced);
            return;
        }
        let (durable, losses) = {
            let gate = tenant.gate();
            (gate.durable(attached.hub), gate.losses(attached.hub))
        };
        if losses > self.losses {
            self.losses = losses;
            link.session().withdrawn(BUSY_RETRY_MS, "the store did not take a batch, send it again");
        }
        link.session().committed(durable);
        while let Some(results) = tenant.hubs().poll(attached.hub, now) {
            link.session().results(results);
        }
        for command in tenant.hubs().commands(attached) {
            let id = command.command_id.clone();
            if !link.session().command(command) {
                let refused = Ack::new(AckStatus::Error, "too many commands wait for this hub");
                tenant.commands.answered(attached.hub, Ack { command_id: Some(id), ..refused });
            }
        }
    }
}

/// What people decide on the dashboard has an issue of its own; until then it is refused by name.
fn refusal(command: Command) -> Ack {
    let words = format!("this server does not take {} yet", command.action);
    Ack { command_id: Some(command.command_id), ..Ack::new(AckStatus::Error, words) }
}
