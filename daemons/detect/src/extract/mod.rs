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
mod words;
mod apache;
mod cisco;
mod cron;
mod dhcpd;
mod dnsmasq;
mod dropbear;
mod fortigate;
mod generic;
mod mikrotik;
mod netfilter;
mod kernel;
mod nginx;
mod openwrt;
mod pam;
mod pf;
mod sshd;
mod su;
mod sudo;
mod systemd;
mod useradd;

use nms_proto::{
    event::{Body, Event, Syslog},
    extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome},
};

use crate::text::{address, name, word};
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
    match repeated(text) {
        Some((times, inner)) => {
            let once = named(app, inner);
            Extraction { times: once.times.saturating_mul(times), ..once }
        }
        None => named(app, text),
    }
}

/// `message repeated 3 times: [ TEXT]`, as rsyslog and journald fold equal lines: the count and the text.
fn repeated(text: &str) -> Option<(u32, &str)> {
    let (count, inner) = text.strip_prefix("message repeated ")?.split_once(" times: [")?;
    let inner = inner.strip_suffix(']').unwrap_or(inner);
    Some((count.parse().ok()?, inner.trim_ascii()))
}

/// The longest application name that is looked up, in bytes.
const APP_BYTES_MAX: usize = 24;

/// Routes by the application's name, without its folder and in lower case; else by the text's shape.
fn named<'a>(app: &'a str, text: &'a str) -> Extraction<'a> {
    if text.starts_with("pam_") || text.starts_with("(pam_") {
        return pam::pam(app, text);
    }
    let base = app.rsplit_once('/').map_or(app, |(_folder, base)| base);
    let mut buffer = [0; APP_BYTES_MAX];
    let Some(lower) = lowercase(base, &mut buffer) else { return shaped(app, text) };
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
        _ => shaped(app, text),
    }
}

/// `text` in lower case in `buffer`; none where it is longer than that.
fn lowercase<'b>(text: &str, buffer: &'b mut [u8; APP_BYTES_MAX]) -> Option<&'b str> {
    let place = buffer.get_mut(..text.len())?;
    place.copy_from_slice(text.as_bytes());
    place.make_ascii_lowercase();
    std::str::from_utf8(place).ok()
}

/// `sshd[123]: TEXT` and `host sshd[123]: TEXT`, where nobody took the header off: the application and its text.
fn tagged(text: &str) -> Option<(&str, &str)> {
    let (head, rest) = text.split_once("]: ")?;
    let (tag, pid) = head.rsplit_once('[')?;
    let tag = tag.rsplit_once(' ').map_or(tag, |(_host, tag)| tag);
    let fits = !tag.is_empty() && head.len() <= 128 && pid.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some((tag, rest))
}

/// Routes by how the text begins or what it must hold; the way of lines whose application is absent or unknown.
///
/// Each question starts with a byte that the shape cannot do without, so that most lines are asked little.
fn shaped<'a>(app: &'a str, text: &'a str) -> Extraction<'a> {
    let holds = |byte: u8| text.as_bytes().contains(&byte);
    if app.starts_with('%') {
        return cisco::cisco(app.trim_end_matches(':'), text);
    }
    if holds(b'%')
        && let Some((code, rest)) = cisco::code(text)
    {
        return cisco::cisco(code, rest);
    }
    if app.is_empty()
        && let Some((tag, rest)) = tagged(text)
    {
        return named(tag, rest);
    }
    if sshd::recognises(text) {
        return sshd::sshd(text);
    }
    if mikrotik::recognises(app, text) || (holds(b'>') && mikrotik::is_packet(text)) {
        return mikrotik::mikrotik(text);
    }
    if holds(b'=') {
        if netfilter::recognises(text) {
            return netfilter::netfilter(text);
        }
        if fortigate::recognises(text) {
            return fortigate::fortigate(text);
        }
        let (first, rest) = word(text);
        if rest.starts_with("pam_unix(") || first.contains("(pam_unix)") {
            return pam::pam(app, rest);
        }
    }
    if holds(b'"')
        && let Some(request) = apache::access(AppFamily::Apache, text)
    {
        return request;
    }
    match text.as_bytes().first() {
        Some(b'[') if apache::recognises(text) => apache::apache(text),
        Some(b'0'..=b'9') if nginx::recognises(text) => nginx::nginx(text),
        _ => generic::generic(text),
    }
}
