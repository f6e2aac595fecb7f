//! Sensors, telephone and file servers, Windows, network devices.

use super::table;

#[test]
fn sensors_and_stations() {
    table(
        "suricata",
        r#"
        [1:2001219:20] ET SCAN Potential SSH Scan [Classification: Attempted Information Leak] [Priority: 2] {TCP} 192.0.2.7:4711 -> 10.0.0.5:22 => suricata ids failed by 192.0.2.7 to 10.0.0.5 port 22
        {"timestamp":"2026-03-10T10:00:00.0+0000","event_type":"alert","src_ip":"192.0.2.7","src_port":4711,"dest_ip":"10.0.0.5","dest_port":22,"proto":"TCP","alert":{"action":"allowed","signature":"x src_ip 203.0.113.66","severity":2},"http":{"src_ip":"203.0.113.66"}} => suricata ids failed by 192.0.2.7 to 10.0.0.5 port 22
        "#,
    );
    table(
        "hostapd",
        "
        wlan0: STA aa:bb:cc:dd:ee:ff IEEE 802.11: authenticated => wireless login ok by name aa:bb:cc:dd:ee:ff
        wlan0: AP-STA-POSSIBLE-PSK-MISMATCH aa:bb:cc:dd:ee:ff => wireless login failed by name aa:bb:cc:dd:ee:ff
        wlan0: AP-STA-DISCONNECTED aa:bb:cc:dd:ee:ff => wireless logout none by name aa:bb:cc:dd:ee:ff
        ",
    );
    table(
        "stahtd",
        r#"
        [STA-TRACKER].stahtd_dump_event(): {"message_type":"STA_ASSOC_TRACKER","mac":"aa:bb:cc:dd:ee:ff","vap":"ath0","event_type":"failure","auth_failures":"2"} => wireless login failed by name aa:bb:cc:dd:ee:ff
        "#,
    );
    table(
        "asterisk",
        r#"
        NOTICE[7] chan_sip.c: Registration from '"x" <sip:100@10.0.0.1>' failed for '192.0.2.7:5060' - Wrong password => generic login failed by 192.0.2.7
        NOTICE[7] chan_sip.c: Registration from '"x' failed for '203.0.113.66:5060' - a" <sip:100@10.0.0.1>' failed for '192.0.2.7:5060' - No matching peer found => generic login failed by 192.0.2.7 (unknown)
        SECURITY[7] res_security_log.c: SecurityEvent="InvalidPassword",EventTV="x",Severity="Error",Service="SIP",EventVersion="2",AccountID="100",SessionID="0x1",LocalAddress="IPV4/UDP/10.0.0.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060" => generic login failed by 192.0.2.7 account 100
        "#,
    );
    table(
        "vsftpd",
        r#"
        [bob] FAIL LOGIN: Client "192.0.2.7" => generic login failed by 192.0.2.7 account bob
        [pid 7] [bob] OK LOGIN: Client "192.0.2.7" => generic login ok by 192.0.2.7 account bob
        "#,
    );
    table(
        "proftpd",
        "
        ftp.example (client.example[192.0.2.7]) - USER bob (Login failed): Incorrect password => generic login failed by 192.0.2.7 account bob
        ftp.example (client.example[192.0.2.7]) - USER x: no such user found from client.example [192.0.2.7] to 10.0.0.1:21 => generic login failed by 192.0.2.7 account x (unknown)
        ",
    );
    table(
        "pure-ftpd",
        "
        (?@192.0.2.7) [WARNING] Authentication failed for user [bob] => generic login failed by 192.0.2.7 account bob
        ",
    );
    table(
        "named",
        "
        client @0x7f65 192.0.2.7#5353 (example.org): query (cache) 'example.org/A/IN' denied => generic request failed by 192.0.2.7
        ",
    );
    table(
        "haproxy",
        r#"
        192.0.2.7:4711 [10/Mar/2026:10:00:00.123] front back/web1 0/0/0/1/1 401 123 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1" => generic login failed by 192.0.2.7 path /
        "#,
    );
    table(
        "squid",
        "
        1773137472.123     45 192.0.2.7 TCP_DENIED/403 3900 GET http://example.org/ - HIER_NONE/- text/html => generic request failed by 192.0.2.7 path http://example.org/
        ",
    );
    table(
        "auditd",
        r#"
        type=USER_AUTH msg=audit(1773137472.123:7): pid=7 uid=0 auid=4294967295 ses=4294967295 msg='op=PAM:authentication acct="bob" exe="/usr/sbin/sshd" hostname=192.0.2.7 addr=192.0.2.7 terminal=ssh res=failed' => generic login failed by 192.0.2.7 account bob program /usr/sbin/sshd x0
        type=ADD_USER msg=audit(1773137472.123:8): pid=7 uid=0 auid=1000 ses=2 msg='op=add-user acct="eve" exe="/usr/sbin/useradd" hostname=? addr=? terminal=pts/0 res=success' => generic account ok by name 1000 account eve program /usr/sbin/useradd
        "#,
    );
    table(
        "login",
        "
        FAILED LOGIN (2) on '/dev/tty1' FROM '192.0.2.7' FOR 'bob', Authentication failure => generic login failed by 192.0.2.7 account bob
        ",
    );
}

#[test]
fn windows_events() {
    table(
        "MSWinEventLog",
        "
        1	Security	7	Tue Mar 10 10:00:00 2026	4625	Microsoft-Windows-Security-Auditing	bob	N/A	Failure Audit	DC1	Logon		An account failed to log on.    Subject:   Security ID:  S-1-0-0   Account Name:  -   Account Domain:  -    Logon Type:  3    Account For Which Logon Failed:   Security ID:  S-1-0-0   Account Name:  bob   Account Domain:  CORP    Failure Information:   Failure Reason:  %%2313   Status:  0xC000006D   Sub Status:  0xC000006A    Network Information:   Workstation Name:  PC7   Source Network Address:  192.0.2.7   Source Port:  4711 => winlogon login failed by 192.0.2.7 account bob (exists)
        1	Security	8	Tue Mar 10 10:00:00 2026	4624	Microsoft-Windows-Security-Auditing	bob	N/A	Success Audit	DC1	Logon		An account was successfully logged on.    Subject:   Account Name:  DC1$    New Logon:   Security ID:  S-1-5-21   Account Name:  bob   Account Domain:  CORP    Network Information:   Workstation Name:  PC7   Source Network Address:  192.0.2.7   Source Port:  4711 => winlogon login ok by 192.0.2.7 account bob
        ",
    );
    table(
        "nxlog",
        r#"
        {"EventTime":"2026-03-10 10:00:00","EventID":4625,"Channel":"Security","TargetUserName":"eve","IpAddress":"192.0.2.7","SubStatus":"0xc0000064"} => winlogon login failed by 192.0.2.7 account eve (unknown)
        {"EventID":4720,"Channel":"Security","TargetUserName":"eve","SubjectUserName":"admin"} => winlogon account ok by name admin account eve
        {"EventID":7045,"Channel":"System","ServiceName":"evil","ImagePath":"c:/x.exe"} => winlogon service ok service evil
        {"EventID":1102,"Channel":"Security","SubjectUserName":"admin"} => winlogon file ok by name admin
        {"EventID":4740,"Channel":"Security","TargetUserName":"bob"} => winlogon block failed account bob
        "#,
    );
    table(
        "winlogbeat",
        r#"
        {"@timestamp":"2026-03-10T10:00:00Z","event":{"code":"4625"},"winlog":{"event_id":"4625","event_data":{"TargetUserName":"bob","IpAddress":"192.0.2.7"}}} => winlogon login failed by 192.0.2.7 account bob
        "#,
    );
}

#[test]
fn network_devices() {
    table(
        "%ASA-6-113015",
        "
        AAA user authentication Rejected : reason = Invalid password : local database : user = bob : user IP = 192.0.2.7 => asa login failed by 192.0.2.7 account bob
        ",
    );
    table(
        "%ASA-6-716039",
        "
        Group <DfltGrpPolicy> User <bob> IP <192.0.2.7> Authentication: rejected, Session Type: WebVPN. => asa login failed by 192.0.2.7 account bob
        ",
    );
    table(
        "%ASA-4-733100",
        "
        [ Scanning] drop rate-1 exceeded. Current burst rate is 10 per second => asa ids failed
        ",
    );
    table(
        "%ASA-3-710003",
        "
        TCP access denied by ACL from 192.0.2.7/4711 to outside:198.51.100.1/22 => asa block failed by 192.0.2.7 to 198.51.100.1 port 22
        ",
    );
    table(
        "%ASA-6-302014",
        "
        Teardown TCP connection 7 for outside:192.0.2.7/4711 to inside:10.0.0.5/22 duration 0:00:01 bytes 1 TCP FINs => asa connection none by 192.0.2.7 to 10.0.0.5 port 22
        ",
    );
    table(
        "%SYS-5-CONFIG_I",
        "
        Configured from console by bob on vty0 (192.0.2.7) => ios command ok by name bob
        ",
    );
    table(
        "%SEC_LOGIN-1-QUIET_MODE_ON",
        "
        Still timeleft for watching failures is 25 secs, [user: x] [Source: 203.0.113.66] y] [Source: 192.0.2.7] [localport: 22] [Reason: Login Authentication Failed] [ACL: sl_def_acl] => ios block failed by 192.0.2.7 account x] [Source: 203.0.113.66] y
        ",
    );
    table(
        "%PORT_SECURITY-2-PSECURE_VIOLATION",
        "
        Security violation occurred, caused by MAC address aabb.ccdd.eeff on port GigabitEthernet1/0/1. => ios ids failed by name aabb.ccdd.eeff
        ",
    );
    table(
        "dhcp,info",
        "
        dhcp1 assigned 192.168.88.7 to AA:BB:CC:DD:EE:FF => mikrotik lease ok by name AA:BB:CC:DD:EE:FF to 192.168.88.7
        ",
    );
    table(
        "interface,info",
        "
        ether1 link down => mikrotik service failed service ether1
        ",
    );
    table(
        "system,info,account",
        "
        user bob logged out from 192.0.2.7 via winbox => mikrotik logout ok by 192.0.2.7 account bob
        ",
    );
    table(
        "",
        r#"
        date=2026-03-10 time=10:00:00 devname="fw" logid="0100032002" type="event" subtype="system" level="alert" logdesc="Admin login failed" user="x\" srcip=203.0.113.66 y" ui="https(192.0.2.7)" action="login" status="failed" reason="name_invalid" msg="Administrator login failed" => fortigate login failed by 192.0.2.7 account x\" srcip=203.0.113.66 y
        date=2026-03-10 time=10:00:00 devname="fw" logid="0101039426" type="event" subtype="vpn" action="ssl-login-fail" remip=192.0.2.7 user="bob" msg="SSL user failed to logged in" => fortigate login failed by 192.0.2.7 account bob
        User [admin] from [192.0.2.7] failed to log in via [DSM] due to authorization failure. => generic login failed by 192.0.2.7 account admin
        SSHD_LOGIN_FAILED: Login failed for user 'root' from host '192.0.2.7' => generic login failed by 192.0.2.7 account root
        "#,
    );
}
