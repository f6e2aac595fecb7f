//! A conversation in which everything that can be said is said once, as JSON; `record` writes it with the types of the
//! version that it records.

use nms_proto::alert::{Status, Verdict};
use nms_proto::event::Change;
use nms_proto::finding::Category;
use nms_proto::message::CommandAction;
use serde_json::{Value, json};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The sender, or the dashboard.
    Up,
    /// The receiver, or the hub.
    Down,
}

impl Way {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

const AT: &str = "2026-01-05T15:30:04.812+01:00";
const INSTANCE: &str = "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f";

/// Everything that one side of a link says, in order.
pub(super) fn said(link: &str, way: Way) -> Vec<Value> {
    match (link, way) {
        ("dash", Way::Up) => dashboard(),
        ("dash", Way::Down) => hub(),
        (_, Way::Up) => sender(link),
        (_, Way::Down) => receiver(),
    }
}

fn message(kind: &str, payload: &Value) -> Value {
    json!({ "type": kind, "timestamp": "2026-01-05T14:30:00Z", "payload": payload })
}

fn sender(link: &str) -> Vec<Value> {
    let mut said = vec![
        message(
            "REGISTER",
            &json!({ "client_version": "0.1.0", "hostname": "home-hub", "os": "Linux 6.1.0", "endpoints_count": 3,
                     "protocol": 1, "instance": INSTANCE, "token": "secret", "utc_offset_s": 3600, "next": 5 }),
        ),
        heartbeat(1),
        batch(1, &json!([]), &bodies(link)),
        batch(2, &json!([]), &[event(40, "syslog", &syslog("a line without more", &json!({})))]),
        message("EVENT", &json!({ "source": "pi", "at": AT, "syslog": syslog("of an original agent", &json!({})) })),
        message("ACK", &json!({ "status": "ok", "message": "", "results": 1 })),
        message("ACK", &json!({ "status": "error", "message": "prevention is not built yet", "command_id": "cmd-1" })),
        batch(
            4,
            &json!([{ "from": 3, "to": 3, "events": 64, "cause": "spool_full" }]),
            &[event(41, "syslog", &syslog("after a loss", &json!({})))],
        ),
        heartbeat(2),
    ];
    let upward = CommandAction::ALL.iter().enumerate().filter(|(_, action)| **action != CommandAction::Enroll);
    said.extend(upward.map(|(number, action)| command(&format!("up-{number}"), action.as_str(), "a-7c1e5b2a90d3f418")));
    said.push(command("renew-1", "enroll", ""));
    said
}

fn command(id: &str, action: &str, target: &str) -> Value {
    let arguments = json!({ "csr": "-----BEGIN CERTIFICATE REQUEST-----\nMIH\n-----END CERTIFICATE REQUEST-----\n" });
    let arguments = if action == "enroll" { arguments } else { json!({ "scope": "all" }) };
    message("COMMAND", &json!({ "command_id": id, "action": action, "target": target, "arguments": arguments }))
}

fn heartbeat(number: u64) -> Value {
    message(
        "HEARTBEAT",
        &json!({ "uptime_seconds": 3600, "events_queued": 12, "endpoints_connected": 3, "received": 52_044,
                 "delivered": 52_020, "dropped": { "udp_receive_buffer": 7 }, "rejected": { "empty": 5 },
                 "oldest_age_ms": 410, "heartbeat": number }),
    )
}

fn batch(number: u64, skipped: &Value, events: &[Value]) -> Value {
    message("BATCH_EVENT", &json!({ "batch": number, "skipped": skipped, "origins": [INSTANCE], "events": events }))
}

fn event(number: u64, name: &str, body: &Value) -> Value {
    json!({ "source": "192.168.1.101", "id": [0, number], "at": AT, "device_at": "2026-01-05T15:30:04.000+01:00",
            "host": "pi", "raw": "AP8=", name: body })
}

fn syslog(text: &str, more: &Value) -> Value {
    let mut line = json!({ "facility": 4, "severity": 5, "app": "sshd", "pid": 12_345, "message": text });
    let members = line.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    line
}

/// Every body, with every member.
fn bodies(link: &str) -> Vec<Value> {
    let full = json!({ "pid": "worker", "msgid": "ID47", "structured_data": "[x@32473 a=\"b\"]" });
    let mut events = vec![event(1, "syslog", &syslog("Failed password for root", &full))];
    for (number, change) in (10..).zip(Change::ALL) {
        let file = json!({ "path": "/etc/passwd", "change": change.as_str(), "old_sha256": "0".repeat(64),
            "new_sha256": "f".repeat(64), "owner": "root", "group": "root", "mode": "0644", "size": 1_812, "inode": 77,
            "mtime": AT, "sessions": ["root", "pi"], "package_manager": true, "command_id": "cmd-1" });
        events.push(event(number, "file", &file));
    }
    events.push(event(20, "report", &json!({ "command_id": "cmd-1", "files": 900, "changed": 2, "unreadable": 1 })));
    let process =
        json!({ "pid": 4_242, "exe": "/usr/bin/nc", "cmdline": "nc -l 4444", "parent": "/bin/sh", "user": "pi" });
    events.push(event(21, "process", &process));
    let connection = json!({ "exe": "/usr/bin/nc", "proto": "tcp", "direction": "out", "local_port": 50_022,
        "remote": "203.0.113.9", "remote_port": 443, "user": "pi" });
    events.push(event(22, "connection", &connection));
    let loss =
        json!({ "source": "192.168.1.9", "cause": "rejected_pri_out_of_range", "count": 3, "sample": "PDk5OT4=" });
    events.push(event(23, "loss", &loss));
    if link == "hub-server" {
        let finding = json!({ "alert": "a-7c1e5b2a90d3f418", "revision": 2, "rule": "guessing", "key": "access/10.0.0.50",
            "category": "brute_force", "floor": "HIGH", "confidence": 0.75, "message": "password guessing for root",
            "reasons": ["8 failed logins in 60 s"], "techniques": ["T1110.001"], "actor": "10.0.0.50", "victim": "root",
            "source": "192.168.1.101", "count": 8, "first_seen": AT, "last_seen": AT, "evidence": [evidence()],
            "resolved": true });
        events.push(event(24, "finding", &finding));
    }
    events
}

fn evidence() -> Value {
    json!({ "id": format!("{INSTANCE}:90112"), "at": AT, "source": "192.168.1.101", "line": "sshd: Failed password for root" })
}

/// An alert of each category; every status and verdict among them, and one with every member.
fn alerts() -> Vec<Value> {
    let each = |(number, category): (usize, &Category)| {
        let status = Status::ALL[number % Status::ALL.len()].as_str();
        let verdict = Verdict::ALL[number % Verdict::ALL.len()].as_str();
        let severity = ["INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"][number % 5];
        json!({ "id": format!("a-{number:016x}"), "severity": severity, "source": "192.168.1.101",
                "category": category.as_str(), "message": "something", "confidence": 0.5, "revision": 3,
                "status": status, "verdict": verdict, "count": 37 })
    };
    let mut alerts: Vec<Value> = Category::ALL.iter().enumerate().map(each).collect();
    let more = json!({ "first_seen": AT, "last_seen": AT, "actor": "10.0.0.50", "victim": "root",
        "techniques": ["T1110.001"], "reasons": ["37 failed logins in 33 s"], "evidence": [evidence()],
        "unexpected": [{ "event": format!("{INSTANCE}:90112"), "text": "Failed password for <*>", "count": 37, "rank": 40,
            "candidates": 120, "probability": 0.015_625, "expected": [{ "text": "session opened", "probability": 0.5 }],
            "normal_per_hour": 0.25, "normal_over_h": 24.0 }],
        "model": { "id": "base", "hash": "65589605e52f1c3d", "score": 4.5, "distance": 1.25, "p_value": 0.007_812_5,
            "threshold": 0.031_25 },
        "rule": { "id": "guessing", "title": "Password guessing", "author": "nms" }, "learning": true,
        "merged_into": "a-0000000000000001",
        "history": [{ "at": AT, "uid": 1000, "what": "acknowledge", "why": "looking" }] });
    alerts[0].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    alerts
}

fn receiver() -> Vec<Value> {
    let config = json!({ "heartbeat_interval": 30, "batch_size": 128, "window": 64 });
    vec![
        message(
            "ACK",
            &json!({ "status": "ok", "message": "registration successful", "config": config, "batch": 0, "tenant": "home" }),
        ),
        message("ACK", &json!({ "status": "ok", "message": "", "heartbeat": 1 })),
        message("ACK", &json!({ "status": "ok", "message": "", "batch": 1 })),
        message(
            "ACK",
            &json!({ "status": "SERVER_BUSY", "message": "tenant backlog 9.6 MiB", "batch": 2, "retry_after_ms": 500 }),
        ),
        message(
            "RESULTS",
            &json!({ "seq": 1, "alerts": alerts(),
                     "stats": { "events_processed": 64, "anomalies_detected": 1, "processing_time_ms": 4 } }),
        ),
        command("cmd-1", "request_fim_report", "192.168.1.101/pi"),
        message("ACK", &json!({ "status": "ok", "message": "", "batch": 4 })),
        message("ACK", &json!({ "status": "ok", "message": "", "heartbeat": 2 })),
        message(
            "ACK",
            &json!({ "status": "ok", "message": "", "command_id": "renew-1",
                     "certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
                     "ca": "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n" }),
        ),
    ]
}

fn dash(kind: &str, payload: &Value) -> Value {
    json!({ "type": kind, "payload": payload })
}

fn dashboard() -> Vec<Value> {
    let command = json!({ "id": 7, "action": "close", "alert": "a-7c1e5b2a90d3f418", "verdict": "false_positive",
        "reason": "our own scanner", "scope": "10.0.0.50", "for_s": 3600 });
    vec![dash("subscribe", &json!({ "after": 90_000, "lines_per_s_max": 500 })), dash("command", &command)]
}

fn hub() -> Vec<Value> {
    let lines = json!([{ "seq": 90_112, "at": AT, "source": "192.168.1.101", "host": "pi", "app": "sshd", "pid": "12345",
        "facility": 4, "severity": 5, "message": "Failed password for root" }]);
    let endpoints: Vec<Value> = ["agent", "syslog", "self"]
        .iter()
        .zip(["up", "late", "down"])
        .map(|(kind, status)| {
            json!({ "name": "192.168.1.7/nas", "address": "192.168.1.7", "kind": kind, "status": status, "last_seen": AT,
                    "events_per_s": 2.5, "queued": 4, "parse_errors": 0, "version": "0.1.0", "also": ["192.168.1.7"] })
        })
        .collect();
    let stats = json!({ "events": 123_456, "events_per_s": 210.5, "events_per_min": [12_000, 12_600], "parse_errors": 3,
        "endpoints": 7, "alerts_open": 1, "alerts": 4, "analysis_ms": 4 });
    let errors = json!([{ "source": "192.168.1.9", "reasons": { "pri_out_of_range": 2 }, "first_seen": AT, "last_seen": AT,
        "samples": [{ "at": AT, "reason": "pri_out_of_range", "raw": "PDk5OT4=", "bytes": 13 }] }]);
    let link = json!({ "server": "busy", "since": AT, "problem": "connection refused", "rtt_ms": 3, "retry_in_s": 4,
        "busy_percent": 90, "disk": "the disk of /var/lib/nmsd-hub/spool.redb is full", "queue": 64, "queue_max": 1_000_000,
        "model": "base 65589605e52f", "tenant": "home",
        "sources": [{ "source": "192.168.1.101", "received": 1_005, "delivered": 936, "waiting": 64,
            "dropped": { "shed": 2 }, "rejected": { "empty": 3 } }] });
    let alert = alerts().remove(0);
    let snapshot = json!({ "alerts": [alert], "alerts_follow": 2, "lines": lines, "endpoints": endpoints, "stats": stats,
        "parse_errors": errors, "link": link });
    let hello = json!({ "protocol": 1, "version": "0.1.0", "hub": "pi4", "uid": 1000, "role": "operator", "now": AT });
    vec![
        dash("hello", &hello),
        dash("snapshot", &snapshot),
        dash("lines", &lines),
        dash("gap", &json!({ "lines": 1_200 })),
        dash("alert", &alert),
        dash("endpoints", &json!(endpoints)),
        dash("stats", &stats),
        dash("parse_errors", &errors),
        dash("link", &link),
        dash("result", &json!({ "id": 7, "ok": true, "message": "a-7c1e5b2a90d3f418 closed" })),
    ]
}
