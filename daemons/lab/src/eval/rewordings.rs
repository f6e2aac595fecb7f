//! Messages of real programs, and what later versions of them say instead: (program, before, after). Parameters are
//! invented. What changed is the wording that the programs' own histories show.

/// The pairs.
pub(super) const REWORDINGS: [(&str, &str, &str); 44] = [
    ("sshd", "Invalid user anna from 192.0.2.7", "Invalid user anna from 192.0.2.7 port 40022"),
    ("sshd", "Illegal user anna from 192.0.2.7", "Invalid user anna from 192.0.2.7"),
    (
        "sshd",
        "Failed password for illegal user anna from 192.0.2.7 port 40022 ssh2",
        "Failed password for invalid user anna from 192.0.2.7 port 40022 ssh2",
    ),
    ("sshd", "Connection closed by 192.0.2.7", "Connection closed by 192.0.2.7 port 40022 [preauth]"),
    (
        "sshd",
        "Received disconnect from 192.0.2.7: 11: Bye Bye",
        "Received disconnect from 192.0.2.7 port 40022:11: Bye Bye [preauth]",
    ),
    (
        "sshd",
        "Connection closed by 192.0.2.7 [preauth]",
        "Connection closed by authenticating user root 192.0.2.7 port 40022 [preauth]",
    ),
    (
        "sshd",
        "Did not receive identification string from 192.0.2.7",
        "Did not receive identification string from 192.0.2.7 port 40022",
    ),
    (
        "sshd",
        "Accepted publickey for anna from 192.0.2.7 port 40022 ssh2",
        "Accepted publickey for anna from 192.0.2.7 port 40022 ssh2: ED25519 SHA256:2sd9Hq7aVwJtVtqRkm0cS0yyG0aVwJtVtqRkm0cS0yy",
    ),
    (
        "sshd",
        "reverse mapping checking getaddrinfo for host.example.com failed - POSSIBLE BREAKIN ATTEMPT!",
        "reverse mapping checking getaddrinfo for host.example.com [192.0.2.7] failed - POSSIBLE BREAK-IN ATTEMPT!",
    ),
    (
        "sshd",
        "Bad protocol version identification 'GET / HTTP/1.0' from 192.0.2.7",
        "banner exchange: Connection from 192.0.2.7 port 40022: invalid format",
    ),
    ("sshd", "Disconnected from 192.0.2.7", "Disconnected from user anna 192.0.2.7 port 40022"),
    ("sshd", "Server listening on 0.0.0.0 port 22.", "Server listening on :: port 22."),
    (
        "sudo",
        "    anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/bin/ls",
        "    anna : PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/ls",
    ),
    (
        "sudo",
        "    anna : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/bin/ls",
        "    anna : user NOT in sudoers ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/ls",
    ),
    (
        "sshd",
        "pam_unix(sshd:session): session opened for user anna by (uid=0)",
        "pam_unix(sshd:session): session opened for user anna(uid=1000) by anna(uid=0)",
    ),
    ("su", "Successful su for root by anna", "(to root) anna on pts/1"),
    ("su", "FAILED su for root by anna", "FAILED SU (to root) anna on pts/1"),
    ("su", "+ pts/1 anna:root", "(to root) anna on pts/1"),
    (
        "useradd",
        "new user: name=anna, uid=1001, gid=1001, home=/home/anna, shell=/bin/bash",
        "new user: name=anna, UID=1001, GID=1001, home=/home/anna, shell=/bin/bash, from=/dev/pts/0",
    ),
    ("groupadd", "new group: name=anna, gid=1001", "new group: name=anna, GID=1001"),
    ("systemd", "Started Session 12 of user anna.", "Started session-12.scope - Session 12 of User anna."),
    ("systemd", "Started OpenBSD Secure Shell server.", "Started ssh.service - OpenBSD Secure Shell server."),
    ("systemd", "Stopped The nginx HTTP server.", "Stopped nginx.service - The nginx HTTP server."),
    ("systemd", "nginx.service: Unit entered failed state.", "nginx.service: Failed with result 'exit-code'."),
    ("systemd", "Failed to start The nginx HTTP server.", "Failed to start nginx.service - The nginx HTTP server."),
    ("systemd", "nginx.service: Succeeded.", "nginx.service: Deactivated successfully."),
    ("CRON", "(root) CMD (run-parts /etc/cron.hourly)", "(root) CMD (cd / && run-parts --report /etc/cron.hourly)"),
    (
        "dnsmasq-dhcp",
        "DHCPACK(eth0) 192.0.2.50 02:00:00:00:00:01 laptop",
        "1834 DHCPACK(eth0) 192.0.2.50 02:00:00:00:00:01 laptop",
    ),
    (
        "dhcpd",
        "DHCPACK on 192.0.2.50 to 02:00:00:00:00:01 via eth0",
        "DHCPACK on 192.0.2.50 to 02:00:00:00:00:01 (laptop) via eth0",
    ),
    (
        "dnsmasq",
        "query[A] www.example.com from 192.0.2.50",
        "12 192.0.2.50/40022 query[A] www.example.com from 192.0.2.50",
    ),
    (
        "postfix/smtpd",
        "warning: host.example.com[192.0.2.7]: SASL LOGIN authentication failed: authentication failure",
        "warning: host.example.com[192.0.2.7]: SASL LOGIN authentication failed: authentication failure, sasl_username=anna",
    ),
    (
        "postfix/smtpd",
        "disconnect from host.example.com[192.0.2.7]",
        "disconnect from host.example.com[192.0.2.7] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
    ),
    (
        "dovecot",
        "imap-login: Login: user=<anna>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS",
        "imap-login: Login: user=<anna>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, mpid=812, TLS, session=<k2Jq9aVwJtVtqRkm>",
    ),
    (
        "dovecot",
        "imap-login: Aborted login (1 authentication attempts): user=<anna>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1",
        "imap-login: Login aborted: Connection closed (auth failed, 1 attempts in 2 secs) (auth_failed): user=<anna>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS",
    ),
    (
        "dovecot",
        "imap-login: Disconnected (auth failed, 1 attempts): user=<anna>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1",
        "imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<anna>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS",
    ),
    (
        "openvpn",
        "192.0.2.7:40022 [anna] Peer Connection Initiated with 192.0.2.7:40022",
        "192.0.2.7:40022 [anna] Peer Connection Initiated with [AF_INET]192.0.2.7:40022",
    ),
    (
        "openvpn",
        "TLS Error: TLS key negotiation failed to occur within 60 seconds (check your network connectivity)",
        "192.0.2.7:40022 TLS Error: TLS key negotiation failed to occur within 60 seconds (check your network connectivity)",
    ),
    ("chronyd", "Selected source 192.0.2.9", "Selected source 192.0.2.9 (time.example.com)"),
    ("kernel", "device eth0 entered promiscuous mode", "e1000e 0000:00:1f.6 eth0: entered promiscuous mode"),
    (
        "kernel",
        "Out of memory: Kill process 812 (java) score 900 or sacrifice child",
        "Out of memory: Killed process 812 (java) total-vm:8123456kB, anon-rss:4123456kB, file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:9000kB oom_score_adj:0",
    ),
    (
        "kernel",
        "TCP: Possible SYN flooding on port 80. Sending cookies.  Check SNMP counters.",
        "TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:80. Sending cookies.",
    ),
    (
        "kernel",
        "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro",
        "EXT4-fs (sda1): re-mounted 3f8c0d4e-1b7a-4b2e-9d1f-5a6b7c8d9e0f r/w. Quota mode: none.",
    ),
    (
        "hostapd",
        "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: associated (aid 1)",
        "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: associated",
    ),
    (
        "named",
        "client 192.0.2.7#40022: query (cache) 'example.com/A/IN' denied",
        "client @0x7f1c0c0a8d40 192.0.2.7#40022 (example.com): query (cache) 'example.com/A/IN' denied",
    ),
];
