//! What programs say, and what it means: one row a kind of message, several phrasings a row.
//!
//! Formats as the programs' own sources and manuals publish them. The truth of a row is what an
//! extractor should read out of every one of its phrasings.

use nms_proto::extraction::{Action as A, AppFamily as F, Outcome as O};

use super::forms::{Form, Kind, What, Who, form};

/// Stands where the table has no row, which a compile-time check excludes.
pub(super) const NOTHING: Form = form(Kind::KernelNote, "kernel", (F::Kernel, A::Other, O::None), &[]);

const _: () = {
    let mut at = 0;
    while at < FORMS.len() {
        #[expect(clippy::indexing_slicing, reason = "checked when compiled")]
        let row = &FORMS[at];
        assert!(row.kind as usize == at, "the rows stand in the order of their kinds");
        at += 1;
    }
    assert!(FORMS.len() == Kind::AppNote as usize + 1);
};

/// Every form. The order is that of [`Kind`].
pub(super) const FORMS: &[Form] = &[
    form(Kind::SshLoginOk, "sshd", (F::Sshd, A::Login, O::Ok), &[
        "Accepted password for {user} from {ip} port {port} ssh2",
        "Accepted keyboard-interactive/pam for {user} from {ip} port {port} ssh2",
    ])
    .by(Who::Address)
    .on_account(Some(true)),
    form(Kind::SshKeyLoginOk, "sshd", (F::Sshd, A::Login, O::Ok), &[
        "Accepted publickey for {user} from {ip} port {port} ssh2: ED25519 SHA256:{token}",
        "Accepted publickey for {user} from {ip} port {port} ssh2: RSA SHA256:{token}",
        "Accepted publickey for {user} from {ip} port {port} ssh2",
    ])
    .by(Who::Address)
    .on_account(Some(true)),
    form(Kind::SshLoginFailed, "sshd", (F::Sshd, A::Login, O::Failed), &[
        "Failed password for {user} from {ip} port {port} ssh2",
        "error: maximum authentication attempts exceeded for {user} from {ip} port {port} ssh2 [preauth]",
        "Failed keyboard-interactive/pam for {user} from {ip} port {port} ssh2",
    ])
    .by(Who::Address)
    .on_account(None),
    form(Kind::SshInvalidUser, "sshd", (F::Sshd, A::Login, O::Failed), &[
        "Invalid user {user} from {ip} port {port}",
        "Failed password for invalid user {user} from {ip} port {port} ssh2",
        "Invalid user {user} from {ip}",
        "Failed none for invalid user {user} from {ip} port {port} ssh2",
    ])
    .by(Who::Address)
    .on_account(Some(false)),
    form(Kind::SshClosed, "sshd", (F::Sshd, A::Connection, O::Failed), &[
        "Connection closed by {ip} port {port} [preauth]",
        "Received disconnect from {ip} port {port}:11: Bye Bye [preauth]",
        "Connection reset by {ip} port {port} [preauth]",
    ])
    .by(Who::Address),
    form(
        Kind::SshGaveUp,
        "sshd",
        (F::Sshd, A::Login, O::Failed),
        &[
            "Connection closed by authenticating user {user} {ip} port {port} [preauth]",
            "Connection reset by authenticating user {user} {ip} port {port} [preauth]",
        ],
    )
    .by(Who::Address)
    .on_account(None),
    form(Kind::SshLogout, "sshd", (F::Sshd, A::Logout, O::Ok), &[
        "Disconnected from user {user} {ip} port {port}",])
    .by(Who::Address)
        .on_account(None),
    form(Kind::PamOpened, "sshd", (F::Pam, A::Login, O::None), &[
        "pam_unix({service}:session): session opened for user {user} by (uid=0)",
        "pam_unix({service}:session): session opened for user {user}(uid={number}) by (uid=0)",
    ])
    .on_account(None),
    form(Kind::PamClosed, "sshd", (F::Pam, A::Logout, O::Ok), &[
        "pam_unix({service}:session): session closed for user {user}",
    ])
    .on_account(None),
    form(Kind::PamFailed, "sshd", (F::Pam, A::Login, O::Failed), &[
        "pam_unix(lightdm:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}",
        "pam_unix(lightdm:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}",
    ])
    .severity(5)
    .by(Who::Address),
    form(Kind::PamSshFailed, "sshd", (F::Pam, A::Login, O::None), &[
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}",
    ])
    .severity(5)
    .by(Who::Address),
    form(Kind::SudoCommand, "sudo", (F::Sudo, A::Command, O::Ok), &[
        "   {user} : TTY=pts/{digit} ; PWD=/home/{user} ; USER=root ; COMMAND={command}",
        "{user} : TTY=pts/{digit} ; PWD=/ ; USER=root ; COMMAND={command}",
        "{user} : PWD=/home/{user} ; USER=root ; COMMAND={command}",
    ])
    .severity(5)
    .by(Who::User)
        .on_root()
    .at(What::Program),
    form(Kind::SudoFailed, "sudo", (F::Sudo, A::Command, O::Failed), &[
        "{user} : user NOT in sudoers ; TTY=pts/{digit} ; PWD=/home/{user} ; USER=root ; COMMAND={command}",
        "{user} : command not allowed ; TTY=pts/{digit} ; PWD=/home/{user} ; USER=root ; COMMAND={command}",
    ])
    .severity(1)
    .by(Who::User)
        .on_root()
    .at(What::Program),
    form(
        Kind::SudoPassword,
        "sudo",
        (F::Sudo, A::Login, O::Failed),
        &["{user} : {digit} incorrect password attempts ; TTY=pts/{digit} ; PWD=/home/{user} ; USER=root ; COMMAND={command}"],
    )
    .severity(1)
    .by(Who::User)
    .on_root()
    .at(What::Program),
    form(Kind::SuOk, "su", (F::Su, A::Login, O::Ok), &[
        "(to root) {user} on pts/{digit}",
        "Successful su for root by {user}",
        "+ /dev/pts/{digit} {user}:root",
    ])
    .severity(5)
    .by(Who::User)
        .on_root(),
    form(Kind::SuFailed, "su", (F::Su, A::Login, O::Failed), &[
        "FAILED SU (to root) {user} on pts/{digit}",
        "FAILED su for root by {user}",
        "- /dev/pts/{digit} {user}:root",
    ])
    .severity(4)
    .by(Who::User)
        .on_root(),
    form(Kind::UserAdded, "useradd", (F::Useradd, A::Account, O::Ok), &[
        "new user: name={user}, UID={number}, GID={number}, home=/home/{user}, shell=/bin/bash, from=/dev/pts/{digit}",
        "new user: name={user}, UID={number}, GID={number}, home=/home/{user}, shell=/bin/bash",
    ])
    .severity(5)
    .on_account(None),
    form(Kind::GroupAdded, "usermod", (F::Useradd, A::Account, O::Ok), &[
        "add '{user}' to group 'sudo'",
        "add '{user}' to shadow group 'sudo'",
        "new group: name={user}, GID={number}",
    ])
    .on_account(None),
    form(Kind::PasswordChanged, "passwd", (F::Useradd, A::Account, O::Ok), &[
        "password for '{user}' changed by 'root'",
    ])
    .severity(5)
    .on_account(None),
    form(Kind::UserDeleted, "userdel", (F::Useradd, A::Account, O::Ok), &[
        "delete user '{user}'",
        "removed group '{user}' owned by '{user}'",
    ])
    .on_account(None),
    form(Kind::CronCommand, "CRON", (F::Cron, A::Command, O::Ok), &[
        "({user}) CMD ({command})",
        "({user}) CMD (   {command} > /dev/null 2>&1)",
    ])
    .by(Who::User)
    .at(What::Program),
    form(Kind::CronEdited, "crontab", (F::Cron, A::File, O::Ok), &[
        "({user}) REPLACE ({user})",
        "({user}) END EDIT ({user})",
    ])
    .by(Who::User)
        .on_account(None),
    form(Kind::ServiceStarted, "systemd", (F::Systemd, A::Service, O::Ok), &[
        "Started {unit}.service.",
        "Started {unit}.service - {unit} daemon.",
        "Starting {unit}.service...",
        "Finished {unit}.service.",
    ])
    .at(What::Service),
    form(Kind::ServiceStopped, "systemd", (F::Systemd, A::Service, O::Ok), &[
        "Stopped {unit}.service.",
        "Stopping {unit}.service...",
        "{unit}.service: Deactivated successfully.",
    ])
    .at(What::Service),
    form(Kind::ServiceFailed, "systemd", (F::Systemd, A::Service, O::Failed), &[
        "{unit}.service: Failed with result 'exit-code'.",
        "Failed to start {unit}.service.",
        "{unit}.service: Main process exited, code=exited, status=1/FAILURE",
    ])
    .severity(4)
    .at(What::Service),
    form(Kind::KernelNote, "kernel", (F::Kernel, A::Other, O::None), &[
        "audit: type=1400 audit({number}.{number}:{number}): apparmor=\"STATUS\" operation=\"profile_replace\"",
        "perf: interrupt took too long ({number} > {number}), lowering kernel.perf_event_max_sample_rate to {number}",
        "EXT4-fs (sda1): re-mounted. Opts: (null)",
    ]),
    form(Kind::KernelLink, "kernel", (F::Kernel, A::Other, O::None), &[
        "e1000e: eth0 NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
        "e1000e: eth0 NIC Link is Down",
        "usb 1-{digit}: new high-speed USB device number {number} using xhci_hcd",
    ]),
    form(Kind::Blocked, "kernel", (F::Netfilter, A::Block, O::Failed), &[
        "[UFW BLOCK] IN=eth0 OUT= MAC={mac}:08:00 SRC={ip} DST={peer} LEN=40 TOS=0x00 PREC=0x00 TTL=241 ID={number} PROTO=TCP SPT={number} DPT={port} WINDOW=1024 RES=0x00 SYN URGP=0",
        "DROP IN=wan OUT= SRC={ip} DST={peer} LEN=60 TTL=52 ID={number} DF PROTO=TCP SPT={number} DPT={port} WINDOW=64240 SYN",
        "REJECT wan out: IN=br-lan OUT=eth1 SRC={ip} DST={peer} LEN=52 PROTO=TCP SPT={number} DPT={port}",
        "iptables-dropped: IN=br0 OUT=ppp0 SRC={ip} DST={peer} LEN=48 PROTO=UDP SPT={number} DPT={port} LEN=28",
    ])
    .severity(4)
    .by(Who::Address)
    .at(What::Endpoint),
    form(Kind::LeaseGiven, "dnsmasq-dhcp", (F::Dnsmasq, A::Lease, O::Ok), &[
        "DHCPACK(br-lan) {ip} {mac} {host}",
        "DHCPACK(eth0) {ip} {mac}",
        "DHCPOFFER(br-lan) {ip} {mac}",
    ])
    .by(Who::Address)
        .by(Who::Hardware),
    form(Kind::LeaseAsked, "dnsmasq-dhcp", (F::Dnsmasq, A::Lease, O::None), &[
        "DHCPREQUEST(br-lan) {ip} {mac}",
        "DHCPDISCOVER(br-lan) {mac}",
    ])
        .by(Who::Hardware),
    form(Kind::LeaseRefused, "dnsmasq-dhcp", (F::Dnsmasq, A::Lease, O::Failed), &[
        "DHCPNAK(br-lan) {ip} {mac} wrong network",
        "DHCPNAK(eth0) {ip} {mac} address in use",
    ])
    .severity(4)
    .by(Who::Address)
        .by(Who::Hardware),
    form(Kind::DhcpdGiven, "dhcpd", (F::Dhcpd, A::Lease, O::Ok), &[
        "DHCPACK on {ip} to {mac} ({host}) via eth0",
        "DHCPACK on {ip} to {mac} via eth0",
        "DHCPOFFER on {ip} to {mac} ({host}) via eth0",
    ])
    .by(Who::Address)
        .by(Who::Hardware),
    form(Kind::DhcpdAsked, "dhcpd", (F::Dhcpd, A::Lease, O::None), &[
        "DHCPREQUEST for {ip} from {mac} ({host}) via eth0",
        "DHCPDISCOVER from {mac} via eth0",
    ])
        .by(Who::Hardware),
    form(Kind::NameQuery, "dnsmasq", (F::Dnsmasq, A::Request, O::None), &[
        "query[A] {name} from {ip}",
        "query[AAAA] {name} from {ip}",
        "query[PTR] {name} from {ip}",
    ])
    .by(Who::Address),
    form(Kind::WebOk, "nginx", (F::Nginx, A::Request, O::Ok), &[
        "{ip} - - [{clf}] \"GET {path} HTTP/1.1\" 200 {number} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
        "{ip} - - [{clf}] \"GET {path} HTTP/2.0\" 304 0 \"-\" \"Mozilla/5.0 (Windows NT 10.0; Win64; x64)\"",
        "{ip} - - [{clf}] \"POST {path} HTTP/1.1\" 302 {number} \"-\" \"Mozilla/5.0\"",
        "{ip} - - [{clf}] \"HEAD {path} HTTP/1.1\" 200 0 \"-\" \"curl/8.5.0\"",
    ])
    .by(Who::Address)
    .at(What::Path),
    form(Kind::WebFailed, "nginx", (F::Nginx, A::Request, O::Failed), &[
        "{ip} - - [{clf}] \"GET {path} HTTP/1.1\" 404 {number} \"-\" \"Mozilla/5.0\"",
        "{ip} - - [{clf}] \"POST {path} HTTP/1.1\" 403 {number} \"-\" \"python-requests/2.31\"",
        "{ip} - - [{clf}] \"GET {path} HTTP/1.1\" 400 {number} \"-\" \"-\"",
        "{ip} - - [{clf}] \"GET {path} HTTP/1.1\" 500 {number} \"-\" \"Mozilla/5.0\"",
    ])
    .by(Who::Address)
    .at(What::Path),
    form(Kind::MailConnection, "postfix/smtpd", (F::Postfix, A::Connection, O::None), &[
        "connect from unknown[{ip}]",
        "connect from {name}[{ip}]",
        "disconnect from {name}[{ip}] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
        "lost connection after EHLO from {name}[{ip}]",
    ])
    .by(Who::Address),
    form(Kind::MailSent, "postfix/smtp", (F::Postfix, A::Other, O::Ok), &[
        "{token}: to=<{user}@{name}>, relay={name}[{ip}]:25, delay=0.{number}, dsn=2.0.0, status=sent (250 2.0.0 OK)",
    ]),
    form(Kind::MailLoginOk, "dovecot", (F::Dovecot, A::Login, O::Ok), &[
        "imap-login: Login: user=<{user}>, method=PLAIN, rip={ip}, lip={peer}, mpid={number}, TLS, session=<{token}>",
        "pop3-login: Login: user=<{user}>, method=PLAIN, rip={ip}, lip={peer}, mpid={number}, TLS",
    ])
    .by(Who::Address)
    .on_account(Some(true)),
    form(Kind::MailLoginFailed, "dovecot", (F::Dovecot, A::Login, O::Failed), &[
        "imap-login: Disconnected (auth failed, 1 attempts in {digit} secs): user=<{user}>, method=PLAIN, rip={ip}, lip={peer}, TLS",
        "auth-worker({number}): sql({user},{ip}): Password mismatch",
        "imap-login: Aborted login (auth failed, {digit} attempts): user=<{user}>, method=PLAIN, rip={ip}, lip={peer}",
    ])
    .by(Who::Address)
    .on_account(None),
    form(Kind::PackageChanged, "dpkg", (F::Package, A::File, O::Ok), &[
        "status installed {unit}:amd64 {version}",
        "upgrade {unit}:amd64 {version} {version}",
        "configure {unit}:amd64 {version} <none>",
        "install {unit}:amd64 <none> {version}",
    ])
    .at(What::Service),
    form(Kind::FileChanged, "nms-agent", (F::FileIntegrity, A::File, O::Ok), &[
        "file changed: {path}",
        "file changed: {path} mode 0644 owner 0:0",
    ])
    .severity(5)
    .at(What::Path),
    form(Kind::TimeNote, "chronyd", (F::Ntp, A::Other, O::None), &[
        "Selected source {ip} ({name})",
        "System clock wrong by 0.{number} seconds",
        "Source {ip} replaced with {peer}",
    ]),
    form(Kind::ContainerNote, "dockerd", (F::Container, A::Service, O::Ok), &[
        "time=\"{iso}\" level=info msg=\"Container started\" container={hex}",
        "time=\"{iso}\" level=info msg=\"ignoring event\" container={hex} module=libcontainerd",
    ])
    .at(What::Service),
    form(Kind::DatabaseNote, "postgres", (F::Database, A::Other, O::None), &[
        "LOG:  checkpoint starting: time",
        "LOG:  checkpoint complete: wrote {number} buffers ({digit}.{digit}%)",
        "LOG:  automatic vacuum of table \"app.public.items\": index scans: {digit}",
    ]),
    form(Kind::WirelessJoined, "hostapd", (F::Wireless, A::Login, O::Ok), &[
        "wlan0: STA {mac} IEEE 802.11: authenticated",
        "wlan0: STA {mac} WPA: pairwise key handshake completed (RSN)",
        "wlan0: AP-STA-CONNECTED {mac}",
    ]),
    form(Kind::WirelessLeft, "hostapd", (F::Wireless, A::Logout, O::None), &[
        "wlan0: STA {mac} IEEE 802.11: disassociated",
        "wlan0: AP-STA-DISCONNECTED {mac}",
    ]),
    form(Kind::VpnConnected, "openvpn", (F::Openvpn, A::Login, O::Ok), &[
        "{user}/{ip}:{port} MULTI: Learn: {peer} -> {user}/{ip}:{port}",
        "{ip}:{port} [{user}] Peer Connection Initiated with [AF_INET]{ip}:{port}",
    ])
    .by(Who::Address)
    .on_account(Some(true)),
    form(Kind::VpnClosed, "openvpn", (F::Openvpn, A::Logout, O::None), &[
        "{user}/{ip}:{port} SIGTERM[soft,remote-exit] received, client-instance exiting",
        "{user}/{ip}:{port} Connection reset, restarting [0]",
    ])
    .by(Who::Address),
    form(Kind::VpnFailed, "openvpn", (F::Openvpn, A::Login, O::Failed), &[
        "{ip}:{port} TLS Auth Error: Auth Username/Password verification failed for peer",
        "{ip}:{port} TLS Error: TLS handshake failed",
    ])
    .severity(4)
    .by(Who::Address),
    // What applications say stands in `voices`.
    form(Kind::AppLoginOk, "", (F::Generic, A::Login, O::Ok), &[]).by(Who::Address),
    form(Kind::AppLoginFailed, "", (F::Generic, A::Login, O::Failed), &[]).by(Who::Address),
    form(Kind::AppLogout, "", (F::Generic, A::Logout, O::Ok), &[]).by(Who::Address),
    form(Kind::AppCommand, "", (F::Generic, A::Command, O::Ok), &[]).by(Who::Address),
    form(Kind::AppAccount, "", (F::Generic, A::Account, O::Ok), &[]).by(Who::Address),
    form(Kind::AppService, "", (F::Generic, A::Service, O::Ok), &[]).by(Who::Address),
    form(Kind::AppServiceFailed, "", (F::Generic, A::Service, O::Failed), &[]).by(Who::Address),
    form(Kind::AppFile, "", (F::Generic, A::File, O::Ok), &[]).by(Who::Address),
    form(Kind::AppProcess, "", (F::Generic, A::Process, O::Ok), &[]).by(Who::Address),
    form(Kind::AppConnection, "", (F::Generic, A::Connection, O::Ok), &[]).by(Who::Address),
    form(Kind::AppConnectionFailed, "", (F::Generic, A::Connection, O::Failed), &[]).by(Who::Address),
    form(Kind::AppBlock, "", (F::Generic, A::Block, O::Failed), &[]).by(Who::Address),
    form(Kind::AppLease, "", (F::Generic, A::Lease, O::Ok), &[]).by(Who::Address),
    form(Kind::AppRequest, "", (F::Generic, A::Request, O::Ok), &[]).by(Who::Address),
    form(Kind::AppRequestFailed, "", (F::Generic, A::Request, O::Failed), &[]).by(Who::Address),
    form(Kind::AppAlert, "", (F::Generic, A::Ids, O::Failed), &[]).by(Who::Address),
    form(Kind::AppNote, "", (F::Generic, A::Other, O::None), &[]),
];
