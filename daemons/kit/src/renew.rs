//! A client's certificate follows itself: asked for over the connection that the old one opened, and shown from the next
//! connection on. The old one is valid until it expires, so nothing is interrupted.
//!
//! The key stays: one file is replaced, whole, and there is no moment in which key and certificate are
//! of two generations; a key that systemd hands over could not be replaced at all. A new key comes
//! with enrolling again.

use std::sync::Arc;

use nms_proto::{
    limits::{CERTIFICATE_BACKDATED_MS, CERTIFICATE_RENEW_PERCENT},
    message::{Ack, AckStatus, Command},
    time::Tick,
};

use crate::{
    digest,
    enroll::{self, Place},
    pki::{self, Seen},
    tls::Identity,
};

/// Wait after a refusal, in parts of the certificate's life, and its bounds in milliseconds.
const RETRY_PARTS: i64 = 50;
const RETRY_MS_MIN: u64 = 1_000;
const RETRY_MS_MAX: u64 = 3_600_000;

/// The certificate of a client while it runs.
#[derive(Debug)]
pub struct Renewal {
    place: Place,
    identity: Arc<Identity>,
    seen: Seen,
    /// The command that was not answered yet.
    asked: Option<Box<str>>,
    not_before: Tick,
}

impl Renewal {
    /// Of what was enrolled at `place`.
    pub fn new(place: Place, identity: Arc<Identity>, seen: Seen) -> Self {
        Self { place, identity, seen, asked: None, not_before: Tick(0) }
    }

    /// The command to send, when it is time to; `now_ms` is the wall clock (Unix).
    pub async fn poll(&mut self, now: Tick, now_ms: i64) -> Option<Command> {
        if self.asked.is_some() || now < self.not_before || !is_due(&self.seen, now_ms) {
            return None;
        }
        let place = self.place.clone();
        let request = smol::unblock(move || place.request()).await;
        let made = request.and_then(|request| {
            let number = pki::random::<8>().map_err(|error| error.to_string())?;
            let id = format!("renew-{}", digest::hex(&number));
            Ok(enroll::command(&id, [("csr", request.request.as_str())]))
        });
        match made {
            Ok(command) => {
                self.asked = Some(command.command_id.clone());
                Some(command)
            }
            Err(problem) => {
                self.wait(now, &problem);
                None
            }
        }
    }

    /// An answer came: whether it was for this, and is dealt with.
    /// `now_ms` is the wall clock (Unix).
    pub async fn answered(&mut self, now: Tick, now_ms: i64, ack: &Ack) -> bool {
        if self.asked.is_none() || self.asked != ack.command_id {
            return false;
        }
        self.asked = None;
        let taken = match (&ack.status, &ack.certificate) {
            (AckStatus::Ok, Some(certificate)) => {
                let (place, identity) = (self.place.clone(), Arc::clone(&self.identity));
                let certificate = certificate.clone();
                smol::unblock(move || place.renew(&identity, &certificate, now_ms)).await
            }
            (AckStatus::Ok, None) => Err("the answer has no certificate".into()),
            _ => Err(ack.message.to_string()),
        };
        match taken {
            Ok(seen) => {
                log::info!("the certificate was renewed serial={:?}", seen.serial);
                self.seen = seen;
            }
            Err(problem) => self.wait(now, &problem),
        }
        true
    }

    fn wait(&mut self, now: Tick, problem: &str) {
        log::error!("the certificate was not renewed, and is asked for again problem={problem:?}");
        let pause = u64::try_from(life_ms(&self.seen) / RETRY_PARTS).unwrap_or_default();
        self.not_before = now.plus(pause.clamp(RETRY_MS_MIN, RETRY_MS_MAX));
    }
}

fn life_ms(seen: &Seen) -> i64 {
    seen.not_after_ms - seen.not_before_ms - CERTIFICATE_BACKDATED_MS
}

fn is_due(seen: &Seen, now_ms: i64) -> bool {
    let left_ms = seen.not_after_ms.saturating_sub(now_ms);
    left_ms.saturating_mul(100) < life_ms(seen).saturating_mul(CERTIFICATE_RENEW_PERCENT)
}
