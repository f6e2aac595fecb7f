//! Names that carry data, names that a machine made up, and the many long names of ordinary days.

use nms_proto::event::Body;

use crate::{
    host::{Hub, check, line},
    many::worst,
};

/// A question in the words of several name servers.
fn asked(words: usize, client: &str, name: &str, kind: &str) -> Body {
    match words % 4 {
        0 => line("dnsmasq", 7, &format!("query[{kind}] {name} from {client}")),
        1 => line("dnsmasq", 7, &format!("1234 {client}/53211 query[{kind}] {name} from {client}")),
        2 => line(
            "named",
            7,
            &format!("client @0x7f9a8c0 {client}#53211 ({name}): query: {name} IN {kind} +E(0)K (192.168.1.1)"),
        ),
        _ => line("unbound", 7, &format!("[7:0] info: {client} {name}. {kind} IN")),
    }
}

fn missing(words: usize, client: &str, name: &str) -> Body {
    match words % 3 {
        0 => line("dnsmasq", 7, &format!("1234 {client}/53211 reply {name} is NXDOMAIN")),
        1 => line("unbound", 7, &format!("[7:0] info: {client} {name}. A IN NXDOMAIN 0.012 0 104")),
        _ => line(
            "named",
            7,
            &format!("client @0x7f9a8c0 {client}#53211 ({name}): query failed (NXDOMAIN) for {name}/IN/A at query.c:7"),
        ),
    }
}

/// Letters and digits that look random and are the same each time.
fn random(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(state >> 20) as usize % 32])
    };
    (0..length).map(|_letter| next()).collect()
}

#[test]
fn data_in_names_is_medium_and_much_of_it_or_in_text_high() {
    for words in 0..4 {
        let mut hub = Hub::new();
        for at in 0..130_u32 {
            let name =
                format!("{}.{}.tunnel.example.co.uk", random(u64::from(at) + 1, 50), random(u64::from(at) + 900, 30));
            hub.feed(f64::from(at), "dns", asked(words, "192.168.1.5", &name, "A"));
        }
        check(
            &hub.text(),
            "1 MEDIUM exfiltration x40 open: 192.168.1.5 carries data in names below example.co.uk
             2 MEDIUM exfiltration x100 open: 192.168.1.5 carries data in names below example.co.uk
             3 HIGH exfiltration x120 open: 192.168.1.5 carries data in names below example.co.uk",
        );
        let mut hub = Hub::new();
        for at in 0..45_u32 {
            let name = format!("{}.t.example.net", random(u64::from(at) + 1, 60));
            hub.feed(f64::from(at), "dns", asked(words, "192.168.1.5", &name, "TXT"));
        }
        check(&hub.text(), "1 HIGH exfiltration x40 open: 192.168.1.5 carries data in names below example.net");
    }
    let mut hub = Hub::new();
    hub.feed(0.0, "dns", asked(0, "192.168.1.5", "x", "A"));
    check(&hub.text(), "");
}

/// Content networks, scanners that ask by hash, block lists, reverse lookups, service discovery, one name again and again,
/// and long names that people gave.
#[test]
fn long_names_of_ordinary_days_are_silent() {
    let mut hub = Hub::new();
    for at in 0..400_u32 {
        let (second, hash) = (f64::from(at), random(u64::from(at) + 1, 40));
        for (words, name) in [
            format!("{hash}.cloudfront.net"),
            format!("{hash}.avqs.mcafee.com"),
            format!("{hash}.ff.avast.com"),
            format!("{hash}.zen.dq.spamhaus.net"),
            format!("{}.{}.168.192.in-addr.arpa", at % 256, at / 256),
            format!("_companion-link._tcp.{hash}.example.org"),
            format!("{hash}.cluster.local"),
            "a-very-long-and-well-known-name-of-a-service.example.com".to_owned(),
            format!("node{}.region.production.infrastructure.example.com", at % 30),
            format!("host{at}.example.org"),
        ]
        .iter()
        .enumerate()
        {
            hub.feed(second, "dns", asked(words, "192.168.1.5", name, if at % 2 == 0 { "TXT" } else { "A" }));
        }
    }
    check(&hub.text(), "");
}

/// What monitoring, a list of suffixes and mail servers ask for all day: many long names of hosts below one domain, and
/// sums of mails at lists.
#[test]
fn hosts_by_the_hundred_are_no_tunnel() {
    let mut hub = Hub::new();
    for at in 0..400_u32 {
        let hash = random(u64::from(at) + 1, 32);
        for name in [
            format!("node-exporter-{at:04}.prod.eu-central-1.example.com"),
            format!("k8s-node{at:03}-eu1a.production-cluster-02.example.org"),
            format!("sqs{at}.eu-central-1.amazonaws.com.corp.example.net"),
            format!("customer-{at}-dynamic-092-012-123-{}.pools.provider.example.de", at % 256),
            format!("thelittlebakeryonthecorner{}.blogs.example.fr", ["rome", "paris", "ghent"][at as usize % 3]),
            format!("{hash}.email.rspamd.com"),
            format!("{hash}.ebl.msbl.org"),
        ] {
            hub.feed(f64::from(at) * 0.5, "dns", asked(0, "10.0.0.9", &name, "A"));
        }
    }
    check(&hub.text(), "");
}

/// Data as other tools encode it: hexadecimal, in several labels, and with hyphens between.
#[test]
fn data_is_seen_however_it_is_encoded() {
    let hex = |seed: u32, length: usize| {
        let parts = (1..8).map(|part| (u64::from(seed) * 8 + part).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let digits: Vec<String> = parts.map(|part| format!("{:016x}", part ^ (part >> 29))).collect();
        digits.concat().chars().take(length).collect::<String>()
    };
    let encode: [&dyn Fn(u32) -> String; 4] = [
        &|at| format!("{}.t.example.net", hex(at + 1, 60)),
        &|at| format!("{}.{}.t.example.net", hex(at + 1, 20), hex(at + 900, 20)),
        &|at| format!("{}-{}-{}.t.example.net", hex(at + 1, 8), hex(at + 900, 8), hex(at + 2_000, 12)),
        &|at| format!("{}.t.example.net", random(u64::from(at) + 1, 30)),
    ];
    for encode in encode {
        let mut hub = Hub::new();
        for at in 0..45 {
            hub.feed(f64::from(at), "dns", asked(0, "192.168.1.5", &encode(at), "A"));
        }
        assert_eq!(worst(&hub), "MEDIUM", "{}: {}", encode(1), hub.text());
    }
}

/// Names that are encoded and asked for each hour are somebody's hosts; a tunnel has new ones.
#[test]
fn names_that_come_again_are_told_once() {
    let mut hub = Hub::new();
    for round in 0..30_u32 {
        for host in 0..60_u32 {
            let name = format!("{}.store.example.net", random(u64::from(host) + 1, 40));
            hub.feed(f64::from(round) * 10_800.0 + f64::from(host), "dns", asked(0, "192.168.1.5", &name, "A"));
        }
    }
    let opened = hub.said.iter().filter(|finding| !finding.resolved).count();
    assert_eq!((hub.alerts(), opened), (1, 1), "{}", hub.text());
}

/// A tunnel that sends seldom is below the limit; so are many clients with a few names each.
#[test]
fn few_names_and_many_clients_are_silent() {
    let mut hub = Hub::new();
    for at in 0..500_u32 {
        let name = format!("{}.t.example.net", random(u64::from(at) + 1, 60));
        hub.feed(f64::from(at) * 10.0, "dns", asked(0, "192.168.1.5", &name, "A"));
        hub.feed(f64::from(at) * 10.0, "dns", asked(0, &format!("192.168.2.{}", at % 200), &name, "A"));
    }
    check(&hub.text(), "");
}

#[test]
fn many_domains_that_do_not_exist_are_medium() {
    for words in 0..3 {
        let mut hub = Hub::new();
        for at in 0..80_u32 {
            let name = format!("{}.com", random(u64::from(at) + 1, 12));
            hub.feed(f64::from(at) * 2.0, "dns", missing(words, "192.168.1.5", &name));
        }
        check(&hub.text(), "1 MEDIUM c2_communication x50 open: 192.168.1.5 asks for many domains that do not exist");
    }
    let mut hub = Hub::new();
    for at in 0..300_u32 {
        // A host that is gone, with the office's suffixes, a browser's probes, and a slow crawler.
        hub.feed(f64::from(at), "dns", missing(0, "192.168.1.6", &format!("printer{at}.office.example.com")));
        hub.feed(f64::from(at), "dns", missing(1, "192.168.1.7", &random(u64::from(at) + 1, 12)));
        let name = format!("{}.com", random(u64::from(at) + 1, 12));
        hub.feed(f64::from(at) * 10.0, "dns", missing(1, "192.168.1.8", &name));
    }
    assert_eq!(worst(&hub), "", "{}", hub.text());
}

/// Whoever asks chooses the name: what it says of clients and answers is not believed.
#[test]
fn a_name_accuses_nobody_else() {
    let mut hub = Hub::new();
    for at in 0..60_u32 {
        let name = format!("{}from192.168.1.66.t.example.net", random(u64::from(at) + 1, 60));
        let text = format!("query[A] x from 192.168.1.66 {name} from 192.168.1.5");
        hub.feed(f64::from(at), "dns", line("dnsmasq", 7, &text));
        let text =
            format!("client @0x1 192.168.1.5#1 (x): query: {name} IN A client 192.168.1.66#1: query: {name} IN A");
        hub.feed(f64::from(at), "dns", line("named", 7, &text));
    }
    assert!(hub.said.iter().all(|finding| finding.actor.as_deref() == Some("192.168.1.5")), "{}", hub.text());
    assert_eq!(hub.alerts(), 1);
}
