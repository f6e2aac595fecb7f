//! Sockets on loopback.

use std::net::UdpSocket;

use nms_kit::net::{
    gate::{Bounds, Gate},
    tcp, udp, unix,
};
use smol::io::AsyncReadExt as _;

#[test]
fn datagrams_arrive_with_their_sender() {
    let intake = udp::Intake::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = intake.address().unwrap();
    let mut intake = intake.drain();
    let longest = vec![b'x'; 65_000];
    for datagram in [b"one".as_slice(), b"", &longest] {
        sender.send_to(datagram, to).unwrap();
    }
    let mut got = Vec::new();
    while got.len() < 3 {
        let lost = intake.receive(|peer, bytes| got.push((peer, bytes.to_vec()))).unwrap();
        assert_eq!(lost, 0);
    }
    assert_eq!(got[0], (sender.local_addr().unwrap(), b"one".to_vec()));
    assert_eq!((got[1].1.len(), got[2].1.len()), (0, 65_000));
}

/// What the kernel drops is counted, also after datagrams that came when nothing was dropped yet.
#[test]
fn datagrams_that_the_kernel_drops_are_counted() {
    const DATAGRAMS: u64 = 2_000;
    let intake = udp::Intake::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = intake.address().unwrap();
    let mut intake = intake.drain();
    sender.send_to(b"first", to).unwrap();
    assert_eq!(intake.receive(|_, _| ()).unwrap(), 0);
    let long = vec![b'x'; 60_000];
    for _ in 0..DATAGRAMS {
        sender.send_to(&long, to).unwrap();
    }
    let (mut taken, mut lost) = (0, 0);
    // The count comes with a datagram that was not dropped.
    while taken + lost < DATAGRAMS {
        let before = taken;
        lost += intake.receive(|_, bytes| taken += u64::from(bytes.len() == long.len())).unwrap();
        if taken == before {
            sender.send_to(b"next", to).unwrap();
        }
    }
    assert!(lost > 0 && taken > 0, "{lost} lost, {taken} taken");
    assert_eq!(taken + lost, DATAGRAMS);
}

#[test]
fn one_address_gets_no_more_than_its_limit_of_connections() {
    smol::block_on(async {
        let gate = Gate::new(Bounds { per_address: 2, ..Bounds::default() });
        let mut listener = tcp::Listener::bind("127.0.0.1:0".parse().unwrap(), gate.clone()).await.unwrap();
        let address = listener.address().unwrap().to_string();
        let first = tcp::dial(&address).await.unwrap();
        let _second = tcp::dial(&address).await.unwrap();
        let mut third = tcp::dial(&address).await.unwrap();
        let (_stream_1, _, place) = listener.accept().await;
        let (_stream_2, _, _kept) = listener.accept().await;
        drop((first, place));
        let _fourth = tcp::dial(&address).await.unwrap();
        let (kept, _, _again) = listener.accept().await;
        // The third was taken while the place of the first was already free, so none was refused so far.
        assert!(gate.standing().refused.is_empty());
        let waiting = smol::future::poll_once(listener.accept()).await;
        assert!(waiting.is_none(), "the fourth finds both places taken");
        assert_eq!(gate.standing().refused["connections_of_address"], 1);
        drop(kept);
        let ended = third.read(&mut [0; 1]).await;
        assert!(matches!(ended, Ok(0) | Err(_)));
    });
}

#[test]
fn datagrams_stand_over_a_stale_socket_only_and_take_their_own_file_away() {
    use std::os::unix::net::{UnixDatagram, UnixListener};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    drop(UnixDatagram::bind(&path).unwrap());
    let ours = unix::Datagrams::bind(&path, 0o666).unwrap();
    assert!(unix::Datagrams::bind(&path, 0o666).is_err(), "held");
    UnixDatagram::unbound().unwrap().send_to(b"kept", &path).unwrap();
    ours.remove();
    assert!(!path.exists());
    let mut buffer = [0; 8];
    assert_eq!(smol::block_on(ours.receive(&mut buffer)).unwrap(), 4, "sent before, received after");
    let stream = UnixListener::bind(&path).unwrap();
    assert!(unix::Datagrams::bind(&path, 0o666).is_err(), "held by a socket of another kind");
    drop(ours);
    assert!(path.exists(), "another's file");
    drop(stream);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(unix::Datagrams::bind(&path, 0o666).is_err(), "a file");
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    smol::block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dash.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let live = unix::Listener::bind(&path, 0o660).unwrap();
        assert!(unix::Listener::bind(&path, 0o660).is_err());
        let _client = smol::net::unix::UnixStream::connect(&path).await.unwrap();
        let (_stream, uid) = live.accept().await.unwrap();
        assert_eq!(uid, rustix::process::getuid().as_raw());
        drop(live);
        assert!(!path.exists());
    });
}
