//! Servers: mail, tunnels, databases, packages, containers, clocks.

use super::table;

#[test]
fn mail_servers() {
    table(
        "postfix/smtpd",
        "
        connect from unknown[192.0.2.7] => postfix connection none by 192.0.2.7
        lost connection after STARTTLS from unknown[192.0.2.7] => postfix connection failed by 192.0.2.7
        lost connection after AUTH from unknown[192.0.2.7] => postfix connection none by 192.0.2.7
        disconnect from unknown[192.0.2.7] ehlo=1 auth=0/2 commands=1/3 => postfix login failed by 192.0.2.7 x0
        disconnect from mail.example[192.0.2.7] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5 => postfix connection none by 192.0.2.7
        warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6 => postfix login failed by 192.0.2.7
        warning: unknown[192.0.2.7]: SASL PLAIN authentication failed: (reason unavailable), sasl_username=bob@example.org => postfix login failed by 192.0.2.7 account bob@example.org
        warning: unknown[192.0.2.7]: SASL PLAIN authentication failed: Connection lost to authentication server => postfix login none by 192.0.2.7
        NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <x@example.net>: Relay access denied; from=<a@example.org> to=<x@example.net> proto=ESMTP helo=<from y[203.0.113.66]> => postfix request failed by 192.0.2.7
        4ABC0D1E2F: client=mail.example[192.0.2.7], sasl_method=PLAIN, sasl_username=bob => postfix login ok by 192.0.2.7 account bob
        warning: Connection concurrency limit exceeded: 51 from unknown[192.0.2.7] for service smtp => postfix block failed by 192.0.2.7
        too many errors after AUTH from unknown[192.0.2.7] => postfix connection failed by 192.0.2.7
        ",
    );
    table(
        "postfix/postscreen",
        "
        PREGREET 14 after 0.1 from [192.0.2.7]:4711: EHLO x [203.0.113.66] => postfix connection failed by 192.0.2.7
        PASS NEW [192.0.2.7]:4711 => postfix connection ok by 192.0.2.7
        ",
    );
    table(
        "dovecot",
        "
        imap-login: Login: user=<bob>, method=PLAIN, rip=192.0.2.7, lip=10.0.0.1, mpid=7, TLS, session=<abc> => dovecot login ok by 192.0.2.7 account bob (exists)
        imap-login: Disconnected (auth failed, 3 attempts in 14 secs): user=<bob>, method=PLAIN, rip=192.0.2.7, lip=10.0.0.1, session=<abc> => dovecot login failed by 192.0.2.7 account bob x3
        imap-login: Aborted login (auth failed, 1 attempts in 2 secs): user=<x, rip=203.0.113.66>, method=PLAIN, rip=192.0.2.7, lip=10.0.0.1 => dovecot login failed by 192.0.2.7 account x, rip=203.0.113.66
        imap-login: Disconnected (no auth attempts in 0 secs): user=<>, rip=192.0.2.7, lip=10.0.0.1 => dovecot connection none by 192.0.2.7
        auth-worker(12): sql(bob,192.0.2.7,<abc>): Password mismatch => dovecot login failed by 192.0.2.7 account bob x0
        auth: passwd-file(bob,192.0.2.7): unknown user => dovecot login failed by 192.0.2.7 account bob (unknown) x0
        auth: ldap(x,203.0.113.66): unknown user,192.0.2.7,<abc>): invalid credentials => dovecot login failed by 192.0.2.7 account x,203.0.113.66): unknown user x0
        imap-login: Aborted login (auth failed, 1 attempts): user=<pam_unix(a:auth): authentication failure; rhost=203.0.113.66>, rip=192.0.2.7, lip=10.0.0.1 => dovecot login failed by 192.0.2.7 account pam_unix(a:auth): authentication failure; rhost=203.0.113.66
        imap(bob)<7><abc>: Logged out in=12 out=345 => dovecot logout ok account bob
        ",
    );
    table(
        "exim",
        "
        login authenticator failed for (host) [192.0.2.7]: 535 Incorrect authentication data (set_id=bob) => generic login failed by 192.0.2.7 account bob
        plain authenticator failed for host.example ([203.0.113.66]) [192.0.2.7]:4711: 535 Incorrect authentication data (set_id=bob) => generic login failed by 192.0.2.7 account bob
        H=host.example ([203.0.113.66]) [192.0.2.7] F=<a@example.org> rejected RCPT <x@example.net>: relay not permitted => generic request failed by 192.0.2.7
        ",
    );
    table(
        "sendmail",
        "
        ruleset=check_rcpt, arg1=<x@example.net>, relay=host.example [192.0.2.7], reject=550 5.7.1 <x@example.net>... Relaying denied => generic request failed by 192.0.2.7
        x1: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): checkpass failed, relay=host.example [192.0.2.7] => generic login failed by 192.0.2.7
        ",
    );
}

#[test]
fn tunnels() {
    table(
        "openvpn",
        "
        192.0.2.7:4711 TLS Auth Error: Auth Username/Password verification failed for peer => openvpn login failed by 192.0.2.7
        192.0.2.7:4711 TLS Error: TLS handshake failed => openvpn login failed by 192.0.2.7 x0
        bob/192.0.2.7:4711 MULTI: Learn: 10.8.0.6 -> bob/192.0.2.7:4711 => openvpn login ok by 192.0.2.7 account bob (exists)
        192.0.2.7:4711 [bob] Peer Connection Initiated with [AF_INET]192.0.2.7:4711 => openvpn login ok by 192.0.2.7 account bob (exists)
        bob/192.0.2.7:4711 SIGTERM[soft,remote-exit] received, client-instance exiting => openvpn logout none by 192.0.2.7 account bob
        TLS Error: cannot locate HMAC in incoming packet from [AF_INET]192.0.2.7:4711 => openvpn connection failed by 192.0.2.7
        Initialization Sequence Completed => openvpn service ok
        ",
    );
    table(
        "kernel",
        "
        wireguard: wg0: Handshake for peer 3 (192.0.2.7:51820) did not complete after 5 seconds, retrying (try 2) => openvpn connection failed by 192.0.2.7
        wireguard: wg0: Invalid handshake initiation from 192.0.2.7:51820 => openvpn connection failed by 192.0.2.7
        ",
    );
    table(
        "charon",
        "
        05[IKE] authentication of 'bob' with EAP successful => ipsec login ok account bob
        05[IKE] <road|7> IKE_SA road[7] established between 10.0.0.1[gw.example]...192.0.2.7[bob] => ipsec login ok by 192.0.2.7
        06[IKE] EAP method EAP_MSCHAPV2 failed for peer bob => ipsec login failed account bob
        07[IKE] 192.0.2.7 is initiating an IKE_SA => ipsec connection none by 192.0.2.7
        08[IKE] no IKE config found for 10.0.0.1...192.0.2.7, sending NO_PROPOSAL_CHOSEN => ipsec connection failed by 192.0.2.7
        ",
    );
    table(
        "pluto",
        r#"
        "road"[1] 192.0.2.7 #7: IKE SA established {auth=RSA_SIG} => ipsec login ok by 192.0.2.7
        packet from 192.0.2.7:500: initial Main Mode message received but no connection has been authorized with policy=PSK => ipsec connection failed by 192.0.2.7
        "road"[1] 192.0.2.7 #7: XAUTH: User bob: Authentication Failed: Incorrect Username or Password => ipsec login failed by 192.0.2.7 account bob
        "#,
    );
    table(
        "racoon",
        "
        INFO: ISAKMP-SA established 10.0.0.1[500]-192.0.2.7[500] spi:abc => ipsec login ok by 192.0.2.7
        ERROR: phase1 negotiation failed due to time up. 10.0.0.1[500]<=>192.0.2.7[500] abc:0 => ipsec connection failed by 192.0.2.7
        ",
    );
}

#[test]
fn databases() {
    table(
        "postgres",
        r#"
        [3-1] bob@app 192.0.2.7 FATAL:  password authentication failed for user "bob" => database login failed by 192.0.2.7 account bob
        FATAL:  no pg_hba.conf entry for host "192.0.2.7", user "bob", database "app", no encryption => database login failed by 192.0.2.7 account bob
        FATAL:  role "host "203.0.113.66" x" does not exist => database login failed account host "203.0.113.66" x (unknown)
        LOG:  connection received: host=192.0.2.7 port=4711 => database connection none by 192.0.2.7
        LOG:  connection authorized: user=bob database=app => database login ok account bob
        LOG:  disconnection: session time: 0:00:01.5 user=bob database=app host=192.0.2.7 port=4711 => database logout ok by 192.0.2.7 account bob
        LOG:  checkpoint starting: time => database other none
        "#,
    );
    table(
        "mysqld",
        "
        7 [Note] Access denied for user 'bob'@'192.0.2.7' (using password: YES) => database login failed by 192.0.2.7 account bob
        7 [Note] Access denied for user 'x'@'203.0.113.66'@'192.0.2.7' (using password: YES) => database login failed by 192.0.2.7 account x'@'203.0.113.66
        7 [Warning] Aborted connection 7 to db: 'app' user: 'bob' host: '192.0.2.7' (Got an error reading communication packets) => database connection failed by 192.0.2.7
        [System] /usr/sbin/mysqld: ready for connections. Version: '8.0.36' => database service ok
        ",
    );
    table(
        "mongod",
        r#"
        {"t":{"$date":"2026-03-10T10:00:00.000Z"},"s":"I","c":"ACCESS","id":20249,"ctx":"conn7","msg":"Authentication failed","attr":{"mechanism":"SCRAM-SHA-256","principalName":"bob","authenticationDatabase":"admin","remote":"192.0.2.7:4711","error":"UserNotFound: Could not find user"}} => database login failed by 192.0.2.7 account bob (unknown)
        I ACCESS   [conn7] SCRAM-SHA-1 authentication failed for bob on admin from client 192.0.2.7:4711 ; AuthenticationFailed: mismatch => database login failed by 192.0.2.7 account bob
        "#,
    );
    table(
        "redis-server",
        "
        7:M 10 Mar 2026 10:00:00.000 # Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. Connection from 192.0.2.7:4711 aborted. => database ids failed by 192.0.2.7
        ",
    );
    table(
        "mssql",
        "
        Logon       Login failed for user 'sa'. Reason: Password did not match that for the login provided. [CLIENT: 192.0.2.7] => database login failed by 192.0.2.7 account sa
        Logon       Login failed for user 'x. [CLIENT: 203.0.113.66]'. Reason: Could not find a login matching the name provided. [CLIENT: 192.0.2.7] => database login failed by 192.0.2.7 account x. [CLIENT: 203.0.113.66] (unknown)
        ",
    );
}

#[test]
fn packages_containers_and_clocks() {
    table(
        "dpkg",
        "
        status installed nginx:amd64 1.24.0-2 => package file ok program nginx:amd64
        upgrade nginx:amd64 1.22.1-9 1.24.0-2 => package file ok program nginx:amd64
        ",
    );
    table(
        "pacman",
        "
        [ALPM] upgraded nginx (1.22-1 -> 1.24-1) => package file ok program nginx
        [PACMAN] Running 'pacman -Syu' => package command ok program pacman -Syu
        ",
    );
    table(
        "dnf",
        "
        SUBDEBUG Installed: nginx-1.24.0-1.x86_64 => package file ok program nginx-1.24.0-1.x86_64
        ",
    );
    table(
        "dockerd",
        r#"
        time="2026-03-10T10:00:00Z" level=info msg="Container started" container=5f0c => container service ok service 5f0c
        time="2026-03-10T10:00:00Z" level=error msg="Handler for POST /v1.41/containers/web/start returned error: driver failed" => container service failed
        "#,
    );
    table(
        "podman",
        "
        2026-03-10 10:00:00 +0000 UTC m=+0.1 container died 5f0c (image=docker.io/library/nginx, name=web, health_status=) => container service ok service web
        ",
    );
    table(
        "kubelet",
        r#"
        E0310 10:00:00.123456    1234 pod_workers.go:965] "Error syncing pod, skipping" err="failed to start" => container service failed
        "#,
    );
    table(
        "kube-apiserver",
        r#"
        {"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"create","user":{"username":"alice"},"sourceIPs":["203.0.113.66","192.0.2.7"],"objectRef":{"resource":"pods","subresource":"exec","name":"web"},"responseStatus":{"code":101}} => container command ok by 192.0.2.7 account alice service web
        {"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"list","user":{"username":"eve"},"sourceIPs":["192.0.2.7"],"objectRef":{"resource":"secrets"},"responseStatus":{"code":403}} => container request failed by 192.0.2.7 account eve
        "#,
    );
    table(
        "chronyd",
        "
        chronyd version 4.5 starting (+CMDMON +NTP) => ntp service ok
        Can't synchronise: no selectable sources => ntp service failed
        Selected source 192.0.2.7 (ntp.example) => ntp other none
        ",
    );
    table(
        "systemd-timesyncd",
        "
        Timed out waiting for reply from 192.0.2.7:123 (ntp.example). => ntp connection failed to 192.0.2.7 port 123
        ",
    );
}
