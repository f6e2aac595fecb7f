//! Enrolment on the wire: what a peer may do without a certificate, and what one is worth.

use std::{collections::BTreeMap, sync::Arc};

use nms_kit::{
    control::{self, Request as Ask},
    digest,
    pki::{self, Authority, Holder, Request},
    tls::{self, Identity, Own},
    token::Token,
};
use nms_proto::message::{Ack, AckStatus, Command, CommandAction, Message};
use nmsd_server::config;

use crate::{
    stage::{Peer, Stage},
    world::{HUB, failure},
};

/// What an admin verb says.
fn ask(stage: &Stage, request: &Ask) -> Vec<String> {
    let mut lines = Vec::new();
    smol::block_on(control::ask(&stage.control, request, |line| lines.push(line.to_owned()))).unwrap();
    lines
}

fn token(stage: &Stage, tenant: &str) -> Token {
    ask(stage, &Ask::new("token new").with("name", tenant))[0].parse().unwrap()
}

fn enroll<const N: usize>(arguments: [(&str, &str); N]) -> Message {
    let arguments: BTreeMap<_, _> = arguments.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Message::Command(Command { command_id: "e-1".into(), action: CommandAction::Enroll, target: "".into(), arguments })
}

/// Sends what asks for a certificate over a connection that knows its server by the token; gives the answer.
async fn enrol(stage: &Stage, token: &Token, request: &Request) -> Ack {
    let mut peer = stage.peer_by(tls::pinned(token.authority).unwrap()).await;
    let secret = token.secret.text();
    peer.send(enroll([("csr", &request.request), ("token", &secret), ("host", "pi")])).await;
    let ack = peer.ack().await;
    assert_eq!(peer.next().await, None, "the connection ends");
    ack
}

/// A connection that shows a certificate.
async fn known(stage: &Stage, certificate: &str, key: &str) -> Peer {
    let identity = Identity::new(Own::from_pem(certificate, key).unwrap()).unwrap();
    let ca = config::pki_files(stage.folder.path()).ca;
    stage.peer_by(tls::connector_of(&ca, Arc::clone(&identity)).unwrap()).await
}

#[test]
fn a_certificate_is_issued_for_a_token_and_says_whose_a_connection_is() {
    let stage = Stage::set();
    let token = token(&stage, "mine");
    smol::block_on(async {
        let request = Request::make().unwrap();
        let ack = enrol(&stage, &token, &request).await;
        assert_eq!((ack.status, ack.command_id.as_deref()), (AckStatus::Ok, Some("e-1")));
        let ca = tls::first_certificate(ack.ca.unwrap().as_bytes()).unwrap();
        assert_eq!(digest::sha256(&ca), token.authority);
        let certificate = ack.certificate.unwrap();
        let seen = pki::seen(&tls::first_certificate(certificate.as_bytes()).unwrap()).unwrap();
        assert_eq!(seen.holder, Some(Holder::Tenant("mine".into())));
        let again = enrol(&stage, &token, &request).await;
        assert_eq!(again.status, AckStatus::Error);
        assert!(again.message.contains("was used before"), "{}", again.message);
        // Whatever token it shows besides, it is whom the certificate names.
        let mut hub = known(&stage, &certificate, &request.key).await;
        hub.register(Some("home"), Some(HUB)).await;
        assert_eq!(hub.ack().await.tenant, Some("mine".parse().unwrap()));
        hub.send_batch(1, &[failure(HUB, 1, 0)]).await;
        assert_eq!(hub.ack().await.batch.map(|batch| batch.0), Some(1));
        hub.send(enroll([("csr", &request.request)])).await;
        let early = hub.ack().await;
        assert!(early.message.contains("is not renewed yet"), "{}", early.message);
        // Revoked, the connection ends; another one is told why.
        let serial = seen.serial.unwrap().to_string();
        ask(&stage, &Ask::new("enrolled revoke").with("serial", &serial));
        assert_eq!(hub.next().await, None);
        let mut hub = known(&stage, &certificate, &request.key).await;
        hub.register(None, Some(HUB)).await;
        let refused = hub.ack().await;
        assert_eq!(&*refused.message, format!("certificate {serial} was revoked: enrol again with a new token"));
    });
    let status = ask(&stage, &Ask::new("status"));
    for reason in ["token_used", "certificate_revoked", "renewal_not_due"] {
        assert!(status[0].contains(reason), "{reason} is not in {}", status[0]);
    }
    stage.end();
}

#[test]
fn what_was_signed_and_stands_in_no_account_is_refused() {
    let stage = Stage::set();
    let files = config::pki_files(stage.folder.path());
    let authority = Authority::open(&files).unwrap();
    smol::block_on(async {
        let request = Request::make().unwrap();
        let now_ms = nms_kit::clock::unix_ms();
        let unlisted = authority.sign(&request.request, &Holder::Tenant("home".into()), now_ms, 60_000).unwrap();
        let mut hub = known(&stage, &unlisted.pem, &request.key).await;
        hub.register(Some("home"), Some(HUB)).await;
        let refused = hub.ack().await;
        assert!(refused.message.contains("not among those that were issued here"), "{}", refused.message);
        // And without a certificate nothing can be renewed.
        let mut hub = stage.peer_by(tls::connector(&files.ca).unwrap()).await;
        hub.register(Some("home"), Some(HUB)).await;
        assert_eq!(hub.ack().await.status, AckStatus::Ok);
        hub.send(enroll([("csr", &request.request)])).await;
        assert!(hub.ack().await.message.contains("no certificate on this connection"));
    });
    stage.end();
}

#[test]
fn an_expired_certificate_and_one_of_another_authority_end_the_handshake_and_are_counted() {
    let stage = Stage::set();
    let own = Authority::open(&config::pki_files(stage.folder.path())).unwrap();
    let now_ms = nms_kit::clock::unix_ms();
    let other = Authority::make(now_ms).unwrap();
    let home = Holder::Tenant("home".into());
    smol::block_on(async {
        for (authority, at_ms) in [(&own, now_ms - 60_000), (&other, now_ms)] {
            let request = Request::make().unwrap();
            let issued = authority.sign(&request.request, &home, at_ms, 30_000).unwrap();
            let mut hub = known(&stage, &issued.pem, &request.key).await;
            hub.register(Some("home"), Some(HUB)).await;
            assert_eq!(hub.next().await, None, "whatever token it shows");
        }
    });
    let status = ask(&stage, &Ask::new("status"));
    assert!(status[0].contains("\"certificate\":2"), "{}", status[0]);
    stage.end();
}

#[test]
fn a_token_is_made_for_a_tenant_that_can_be_one() {
    let stage = Stage::set();
    for (name, words) in [("ip-192.0.2.1", "are of addresses"), ("a b", "letters"), ("", "letters")] {
        let request = Ask::new("token new").with("name", name);
        let refused = smol::block_on(control::ask(&stage.control, &request, |_| ())).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    stage.end();
}
