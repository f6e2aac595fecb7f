//! Who may connect, in virtual time: places of an address, of a port, turns, and who gives way.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use nms_kit::{
    net::{
        gate::{Bounds, Gate, Place, Reason},
        tcp,
    },
    task::Tasks,
    tls,
};
use nms_proto::{limits::CONNECTIONS_PER_ADDRESS, time::Tick};
use smol::io::AsyncReadExt as _;

const SMALL: Bounds = Bounds { per_address: 2, total: 4, per_second: 10, burst: 3, addresses: 8 };

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

/// Whether a place is asked to give way.
fn is_given_up(place: &Place) -> bool {
    smol::block_on(smol::future::poll_once(place.given_up())).is_some()
}

#[test]
fn an_address_has_its_places_and_one_that_ends_is_free_again() {
    let gate = Gate::new(SMALL);
    let first = gate.admit(Tick(0), v4(1)).unwrap();
    let _second = gate.admit(Tick(0), v4(1)).unwrap();
    let refused = gate.admit(Tick(0), v4(1)).unwrap_err();
    assert_eq!((refused.reason, refused.is_news), (Reason::Address(2), true));
    let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped();
    assert_eq!(gate.admit(Tick(0), mapped.into()).unwrap_err().reason, Reason::Address(2), "the same host");
    let _other = gate.admit(Tick(0), v4(2)).unwrap();
    drop(first);
    let _again = gate.admit(Tick(0), v4(1)).unwrap();
    assert_eq!((gate.standing().open, gate.standing().addresses), (3, 2));
    assert_eq!(gate.standing().refused["connections_of_address"], 2);
}

#[test]
fn an_ipv6_network_of_a_host_is_one_address() {
    let gate = Gate::new(SMALL);
    let host = |network: u16, host: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host));
    let _places = [1, 2].map(|number| gate.admit(Tick(0), host(7, number)).unwrap());
    assert_eq!(gate.admit(Tick(0), host(7, 3)).unwrap_err().reason, Reason::Address(2));
    assert!(gate.admit(Tick(0), host(8, 1)).is_ok(), "another network is another address");
}

/// Log lines about bad peers that are themselves unbounded.
#[test]
fn log_lines_about_bad_peers_are_bounded() {
    let gate = Gate::new(SMALL);
    let places = [0, 0].map(|now| gate.admit(Tick(now), v4(1)).unwrap());
    places.iter().for_each(Place::works);
    // A refusal each millisecond for three minutes, a line a minute.
    let news = (0..180_000).filter(|ms| gate.admit(Tick(*ms), v4(1)).unwrap_err().is_news).count();
    assert_eq!(news, 3);
    assert_eq!(gate.standing().refused["connections_of_address"], 180_000, "all of them are counted");
}

#[test]
fn a_line_of_the_log_is_cut_and_shows_what_it_holds() {
    use nms_kit::logger::{LINE_BYTES_MAX, one_line};
    let endless = format!("a peer was refused name={:?}", "x\n".repeat(1 << 20));
    assert!(one_line(&endless).len() <= LINE_BYTES_MAX + 16);
    let forged = one_line("name\nNov 25 03:00:00 nmsd-hub: forged\r\u{1b}[2J\u{9b}m\u{202e}\u{2066}\u{200b}");
    assert!(!forged.contains(|c: char| c.is_control() || nms_proto::unseen::is_unseen(c)), "{forged:?}");
    assert!(forged.contains("name\\u{a}Nov"), "{forged:?}");
}

#[test]
fn those_that_come_too_fast_wait_for_their_turn_and_none_is_lost() {
    let gate = Gate::new(Bounds { per_address: 10, total: 10, ..SMALL });
    let turns = |now: u64, count: usize| -> Vec<u64> {
        (0..count).map(|_| gate.admit(Tick(now), v4(1)).unwrap().turn.0).collect()
    };
    // Three at once, then ten a second.
    assert_eq!(turns(1_000, 6), [1_000, 1_000, 1_000, 1_100, 1_200, 1_300]);
    assert_eq!(gate.admit(Tick(1_000), v4(2)).unwrap().turn, Tick(1_000), "nobody waits for another one");
    assert_eq!(gate.standing().refused["connections_held_back"], 3);
    // After the time of a whole burst it may have one again, and not more than one.
    assert_eq!(turns(60_000, 5), [60_000, 60_000, 60_000, 60_100, 60_200]);
}

#[test]
fn a_refusal_costs_an_address_nothing_later() {
    let gate = Gate::new(SMALL);
    let places = [0, 0].map(|now| gate.admit(Tick(now), v4(1)).unwrap());
    for now in 0..50 {
        assert!(gate.admit(Tick(now), v4(1)).is_err());
    }
    drop(places);
    assert_eq!(gate.admit(Tick(200), v4(1)).unwrap().turn, Tick(200), "a place is free, and its turn is now");
    assert!(gate.admit(Tick(200), v4(1)).is_ok_and(|place| place.turn == Tick(200)));
}

#[test]
fn at_its_own_limit_an_address_gives_up_what_was_idle_for_a_minute() {
    let gate = Gate::new(SMALL);
    let [old, young] = [0, 50_000].map(|now| gate.admit(Tick(now), v4(1)).unwrap());
    assert_eq!(gate.admit(Tick(59_999), v4(1)).unwrap_err().reason, Reason::Address(2));
    let newcomer = gate.admit(Tick(60_000), v4(1)).unwrap();
    assert_eq!([&old, &young].map(is_given_up), [true, false]);
    for place in [&young, &newcomer] {
        place.works();
    }
    assert_eq!(
        gate.admit(Tick(200_000), v4(1)).map(|_| ()).unwrap_err().reason,
        Reason::Address(2),
        "none that is idle"
    );
}

#[test]
fn at_a_full_port_the_one_with_most_idle_connections_gives_the_oldest_up() {
    let gate = Gate::new(Bounds { per_address: 3, ..SMALL });
    let honest = gate.admit(Tick(0), v4(1)).unwrap();
    let hostile = [1, 2, 3].map(|now| gate.admit(Tick(now), v4(2)).unwrap());
    let newcomer = gate.admit(Tick(4), v4(3)).unwrap();
    assert!(!is_given_up(&honest), "it waits for longest, and its address has but one");
    assert_eq!(hostile.each_ref().map(is_given_up), [true, false, false]);
    // A byte now and then keeps a connection young, and its address as full as before.
    hostile[1].waits(Tick(5));
    let _fifth = gate.admit(Tick(6), v4(4)).unwrap();
    assert_eq!(hostile.each_ref().map(is_given_up), [true, false, true]);
    assert_eq!(gate.standing().open, 4);
    // Those that give way later than they were asked to take nobody else's place with them.
    drop(hostile);
    assert_eq!(gate.standing().open, 3);
    drop((honest, newcomer));
    assert_eq!(gate.standing().refused["connections_gave_way"], 2);
}

#[test]
fn who_is_known_or_worked_for_does_not_give_way() {
    let gate = Gate::new(SMALL);
    let places = [1, 1, 2, 2].map(|last| gate.admit(Tick(0), v4(last)).unwrap());
    for place in &places {
        assert!(place.settle());
    }
    let refused = gate.admit(Tick(1), v4(3)).unwrap_err();
    assert_eq!(refused.reason, Reason::Total(4));
    assert!(!places.iter().any(is_given_up));
    places[3].waits(Tick(2));
    let _newcomer = gate.admit(Tick(3), v4(3)).unwrap();
    assert!(is_given_up(&places[3]) && !places[3].settle(), "asked to leave, it cannot settle any more");
}

#[test]
fn addresses_that_are_remembered_are_bounded() {
    let gate = Gate::new(SMALL);
    let place = gate.admit(Tick(0), v4(1)).unwrap();
    for number in 0..100_000_u32 {
        drop(gate.admit(Tick(0), Ipv4Addr::from(0x0a00_0000 + number).into()));
    }
    assert_eq!(gate.standing().remembered, SMALL.addresses);
    drop(place);
    drop(gate.admit(Tick(10_000), v4(7)));
    assert_eq!(gate.standing().remembered, 1, "who may have a whole burst again is forgotten first");
}

/// Per-address limits counted before the work: of 200 connections of one address no more than its places are handled.
#[test]
fn per_address_limits_are_counted_before_the_work() {
    let tasks = Tasks::start(1).unwrap();
    let (gate, handled) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    smol::block_on(async {
        let listener = tcp::Listener::bind("127.0.0.1:0".parse().unwrap(), gate.clone()).await.unwrap();
        let address = listener.address().unwrap().to_string();
        let counted = Arc::clone(&handled);
        let handle = move |mut stream: smol::net::TcpStream, _peer, _arrived| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { drop(stream.read(&mut [0]).await) }
        };
        tasks.spawn("listen", listener.serve(tasks.clone(), "peer", handle));
        let mut peers = Vec::new();
        for _ in 0..200 {
            peers.push(tcp::dial(&address).await.unwrap());
        }
        // Those that were refused are closed; the last ones to come are.
        assert!(matches!(peers[199].read(&mut [0]).await, Ok(0) | Err(_)));
    });
    assert_eq!(handled.load(Ordering::Relaxed), CONNECTIONS_PER_ADDRESS);
    assert_eq!(gate.standing().refused["connections_of_address"], 200 - CONNECTIONS_PER_ADDRESS as u64);
    assert_eq!(tasks.join(10_000), [""; 0]);
}

/// Slow handshakes: the deadline stands before anything is known of the peer, and what drips in does not move it.
#[test]
fn slow_handshakes_end_at_a_deadline_before_authentication() {
    smol::block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let files = nms_kit::pki::Files::within(folder.path());
        nms_kit::pki::init(&files, &["127.0.0.1".into()], nms_kit::clock::unix_ms()).unwrap();
        let acceptor = tls::acceptor(&files.certificate, &files.key).unwrap();
        let mut listener = tcp::Listener::bind("127.0.0.1:0".parse().unwrap(), Gate::default()).await.unwrap();
        let mut peer = tcp::dial(&listener.address().unwrap().to_string()).await.unwrap();
        let (stream, _, _place) = listener.accept().await;
        let drip = async {
            // The beginning of a handshake of 512 bytes, one of them at a time, and never all.
            for byte in [0x16, 3, 1, 2, 0].into_iter().chain(std::iter::repeat(1)) {
                smol::io::AsyncWriteExt::write_all(&mut peer, &[byte]).await.ok();
                nms_kit::clock::pause(5).await;
            }
            unreachable!()
        };
        let deadline = nms_kit::clock::tick().plus(60);
        let failed = smol::future::or(tls::accept(&acceptor, stream, deadline), drip).await.unwrap_err();
        assert!(nms_kit::clock::tick() >= deadline, "not before its time");
        assert!(failed.problem.contains("timed out"), "{}", failed.problem);
    });
}
