//! One line of each kind that a hub hears, and what it reads as.

use crate::syslog_show::{check, show};

#[test]
fn rfc3164_as_written() {
    check(&[
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            "Rfc3164 4.2 at=2025-10-11T21:14:15Z host=mymachine app=su | 'su root' failed for lonvick on /dev/pts/8",
        ),
        ("<13>Use the BFG!", "Bare 1.5 | Use the BFG!"),
        (
            "<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time to make the do-nuts.",
            "Rfc3164 20.5 at=1987-08-24T04:34:00Z host=mymachine app=myproc pid=10 | %% It's time to make the do-nuts.",
        ),
        (
            "<0>Mar  1 11:59:00 fe80::1 kernel: oops",
            "Rfc3164 0.0 at=2026-03-01T10:59:00Z host=fe80::1 app=kernel | oops",
        ),
        ("<191>Mar 1 11:59:00 h1 a: b", "Rfc3164 23.7 at=2026-03-01T10:59:00Z host=h1 app=a | b"),
        ("<13>", "Bare 1.5 | "),
    ]);
}

#[test]
fn logger_of_util_linux() {
    check(&[
        (
            "<13>Mar  1 12:59:58 pi root: hello world",
            "Rfc3164 1.5 at=2026-03-01T11:59:58Z host=pi app=root | hello world",
        ),
        (
            "<13>Mar  1 12:59:58 pi root[4711]: hello",
            "Rfc3164 1.5 at=2026-03-01T11:59:58Z host=pi app=root pid=4711 | hello",
        ),
        ("<13>Mar  1 12:59:58 pi root: ", "Rfc3164 1.5 at=2026-03-01T11:59:58Z host=pi app=root | "),
        // A tag with a blank is no tag: nothing is lost from the text.
        ("<13>Mar  1 12:59:58 pi my app: hello", "Rfc3164 1.5 at=2026-03-01T11:59:58Z | pi my app: hello"),
        (
            "<13>1 2026-03-01T12:59:58.123456+01:00 pi root - - [timeQuality tzKnown=\"1\" isSynced=\"0\"] hello",
            "Rfc5424 1.5 at=2026-03-01T11:59:58.123Z(+3600) host=pi app=root sd=[timeQuality tzKnown=\"1\" isSynced=\"0\"] | hello",
        ),
        (
            "<38>1 2026-03-01T11:59:58Z pi sshd 77 ID9 - hello",
            "Rfc5424 4.6 at=2026-03-01T11:59:58Z(+0) host=pi app=sshd pid=77 msgid=ID9 | hello",
        ),
    ]);
}

#[test]
fn daemons_through_rsyslog() {
    check(&[
        (
            "<38>Mar  1 12:30:00 web1 sshd[123]: Failed password for root from 203.0.113.9 port 40022 ssh2",
            "Rfc3164 4.6 at=2026-03-01T11:30:00Z host=web1 app=sshd pid=123 | Failed password for root from 203.0.113.9 port 40022 ssh2",
        ),
        (
            "<38>2026-03-01T12:30:00.123456+01:00 web1 sshd-session[1]: Connection closed",
            "IsoStamp 4.6 at=2026-03-01T11:30:00.123Z(+3600) host=web1 app=sshd-session pid=1 | Connection closed",
        ),
        (
            "<78>Mar  1 12:17:01 web1 CRON[12]: (root) CMD (cd / && run-parts --report /etc/cron.hourly)",
            "Rfc3164 9.6 at=2026-03-01T11:17:01Z host=web1 app=CRON pid=12 | (root) CMD (cd / && run-parts --report /etc/cron.hourly)",
        ),
        (
            "<22>Mar  1 12:17:01 web1 postfix/smtpd[3]: connect from unknown[203.0.113.9]",
            "Rfc3164 2.6 at=2026-03-01T11:17:01Z host=web1 app=postfix/smtpd pid=3 | connect from unknown[203.0.113.9]",
        ),
        (
            "<4>Mar  1 12:17:01 web1 kernel: [12345.678901] [UFW BLOCK] IN=eth0 OUT= SRC=203.0.113.9",
            "Rfc3164 0.4 at=2026-03-01T11:17:01Z host=web1 app=kernel | [12345.678901] [UFW BLOCK] IN=eth0 OUT= SRC=203.0.113.9",
        ),
        (
            "<86>Mar  1 12:17:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 ",
            "Rfc3164 10.6 at=2026-03-01T11:17:01Z host=combo app=sshd(pam_unix) pid=19939 | authentication failure; logname= uid=0 ",
        ),
        (
            "<30>Mar  1 12:17:01 web1 user@1000.service[9]: start",
            "Rfc3164 3.6 at=2026-03-01T11:17:01Z host=web1 app=user@1000.service pid=9 | start",
        ),
        (
            "<30>Mar  1 12:17:01 mac com.apple.xpc.launchd[1] (com.apple.mdworker): Service exited",
            "Rfc3164 3.6 at=2026-03-01T11:17:01Z host=mac app=com.apple.xpc.launchd pid=1 | (com.apple.mdworker): Service exited",
        ),
        (
            "<38>Mar  1 12:17:01 web1 sshd[123]: message repeated 2 times: [ Failed password for root]",
            "Rfc3164 4.6 at=2026-03-01T11:17:01Z host=web1 app=sshd pid=123 | message repeated 2 times: [ Failed password for root]",
        ),
        (
            "<38>Mar  1 12:17:01 combo last message repeated 7 times",
            "Rfc3164 4.6 at=2026-03-01T11:17:01Z host=combo | last message repeated 7 times",
        ),
        (
            "<38>Mar  1 12:17:01 last message repeated 7 times",
            "Rfc3164 4.6 at=2026-03-01T11:17:01Z | last message repeated 7 times",
        ),
        ("<46>Mar  1 12:17:01 combo -- MARK --", "Rfc3164 5.6 at=2026-03-01T11:17:01Z host=combo | -- MARK --"),
        (
            "<46>Mar  1 12:17:01 sun su: [ID 366847 auth.notice] 'su root' failed",
            "Rfc3164 5.6 at=2026-03-01T11:17:01Z host=sun app=su | [ID 366847 auth.notice] 'su root' failed",
        ),
    ]);
}

#[test]
fn lines_of_files() {
    check(&[
        (
            "Mar  1 06:55:46 LabSZ sshd[24200]: Invalid user webmaster from 203.0.113.9",
            "Rfc3164 1.5 at=2026-03-01T05:55:46Z host=LabSZ app=sshd pid=24200 | Invalid user webmaster from 203.0.113.9",
        ),
        (
            "2026-03-01T06:55:46.5+01:00 pi sudo:  pi : TTY=pts/0 ; PWD=/home/pi ; USER=root ; COMMAND=/bin/ls\r\n",
            "IsoStamp 1.5 at=2026-03-01T05:55:46.5Z(+3600) host=pi app=sudo |  pi : TTY=pts/0 ; PWD=/home/pi ; USER=root ; COMMAND=/bin/ls",
        ),
        (
            "2026-03-01T06:55:46+0100 pi systemd[1]: Started x",
            "IsoStamp 1.5 at=2026-03-01T05:55:46Z(+3600) host=pi app=systemd pid=1 | Started x",
        ),
        (
            "2026-03-01 06:55:46,388 fail2ban.actions[123]: NOTICE [sshd] Ban 203.0.113.9",
            "IsoStamp 1.5 at=2026-03-01T05:55:46.388Z app=fail2ban.actions pid=123 | NOTICE [sshd] Ban 203.0.113.9",
        ),
        (
            "2026-02-16T05:13:40.861934Z 344 [Note] Access denied for user 'root'@'203.0.113.9'",
            "IsoStamp 1.5 at=2026-02-16T05:13:40.861Z(+0) | 344 [Note] Access denied for user 'root'@'203.0.113.9'",
        ),
        (
            "2026-02-23 22:07:05.311 -05:00 [WRN] Failed login attempt",
            "IsoStamp 1.5 at=2026-02-24T03:07:05.311Z(-18000) | [WRN] Failed login attempt",
        ),
        (
            "2026/02/14 19:03:05 [error] 2035#2035: *9134 access forbidden by rule",
            "IsoStamp 1.5 at=2026-02-14T18:03:05Z | [error] 2035#2035: *9134 access forbidden by rule",
        ),
        (
            "203.0.113.9 - - [28/Feb/2026:21:34:30 +0000] \"GET / HTTP/2.0\" 401 17",
            "Bare 1.5 at=2026-02-28T21:34:30Z(+0) | 203.0.113.9 - - [28/Feb/2026:21:34:30 +0000] \"GET / HTTP/2.0\" 401 17",
        ),
        (
            "[Sat Feb 28 02:17:42.123456 2026] [error] [client 203.0.113.9] File does not exist: /srv",
            "Bare 1.5 at=2026-02-28T01:17:42.123Z | [Sat Feb 28 02:17:42.123456 2026] [error] [client 203.0.113.9] File does not exist: /srv",
        ),
        ("srv sshd[13709]: error: PAM: failure", "Bare 1.5 host=srv app=sshd pid=13709 | error: PAM: failure"),
        ("sshd[13709]: bye", "Bare 1.5 app=sshd pid=13709 | bye"),
        (
            "2026-02-20 12:36:54.17 Logon       Error: 18456, Severity: 14, State: 8.",
            "IsoStamp 1.5 at=2026-02-20T11:36:54.17Z | Logon       Error: 18456, Severity: 14, State: 8.",
        ),
        (
            "2026/02/20 12:36:54 /api/login: 401 203.0.113.9",
            "IsoStamp 1.5 at=2026-02-20T11:36:54Z | /api/login: 401 203.0.113.9",
        ),
        ("2026-02-20 12:36:54 ERROR: no route", "IsoStamp 1.5 at=2026-02-20T11:36:54Z | ERROR: no route"),
        ("Feb 20 12:36:54 pi error: no route", "Rfc3164 1.5 at=2026-02-20T11:36:54Z host=pi | error: no route"),
        (
            "WARNING: Authentication attempt from 203.0.113.9",
            "Bare 1.5 | WARNING: Authentication attempt from 203.0.113.9",
        ),
        ("Exit (root): Disconnect received", "Bare 1.5 | Exit (root): Disconnect received"),
        ("<Event xmlns=\"http://example.org\">", "Bare 1.5 | <Event xmlns=\"http://example.org\">"),
        ("<W>2026-03-01 16:38:01.818 1 => Rejected", "Bare 1.5 | <W>2026-03-01 16:38:01.818 1 => Rejected"),
        ("{\"level\":\"error\",\"msg\":\"no\"}", "Bare 1.5 | {\"level\":\"error\",\"msg\":\"no\"}"),
        ("\u{feff}Mar  1 06:55:46 pi a: b", "Rfc3164 1.5 at=2026-03-01T05:55:46Z host=pi app=a | b"),
        ("ключ: значение", "Bare 1.5 | ключ: значение"),
    ]);
}

#[test]
fn routers_without_host() {
    check(&[
        (
            "<30>Mar  1 12:17:01 dnsmasq[1234]: query[A] example.com from 192.168.1.20",
            "Rfc3164 3.6 at=2026-03-01T11:17:01Z app=dnsmasq pid=1234 | query[A] example.com from 192.168.1.20",
        ),
        (
            "<12>Mar  1 12:17:01 kernel: DROP IN=ppp0 OUT= SRC=203.0.113.9",
            "Rfc3164 1.4 at=2026-03-01T11:17:01Z app=kernel | DROP IN=ppp0 OUT= SRC=203.0.113.9",
        ),
        ("<12>Mar  1 12:17:01 Interface eth0 is down", "Rfc3164 1.4 at=2026-03-01T11:17:01Z | Interface eth0 is down"),
        (
            "<12>Mar  1 12:17:01 DROP IN=ppp0 OUT= SRC=203.0.113.9",
            "Rfc3164 1.4 at=2026-03-01T11:17:01Z | DROP IN=ppp0 OUT= SRC=203.0.113.9",
        ),
        (
            "<190>Mar  1 12:17:01 10.0.0.5 00076 ports: port 1 is now on-line",
            "Rfc3164 23.6 at=2026-03-01T11:17:01Z host=10.0.0.5 | 00076 ports: port 1 is now on-line",
        ),
        ("<14>hostapd: wlan0: STA 78:8a:20:ab:cd:ef", "Bare 1.6 app=hostapd | wlan0: STA 78:8a:20:ab:cd:ef"),
        ("<14>78:8a:20:ab:cd:ef joined", "Bare 1.6 | 78:8a:20:ab:cd:ef joined"),
        (
            "<14>Mar  1 12:17:01 http://example.org/ asked",
            "Rfc3164 1.6 at=2026-03-01T11:17:01Z | http://example.org/ asked",
        ),
        (
            "[DoS Attack: ACK Scan] from source: 203.0.113.9",
            "Bare 1.5 | [DoS Attack: ACK Scan] from source: 203.0.113.9",
        ),
        (
            "<134>Mar  1 12:17:01 2026 DSL-2750U syslog: link up",
            "Rfc3164 16.6 at=2026-03-01T11:17:01Z host=DSL-2750U app=syslog | link up",
        ),
        ("<13>Mar  1 12:17:01x y", "Bare 1.5 | Mar  1 12:17:01x y"),
        (
            "<13>2026-03-01T12:17:01+01:00 10.0.0.5 link up",
            "IsoStamp 1.5 at=2026-03-01T11:17:01Z(+3600) host=10.0.0.5 | link up",
        ),
        (
            "2026-03-01T12:17:01+01:00 203.0.113.9 GET /",
            "IsoStamp 1.5 at=2026-03-01T11:17:01Z(+3600) | 203.0.113.9 GET /",
        ),
        (
            "<134>2026-03-01 12:17:01 TL-R470T+ [Firewall] blocked",
            "IsoStamp 16.6 at=2026-03-01T11:17:01Z | TL-R470T+ [Firewall] blocked",
        ),
    ]);
}

#[test]
fn openwrt_and_unifi() {
    check(&[
        (
            "<30>Mar  1 12:17:01 OpenWrt dnsmasq-dhcp[1]: DHCPACK(br-lan) 192.168.1.20",
            "Rfc3164 3.6 at=2026-03-01T11:17:01Z host=OpenWrt app=dnsmasq-dhcp pid=1 | DHCPACK(br-lan) 192.168.1.20",
        ),
        (
            "Sun Mar  1 12:17:01 2026 daemon.info dnsmasq[1]: started",
            "Rfc3164 3.6 at=2026-03-01T11:17:01Z app=dnsmasq pid=1 | started",
        ),
        (
            "Mar  1 12:17:01 router authpriv.warn dropbear[7]: Bad password attempt for 'root'",
            "Rfc3164 10.4 at=2026-03-01T11:17:01Z host=router app=dropbear pid=7 | Bad password attempt for 'root'",
        ),
        (
            "<14>Mar  1 12:17:01 U7PG2,788a20abcdef,v4.0.42.10433: hostapd: ath0: STA joined",
            "Rfc3164 1.6 at=2026-03-01T11:17:01Z host=U7PG2,788a20abcdef,v4.0.42.10433 app=hostapd | ath0: STA joined",
        ),
        (
            "<14>Mar  1 12:17:01 (\"U7LT,44d9e7f90a5c,v3.9.3.7537\") hostapd: ath3: STA joined",
            "Rfc3164 1.6 at=2026-03-01T11:17:01Z host=U7LT,44d9e7f90a5c,v3.9.3.7537 app=hostapd | ath3: STA joined",
        ),
        (
            "<14>Mar  1 12:17:01 U6-Lite 788a20abcdef,U6-Lite-6.5.28+14491: mcad[2512]: stats",
            "Rfc3164 1.6 at=2026-03-01T11:17:01Z host=U6-Lite app=mcad pid=2512 | stats",
        ),
    ]);
}

#[test]
fn mikrotik() {
    check(&[
        (
            "firewall,info forward: in:ether1 out:bridge, proto TCP (SYN), 203.0.113.9:443->192.168.88.2:5000",
            "MikroTik 1.5 app=firewall,info | forward: in:ether1 out:bridge, proto TCP (SYN), 203.0.113.9:443->192.168.88.2:5000",
        ),
        (
            "<30>Mar  1 12:17:01 MikroTik system,error,critical login failure for user admin from 203.0.113.9 via ssh",
            "MikroTik 3.6 at=2026-03-01T11:17:01Z host=MikroTik app=system,error,critical | login failure for user admin from 203.0.113.9 via ssh",
        ),
        (
            "2026-03-01T12:34:09.757188+01:00 10.120.127.1 system,info,account user admin logged in",
            "MikroTik 1.5 at=2026-03-01T11:34:09.757Z(+3600) host=10.120.127.1 app=system,info,account | user admin logged in",
        ),
        ("one,two three", "Bare 1.5 | one,two three"),
    ]);
}

#[test]
fn cisco() {
    check(&[
        (
            "<189>45: *Mar  1 00:01:23.456: %SYS-5-CONFIG_I: Configured from console by vty0",
            "Cisco 23.5 at=2026-02-28T23:01:23.456Z app=SYS msgid=SYS-5-CONFIG_I | %SYS-5-CONFIG_I: Configured from console by vty0",
        ),
        (
            "<189>45: router1: 000046: *Mar  1 00:01:23.456 UTC: %SEC_LOGIN-5-LOGIN_SUCCESS: Login Success",
            "Cisco 23.5 at=2026-03-01T00:01:23.456Z(+0) host=router1 app=SEC_LOGIN msgid=SEC_LOGIN-5-LOGIN_SUCCESS | %SEC_LOGIN-5-LOGIN_SUCCESS: Login Success",
        ),
        (
            "<187>000045: .Mar 1 2026 12:00:00.123 CET: %LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
            "Cisco 23.3 at=2026-03-01T11:00:00.123Z app=LINK msgid=LINK-3-UPDOWN | %LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
        ),
        (
            "<189>12: 1d02h: %SYS-5-RESTART: System restarted",
            "Cisco 23.5 app=SYS msgid=SYS-5-RESTART | %SYS-5-RESTART: System restarted",
        ),
        ("<189>12: 00:00:45: %SYS-5-RESTART: up", "Cisco 23.5 app=SYS msgid=SYS-5-RESTART | %SYS-5-RESTART: up"),
        ("<189>45: *Mar  1 00:01:23.456: no mnemonic", "Cisco 23.5 at=2026-02-28T23:01:23.456Z | no mnemonic"),
        (
            "<189>: 2026 Mar  1 12:00:00 UTC: %ETHPORT-5-IF_UP: Interface Ethernet1/1 is up",
            "Cisco 23.5 at=2026-03-01T12:00:00Z(+0) app=ETHPORT msgid=ETHPORT-5-IF_UP | %ETHPORT-5-IF_UP: Interface Ethernet1/1 is up",
        ),
        (
            "<189>Mar  1 12:00:00 UTC: %CDP-SP-4-NATIVE_VLAN_MISMATCH: on Gi1",
            "Cisco 23.5 at=2026-03-01T12:00:00Z(+0) app=CDP-SP msgid=CDP-SP-4-NATIVE_VLAN_MISMATCH | %CDP-SP-4-NATIVE_VLAN_MISMATCH: on Gi1",
        ),
        (
            "<166>%ASA-6-302013: Built outbound TCP connection",
            "Cisco 20.6 app=ASA msgid=ASA-6-302013 | %ASA-6-302013: Built outbound TCP connection",
        ),
        (
            "<164>Mar 01 2026 12:00:00: %ASA-4-106023: Deny tcp src outside:203.0.113.9/4711 dst inside:10.0.0.5/22",
            "Cisco 20.4 at=2026-03-01T11:00:00Z app=ASA msgid=ASA-4-106023 | %ASA-4-106023: Deny tcp src outside:203.0.113.9/4711 dst inside:10.0.0.5/22",
        ),
        (
            "<164>Mar 01 2026 12:00:00 fw1 : %ASA-4-106023: Deny tcp",
            "Cisco 20.4 at=2026-03-01T11:00:00Z host=fw1 app=ASA msgid=ASA-4-106023 | %ASA-4-106023: Deny tcp",
        ),
        (
            "<164>2026-03-01T12:00:00Z fw1 : %ASA-4-106023: Deny tcp",
            "Cisco 20.4 at=2026-03-01T12:00:00Z(+0) host=fw1 app=ASA msgid=ASA-4-106023 | %ASA-4-106023: Deny tcp",
        ),
        (
            "<189>Mar  1 12:00:00 10.1.1.1 45: *Mar  1 00:01:23: %SYS-5-CONFIG_I: Configured",
            "Cisco 23.5 at=2026-03-01T11:00:00Z host=10.1.1.1 app=SYS msgid=SYS-5-CONFIG_I | %SYS-5-CONFIG_I: Configured",
        ),
        (
            "Mar  1 12:00:00 10.1.1.1 %ASA-4-106023: Deny tcp",
            "Cisco 1.5 at=2026-03-01T11:00:00Z host=10.1.1.1 app=ASA msgid=ASA-4-106023 | %ASA-4-106023: Deny tcp",
        ),
        ("<13>Mar  1 12:00:00 pi app: 50% used", "Rfc3164 1.5 at=2026-03-01T11:00:00Z host=pi app=app | 50% used"),
        ("<13>12:00:00 is no stamp", "Bare 1.5 | 12:00:00 is no stamp"),
        ("<13>45: is no sequence number", "Bare 1.5 | 45: is no sequence number"),
    ]);
}

#[test]
fn key_value() {
    let fortigate =
        "date=2026-03-01 time=12:00:00 devname=\"FGT-1\" devid=\"FG1\" logid=\"0000000013\" type=\"traffic\"";
    check(&[
        (
            &format!("<189>{fortigate}"),
            &format!("KeyValue 23.5 at=2026-03-01T11:00:00Z host=FGT-1 msgid=0000000013 | {fortigate}"),
        ),
        (
            &format!("<189>{fortigate} tz=\"-0500\""),
            &format!(
                "KeyValue 23.5 at=2026-03-01T17:00:00Z(-18000) host=FGT-1 msgid=0000000013 | {fortigate} tz=\"-0500\""
            ),
        ),
        (
            &format!("<189>Mar  1 12:00:01 10.0.0.1 {fortigate}"),
            &format!("KeyValue 23.5 at=2026-03-01T11:00:01Z host=10.0.0.1 msgid=0000000013 | {fortigate}"),
        ),
        (
            "<134>id=firewall sn=0006 time=\"2026-03-01 12:00:00 UTC\" fw=10.0.0.1 pri=6",
            "KeyValue 16.6 at=2026-03-01T12:00:00Z(+0) | id=firewall sn=0006 time=\"2026-03-01 12:00:00 UTC\" fw=10.0.0.1 pri=6",
        ),
        (
            "time=\"2026-02-14T13:47:54+02:00\" level=error msg=\"no such user\"",
            "KeyValue 1.5 at=2026-02-14T11:47:54Z(+7200) | time=\"2026-02-14T13:47:54+02:00\" level=error msg=\"no such user\"",
        ),
        (
            "<14>Mar  1 12:00:00 gw1 src=10.0.0.1 dst=203.0.113.9",
            "KeyValue 1.6 at=2026-03-01T11:00:00Z host=gw1 | src=10.0.0.1 dst=203.0.113.9",
        ),
    ]);
}

#[test]
fn text_that_is_not_utf8_is_read_and_flagged() {
    assert_eq!(
        show(b"<38>Mar  1 12:00:00 pi sshd[1]: Invalid user m\xfcller from 203.0.113.9"),
        "Rfc3164 4.6 at=2026-03-01T11:00:00Z host=pi app=sshd pid=1 lossy | Invalid user m\u{fffd}ller from 203.0.113.9"
    );
    // Without a PRI and without a stamp: one odd byte does not hide a line.
    assert_eq!(
        show(b"Invalid user m\xfcller from far away"),
        "Bare 1.5 lossy | Invalid user m\u{fffd}ller from far away"
    );
}
