//! A small network to look at: what a hub would say about it, at a fixed moment.

use std::collections::BTreeMap;

use nms_proto::{
    alert::{Alert, Expected, ModelVerdict, Rule, Status, Step, Unexpected},
    confidence::Confidence,
    dash::{
        DASH_PROTOCOL, Endpoint, EndpointKind, EndpointStatus, Hello, Line, Link, ParseErrors, Role, Sample,
        ServerState, Snapshot, SourceAccount, Stats,
    },
    finding::{Category, Evidence},
    id::{EndpointId, EventId, EventSeq, Instance},
    severity::Severity,
    time::Stamp,
};

/// 10:42:07 on the day of all scenes.
pub(crate) fn now() -> Stamp {
    at("10:42:07")
}

/// That time on the day of all scenes.
pub(crate) fn at(clock: &str) -> Stamp {
    Stamp::parse(&format!("2026-01-05T{clock}Z")).unwrap()
}

pub(crate) fn hello() -> Hello {
    Hello {
        protocol: DASH_PROTOCOL,
        version: "0.1.0".into(),
        hub: "pi4".into(),
        uid: 1000,
        role: Role::Operator,
        now: now(),
    }
}

pub(crate) fn alert(id: &str, severity: Severity, source: &str, category: Category, message: &str) -> Alert {
    Alert {
        id: id.parse().unwrap(),
        severity,
        source: EndpointId::new(source),
        category,
        message: message.into(),
        confidence: Confidence::clamped(0.71),
        revision: 1,
        status: Status::Open,
        verdict: None,
        count: 1,
        first_seen: None,
        last_seen: None,
        actor: None,
        victim: None,
        techniques: vec![],
        reasons: vec![],
        evidence: vec![],
        unexpected: vec![],
        model: None,
        rule: None,
        learning: false,
        merged_into: None,
        history: vec![],
    }
}

fn event(seq: u64) -> EventId {
    EventId { instance: Instance([7; 16]), seq: EventSeq(seq) }
}

/// Password guessing that the hub found and the model confirmed.
pub(crate) fn guessing() -> Alert {
    let evidence = |seq: u64, clock: &str, port: u16| Evidence {
        id: event(seq),
        at: at(clock),
        source: EndpointId::new("192.168.1.101"),
        line: format!("sshd[12345]: Failed password for root from 10.0.0.50 port {port} ssh2").into(),
    };
    let message = "37 failed SSH logins for root from 10.0.0.50";
    Alert {
        confidence: Confidence::clamped(0.94),
        revision: 3,
        count: 37,
        first_seen: Some(at("10:41:31")),
        last_seen: Some(at("10:41:55")),
        actor: Some("10.0.0.50".into()),
        victim: Some("root".into()),
        techniques: vec!["T1110".into()],
        reasons: vec!["37 failed logins of one address within 24 s; 5 are enough".into()],
        evidence: vec![evidence(1, "10:41:31", 40022), evidence(2, "10:41:32", 40024)],
        unexpected: vec![
            unexpected("sshd: Failed password for <*> from <*>", 37, 214, Some(0.2)),
            unexpected("sshd: Connection closed by <*> [preauth]", 11, 88, None),
        ],
        model: Some(ModelVerdict {
            id: "logbert-base-3".into(),
            hash: "9f2c51aa03b7d410".into(),
            score: 11.42,
            distance: 2.31,
            p_value: 0.0004,
            threshold: 7.8,
        }),
        rule: Some(Rule { id: "guessing".into(), title: "many failed logins of one actor".into(), author: None }),
        history: vec![Step { at: at("10:41:33"), uid: None, what: "raised".into(), why: None }],
        ..alert("a-00000000000000a1", Severity::High, "192.168.1.101", Category::BruteForce, message)
    }
}

fn unexpected(text: &str, count: u64, rank: u32, per_hour: Option<f32>) -> Unexpected {
    Unexpected {
        event: None,
        text: text.into(),
        count,
        rank,
        candidates: 512,
        probability: 0.0003,
        expected: vec![
            Expected { text: "sshd: Accepted publickey for <*>".into(), probability: 0.62 },
            Expected { text: "CRON: session opened".into(), probability: 0.21 },
        ],
        normal_per_hour: per_hour,
        normal_over_h: per_hour.map(|_| 168.0),
    }
}

pub(crate) fn alerts() -> Vec<Alert> {
    let seen = |alert: Alert, clock: &str, score: f32| Alert {
        first_seen: Some(at(clock)),
        last_seen: Some(at(clock)),
        confidence: Confidence::clamped(score),
        ..alert
    };
    let beacon = "Repeated blocked connections to 203.0.113.9:4444";
    vec![
        Alert {
            status: Status::Closed,
            ..seen(alert("a-04", Severity::Low, "rtr", Category::NetworkAnomaly, "Rare DNS server"), "08:10:00", 0.3)
        },
        Alert {
            count: 12,
            status: Status::Acknowledged,
            ..seen(alert("a-03", Severity::Medium, "192.168.1.1", Category::C2Communication, beacon), "10:33:02", 0.71)
        },
        Alert {
            status: Status::Provisional,
            ..seen(
                alert(
                    "a-02",
                    Severity::Critical,
                    "web01",
                    Category::FileIntegrity,
                    "/etc/passwd changed by no package",
                ),
                "10:39:00",
                0.97,
            )
        },
        guessing(),
    ]
}

pub(crate) fn line(seq: u64, clock: &str, severity: u8, host: &str, app: &str, message: &str) -> Line {
    Line {
        seq,
        at: at(clock),
        source: EndpointId::new(host),
        host: None,
        app: Some(app.into()),
        pid: (app == "sshd").then(|| "12345".into()),
        facility: 4,
        severity,
        message: message.into(),
    }
}

pub(crate) fn lines() -> Vec<Line> {
    let failed = |port| format!("Failed password for root from 10.0.0.50 port {port} ssh2");
    let mut lines = vec![
        line(1, "10:41:31", 4, "192.168.1.101", "sshd", &failed(40022)),
        line(2, "10:41:32", 4, "192.168.1.101", "sshd", &failed(40024)),
        line(3, "10:41:40", 3, "pi4", "kernel", "eth0: link down"),
        line(4, "10:41:41", 6, "rtr", "dhcpd", "lease \u{1b}[31m10.0.0.9 to \u{202e}pot\u{200b}pal"),
        line(5, "10:41:44", 6, "web01", "CRON", "pam_unix(cron:session): session opened for user root"),
        line(6, "10:41:50", 2, "web01", "kernel", "EXT4-fs error (device sda1): unable to read inode block"),
        line(
            7,
            "10:41:52",
            7,
            "pi4",
            "systemd",
            "Started Session 12 of User admin, with a line that is longer than it is wide here",
        ),
        line(
            8,
            "10:41:55",
            5,
            "rtr",
            "dropbear",
            "Exit (admin): Disconnect received — ordinary, mit Umlauten: äöü 日本",
        ),
    ];
    for seq in 9..=30 {
        lines.push(line(seq, &format!("10:42:{:02}", seq % 7), 6, "web01", "nginx", &format!("GET /item/{seq} 200")));
    }
    lines
}

fn endpoint(name: &str, address: Option<&str>, kind: EndpointKind, status: EndpointStatus, rate: f32) -> Endpoint {
    let is_agent = kind == EndpointKind::Agent;
    Endpoint {
        name: EndpointId::new(name),
        address: address.map(Into::into),
        kind,
        status,
        last_seen: Some(at("10:42:05")),
        events_per_s: rate,
        queued: is_agent.then_some(0),
        parse_errors: 0,
        version: is_agent.then(|| "0.1.0".into()),
        also: Vec::new(),
    }
}

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let late = Endpoint {
        last_seen: Some(at("10:41:02")),
        queued: Some(3100),
        ..endpoint("db02", Some("10.0.0.12"), EndpointKind::Agent, EndpointStatus::Late, 0.4)
    };
    let noisy = Endpoint {
        parse_errors: 4,
        ..endpoint("10.0.0.77", Some("10.0.0.77"), EndpointKind::Syslog, EndpointStatus::Up, 0.1)
    };
    vec![
        endpoint("self", None, EndpointKind::Own, EndpointStatus::Up, 2.5),
        endpoint("web01", Some("10.0.0.11"), EndpointKind::Agent, EndpointStatus::Up, 96.0),
        late,
        endpoint("192.168.1.101", Some("192.168.1.101"), EndpointKind::Syslog, EndpointStatus::Up, 44.2),
        noisy,
    ]
}

pub(crate) fn link() -> Link {
    let account = |source: &str, received, dropped: u64| SourceAccount {
        source: EndpointId::new(source),
        received,
        delivered: received - dropped,
        waiting: 0,
        dropped: if dropped > 0 { BTreeMap::from([("udp_shed".into(), dropped)]) } else { BTreeMap::new() },
        rejected: if source == "10.0.0.77" { BTreeMap::from([("invalid_pri".into(), 4)]) } else { BTreeMap::new() },
    };
    Link {
        server: ServerState::Ok,
        since: Some(at("09:00:00")),
        problem: None,
        rtt_ms: Some(12),
        retry_in_s: None,
        busy_percent: None,
        disk: None,
        queue: 0,
        queue_max: 1_000_000,
        model: Some("logbert-base-3".into()),
        tenant: Some("home".parse().unwrap()),
        sources: vec![account("web01", 345_612, 0), account("192.168.1.101", 98_211, 0), account("10.0.0.77", 12, 0)],
    }
}

/// The same link 2m14s after the server went away.
pub(crate) fn link_down() -> Link {
    let mut link = Link {
        server: ServerState::Down,
        since: Some(at("10:39:53")),
        problem: Some("connection refused".into()),
        rtt_ms: None,
        retry_in_s: Some(18),
        queue: 3_120,
        ..link()
    };
    if let Some(source) = link.sources.first_mut() {
        source.waiting = 3_120;
    }
    link
}

pub(crate) fn snapshot() -> Snapshot {
    let raw = "PDk5OT5oZWxsbyAbWzJK/w==";
    Snapshot {
        alerts: alerts(),
        alerts_follow: 0,
        lines: lines(),
        endpoints: endpoints(),
        stats: Stats {
            events: 443_835,
            events_per_s: 143.0,
            events_per_min: (0..60)
                .map(|minute| 40 + minute * minute % 97 * if minute > 52 { 20 } else { 1 })
                .collect(),
            parse_errors: 4,
            endpoints: Some(4),
            alerts_open: 3,
            alerts: 4,
            analysis_ms: Some(45),
        },
        parse_errors: vec![ParseErrors {
            source: EndpointId::new("10.0.0.77"),
            reasons: BTreeMap::from([("invalid_pri".into(), 4)]),
            first_seen: at("10:01:00"),
            last_seen: at("10:40:00"),
            samples: vec![Sample { at: at("10:40:00"), reason: "invalid_pri".into(), raw: raw.into(), bytes: 16 }],
        }],
        link: link(),
    }
}
