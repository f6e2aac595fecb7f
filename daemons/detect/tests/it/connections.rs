//! Connections that processes make: to controllers and pools, and as every day.

use nms_proto::event::{Body, NetConnection};

use crate::{
    host::{Hub, check},
    many::worst,
};

fn connected(exe: &str, direction: &str, remote: &str, remote_port: u16) -> Body {
    Body::Connection(Box::new(NetConnection {
        exe: exe.into(),
        proto: "tcp".into(),
        direction: direction.into(),
        local_port: 40_022,
        remote: remote.into(),
        remote_port,
        user: "www-data".into(),
    }))
}

#[test]
fn shells_and_temporary_programs_outside_are_medium() {
    for exe in
        ["/bin/bash", "/usr/bin/dash", "/usr/bin/nc.openbsd", "/tmp/x", "/dev/shm/.a/kworker", "/tmp/x (deleted)"]
    {
        let mut hub = Hub::new();
        hub.feed(0.0, "web", connected(exe, "out", "203.0.113.66", 443));
        check(&hub.text(), &format!("1 MEDIUM c2_communication x1 open: {exe} on web connects to 203.0.113.66:443"));
        assert_eq!(hub.said[0].actor.as_deref(), Some("web"));
        for at in 1..12 {
            hub.feed(f64::from(at) * 60.0, "web", connected(exe, "out", "203.0.113.66", 443));
        }
        assert_eq!((worst(&hub), hub.alerts()), ("HIGH", 1), "{}", hub.text());
    }
}

#[test]
fn pools_of_miners_are_medium() {
    for (exe, port) in [("/usr/bin/xmrig", 3333), ("/opt/worker", 14_444), ("/usr/bin/python3.11", 45_700)] {
        let mut hub = Hub::new();
        hub.feed(0.0, "web", connected(exe, "out", "203.0.113.66", port));
        check(&hub.text(), &format!("1 MEDIUM malware x1 open: {exe} on web connects to 203.0.113.66:{port}"));
    }
}

#[test]
fn a_rhythm_is_low_and_of_known_programs_silent() {
    let mut hub = Hub::new();
    for at in 0..20 {
        let second = f64::from(at) * 300.0 + f64::from(at % 3) * 5.0;
        hub.feed(second, "web", connected("/opt/agent/update", "out", "203.0.113.66", 443));
        for exe in ["/usr/sbin/chronyd", "/usr/lib/apt/methods/http", "/usr/bin/telegraf", "/usr/sbin/openvpn"] {
            hub.feed(second, "web", connected(exe, "out", "203.0.113.66", 443));
        }
    }
    assert_eq!((worst(&hub), hub.alerts()), ("LOW", 1), "{}", hub.text());
    assert_eq!(
        &*hub.said[0].reasons[0],
        "/opt/agent/update, run by www-data, connects by the clock, every 5 min (spread 2 %, limit 10 %)"
    );
}

/// Browsers, scripts that fetch something, shells that stay inside, file sharing, and what comes in.
#[test]
fn ordinary_connections_are_silent() {
    let mut hub = Hub::new();
    let mut second = 0.0;
    for at in 0..400_u32 {
        second += f64::from(at.wrapping_mul(2_654_435_769) % 90);
        let remote = format!("203.0.113.{}", at % 250);
        for (exe, direction, remote, port) in [
            ("/usr/lib/firefox/firefox", "out", remote.as_str(), 443),
            ("/usr/bin/python3.11", "out", &remote, 443),
            ("/usr/bin/curl", "out", "203.0.113.7", 443),
            ("/bin/bash", "out", "192.168.1.9", 5432),
            ("/tmp/.mount_AppXyz/app", "out", &remote, 443),
            ("/tmp/pip-build-env-x/python", "out", &remote, 443),
            ("/tmp/jenkins1/agent", "out", &remote, 443),
            ("/tmp/bazel_x/fetch", "out", &remote, 443),
            ("/bin/busybox", "out", &remote, 123),
            ("/usr/bin/transmission-daemon", "out", &remote, 3333),
            ("/usr/sbin/sshd", "in", &remote, 40_000),
            ("/bin/bash", "out", "127.0.0.1", 80),
            ("", "out", &remote, 443),
            ("/usr/bin/x", "out", "not an address", 443),
        ] {
            hub.feed(second, "web", connected(exe, direction, remote, port));
        }
    }
    check(&hub.text(), "");
}

/// A small system's client of time is busybox like all its programs: by the clock it is no worse than an unknown one.
#[test]
fn busybox_by_the_clock_is_low() {
    let mut hub = Hub::new();
    for at in 0..20 {
        hub.feed(f64::from(at) * 300.0, "router", connected("/bin/busybox", "out", "203.0.113.66", 123));
    }
    assert_eq!((worst(&hub), hub.alerts()), ("LOW", 1), "{}", hub.text());
}

#[test]
fn ten_thousand_connections_are_one_alert() {
    let mut hub = Hub::new();
    for at in 0..10_000 {
        hub.feed(f64::from(at) * 0.5, "web", connected("/tmp/x", "out", "203.0.113.66", 443));
    }
    assert_eq!(hub.alerts(), 1);
    assert!(hub.said.len() <= 6, "{}", hub.text());
}
