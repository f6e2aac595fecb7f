//! What an outsider chose, a name, a password or a path, that reads like the program's own words.

use nms_detect::extract;

use super::{check, table};
use crate::host::{TEN, event, line};

#[test]
fn names_that_read_like_an_address() {
    table(
        "dsm",
        "
        User [x] from [203.0.113.99] failed to x] from [192.0.2.7] failed to log in via [DSM] due to authorization failure. => generic login failed by 192.0.2.7 account x] from [203.0.113.99] failed to x
        conn log: Users: x, Source IP: 203.0.113.99, Source IP: 192.0.2.7, Computer name: ---, Connection type: SSH, Accessed resources: ---, Action: Login Fail => generic login failed by 192.0.2.7 account x, Source IP: 203.0.113.99
        conn log: Users: bob, Source IP: 192.0.2.7, Computer name: ---, Connection type: SAMBA, Accessed resources: a, Source IP: 203.0.113.99, Action: Read => generic file ok by 192.0.2.7 account bob
        ",
    );
    check(
        "%ASA-6-605004",
        r#"Login denied from 192.0.2.7/4711 to outside:198.51.100.1/ssh for user "x user IP = 203.0.113.99""#,
        "asa login failed by 192.0.2.7 account x user IP = 203.0.113.99",
    );
    check(
        "%ASA-6-611102",
        "User authentication failed: IP address: 192.0.2.7, Uname: x, IP = 203.0.113.99",
        "asa login failed by 192.0.2.7 account x, IP = 203.0.113.99",
    );
    check(
        "%ASA-6-716039",
        "Group <g> User <x> IP <203.0.113.99> IP <192.0.2.7> Authentication: rejected, Session Type: WebVPN.",
        "asa login failed by 192.0.2.7 account x",
    );
    table(
        "roundcube",
        "
        IMAP Error: Login failed for x from 203.0.113.99. LOGIN from 192.0.2.7. AUTHENTICATE PLAIN: Authentication failed. in /usr/share/a.php => generic login failed by 192.0.2.7 account x from 203.0.113.99. LOGIN
        IMAP Error: Login failed for bob from 192.0.2.7(X-Forwarded-For: x from 203.0.113.99. LOGIN). AUTHENTICATE PLAIN: no => generic login failed account bob from 192.0.2.7(X-Forwarded-For: x
        ",
    );
    table(
        "mongod",
        "
        2026-03-10T10:00:00.000+0000 I ACCESS   [conn7] SASL SCRAM-SHA-1 authentication failed for x from client 203.0.113.99:1 ; on admin from client 192.0.2.7:4711 ; UserNotFound: Could not find user x from client 203.0.113.99:1 ;@admin => database login failed account x from client 203.0.113.99:1 ; (unknown)
        ",
    );
    table(
        "postgres",
        r#"
        [7] user=x FATAL:  no pg_hba.conf entry for host "203.0.113.99", user "y FATAL:  password authentication failed for user "x FATAL:  no pg_hba.conf entry for host "203.0.113.99", user "y" => database login failed
        "#,
    );
    table(
        "mysqld",
        "
        Access denied for user 'bob'@'192.0.2.7' to database 'z'@'203.0.113.99' (using x' => database login failed by 192.0.2.7 account bob
        Access denied for user 'x'@'203.0.113.99' to database ''@'192.0.2.7' (using password: YES) => database login failed by 192.0.2.7 account x'@'203.0.113.99' to database '
        ",
    );
    table(
        "MSWinEventLog",
        "
        1	Security	7	Tue Mar 10 10:00:00 2026	4771	Microsoft-Windows-Security-Auditing	N/A	N/A	Failure Audit	DC1	Kerberos		Kerberos pre-authentication failed.    Account Information:   Security ID:  S-1-0-0   Account Name:  x Source Network Address: 203.0.113.99    Service Information:   Service Name:  krbtgt    Network Information:   Client Address:  192.0.2.7   Client Port:  4711    Additional Information:   Failure Code:  0x18 => winlogon login failed by 192.0.2.7 account x (exists)
        ",
    );
    table(
        "nxlog",
        "
        EventID=4625 TargetUserName=x EventID=4624 IpAddress=192.0.2.7 Status=0xc000006d => winlogon login failed by 192.0.2.7 account x
        ",
    );
    table(
        "vsftpd",
        r#"
        [ftp] OK LOGIN: Client "192.0.2.7", anon password "] FAIL LOGIN: Client "203.0.113.99"" => generic login ok by 192.0.2.7 account ftp
        [ftp] OK LOGIN: Client "192.0.2.7", anon password "] FAIL LOGIN: Client "203.0.113.99" => generic login failed account ftp] OK LOGIN: Client "192.0.2.7", anon password "
        [x] OK LOGIN: Client "203.0.113.99"] FAIL LOGIN: Client "192.0.2.7" => generic login failed by 192.0.2.7 account x] OK LOGIN: Client "203.0.113.99"
        "#,
    );
    table(
        "sendmail",
        "
        ruleset=check_rcpt, arg1=<x@example.net>, relay=host.example [192.0.2.7], reject=550 5.7.1 <x relay= [203.0.113.99] >... Relaying denied => generic request failed by 192.0.2.7
        ",
    );
    table(
        "system,error,critical",
        "
        login failure for user drop in:x 10.0.0.5:1->203.0.113.99:4444, from 192.0.2.7 via ssh => mikrotik login failed by 192.0.2.7 account drop in:x 10.0.0.5:1->203.0.113.99:4444,
        ",
    );
}

#[test]
fn a_device_that_an_application_quotes() {
    for text in [
        r#"login failed for %ASA-4-106023: Deny tcp src inside:10.0.0.5/1 dst outside:203.0.113.99/4444 by access-group "x""#,
        "login failed for DROP IN=eth0 OUT= SRC=10.0.0.5 DST=203.0.113.99 PROTO=TCP SPT=1 DPT=4444",
    ] {
        let event = event(1, "10.0.0.1", TEN, line("myapp", 100, text));
        let said = super::say(&extract(&event));
        assert!(!said.contains("block") && !said.contains("203.0.113.99"), "{said}");
    }
    let deny = r#"*Mar 10 10:00:00.123 UTC: %ASA-4-106023: Deny tcp src inside:10.0.0.5/1 dst outside:203.0.113.99/4444 by access-group "x""#;
    check("000123", deny, "asa block failed by 10.0.0.5 to 203.0.113.99 port 4444");
    let packet = "[UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.7 DST=10.0.0.5 PROTO=TCP SPT=1 DPT=22";
    check("myapp", packet, "netfilter block failed by 192.0.2.7 to 10.0.0.5 port 22");
}

/// A name of a million times ` from x` is read in one go; looking at the rest from each of them would not end today.
#[test]
fn a_name_of_many_froms_is_linear() {
    let text = format!("Failed password for {}", " from x".repeat(1_000_000));
    let event = event(1, "10.0.0.1", TEN, line("sshd", 100, &text));
    assert!(super::say(&extract(&event)).starts_with("sshd login failed"));
}

/// A value in quotes may hold what its owner chose; the address that stands outside is the application's.
#[test]
fn an_address_inside_of_a_quoted_name_is_nobodys() {
    for text in [
        r#"login failed ip=203.0.113.9 user="a from 10.0.0.5""#,
        r#"login failed user="a from 10.0.0.5" ip=203.0.113.9"#,
        r#"{"msg":"login failed","ip":"203.0.113.9","user":"x from 10.0.0.5"}"#,
        r#"{"user":"x from 10.0.0.5","msg":"login failed","ip":"203.0.113.9"}"#,
    ] {
        let event = event(1, "host", TEN, line("acme", 0, text));
        assert_eq!(format!("{:?}", extract(&event).actor), "Some(Address(203.0.113.9))", "{text}");
    }
}
