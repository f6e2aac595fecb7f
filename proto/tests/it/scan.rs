//! The scanner: text in, masked text, classes and words out.

use nms_proto::limits::{SCAN_BYTES_MAX, SCAN_PARAMS_MAX};
use nms_proto::scan::{AddressClass, Class, PathClass, PortClass, Scanner, UserClass};
use proptest::prelude::*;

fn check(text: &str, masked: &str) {
    let mut scanner = Scanner::new();
    scanner.scan(text);
    assert_eq!(scanner.masked(), masked, "of {text:?}");
}

fn classes(text: &str) -> Vec<Class> {
    let mut scanner = Scanner::new();
    scanner.scan(text);
    scanner.params().iter().map(|param| param.class).collect()
}

fn words(text: &str) -> Vec<String> {
    let mut scanner = Scanner::new();
    scanner.scan(text);
    let mut words = Vec::new();
    scanner.for_each_word(|word| words.push(String::from_utf8_lossy(word).into_owned()));
    words
}

#[test]
fn sshd_lines() {
    check(
        "Failed password for root from 203.0.113.7 port 4022 ssh2",
        "Failed password for <user> from <ip> port <port> ssh<n>",
    );
    check(
        "Failed password for invalid user admin from 10.0.0.7 port 22",
        "Failed password for invalid user <user> from <ip> port <port>",
    );
    check("Invalid user  from 192.0.2.1", "Invalid user  from <ip>");
    check(
        "Connection closed by authenticating user deploy 2001:db8::7 port 22 [preauth]",
        "Connection closed by authenticating user <user> <ip> port <port> [preauth]",
    );
    check(
        "pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)",
        "pam_unix(sshd:session): session opened for user <user>(uid=<n>) by (uid=<n>)",
    );
    check(
        "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=218.188.2.4 ",
        "authentication failure; logname= uid=<n> euid=<n> tty=ssh ruser= rhost=<ip> ",
    );
}

#[test]
fn a_user_that_is_not_found_has_no_name() {
    check("user not found", "user not found");
    check("check pass; user unknown", "check pass; user unknown");
}

#[test]
fn macs_come_before_times() {
    check("MAC=00:16:3e:aa:bb:cc:52:54:00:12:34:56:08:00 SRC=10.0.0.1 DPT=22", "MAC=<mac> SRC=<ip> DPT=<port>");
    check("DHCPACK(eth0) 192.168.1.20 52:54:00:12:34:56 laptop", "DHCPACK(eth<n>) <ip> <mac> laptop");
}

#[test]
fn stamps() {
    check("at 2026-03-12T10:11:12.123Z done", "at <time> done");
    check("2026-03-12 10:11:12,345 WARN", "<time> WARN");
    check("[12/Mar/2026:10:11:12 +0000] \"GET /index.html HTTP/1.1\"", "[<time>] \"GET <path> HTTP/<n>\"");
    check("last seen Mar  2 10:11:12 2026 here", "last seen <time> here");
    check("Mar is a month, 10:11:12 a time", "Mar is a month, <time> a time");
    check("2005-06-03-15.42.50.675872 R02", "<time> R<n>");
}

#[test]
fn addresses() {
    check("to 10.0.0.1:443, via fe80::1%eth0.", "to <ip>:<port>, via <ip>.");
    check("net 10.0.0.0/24 from /10.251.1.2:50010", "net <ip>/<n> from /<ip>:<port>");
    check("version 1.2.3.4.5 and 1.2.3", "version <n> and <n>");
    check("dst ::1 port 22", "dst <ip> port <port>");
    check("std::vector and a::b", "std::vector and a::b");
}

#[test]
fn names_paths_and_numbers() {
    check("see https://a.example/x?y=1&z=2 or mail bob@example.com", "see <url> or mail <mail>");
    check("modified /etc/passwd, then ~/x and C:\\Windows\\x.dll", "modified <path>, then <path> and <path>");
    check("host ns.example.com vs dfs.DataNode and nginx.conf", "host <host> vs dfs.DataNode and nginx.conf");
    check("blk_-1608999687919862906 took 12ms 3.5 s 0x7f", "blk_-<n> took <n>ms <n> s <hex>");
    check("id 550e8400-e29b-41d4-a716-446655440000 sum deadbeef01", "id <uuid> sum <hex>");
    check("key AAAAB3NzaC1yc2EAAAADAQABAAABgQ9x", "key <b64>");
    check("ClientPort: 5044, reporting 7", "ClientPort: <port>, reporting <n>");
}

#[test]
fn classes_of_parameters() {
    assert_eq!(
        classes("Accepted password for root from 10.1.2.3 port 22, wrote /etc/shadow"),
        [
            Class::User(UserClass::Root),
            Class::Address(AddressClass::Private),
            Class::Port(PortClass::Admin),
            Class::Path(PathClass::Credential),
        ]
    );
    assert_eq!(PathClass::of("/home/bob/.ssh/authorized_keys"), PathClass::Credential);
    assert_eq!(PathClass::of("/etc/cron.d/x"), PathClass::Persistence);
    assert_eq!(PathClass::of("/etc/nginx/nginx.conf"), PathClass::Config);
    assert_eq!(UserClass::of("www-data"), UserClass::Service);
    assert_eq!(UserClass::of("Zoe"), UserClass::Other);
}

#[test]
fn words_are_cut_at_case_and_parameters() {
    assert_eq!(
        words("dfs.DataNode$PacketResponder: Received 12 from 10.0.0.1"),
        ["dfs", "data", "node", "packet", "responder", "received", "from"]
    );
}

#[test]
fn a_long_line_is_cut_and_its_parameters_bounded() {
    let mut scanner = Scanner::new();
    scanner.scan(&"é1 ".repeat(4096));
    assert!(scanner.masked().len() <= SCAN_BYTES_MAX * 3);
    assert_eq!(scanner.params().len(), SCAN_PARAMS_MAX);
}

proptest! {
    /// Any text is scanned without a panic; parameters lie in order, on characters, in the text.
    #[test]
    fn any_text(text in "\\PC{0,200}|[a-z0-9:./@=_ -]{0,200}") {
        let mut scanner = Scanner::new();
        scanner.scan(&text);
        let mut last = 0;
        for param in scanner.params() {
            prop_assert!(param.start >= last && param.end > param.start);
            prop_assert!(text.get(param.start as usize..param.end as usize).is_some());
            last = param.end;
        }
        let again = scanner.masked().to_owned();
        scanner.scan(&text);
        prop_assert_eq!(again, scanner.masked());
    }
}
