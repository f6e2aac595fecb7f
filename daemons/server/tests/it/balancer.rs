//! Load balancers that speak for hubs, and those who would like to.

use nms_kit::{
    control::{self, Request},
    net::tcp,
    tls,
};
use nms_proto::{limits::CONNECTIONS_PER_ADDRESS, message::AckStatus};
use nmsd_server::config;
use smol::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    stage::Stage,
    world::{HUB, OTHER_HUB},
};

/// A header that speaks for an IPv4 address.
fn header(address: [u8; 4]) -> Vec<u8> {
    let ports = [0x9c, 0x40, 0x05, 0xea];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &address, &[198, 51, 100, 1], &ports].concat()
}

async fn dial(stage: &Stage, bytes: &[u8]) -> TcpStream {
    let mut stream = tcp::dial(&stage.running.address.to_string()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Whether the server closes the connection without a word.
async fn is_closed(mut stream: TcpStream) -> bool {
    // What is unread resets the connection, which is an end too.
    matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
}

fn refused(stage: &Stage) -> String {
    let mut lines = Vec::new();
    let request = Request::new("status");
    smol::block_on(control::ask(&stage.control, &request, |line| lines.push(line.to_owned()))).unwrap();
    lines.remove(0)
}

#[test]
fn a_named_balancer_says_whom_it_speaks_for() {
    let stage = Stage::set_behind(tempfile::tempdir().unwrap(), &["127.0.0.1/32"], true);
    let ca = config::pki_files(stage.folder.path()).ca;
    smol::block_on(async {
        for (last, hub) in [(7, HUB), (8, OTHER_HUB)] {
            let stream = dial(&stage, &header([192, 0, 2, last])).await;
            let mut peer = Stage::peer_over(stream, tls::connector(&ca).unwrap()).await;
            peer.register(None, Some(hub)).await;
            let ack = peer.ack().await;
            assert_eq!(ack.status, AckStatus::Ok);
            assert_eq!(ack.tenant, Some(format!("ip-192.0.2.{last}").parse().unwrap()));
        }
        // It must say it: a handshake at once, and what is no header, are refused.
        let mut wrong = header([192, 0, 2, 7]);
        wrong[12] = 0x31;
        for bytes in [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0, 0][..], &wrong, b"PROXY TCP4 192.0.2.7 198"]
        {
            assert!(is_closed(dial(&stage, bytes).await).await);
        }
        // Those whom it speaks for have their own limit of connections.
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_PER_ADDRESS {
            let stream = dial(&stage, &header([192, 0, 2, 9])).await;
            held.push(Stage::peer_over(stream, tls::connector(&ca).unwrap()).await);
        }
        assert!(is_closed(dial(&stage, &header([192, 0, 2, 9])).await).await);
        let stream = dial(&stage, &header([192, 0, 2, 10])).await;
        let mut peer = Stage::peer_over(stream, tls::connector(&ca).unwrap()).await;
        peer.register(None, Some(HUB)).await;
        assert_eq!(peer.ack().await.status, AckStatus::Ok, "others come in");
    });
    assert!(refused(&stage).contains("\"proxy_header\":3"), "{}", refused(&stage));
    stage.end();
}

#[test]
fn nobody_else_may_say_whom_they_speak_for() {
    let stage = Stage::set_behind(tempfile::tempdir().unwrap(), &["192.0.2.10/32"], true);
    smol::block_on(async {
        assert!(is_closed(dial(&stage, &header([192, 0, 2, 7])).await).await);
        let ca = config::pki_files(stage.folder.path()).ca;
        let mut peer = stage.peer_by(tls::connector(&ca).unwrap()).await;
        peer.register(None, Some(HUB)).await;
        assert_eq!(peer.ack().await.tenant, Some("ip-127.0.0.1".parse().unwrap()), "its own address counts");
    });
    assert!(refused(&stage).contains("\"proxy_header\":1"), "{}", refused(&stage));
    stage.end();
}
