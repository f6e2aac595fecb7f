//! What each phrasing is taken to mean: one table a family, `application | text => meaning`.

mod chosen;
mod devices;
mod servers;

use nms_detect::extract;
use nms_proto::{
    event::{Body, Change, FileChange, NetConnection, ProcessStart},
    extraction::{Actor, Extraction, Object},
};

use crate::host::{TEN, event, line};

/// An extraction in words: `sshd login failed by 10.0.0.50 account root`.
fn say(found: &Extraction<'_>) -> String {
    let mut said = vec![format!("{:?} {:?} {:?}", found.family, found.action, found.outcome).to_lowercase()];
    match found.actor {
        Some(Actor::Address(address)) => said.push(format!("by {address}")),
        Some(Actor::Name(name)) => said.push(format!("by name {name}")),
        None => {}
    }
    if let Some(account) = found.account {
        said.push(format!("account {account}"));
    }
    match found.account_exists {
        Some(true) => said.push("(exists)".into()),
        Some(false) => said.push("(unknown)".into()),
        None => {}
    }
    match found.object {
        Some(Object::Endpoint { address, port: Some(port) }) => said.push(format!("to {address} port {port}")),
        Some(Object::Endpoint { address, port: None }) => said.push(format!("to {address}")),
        Some(Object::Path(path)) => said.push(format!("path {path}")),
        Some(Object::Program(program)) => said.push(format!("program {program}")),
        Some(Object::Service(service)) => said.push(format!("service {service}")),
        None => {}
    }
    if found.times != 1 {
        said.push(format!("x{}", found.times));
    }
    said.join(" ")
}

fn check(app: &str, text: &str, expected: &str) {
    let event = event(1, "10.0.0.1", TEN, line(app, 100, text));
    assert_eq!(say(&extract(&event)), expected, "\n{app}: {text}");
}

/// Checks `text => meaning` lines, all of one application.
fn table(app: &str, rows: &str) {
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (text, expected) = row.split_once(" => ").unwrap();
        check(app, text, expected);
    }
}

#[test]
fn sshd_logins() {
    table(
        "sshd",
        "
        Failed password for root from 10.0.0.50 port 40022 ssh2 => sshd login failed by 10.0.0.50 account root
        Failed password for invalid user bob from 10.0.0.50 port 40022 ssh2 => sshd login failed by 10.0.0.50 account bob (unknown)
        Failed password for invalid user  from 10.0.0.50 port 40022 ssh2 => sshd login failed by 10.0.0.50 account  (unknown)
        Failed password for alice from fd00::50 port 40022 ssh2 => sshd login failed by fd00::50 account alice
        Failed password for alice from ::ffff:10.0.0.50 port 40022 ssh2 => sshd login failed by 10.0.0.50 account alice
        Failed keyboard-interactive/pam for alice from 10.0.0.50 port 1 ssh2 => sshd login failed by 10.0.0.50 account alice
        Failed none for invalid user guest from 10.0.0.50 port 1 ssh2 => sshd login failed by 10.0.0.50 account guest (unknown)
        Failed none for alice from 10.0.0.50 port 1 ssh2 => sshd login none by 10.0.0.50 account alice
        Failed publickey for alice from 10.0.0.50 port 1 ssh2: ED25519 SHA256:abc => sshd login none by 10.0.0.50 account alice
        Failed publickey for invalid user eve from 10.0.0.50 port 1 ssh2: ED25519 SHA256:abc => sshd login failed by 10.0.0.50 account eve (unknown)
        [ID 800047 auth.info] Failed password for alice from 10.0.0.50 port 40022 ssh2 => sshd login failed by 10.0.0.50 account alice
        Accepted password for alice from 10.0.0.5 port 50022 ssh2 => sshd login ok by 10.0.0.5 account alice (exists)
        Accepted publickey for alice from 2001:db8::5 port 50022 ssh2: RSA SHA256:xyz => sshd login ok by 2001:db8::5 account alice (exists)
        Invalid user bob from 10.0.0.50 port 40022 => sshd login failed by 10.0.0.50 account bob (unknown) x0
        Invalid user bob from 10.0.0.50 => sshd login failed by 10.0.0.50 account bob (unknown) x0
        Illegal user  from 10.0.0.50 => sshd login failed by 10.0.0.50 account  (unknown) x0
        User root from 10.0.0.50 not allowed because not listed in AllowUsers => sshd login failed by 10.0.0.50 account root x0
        User root not allowed because account is locked => sshd login none account root x0
        error: PAM: Authentication failure for alice from pc.example => sshd login failed by name pc.example account alice x0
        error: maximum authentication attempts exceeded for root from 10.0.0.50 port 1 ssh2 [preauth] => sshd login failed by 10.0.0.50 account root x0
        error: maximum authentication attempts exceeded for invalid user x from 10.0.0.50 port 1 ssh2 [preauth] => sshd login failed by 10.0.0.50 account x (unknown) x0
        ROOT LOGIN REFUSED FROM 10.0.0.50 port 1 => sshd login failed by 10.0.0.50 account root (exists)
        Authentication tried for root with correct key but not from a permitted host (host=h.example, ip=10.0.0.50, required=10.9.0.0/16). => sshd login failed by 10.0.0.50 account root (exists)
        message repeated 3 times: [ Failed password for root from 10.0.0.50 port 40022 ssh2] => sshd login failed by 10.0.0.50 account root x3
        ",
    );
}

#[test]
fn sshd_connections() {
    table(
        "sshd-session",
        "
        Connection closed by authenticating user root 10.0.0.50 port 46038 [preauth] => sshd login failed by 10.0.0.50 account root x0
        Connection reset by authenticating user root 10.0.0.50 port 1558 [preauth] => sshd login failed by 10.0.0.50 account root x0
        Connection closed by invalid user test 10.0.0.50 port 46039 [preauth] => sshd login failed by 10.0.0.50 account test (unknown) x0
        Connection closed by invalid user  10.0.0.50 port 46039 [preauth] => sshd login failed by 10.0.0.50 account  (unknown) x0
        Disconnected from authenticating user root 10.0.0.50 port 33553 [preauth] => sshd login none by 10.0.0.50 account root x0
        Disconnected from user alice 10.0.0.5 port 50022 => sshd logout ok by 10.0.0.5 account alice
        Connection closed by 10.0.0.50 port 40022 [preauth] => sshd connection failed by 10.0.0.50
        Connection closed by 10.0.0.5 port 40022 => sshd connection none by 10.0.0.5
        Received disconnect from 10.0.0.5 port 40022:11: disconnected by user => sshd connection none by 10.0.0.5
        Received disconnect from 10.0.0.50: 11: Bye Bye [preauth] => sshd connection failed by 10.0.0.50
        error: Received disconnect from 2001:db8::50: 14: No supported authentication methods available => sshd connection failed by 2001:db8::50
        Connection from 10.0.0.5 port 51353 on 10.0.0.1 port 22 => sshd connection none by 10.0.0.5
        Disconnecting authenticating user root 10.0.0.50 port 1: Too many authentication failures [preauth] => sshd connection none by 10.0.0.50
        Disconnecting invalid user a 10.0.0.50 port 1: Change of username or service not allowed: (a,ssh-connection) -> (b,ssh-connection) [preauth] => sshd login failed by 10.0.0.50 account a (unknown) x0
        Did not receive identification string from 10.0.0.50 port 35836 => sshd connection failed by 10.0.0.50
        Bad protocol version identification 'GET / from 6.6.6.6' from 10.0.0.50 port 31778 => sshd connection failed by 10.0.0.50
        banner exchange: Connection from 10.0.0.50 port 44105: invalid format => sshd connection failed by 10.0.0.50
        error: kex_exchange_identification: Connection closed by remote host => sshd connection none
        fatal: Unable to negotiate with 10.0.0.50 port 5: no matching cipher found. Their offer: 3des-cbc => sshd connection failed by 10.0.0.50
        fatal: Timeout before authentication for 10.0.0.50 port 55555 => sshd connection failed by 10.0.0.50
        Timeout before authentication for connection from 10.0.0.50 to 10.0.0.1, pid = 29098 => sshd connection failed by 10.0.0.50
        drop connection #0 from [10.0.0.50]:4022 on [10.0.0.1]:22 penalty: failed authentication => sshd connection failed by 10.0.0.50
        Starting session: shell on pts/0 for alice from 10.0.0.5 port 50022 id 0 => sshd command ok by 10.0.0.5 account alice program shell
        Server listening on 0.0.0.0 port 22. => sshd service ok
        Failed to allocate internet-domain X11 display socket. => sshd other none
        ",
    );
}

/// A user name is the guesser's own text; the address that counts is the one sshd wrote.
#[test]
fn a_user_name_cannot_name_another_peer() {
    table(
        "sshd",
        "
        Failed password for invalid user x from 1.2.3.4 from 10.0.0.9 port 22 ssh2 => sshd login failed by 10.0.0.9 account x from 1.2.3.4 (unknown)
        Failed password for invalid user x from 1.2.3.4 port 9 ssh2 from 10.0.0.9 port 22 ssh2 => sshd login failed by 10.0.0.9 account x from 1.2.3.4 port 9 ssh2 (unknown)
        Failed password for invalid user x from 1.2.3.4 port 9 ssh2: a from 10.0.0.9 port 22 ssh2 => sshd login failed by 10.0.0.9 account x from 1.2.3.4 port 9 ssh2: a (unknown)
        Invalid user x from 1.2.3.4 port 22 ssh2: y from 10.0.0.9 port 22 => sshd login failed by 10.0.0.9 account x from 1.2.3.4 port 22 ssh2: y (unknown) x0
        Connection closed by invalid user x 1.2.3.4 port 5 10.0.0.9 port 22 [preauth] => sshd login failed by 10.0.0.9 account x 1.2.3.4 port 5 (unknown) x0
        Received disconnect from 10.0.0.9 port 22:11: from 1.2.3.4 port 5 [preauth] => sshd connection failed by 10.0.0.9
        ",
    );
    check(
        "dropbear",
        "Bad password attempt for 'x' from 1.2.3.4:5' from 10.0.0.9:40022",
        "dropbear login failed by 10.0.0.9 account x (exists)",
    );
    check(
        "vsftpd",
        "pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=rhost=1.2.3.4 rhost=10.0.0.9",
        "pam login failed by 10.0.0.9 account rhost=1.2.3.4",
    );
}

#[test]
fn other_logins() {
    table(
        "dropbear",
        "
        Bad password attempt for 'root' from 10.0.0.50:60588 => dropbear login failed by 10.0.0.50 account root (exists)
        Login attempt for nonexistent user from 10.0.0.50:60794 => dropbear login failed by 10.0.0.50 (unknown)
        Password auth succeeded for 'root' from 10.0.0.5:40000 => dropbear login ok by 10.0.0.5 account root (exists)
        Pubkey auth succeeded for 'root' with key sha1!! aa:bb from 10.0.0.5:40000 => dropbear login ok by 10.0.0.5 account root (exists)
        Exit before auth (user 'root', 3 fails): Max auth tries reached - user 'root' from 10.0.0.50:60588 => dropbear login failed by 10.0.0.50 account root x0
        Exit before auth from <10.0.0.50:52289>: Exited normally => dropbear connection failed by 10.0.0.50
        Exit (root) from <10.0.0.5:52289>: Disconnect received => dropbear logout ok by 10.0.0.5 account root
        Child connection from 10.0.0.50:52289 => dropbear connection none by 10.0.0.50
        ",
    );
    table(
        "su",
        "
        FAILED SU (to root) alice on pts/0 => su login failed by name alice account root
        (to root) alice on pts/0 => su login ok by name alice account root
        Successful su for root by alice => su login ok by name alice account root
        FAILED su for root by alice => su login failed by name alice account root
        + /dev/pts/0 alice:root => su login ok by name alice account root
        - /dev/pts/0 alice:root => su login failed by name alice account root
        BAD SU alice to root on /dev/ttyp0 => su login failed by name alice account root
        alice to root on /dev/ttyp0 => su login ok by name alice account root
        ",
    );
    table(
        "sudo",
        "
        alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update => sudo command ok by name alice account root program /usr/bin/apt update
        deploy : PWD=/ ; USER=root ; COMMAND=/usr/bin/ls => sudo command ok by name deploy account root program /usr/bin/ls
        alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh => sudo login failed by name alice account root program /bin/sh x3
        alice : 1 incorrect password attempt ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh => sudo login failed by name alice account root program /bin/sh
        bob : user NOT in sudoers ; TTY=pts/1 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/cat /etc/shadow => sudo command failed by name bob account root program /bin/cat /etc/shadow
        bob : command not allowed ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh => sudo command failed by name bob account root program /bin/sh
        ",
    );
}

#[test]
fn pam_lines() {
    table(
        "sshd",
        "
        pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.50  user=root => pam login none by 10.0.0.50 account root
        pam_unix(sshd:auth): check pass; user unknown => pam login none
        pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0) => pam login none account alice
        pam_unix(sshd:session): session closed for user alice => pam logout ok account alice
        ",
    );
    table(
        "vsftpd",
        "
        pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=bob rhost=10.0.0.50 => pam login failed by 10.0.0.50 account bob
        ",
    );
    check("passwd", "pam_unix(passwd:chauthtok): password changed for alice", "pam account ok account alice");
    check(
        "login",
        "pam_faillock(login:auth): Consecutive login failures for user alice account temporarily locked",
        "pam block failed account alice",
    );
}

#[test]
fn accounts_schedules_and_services() {
    table(
        "useradd",
        "
        new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash, from=/dev/pts/0 => useradd account ok account bob
        add 'bob' to group 'sudo' => useradd account ok account bob service sudo
        failed adding user 'bob', data deleted => useradd account failed account bob
        delete user 'bob' => useradd account ok account bob
        ",
    );
    check("passwd", "password for 'alice' changed by 'root'", "useradd account ok account alice");
    table(
        "CRON",
        "
        (root) CMD (run-parts /etc/cron.hourly) => cron command ok by name root program run-parts /etc/cron.hourly
        (alice) REPLACE (alice) => cron file ok by name alice account alice
        ",
    );
    table(
        "systemd",
        "
        Started nginx.service - A high performance web server. => systemd service ok service nginx.service - A high performance web server
        Failed to start nginx.service. => systemd service failed service nginx.service
        Failed to start nginx.service - A web server. => systemd service failed service nginx.service - A web server
        nginx.service: Main process exited, code=exited, status=1/FAILURE => systemd service failed service nginx.service
        nginx.service: Deactivated successfully. => systemd service ok service nginx.service
        ",
    );
    check("systemd-logind", "New session 3 of user alice.", "systemd login none account alice");
    check("systemd-logind", "New seat seat0.", "systemd other none");
    check("systemd-logind", "Removed session 3.", "systemd logout ok");
}

#[test]
fn packets() {
    let fields = "IN=br0 OUT=eth0 MAC=00:11:22:33:44:55 SRC=192.168.1.50 DST=203.0.113.66 LEN=60 TTL=63 PROTO=TCP SPT=49152 DPT=4444 SYN";
    let blocked = "netfilter block failed by 192.168.1.50 to 203.0.113.66 port 4444";
    for prefix in [
        "[UFW BLOCK] ",
        "[1234.567890] [UFW BLOCK] ",
        "Shorewall:loc-net:DROP:",
        "REJECT wan out: ",
        "[LAN_OUT-4000-D]",
    ] {
        check("kernel", &format!("{prefix}{fields}"), blocked);
        check("", &format!("{prefix}{fields}"), blocked);
    }
    check(
        "kernel",
        &format!("[UFW ALLOW] {fields}"),
        "netfilter connection ok by 192.168.1.50 to 203.0.113.66 port 4444",
    );
    check("kernel", &format!("fw: {fields}"), "netfilter connection none by 192.168.1.50 to 203.0.113.66 port 4444");
    check("kernel", "TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.", "kernel ids failed");
    check("kernel", "[    1.234567] usb 1-1: new high-speed USB device", "kernel other none");
    check(
        "filterlog",
        "5,,,1000000103,igb1,match,block,in,4,0x0,,64,1234,0,DF,6,tcp,60,192.168.1.50,203.0.113.66,44322,4444,0,S,1,,64240,,mss",
        "pf block failed by 192.168.1.50 to 203.0.113.66 port 4444",
    );
    check(
        "filterlog",
        "7,,,1000000105,igb1,match,block,in,6,0x00,0x1,64,TCP,6,40,fd00::50,2001:db8::66,44322,4444,0,S,1,,64240,,mss",
        "pf block failed by fd00::50 to 2001:db8::66 port 4444",
    );
    check(
        "pf",
        "rule 4/0(match): block out on em0: 192.168.1.50.1234 > 203.0.113.66.4444: Flags [S], seq 1",
        "pf block failed by 192.168.1.50 to 203.0.113.66 port 4444",
    );
    check(
        "firewall,info",
        "drop forward: in:bridge out:ether1, connection-state:new src-mac aa:bb:cc:dd:ee:ff, proto TCP (SYN), 192.168.1.50:4242->203.0.113.66:4444, len 52",
        "mikrotik block failed by 192.168.1.50 to 203.0.113.66 port 4444",
    );
    check(
        "%ASA-4-106023",
        "Deny tcp src inside:192.168.1.50/1234 dst outside:203.0.113.66/4444 by access-group \"inside_in\" [0x0, 0x0]",
        "asa block failed by 192.168.1.50 to 203.0.113.66 port 4444",
    );
    check(
        "",
        "%SEC-6-IPACCESSLOGP: list 101 denied tcp 192.168.1.50(1234) -> 203.0.113.66(4444), 1 packet",
        "ios block failed by 192.168.1.50 to 203.0.113.66 port 4444",
    );
    check(
        "",
        "date=2026-03-10 devname=\"fw\" logid=\"0000000013\" type=\"traffic\" srcip=192.168.1.50 dstip=203.0.113.66 dstport=4444 action=\"deny\"",
        "fortigate block failed by 192.168.1.50 to 203.0.113.66 port 4444",
    );
}

#[test]
fn routers_logins() {
    check(
        "system,error",
        "login failure for user admin from 10.0.0.50 via ssh",
        "mikrotik login failed by 10.0.0.50 account admin",
    );
    check(
        "system,info",
        "user admin logged in from 10.0.0.5 via winbox",
        "mikrotik login ok by 10.0.0.5 account admin",
    );
    check("luci", "failed login on / for root from 10.0.0.50", "openwrt login failed by 10.0.0.50 account root");
    check(
        "uhttpd",
        "luci: accepted login on /admin for root from 10.0.0.5",
        "openwrt login ok by 10.0.0.5 account root",
    );
    check(
        "",
        "%SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: admin] [Source: 10.0.0.50] [localport: 22] [Reason: Login Authentication Failed]",
        "ios login failed by 10.0.0.50 account admin",
    );
    check(
        "%ASA-6-605004",
        "Login denied from 10.0.0.50/4022 to inside:10.0.0.1/ssh for user \"admin\"",
        "asa login failed by 10.0.0.50 account admin",
    );
}

#[test]
fn leases_and_names() {
    check(
        "dnsmasq",
        "query[A] example.org from 192.168.1.5",
        "dnsmasq request none by 192.168.1.5 service example.org",
    );
    check(
        "dnsmasq-dhcp",
        "DHCPACK(br-lan) 192.168.1.5 aa:bb:cc:dd:ee:ff laptop",
        "dnsmasq lease ok by name aa:bb:cc:dd:ee:ff to 192.168.1.5",
    );
    check(
        "dhcpd",
        "DHCPACK on 10.0.0.5 to aa:bb:cc:dd:ee:ff (laptop) via eth0",
        "dhcpd lease ok by name aa:bb:cc:dd:ee:ff to 10.0.0.5",
    );
    check(
        "dhcpd",
        "DHCPDISCOVER from aa:bb:cc:dd:ee:ff via eth0: network 10.0.0.0/24: no free leases",
        "dhcpd lease failed by name aa:bb:cc:dd:ee:ff",
    );
}

#[test]
fn web_servers() {
    table(
        "apache2",
        r#"
        10.0.0.5 - - [10/Mar/2026:10:11:12 +0000] "GET /index.html HTTP/1.1" 200 512 "-" "curl" => apache request ok by 10.0.0.5 path /index.html
        www.example.org:443 10.0.0.50 - - [10/Mar/2026:10:11:12 +0000] "GET /.env HTTP/1.1" 404 9 "-" "x" => apache request failed by 10.0.0.50 path /.env
        10.0.0.50 - admin [10/Mar/2026:10:11:12 +0000] "GET /private HTTP/1.1" 401 9 => apache login failed by 10.0.0.50 account admin path /private
        10.0.0.50 - - [10/Mar/2026:10:11:12 +0000] "GET /private HTTP/1.1" 401 9 => apache request none by 10.0.0.50 path /private
        10.0.0.50 - - [10/Mar/2026:10:11:12 +0000] "GET /\" 200 HTTP/1.1" 400 9 => apache request failed by 10.0.0.50 path /\" 200
        [Tue Mar 10 10:11:12.266305 2026] [auth_basic:error] [pid 1:tid 2] [client 10.0.0.50:51386] AH01618: user bob not found: /private => apache login failed by 10.0.0.50 account bob (unknown)
        [Tue Mar 10 10:11:12 2026] [error] [client 10.0.0.50] user alice: authentication failure for "/private": Password Mismatch => apache login failed by 10.0.0.50 account alice
        [Tue Mar 10 10:11:12 2026] [authz_core:error] [pid 1] [client 10.0.0.50:44271] AH01630: client denied by server configuration: /var/www => apache request failed by 10.0.0.50
        "#,
    );
    table(
        "nginx",
        r#"
        10.0.0.5 - - [10/Mar/2026:10:11:12 +0000] "GET / HTTP/2.0" 200 512 "-" "curl" => nginx request ok by 10.0.0.5 path /
        2026/03/10 10:11:12 [error] 12#12: *7 user "bob" was not found in "/etc/nginx/htpasswd", client: 10.0.0.50, server: x, request: "GET / HTTP/1.1", host: "x" => nginx login failed by 10.0.0.50 account bob (unknown)
        2026/03/10 10:11:12 [error] 12#12: *7 user "alice": password mismatch, client: 10.0.0.50, server: x, request: "GET / HTTP/1.1" => nginx login failed by 10.0.0.50 account alice (exists)
        2026/03/10 10:11:12 [error] 12#12: *7 access forbidden by rule, client: 10.0.0.50, server: x, request: "GET /.git HTTP/1.1" => nginx request failed by 10.0.0.50 path /.git
        "#,
    );
    check(
        "",
        r#"2001:db8::5 - - [10/Mar/2026:10:11:12 +0000] "GET / HTTP/2.0" 200 512 "-" "curl""#,
        "apache request ok by 2001:db8::5 path /",
    );
}

#[test]
fn applications_that_are_not_listed() {
    table(
        "someapp",
        r#"
        Login failed for user 'bob' from 10.0.0.50 => generic login failed by 10.0.0.50 account bob
        authentication failure rip=10.0.0.50, lip=10.0.0.1, user=<bob> => generic login failed by 10.0.0.50 account bob
        warning: host.example[10.0.0.50]: SASL LOGIN authentication failed: UGFzc3dvcmQ6 => generic login failed by 10.0.0.50
        Registration from 'sip:1@10.0.0.1' failed for '10.0.0.50:5060' - Wrong password => generic login failed by 10.0.0.50
        Failed login attempt. 10.0.0.50 => generic login failed by 10.0.0.50
        user bob logged in successfully from 10.0.0.5 => generic login ok by 10.0.0.5
        backup of 10.0.0.5 finished: 12 files, 0 failed => generic other none
        login statistics: failed=0 for user=bob from 10.0.0.5 => generic other none
        user not found => generic other none
        BLOCK* ask 10.0.0.50 to replicate blk_7 => generic other none
        user unknown: attempt from IP address 10.0.0.50 => generic login failed by 10.0.0.50
        user bob doesn't exist, client 10.0.0.50 => generic login failed by 10.0.0.50
        host 10.0.0.50 is not allowed to talk to us => generic other failed by 10.0.0.50
        hacking attempt detected '10.0.0.50' => generic ids failed by 10.0.0.50
        blocking 10.0.0.50: too many errors => generic block failed by 10.0.0.50
        {"level":"warn","msg":"login failed","remote_ip":"10.0.0.50","user":"bob"} => generic login failed by 10.0.0.50 account bob
        {"status":401,"request":{"remote_ip":"10.0.0.50","method":"GET","uri":"/"},"user_id":"bob"} => generic login failed by 10.0.0.50 account bob path /
        HttpRequest: access denied -- client 10.0.0.50: wrong password for user 'bob' => generic login failed by 10.0.0.50 account bob
        HttpRequest: access denied -- client 10.0.0.50: missing or invalid Authorization header => generic login none by 10.0.0.50
        the quick brown fox => generic other none
        "#,
    );
}

#[test]
fn bodies_that_are_no_lines() {
    let say = |body| say(&extract(&event(1, "pi", TEN, body)));
    let change: FileChange = serde_json::from_str(r#"{"path":"/etc/passwd","change":"modified"}"#).unwrap();
    assert_eq!(change.change, Change::Modified);
    assert_eq!(say(Body::File(Box::new(change))), "fileintegrity file ok path /etc/passwd");
    let start: ProcessStart = serde_json::from_str(r#"{"pid":7,"exe":"/bin/sh","user":"www-data"}"#).unwrap();
    assert_eq!(say(Body::Process(Box::new(start))), "process process ok by name www-data program /bin/sh");
    let out = r#"{"exe":"/bin/nc","proto":"tcp","direction":"out","local_port":5,"remote":"203.0.113.66","remote_port":4444,"user":"bob"}"#;
    let out: NetConnection = serde_json::from_str(out).unwrap();
    assert_eq!(say(Body::Connection(Box::new(out))), "connection connection ok by name bob to 203.0.113.66 port 4444");
}

/// A line of one piece again and again is read as quickly as any other of its length; a quadratic reader would never end.
#[test]
fn no_text_takes_long() {
    let pieces = [
        "(",
        "[",
        "): ",
        "<",
        "{\"a\":",
        "[{",
        " from ",
        "=\"",
        "\\\"",
        "] [",
        " H=(",
        ", rip=",
        "user=<",
        "' failed for '",
    ];
    for app in ["", "dovecot", "nxlog", "exim", "asterisk", "kube-apiserver", "audit", "postgres", "apache2", "odd"] {
        for piece in pieces {
            let event = event(1, "10.0.0.1", TEN, line(app, 1, &piece.repeat(200_000 / piece.len())));
            extract(&event);
        }
    }
}

/// Whatever is cut off a line, put into it, or said in another's name, extraction ends and says something.
#[test]
fn no_text_is_too_odd() {
    const APPS: [&str; 45] = [
        "",
        "dovecot",
        "openvpn",
        "charon",
        "suricata",
        "nxlog",
        "hostapd",
        "dpkg",
        "dockerd",
        "mysqld",
        "postgres",
        "mongod",
        "chronyd",
        "exim",
        "sendmail",
        "proftpd",
        "asterisk",
        "named",
        "haproxy",
        "audit",
        "login",
        "%ASA-6-113015",
        "sshd",
        "dropbear",
        "sudo",
        "su",
        "useradd",
        "cron",
        "systemd",
        "kernel",
        "dnsmasq",
        "dhcpd",
        "nginx",
        "apache2",
        "filterlog",
        "luci",
        "firewall,info",
        "%ASA-4-106023",
        "%SEC-6-IPACCESSLOGP",
        "vsftpd",
        "login(pam_unix)",
        "/usr/sbin/CRON",
        "postfix/smtpd",
        "a-name-that-is-longer-than-all-those-looked-up",
        "ü",
    ];
    let files = [include_str!("mod.rs"), include_str!("servers.rs"), include_str!("devices.rs")];
    let lines = files.iter().flat_map(|file| file.lines());
    let lines: Vec<&str> = lines.map(|line| line.trim().trim_end_matches(',')).collect();
    let mut seen = 0;
    for (number, text) in lines.iter().enumerate() {
        let text = text.split(" => ").next().unwrap();
        let other = lines[(number * 7 + 13) % lines.len()];
        for (end, _char) in text.char_indices().step_by(5) {
            let app = APPS[(number + end) % APPS.len()];
            let (head, tail) = text.split_at(end);
            // sshd says `ROOT LOGIN REFUSED`, and means the account `root`.
            for odd in [head.to_owned(), tail.to_owned(), format!("{head}é{other}{tail}")] {
                let event = event(1, "10.0.0.1", TEN, line(app, 1, &odd));
                let found = extract(&event);
                assert!(found.account.is_none_or(|account| account == "root" || odd.contains(account)), "{odd}");
                seen += 1;
            }
        }
    }
    assert!(seen > 10_000);
}
