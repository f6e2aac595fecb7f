//! Lines whose application is absent or unknown: routed by how the text begins or what it must hold.
//!
//! Each question starts with a byte that the shape cannot do without, so that most lines are asked little.

use nms_proto::extraction::{AppFamily, Extraction};

use super::{
    apache, appliance, apps, audit, cisco, console, container, database, dovecot, fortigate, ftp, generic, mail,
    mikrotik, named, names, netfilter, nginx, openvpn, package, pam, phone, proxy, sshd, suricata, winlogon,
};
use crate::text::word;

/// `sshd[123]: TEXT` and `host sshd[123]: TEXT`, where nobody took the header off: the application and its text.
pub(super) fn tagged(text: &str) -> Option<(&str, &str)> {
    let (head, rest) = text.split_once("]: ")?;
    let (tag, pid) = head.rsplit_once('[')?;
    let tag = tag.rsplit_once(' ').map_or(tag, |(_host, tag)| tag);
    let fits = !tag.is_empty() && head.len() <= 128 && pid.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some((tag, rest))
}

/// Whether what stands before `mark` is a stamp, a number, a host or a rule's prefix, and no sentence that quotes it.
fn heads(app: &str, text: &str, mark: &str) -> bool {
    const WORDS: [&str; 32] = [
        "jan",
        "feb",
        "mar",
        "apr",
        "may",
        "jun",
        "jul",
        "aug",
        "sep",
        "oct",
        "nov",
        "dec",
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
        "iptables",
        "nftables",
        "drop",
        "dropped",
        "block",
        "blocked",
        "deny",
        "denied",
        "reject",
        "rejected",
        "accept",
        "accepted",
        "shorewall",
    ];
    let fits = |token: &str| {
        let bare = token.trim_matches(|c: char| c.is_ascii_punctuation());
        !bare.bytes().any(|byte| byte.is_ascii_lowercase())
            || bare.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
            || WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word))
    };
    let head = text.find(mark).and_then(|at| text.get(..at));
    app.is_empty() || head.is_some_and(|head| head.len() <= 64 && head.split_ascii_whitespace().all(fits))
}

/// Routes by the text.
pub(super) fn shaped<'a>(app: &'a str, text: &'a str) -> Extraction<'a> {
    let holds = |byte: u8| text.as_bytes().contains(&byte);
    if app.starts_with('%') {
        return cisco::cisco(app.trim_end_matches(':'), text);
    }
    if holds(b'%')
        && let Some((code, rest)) = cisco::code(text)
        && heads(app, text, "%")
    {
        return cisco::cisco(code, rest);
    }
    if app.is_empty()
        && let Some((tag, rest)) = tagged(text)
    {
        return named(tag, rest);
    }
    if app.is_empty()
        && let Some((tag, rest)) =
            text.strip_prefix('[').and_then(|tail| tail.split_once(']')).filter(|(tag, _rest)| *tag == "sshd")
    {
        return named(tag, rest.trim_start_matches(':').trim_ascii_start());
    }
    if sshd::recognises(text) {
        return sshd::sshd(text);
    }
    if mikrotik::recognises(app, text) || (holds(b'>') && mikrotik::is_packet(text)) {
        return mikrotik::mikrotik(text);
    }
    if holds(b'=')
        && let Some(found) = pairs(app, text)
    {
        return found;
    }
    if holds(b'"')
        && let Some(found) = quotes(text)
    {
        return found;
    }
    if let Some(found) = first_byte(text).or_else(|| rarer_byte(text)) {
        return found;
    }
    apps::apps(text).or_else(|| appliance::appliance(text)).unwrap_or_else(|| generic::generic(text))
}

/// Texts that hold an equals sign.
fn pairs<'a>(app: &'a str, text: &'a str) -> Option<Extraction<'a>> {
    if netfilter::recognises(text) && heads(app, text, "IN=") {
        return Some(netfilter::netfilter(text));
    }
    if fortigate::recognises(text) {
        return Some(fortigate::fortigate(text));
    }
    if audit::recognises(text) {
        return Some(audit::audit(text));
    }
    if dovecot::recognises(text) {
        return Some(dovecot::dovecot(app, text));
    }
    if mail::recognises(text) {
        return Some(mail::mail(text));
    }
    let (first, rest) = word(text);
    (rest.starts_with("pam_unix(") || first.contains("(pam_unix)")).then(|| pam::pam(app, rest))
}

/// Texts that hold a double quote.
fn quotes(text: &str) -> Option<Extraction<'_>> {
    if let Some(request) = apache::access(AppFamily::Apache, text) {
        return Some(request);
    }
    if text.starts_with('{') || text.contains(": {\"") {
        if suricata::recognises(text) {
            return Some(suricata::suricata(text));
        }
        if container::recognises(text) {
            return Some(container::container(text));
        }
        if winlogon::recognises(text) {
            return Some(winlogon::winlogon("", text, None));
        }
    }
    if text.contains("SecurityEvent=\"") {
        return Some(phone::phone(text));
    }
    ftp::recognises(text).then(|| ftp::ftp(text))
}

/// Texts by what they begin with.
fn first_byte(text: &str) -> Option<Extraction<'_>> {
    match text.as_bytes().first()? {
        b'[' | b'0'..=b'9' if nginx::recognises(text) => Some(nginx::nginx(text)),
        b'[' if apache::recognises(text) => Some(apache::apache(text)),
        b'[' if suricata::recognises(text) => Some(suricata::suricata(text)),
        b'0'..=b'9' if proxy::recognises(text) => Some(proxy::proxy(text)),
        b'M' | b'<' if winlogon::recognises(text) => Some(winlogon::winlogon("", text, None)),
        b'a' if text.starts_with("attackalert: ") => Some(console::console(text)),
        b'[' | b's' if package::recognises(text) => Some(package::package(text)),
        b'{' if database::recognises(text) => Some(database::database(text)),
        _ => None,
    }
}

/// Texts by a rarer byte that they hold.
fn rarer_byte(text: &str) -> Option<Extraction<'_>> {
    let holds = |byte: u8| text.as_bytes().contains(&byte);
    if holds(b'[') || holds(b'\'') {
        if phone::recognises(text) {
            return Some(phone::phone(text));
        }
        if database::recognises(text) {
            return Some(database::database(text));
        }
        if text.contains("[AF_INET]") || mail::recognises(text) {
            return Some(if text.contains("[AF_INET]") { openvpn::openvpn(text) } else { mail::mail(text) });
        }
    }
    if text.starts_with("rblsmtpd: ") {
        return Some(mail::mail(text));
    }
    (holds(b'#') && names::recognises(text)).then(|| names::names(text))
}
