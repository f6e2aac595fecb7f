//! Guessing, and guessing that succeeds.

use nms_proto::finding::Category;

use crate::host::{Hub, check, line, refused};

#[test]
fn five_in_a_minute_are_worth_a_look_and_eight_in_two_worth_one_now() {
    let mut hub = Hub::new();
    for attempt in 0..8 {
        hub.feed(f64::from(attempt) * 3.0, "10.0.0.1", refused("root", "10.0.0.50", 100 + attempt));
    }
    check(
        &hub.text(),
        "1 MEDIUM brute_force x5 open: password guessing for root from 10.0.0.50
         2 HIGH brute_force x8 open: password guessing for root from 10.0.0.50",
    );
    let last = hub.said.last().unwrap();
    check(
        &last.reasons.join("\n"),
        "5 failed logins of root from 10.0.0.50 within 12 s (limit 5 in 60 s)
         8 failed logins of root from 10.0.0.50 within 21 s (limit 8 in 120 s)
         8 events in 21 s, the last at 2026-03-10T10:00:21.000Z",
    );
    assert_eq!(last.evidence.len(), 8);
    assert_eq!(&*last.evidence[0].line, "sshd: Failed password for root from 10.0.0.50 port 40022 ssh2");
    assert_eq!((last.actor.as_deref(), last.victim.as_deref()), (Some("10.0.0.50"), Some("10.0.0.1")));
    assert_eq!(last.techniques.iter().map(|id| &**id).collect::<Vec<_>>(), ["T1110", "T1110.001"]);
}

#[test]
fn people_who_mistype_raise_nothing() {
    let mut hub = Hub::new();
    for day in 0..5 {
        for attempt in 0..4 {
            let at = f64::from(day) * 600.0 + f64::from(attempt) * 5.0;
            hub.feed(at, "10.0.0.1", refused("alice", "10.0.0.7", 7));
        }
        let at = f64::from(day) * 600.0 + 25.0;
        hub.feed(at, "10.0.0.1", line("sshd", 7, "Accepted password for alice from 10.0.0.7 port 1 ssh2"));
    }
    check(&hub.text(), "");
}

/// On a host that takes keys only, a guess is `Invalid user` and a closed connection: one attempt, not two.
#[test]
fn an_attempt_told_by_several_lines_counts_once() {
    let mut hub = Hub::new();
    for pid in 1..5 {
        let at = f64::from(pid);
        hub.feed(at, "h", line("sshd", pid, "Invalid user bob from 10.0.0.50 port 1"));
        hub.feed(at, "h", line("sshd", pid, "Failed password for invalid user bob from 10.0.0.50 port 1 ssh2"));
        hub.feed(at, "h", line("sshd", pid, "Connection closed by invalid user bob 10.0.0.50 port 1 [preauth]"));
    }
    check(&hub.text(), "");
    for pid in 10..14 {
        let at = f64::from(pid);
        hub.feed(at, "h", line("sshd", pid, "Invalid user bob from 10.0.0.50 port 1"));
        hub.feed(at, "h", line("sshd", pid, "Connection closed by invalid user bob 10.0.0.50 port 1 [preauth]"));
    }
    check(
        &hub.text(),
        "1 MEDIUM brute_force x5 open: password guessing for bob from 10.0.0.50
         2 HIGH brute_force x8 open: password guessing for bob from 10.0.0.50",
    );
}

#[test]
fn a_repeated_message_counts_as_often_as_it_says() {
    let mut hub = Hub::new();
    let text = "message repeated 7 times: [ Failed password for root from 10.0.0.50 port 1 ssh2]";
    hub.feed(0.0, "h", refused("root", "10.0.0.50", 5));
    hub.feed(9.0, "h", line("sshd", 5, text));
    check(&hub.text(), "1 HIGH brute_force x8 open: password guessing for root from 10.0.0.50");
}

#[test]
fn ten_thousand_failures_are_one_alert_of_few_revisions() {
    for seconds_apart in [0.001, 0.05, 1.0, 15.0] {
        let mut hub = Hub::new();
        for attempt in 0..10_000 {
            hub.feed(f64::from(attempt) * seconds_apart, "h", refused("root", "10.0.0.50", attempt));
        }
        hub.wait(10_000.0 * seconds_apart + 4_000.0);
        // A host that guessers made talk for a day and a half is missed when it stops.
        hub.said.retain(|finding| finding.category != Category::Silence);
        assert_eq!(hub.alerts(), 1, "{seconds_apart}");
        assert!(hub.said.len() <= 6, "{seconds_apart}: {}", hub.text());
        let last = hub.said.last().unwrap();
        assert!(last.resolved && last.count == 10_000 && last.revision == hub.said.len() as u64, "{}", hub.text());
    }
}

#[test]
fn quiet_resolves_and_the_next_day_reopens_the_same_alert() {
    let mut hub = Hub::new();
    let burst = |hub: &mut Hub, start: f64| {
        for attempt in 0..5 {
            hub.feed(start + f64::from(attempt), "h", refused("root", "10.0.0.50", attempt));
        }
    };
    burst(&mut hub, 0.0);
    hub.wait(4_000.0);
    burst(&mut hub, 50_000.0);
    hub.wait(60_000.0);
    burst(&mut hub, 250_000.0);
    check(
        &hub.text(),
        "1 MEDIUM brute_force x5 open: password guessing for root from 10.0.0.50
         2 MEDIUM brute_force x5 resolved: password guessing for root from 10.0.0.50
         3 MEDIUM brute_force x10 open: password guessing for root from 10.0.0.50
         4 MEDIUM brute_force x10 resolved: password guessing for root from 10.0.0.50
         1 MEDIUM brute_force x5 open: password guessing for root from 10.0.0.50",
    );
    assert_eq!(hub.alerts(), 2);
    assert_eq!(&*hub.said[2].reasons[1], "again, after 13 h of quiet");
}

#[test]
fn a_login_after_guessing_is_critical_and_what_it_does_joins() {
    let mut hub = Hub::new();
    for attempt in 0..8 {
        hub.feed(f64::from(attempt), "web", refused("deploy", "203.0.113.9", attempt));
    }
    hub.feed(20.0, "web", line("sshd", 50, "Accepted password for deploy from 203.0.113.9 port 1 ssh2"));
    hub.feed(80.0, "web", line("sudo", 51, "deploy : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/cat /etc/shadow"));
    check(
        &hub.text(),
        "1 MEDIUM brute_force x5 open: password guessing for deploy from 203.0.113.9
         2 HIGH brute_force x8 open: password guessing for deploy from 203.0.113.9
         3 CRITICAL account_compromise x9 open: deploy on web was guessed from 203.0.113.9 and logged in
         4 CRITICAL account_compromise x10 open: deploy on web was guessed and runs commands as root",
    );
    assert_eq!(hub.alerts(), 1);
    let reasons = hub.said[3].reasons.join("\n");
    assert!(reasons.contains("60 s after the login deploy ran as root: /bin/cat /etc/shadow"), "{reasons}");
    assert!(hub.said[3].techniques.iter().any(|id| &**id == "T1078"));
}

/// Interleaving guesses with a login of one's own does not clear the guesses for other accounts.
#[test]
fn a_login_of_ones_own_does_not_hide_guessing() {
    let mut hub = Hub::new();
    for attempt in 0..8 {
        let at = f64::from(attempt) * 4.0;
        hub.feed(at, "h", refused("root", "10.0.0.50", attempt));
        hub.feed(at + 1.0, "h", line("sshd", 900, "Accepted password for bob from 10.0.0.50 port 1 ssh2"));
    }
    assert_eq!(hub.said.last().unwrap().floor.as_str(), "HIGH", "all eight are counted: {}", hub.text());
}

#[test]
fn the_same_events_give_the_same_findings() {
    let run = |ticks: bool| {
        let mut hub = Hub::new();
        for burst in 0..3 {
            for attempt in 0..40 {
                let at = f64::from(burst) * 9_000.0 + f64::from(attempt) * 0.7;
                hub.feed(at, "h", refused("root", "10.0.0.50", attempt));
                if ticks {
                    hub.wait(at);
                }
            }
            if ticks {
                hub.wait(f64::from(burst) * 9_000.0 + 8_000.0);
            }
        }
        hub.wait(40_000.0);
        hub.said
    };
    let (with, without) = (run(true), run(false));
    assert_eq!(with, without, "what is due by the clock and what is due by the next event are the same");
    assert_eq!(run(true), with);
}

/// Many sources that fail once do not push out the one that guesses, and do not grow memory.
#[test]
fn a_million_sources_leave_the_suspicious_one_in_its_place() {
    let mut hub = Hub::new();
    let mut next = 0;
    for (attempt, crowd) in [0, 0, 0, 300_000, 700_000].into_iter().enumerate() {
        let at = attempt as f64 * 10.0;
        for _one in 0..crowd {
            next += 1_u32;
            let [_, a, b, c] = next.to_be_bytes();
            hub.feed(at, "h", refused("root", &format!("11.{a}.{b}.{c}"), next));
        }
        hub.feed(at, "h", refused("root", "10.0.0.50", 7 + attempt as u32));
    }
    let rows: Vec<_> = hub.said.iter().filter(|finding| &*finding.rule == "guessing").map(crate::host::say).collect();
    check(&rows.join("\n"), "1 MEDIUM brute_force x5 open: password guessing for root from 10.0.0.50");
    assert_eq!(hub.alerts(), 2, "the crowd is one more");
    let counters = hub.correlator.counters();
    assert!(counters.actors <= 16_384, "{counters:?}");
    assert_eq!(counters.actors + counters.actors_forgotten, 1_000_001);
}

/// More guessers than there is room for: the mild and old go first, and are counted.
#[test]
fn incidents_are_bounded_and_the_worst_stays() {
    let mut hub = Hub::new();
    for attempt in 0..8 {
        hub.feed(f64::from(attempt), "h", refused("root", "10.0.0.50", attempt));
    }
    for actor in 0..6_000_u32 {
        let [_, _, a, b] = actor.to_be_bytes();
        for attempt in 0..5 {
            let pid = actor * 5 + attempt;
            hub.feed(10.0 + f64::from(pid) * 0.01, "h", refused("root", &format!("11.0.{a}.{b}"), pid));
        }
    }
    let counters = hub.correlator.counters();
    assert!(counters.incidents <= 4_096, "{counters:?}");
    assert_eq!(counters.incidents + counters.incidents_forgotten, 6_001, "who is told alone is none of a crowd");
    let before = hub.said.len();
    for attempt in 0..2_u32 {
        hub.feed(400.0, "h", refused("root", "10.0.0.50", 10 + attempt));
    }
    assert_eq!(hub.said[before].alert, hub.said[1].alert, "{}", hub.said[before].message);
}

/// People behind one address mistype, a host's key is missing on eight servers: who logs in then guessed nothing.
#[test]
fn a_login_that_does_not_follow_from_the_failures_is_none_of_theirs() {
    let mut hub = Hub::new();
    for at in 0..6_u32 {
        let text = format!("Failed password for a{at} from 10.0.0.5 port 4022 ssh2");
        hub.feed(f64::from(at) * 5.0, "mail", line("sshd", 100 + at, &text));
    }
    hub.feed(60.0, "mail", line("sshd", 300, "Accepted password for bob from 10.0.0.5 port 4022 ssh2"));
    for at in 0..10_u32 {
        let text = "Connection closed by authenticating user deploy 10.0.0.6 port 4022 [preauth]";
        hub.feed(70.0 + f64::from(at), &format!("host{at}"), line("sshd", 400 + at, text));
    }
    hub.feed(90.0, "host11", line("sshd", 500, "Accepted publickey for deploy from 10.0.0.6 port 4022 ssh2"));
    check(&hub.text(), "1 MEDIUM brute_force x5 open: password guessing for a0, a1 and others from 10.0.0.5");
}

/// What is told is told once, so that an address that people share is quiet again.
#[test]
fn an_account_that_was_guessed_is_told_once() {
    let mut hub = Hub::new();
    for at in 0..5_u32 {
        let text = "Failed password for bob from 203.0.113.9 port 4022 ssh2";
        hub.feed(f64::from(at), "web", line("sshd", 100 + at, text));
    }
    for at in 0..4_u32 {
        let text = "Accepted password for bob from 203.0.113.9 port 4022 ssh2";
        hub.feed(10.0 + f64::from(at) * 60.0, "web", line("sshd", 200 + at, text));
    }
    check(
        &hub.text(),
        "1 MEDIUM brute_force x5 open: password guessing for bob from 203.0.113.9
         2 CRITICAL account_compromise x6 open: bob on web was guessed from 203.0.113.9 and logged in",
    );
}

#[test]
fn another_account_on_a_connection_is_another_attempt() {
    let mut hub = Hub::new();
    for (at, account) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        let text = format!("Invalid user {account} from 203.0.113.9 port 4022");
        hub.feed(at as f64, "web", line("sshd", 100, &text));
        let text = format!("Failed password for invalid user {account} from 203.0.113.9 port 4022 ssh2");
        hub.feed(at as f64 + 0.5, "web", line("sshd", 100, &text));
    }
    check(&hub.text(), "1 MEDIUM brute_force x5 open: password guessing for a, b and others from 203.0.113.9");
}
