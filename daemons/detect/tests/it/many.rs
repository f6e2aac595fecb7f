//! Guessing that one actor's counter does not see: slow, by many addresses, on many accounts; and who only seems so.

use nms_proto::event::Body;

use crate::host::{Hub, TEN, check, line, refused};

const MINUTE: f64 = 60.0;

/// A failed login in the words of several applications.
fn failed(words: usize, account: &str, from: &str, pid: u32) -> Body {
    match words % 5 {
        0 => refused(account, from, pid),
        1 => line("dropbear", pid, &format!("Bad password attempt for '{account}' from {from}:40022")),
        2 => line("system,error,critical", 0, &format!("login failure for user {account} from {from} via ssh")),
        3 => line(
            "%ASA-6-605004",
            0,
            &format!("Login denied from {from}/4711 to outside:192.0.2.1/ssh for user \"{account}\""),
        ),
        _ => line("vsftpd", pid, &format!("[{account}] FAIL LOGIN: Client \"{from}\"")),
    }
}

pub(crate) fn worst(hub: &Hub) -> &str {
    hub.said.iter().max_by_key(|finding| finding.floor).map_or("", |finding| finding.floor.as_str())
}

#[test]
fn root_guessed_slowly_from_outside_is_medium_in_any_words() {
    for words in 0..4 {
        let mut hub = Hub::new();
        for attempt in 0..45 {
            hub.feed(f64::from(attempt) * 15.0 * MINUTE, "web", failed(words, "root", "203.0.113.9", attempt));
        }
        let text = hub.text();
        assert!(
            text.contains("MEDIUM brute_force x40 open: 203.0.113.9 fails to log in again and again, as root"),
            "{text}"
        );
        assert_eq!(worst(&hub), "MEDIUM", "{text}");
        assert_eq!(hub.alerts(), 2, "the standing one of the service, and its own: {text}");
    }
}

#[test]
fn many_accounts_guessed_slowly_and_one_found_is_high() {
    let mut hub = Hub::new();
    for attempt in 0..30 {
        let account = format!("user{}", attempt % 6);
        hub.feed(f64::from(attempt) * 10.0 * MINUTE, "web", failed(0, &account, "203.0.113.9", attempt));
    }
    hub.feed(400.0 * MINUTE, "web", line("sshd", 7, "Accepted password for user3 from 203.0.113.9 port 1 ssh2"));
    let last = hub.said.last().unwrap();
    assert_eq!((last.floor.as_str(), last.category.as_str()), ("HIGH", "account_compromise"), "{}", hub.text());
    assert_eq!(&*last.reasons[0], "user3 logged in from 203.0.113.9 after 30 failed logins of 6 accounts within 6 h");
}

/// A backup job with an old password, a telephone that fetches mail, somebody who mistypes every day.
#[test]
fn those_who_were_not_told_of_a_new_password_stay_low() {
    let mut hub = Hub::new();
    for attempt in 0..300 {
        let at = f64::from(attempt) * 10.0 * MINUTE;
        hub.feed(at, "nas", failed(0, "root", "192.168.1.30", attempt));
        let mail = "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<bob>, method=PLAIN, rip=198.51.100.9, lip=192.0.2.1, TLS";
        hub.feed(at, "mail", line("dovecot", 0, mail));
    }
    assert_eq!(worst(&hub), "LOW", "{}", hub.text());
    assert_eq!(hub.alerts(), 2, "{}", hub.text());
    let mut hub = Hub::new();
    for day in 0..60 {
        hub.feed(f64::from(day) * 240.0 * MINUTE, "web", failed(0, "alice", "198.51.100.7", day));
        let accepted = "Accepted password for alice from 198.51.100.7 port 1 ssh2";
        hub.feed(f64::from(day) * 240.0 * MINUTE + 9.0, "web", line("sshd", 7, accepted));
    }
    check(&hub.text(), "");
}

#[test]
fn many_addresses_on_one_host_are_medium_and_a_crowd_high() {
    for words in 0..4 {
        let mut hub = Hub::new();
        for attempt in 0..40_u32 {
            let from = format!("203.0.113.{}", attempt + 1);
            hub.feed(f64::from(attempt) * 10.0, "web", failed(words, "root", &from, attempt + 1));
        }
        check(
            &hub.text(),
            "1 MEDIUM brute_force x10 open: many addresses guess passwords of root on web
             2 HIGH brute_force x30 open: many addresses guess passwords of root on web",
        );
        assert_eq!(
            &*hub.said[0].reasons[0],
            "10 outside addresses failed to log in to root on web within 10 min (limit 10), none often enough to be told alone"
        );
    }
}

#[test]
fn one_account_is_guessed_by_many_within_the_hour_and_its_login_is_high() {
    let mut hub = Hub::new();
    for attempt in 0..14_u32 {
        let from = format!("203.0.113.{}", attempt + 1);
        hub.feed(f64::from(attempt) * 200.0, "web", failed(0, "deploy", &from, attempt + 1));
    }
    check(&hub.text(), "1 MEDIUM brute_force x10 open: many addresses guess passwords of deploy on web");
    assert_eq!(hub.said[0].victim.as_deref(), Some("deploy@web"));
    for quiet in [
        "Accepted password for alice from 198.51.100.5 port 1 ssh2",
        "Accepted publickey for deploy from 198.51.100.6 port 1 ssh2: ED25519 SHA256:x",
        "Accepted password for deploy from 192.168.1.7 port 1 ssh2",
    ] {
        hub.feed(2_850.0, "web", line("sshd", 900, quiet));
    }
    assert_eq!(worst(&hub), "MEDIUM", "{}", hub.text());
    hub.feed(2_900.0, "web", line("sshd", 901, "Accepted password for deploy from 198.51.100.66 port 1 ssh2"));
    let last = hub.said.last().unwrap();
    assert_eq!((last.floor.as_str(), last.category.as_str()), ("HIGH", "account_compromise"), "{}", hub.text());
    assert_eq!(last.actor.as_deref(), Some("198.51.100.66"));
}

/// Customers of a mail server mistype now and then, each from home, and had logged in before.
#[test]
fn customers_are_no_crowd() {
    let mut hub = Hub::new();
    for day in 0..3_u32 {
        for customer in 0..60_u32 {
            let at = f64::from(day) * 86_400.0 + f64::from(customer) * 20.0;
            let from = format!("198.51.100.{}", customer + 1);
            let user = format!("user{customer}");
            if day > 0 && customer % 3 == 0 {
                hub.feed(at, "mail", failed(4, &user, &from, customer));
            }
            hub.feed(at + 5.0, "mail", line("vsftpd", 9, &format!("[{user}] OK LOGIN: Client \"{from}\"")));
        }
    }
    check(&hub.text(), "");
}

/// 24 days of an exposed host: 1,080 failures by 150 addresses.
#[test]
fn the_background_of_an_exposed_host_is_one_standing_alert() {
    let mut hub = Hub::new();
    for attempt in 0..1_080_u32 {
        let from = format!("203.0.113.{}", attempt / 8 % 150 + 1);
        hub.feed(f64::from(attempt) * 1_920.0, "web", failed(0, "root", &from, attempt));
    }
    assert_eq!(worst(&hub), "LOW", "{}", hub.text());
    assert_eq!(hub.alerts(), 1, "{}", hub.text());
    assert!(hub.said.len() < 30, "{}", hub.said.len());
}

/// A botnet tries a mail server all day, each address once: told on the first days, then the background of the service;
/// a crowd that is larger than usual is told again, and so is the first one after a single bad day.
#[test]
fn a_crowd_of_every_day_is_background() {
    const EACH_S: u32 = 45;
    let mut hub = Hub::new();
    let address = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        format!("45.{a}.{b}.{c}")
    };
    let talk = |hub: &mut Hub, days: std::ops::Range<u32>| {
        for number in days.start * 86_400 / EACH_S..days.end * 86_400 / EACH_S {
            let text = format!("warning: unknown[{}]: SASL LOGIN authentication failed: x", address(number));
            hub.feed(f64::from(number * EACH_S), "mail", line("postfix/smtpd", 9, &text));
        }
    };
    let crowds = |hub: &Hub, skip: usize| {
        let findings = hub.said.iter().skip(skip).filter(|finding| !finding.resolved);
        findings.filter(|finding| &*finding.rule == "distributed_guessing").map(crate::host::say).collect::<Vec<_>>()
    };
    talk(&mut hub, 0..3);
    assert_eq!(crowds(&hub, 0).first().map(|said| said.contains("MEDIUM")), Some(true), "{}", hub.text());
    let before = hub.said.len();
    talk(&mut hub, 3..7);
    assert_eq!(crowds(&hub, before), [""; 0]);
    let before = hub.said.len();
    for number in 0..60_u32 {
        let text = format!("warning: unknown[46.1.1.{number}]: SASL LOGIN authentication failed: x");
        hub.feed(7.0 * 86_400.0 + f64::from(number) * 2.0, "mail", line("postfix/smtpd", 9, &text));
    }
    let told = crowds(&hub, before);
    assert!(!told.is_empty() && told.iter().all(|said| said.contains("MEDIUM")), "{told:?}");
}

/// One bad day teaches nothing: the next crowd is told as the first one was.
#[test]
fn one_crowd_does_not_hide_the_next() {
    let mut hub = Hub::new();
    for day in [0.0, 3.0] {
        for number in 0..40_u32 {
            let text = format!("warning: unknown[46.1.1.{number}]: SASL LOGIN authentication failed: x");
            hub.feed(day * 86_400.0 + f64::from(number) * 2.0, "mail", line("postfix/smtpd", 9, &text));
        }
    }
    let high = hub.said.iter().filter(|finding| finding.floor.as_str() == "HIGH" && !finding.resolved).count();
    assert_eq!((high, hub.alerts()), (2, 2), "{}", hub.text());
}

#[test]
fn one_password_on_many_accounts_is_spraying() {
    for words in 0..5 {
        let mut hub = Hub::new();
        for attempt in 0..12_u32 {
            let account = format!("person{attempt}");
            hub.feed(f64::from(attempt) * 40.0, "vpn", failed(words, &account, "203.0.113.9", attempt + 1));
        }
        check(
            &hub.text(),
            "1 MEDIUM brute_force x8 open: 203.0.113.9 tries passwords on many accounts
             2 MEDIUM brute_force x10 open: 203.0.113.9 tries passwords on many accounts",
        );
        assert!(hub.said[0].techniques.iter().any(|id| &**id == "T1110.003"));
        assert_eq!(
            &*hub.said[0].reasons[0],
            "8 accounts (person0, person1, person2 and others) failed from 203.0.113.9 within 280 s (limit 8 in 10 min)"
                .replace("280 s", "4 min")
        );
    }
}

/// A gateway of an office: many log in from there, and one morning the directory fails for some.
#[test]
fn an_address_that_people_share_needs_more_and_stays_low() {
    let mut hub = Hub::new();
    for person in 0..20_u32 {
        let accepted = format!("Accepted password for person{person} from 198.51.100.4 port 1 ssh2");
        hub.feed(f64::from(person) * 30.0, "jump", line("sshd", 500 + person, &accepted));
    }
    for person in 0..12_u32 {
        let at = 3_600.0 + f64::from(person) * 40.0;
        hub.feed(at, "jump", failed(0, &format!("person{person}"), "198.51.100.4", person + 1));
    }
    check(&hub.text(), "");
    for person in 0..30_u32 {
        let at = 9_000.0 + f64::from(person) * 18.0;
        hub.feed(at, "jump", failed(0, &format!("other{person}"), "198.51.100.4", person + 1));
    }
    assert_eq!(worst(&hub), "LOW", "{}", hub.text());
}

/// A name that holds another's address accuses nobody but who sent it.
#[test]
fn a_name_accuses_nobody_else() {
    let mut hub = Hub::new();
    for attempt in 0..12_u32 {
        let account = format!("x{attempt} from 198.51.100.1 port 22");
        hub.feed(f64::from(attempt) * 40.0, "web", failed(0, &account, "203.0.113.9", attempt + 1));
    }
    assert!(hub.said.iter().all(|finding| finding.actor.as_deref() == Some("203.0.113.9")), "{}", hub.text());
}

/// A day of strangers, one every 20 min, and of people who mistype, delivered within a minute.
#[test]
fn a_backlog_of_ordinary_failures_is_no_crowd_and_no_spraying() {
    let mut hub = Hub::new();
    let now = TEN + 86_400_000;
    for attempt in 0..72_i64 {
        let (at, seen) = (TEN + attempt * 1_200_000, now + attempt * 100);
        let pid = attempt as u32 + 1;
        hub.feed_late(at, seen, "web", failed(0, "root", &format!("203.0.113.{pid}"), pid));
        hub.feed_late(at, seen, "vpn", failed(0, &format!("person{attempt}"), "192.168.1.9", 100 + pid));
        if attempt % 10 == 3 {
            let accepted = format!("Accepted password for staff{attempt} from 192.168.1.9 port 1 ssh2");
            hub.feed_late(at, seen, "vpn", line("sshd", 200 + pid, &accepted));
        }
    }
    assert!(matches!(worst(&hub), "" | "LOW"), "{}", hub.text());
    assert!(hub.said.iter().all(|finding| &*finding.rule != "password_spraying"), "{}", hub.text());
}

/// Two hours of one stranger, or of one person, are no slow guessing.
#[test]
fn two_hours_of_ordinary_failures_raise_nothing() {
    let mut hub = Hub::new();
    for attempt in 0..40_u32 {
        let at = f64::from(attempt) * 3.0 * MINUTE;
        hub.feed(at, "gate", failed(0, "root", "203.0.113.50", attempt + 1));
        hub.feed(at, "desk", failed(0, "alice", "192.168.1.9", attempt + 1));
    }
    check(&hub.text(), "");
}

/// Names, addresses, clients and sources that are made up push out each other and do not grow memory.
#[test]
fn what_is_made_up_does_not_grow_memory() {
    let mut hub = Hub::new();
    for number in 0..60_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let at = f64::from(number) * 0.01;
        let (outside, client) = (format!("11.{a}.{b}.{c}"), format!("10.{a}.{b}.{c}"));
        hub.feed(at, &format!("source{number}"), failed(0, &format!("name{number}"), &outside, number + 1));
        let name = format!("{number:x}abcdefghijklmnopqrstuvwxyz01234567.t{number}.net");
        hub.feed(at, "dns", line("dnsmasq", 7, &format!("query[TXT] {name} from {client}")));
        hub.feed(at, "dns", line("dnsmasq", 7, &format!("7 {client}/1 reply machine{number}.net is NXDOMAIN")));
        hub.feed(
            at,
            "lan",
            line("kernel", 0, &format!("arp: {client} moved from 66:77:88:99:aa:bb to 00:11:22:33:44:55 on em0")),
        );
        hub.feed(
            at,
            "router",
            line("system,info,account", 0, &format!("user u{number} logged in from {outside} via winbox")),
        );
    }
    let counters = hub.correlator.counters();
    assert!(counters.traces <= 90_000 && counters.traces_forgotten > 150_000, "{counters:?}");
    assert!(counters.incidents <= 4_096, "{counters:?}");
}
