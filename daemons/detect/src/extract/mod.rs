//! What a line means: action, outcome, actor, account, object, from its text alone.
//!
//! One file for each family of applications. A line is routed by its application name; where that is
//! absent or says nothing to us, by the shape of its text; what is left goes to the generic
//! extractor. Everything is borrowed from the event, there are no regular expressions, and a line
//! that means nothing costs a few comparisons.
//!
//! A sender can write any text under any name, so an extraction is a claim of the event's source and
//! of nobody else. Names inside a line are opaque: see [`crate::text`].

mod build;
pub(crate) mod json;
mod words;
mod sshd;
mod apache;
mod wireless;
mod asa;
mod ios;
pub(crate) mod cisco;
mod container;
mod cron;
mod database;
mod dhcpd;
mod dnsmasq;
mod dropbear;
mod fortigate;
mod generic;
mod apps;
mod appliance;
mod audit;
mod console;
mod ftp;
mod ipsec;
mod mail;
pub(crate) mod mikrotik;
mod names;
mod netfilter;
mod openvpn;
mod kernel;
mod nginx;
mod ntp;
mod openwrt;
mod package;
mod pam;
mod dovecot;
mod pf;
mod phone;
mod postfix;
mod proxy;
mod su;
mod sudo;
pub(crate) mod suricata;
mod systemd;
mod useradd;
mod winlogon;
mod shape;

use nms_proto::{
    event::{Body, Event, Syslog},
    extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome},
};

pub(crate) use audit::record as audit_record;
pub(crate) use kernel::without_clock;
pub(crate) use sudo::COMMAND as SUDO_COMMAND;
pub(crate) use winlogon::{Record as WindowsRecord, record as windows_record};

use crate::text::{address, name};
use build::{Build as _, of};

/// What one event means; `Action::Other` of a family, or of `Generic`, where no extractor knows.
pub fn extract(event: &Event) -> Extraction<'_> {
    match &event.body {
        Body::Syslog(line) => syslog(line),
        Body::File(change) => {
            of(AppFamily::FileIntegrity, Action::File, Outcome::Ok).object(Object::Path(&change.path))
        }
        Body::Process(start) => {
            let program = of(AppFamily::Process, Action::Process, Outcome::Ok).object(Object::Program(&start.exe));
            program.maybe_by(name(&start.user))
        }
        Body::Connection(connection) => {
            let made = of(AppFamily::Connection, Action::Connection, Outcome::Ok);
            let Some(remote) = address(&connection.remote) else { return made };
            if &*connection.direction == "in" {
                return made.by(Actor::Address(remote)).object(Object::Program(&connection.exe));
            }
            let port = Some(connection.remote_port);
            made.maybe_by(name(&connection.user)).object(Object::Endpoint { address: remote, port })
        }
        Body::Report(_) | Body::Finding(_) | Body::Loss(_) | Body::Other(_) => Extraction::unknown(AppFamily::Generic),
    }
}

fn syslog(line: &Syslog) -> Extraction<'_> {
    let text = line.message.trim_ascii();
    let app = line.app.as_deref().unwrap_or_default();
    if let Some(data) = line.structured_data.as_deref().filter(|data| data.contains("EventID=")) {
        return winlogon::winlogon(app, text, Some(data));
    }
    match repeated(text) {
        Some((times, inner)) => {
            let once = named(app, inner);
            Extraction { times: once.times.saturating_mul(times), ..once }
        }
        None => named(app, text),
    }
}

/// The application and the text of a line as it was routed: without what folds equal lines, the folder of the
/// application, or the tag that nobody took off.
pub(crate) fn routed(line: &Syslog) -> (&str, &str) {
    let text = line.message.trim_ascii();
    let text = repeated(text).map_or(text, |(_times, inner)| inner);
    let app = line.app.as_deref().unwrap_or_default();
    let (app, text) = if app.is_empty() { shape::tagged(text).unwrap_or((app, text)) } else { (app, text) };
    (app.rsplit_once('/').map_or(app, |(_folder, base)| base), text)
}

/// `message repeated 3 times: [ TEXT]`, as rsyslog and journald fold equal lines: the count and the text.
fn repeated(text: &str) -> Option<(u32, &str)> {
    let (count, inner) = text.strip_prefix("message repeated ")?.split_once(" times: [")?;
    let inner = inner.strip_suffix(']').unwrap_or(inner);
    Some((count.parse().ok()?, inner.trim_ascii()))
}

/// The longest application name that is looked up, in bytes.
const APP_BYTES_MAX: usize = 40;

/// Routes by the application's name, without its folder and in lower case; else by the text's shape.
fn named<'a>(app: &'a str, text: &'a str) -> Extraction<'a> {
    if text.starts_with("pam_") || text.starts_with("(pam_") {
        return pam::pam(app, text);
    }
    let base = app.rsplit_once('/').map_or(app, |(_folder, base)| base);
    let mut buffer = [0; APP_BYTES_MAX];
    let Some(lower) = lowercase(base, &mut buffer) else { return shape::shaped(app, text) };
    match lower {
        "sshd" | "sshd-session" | "sshd-auth" => sshd::sshd(text),
        "dropbear" => dropbear::dropbear(text),
        "sudo" => sudo::sudo(text),
        "su" | "su-l" => su::su(text),
        "useradd" | "userdel" | "usermod" | "groupadd" | "groupdel" | "groupmod" | "gpasswd" | "passwd"
        | "chpasswd" | "chage" | "chfn" | "chsh" | "newusers" | "adduser" => useradd::useradd(text),
        "cron" | "crond" | "crontab" | "anacron" | "atd" => cron::cron(text),
        "systemd" | "systemd-logind" | "init" => systemd::systemd(text),
        "kernel" | "ulogd" | "firewall" | "iptables" | "nftables" | "ufw" => kernel::kernel(text),
        "dnsmasq" | "dnsmasq-dhcp" => dnsmasq::dnsmasq(text),
        "dhcpd" | "dhclient" | "kea-dhcp4" | "udhcpd" => dhcpd::dhcpd(text),
        "nginx" => nginx::nginx(text),
        "apache" | "apache2" | "httpd" | "httpd2" => apache::apache(text),
        "filterlog" | "pf" | "pflogd" => pf::pf(text),
        "luci" | "uhttpd" | "rpcd" => openwrt::openwrt(text),
        _ => service(app, lower, text),
    }
}

/// Routes the rest of the names that are known: what runs on servers, then what has a longer name than its program.
fn service<'a>(app: &'a str, lower: &str, text: &'a str) -> Extraction<'a> {
    if app.starts_with("postfix") {
        return postfix::postfix(text);
    }
    match lower {
        "dovecot" | "dovecot-auth" | "imap-login" | "pop3-login" | "managesieve-login" | "auth-worker" => {
            dovecot::dovecot(app, text)
        }
        "openvpn" | "ovpn-server" | "ovpn-client" => openvpn::openvpn(text),
        "charon" | "charon-systemd" | "pluto" | "racoon" | "ipsec" | "strongswan" | "iked" | "isakmpd" => {
            ipsec::ipsec(text)
        }
        "suricata" | "snort" | "snort3" | "barnyard2" => suricata::suricata(text),
        "mswineventlog" | "security-auditing" | "nxlog" | "evntslog" | "winlogbeat" | "eventlog" => {
            winlogon::winlogon(app, text, None)
        }
        "hostapd" | "wpa_supplicant" | "wlceventd" | "stahtd" | "wevent" | "mcad" | "ubnt_custom_event" => {
            wireless::wireless(text)
        }
        "dpkg"
        | "apt"
        | "apt-get"
        | "aptitude"
        | "unattended-upgrade"
        | "unattended-upgrades"
        | "yum"
        | "dnf"
        | "rpm"
        | "pacman"
        | "apk"
        | "zypper"
        | "zypp"
        | "opkg"
        | "packagekitd"
        | "snapd" => package::package(text),
        "docker" | "dockerd" | "containerd" | "podman" | "kubelet" | "kube-apiserver" | "k3s" | "crio" | "conmon" => {
            container::container(text)
        }
        "postgres" | "postgresql" | "mysql" | "mysqld" | "mariadb" | "mariadbd" | "mongod" | "mongos" | "redis"
        | "redis-server" | "valkey-server" | "mssql" | "mssqlserver" | "sqlservr" => database::database(text),
        "chronyd" | "ntpd" | "ntpdate" | "sntp" | "ntp" | "systemd-timesyncd" => ntp::ntp(text),
        "exim" | "exim4" | "sendmail" | "sm-mta" | "sm-msp-queue" | "rblsmtpd" => mail::mail(text),
        "vsftpd" | "proftpd" | "pure-ftpd" => ftp::ftp(text),
        "smbd" | "smb" | "samba" | "smbd_audit" => ftp::samba(text),
        "lfd" => apps::lfd(text),
        "asterisk" | "freeswitch" => phone::phone(text),
        "named" | "bind" | "nsd" | "unbound" => names::names(text),
        "haproxy" | "squid" | "danted" | "sockd" => proxy::proxy(text),
        "audit" | "auditd" | "audispd" | "audisp-syslog" | "type" => audit::audit(text),
        "login" | "polkitd" | "telnetd" | "in.telnetd" | "portsentry" | "scanlogd" | "xinetd" | "utmp" => {
            console::console(text)
        }
        _ if lower.starts_with("microsoft-windows-") => winlogon::winlogon(app, text, None),
        _ if lower.starts_with("ovpn-") => openvpn::openvpn(text),
        _ => shape::shaped(app, text),
    }
}

/// `text` in lower case in `buffer`; none where it is longer than that.
fn lowercase<'b>(text: &str, buffer: &'b mut [u8; APP_BYTES_MAX]) -> Option<&'b str> {
    let place = buffer.get_mut(..text.len())?;
    place.copy_from_slice(text.as_bytes());
    place.make_ascii_lowercase();
    std::str::from_utf8(place).ok()
}
