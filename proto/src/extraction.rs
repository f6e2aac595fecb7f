//! The vocabulary of what a log line means: which application family said it, what was done, with
//! what outcome, by whom, to what.
//!
//! `detect::extract` fills an [`Extraction`] from text; correlators count on it and `model::key`
//! turns it into a typed log key. It lives here because those two must not know each other.

use std::net::IpAddr;

/// The family of applications a line belongs to: one for each extractor, and `Generic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the application's own name")]
#[repr(u8)]
pub enum AppFamily {
    Generic,
    Sshd,
    Dropbear,
    Sudo,
    Su,
    Pam,
    Useradd,
    Cron,
    Systemd,
    Kernel,
    Netfilter,
    Pf,
    Asa,
    Ios,
    Fortigate,
    Mikrotik,
    Openwrt,
    Dnsmasq,
    Dhcpd,
    Openvpn,
    Ipsec,
    Nginx,
    Apache,
    Postfix,
    Dovecot,
    Suricata,
    Winlogon,
    Wireless,
    Package,
    Container,
    Database,
    Ntp,
    FileIntegrity,
    Process,
    Connection,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the plain word for the action")]
#[repr(u8)]
pub enum Action {
    Other,
    Login,
    Logout,
    Command,
    Account,
    Service,
    File,
    Process,
    Connection,
    Block,
    Lease,
    Request,
    Ids,
}

/// How it ended, as far as the line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// The line does not say.
    None,
    /// It succeeded.
    Ok,
    /// It failed or was refused.
    Failed,
}

/// Who did it. A name is opaque: nothing inside it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor<'a> {
    /// A network address.
    Address(IpAddr),
    /// A local user or host name.
    Name(&'a str),
}

/// What it was done to, beside the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// A network endpoint, such as the destination of a blocked packet.
    Endpoint {
        /// The address.
        address: IpAddr,
        /// The port, where the line names one.
        port: Option<u16>,
    },
    /// A file or URL path.
    Path(&'a str),
    /// A program or command line.
    Program(&'a str),
    /// A service or unit.
    Service(&'a str),
}

/// What one event means. Borrowed from the event's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extraction<'a> {
    /// The application family.
    pub family: AppFamily,
    /// What was done; `Other` where no extractor knows.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it.
    pub actor: Option<Actor<'a>>,
    /// The account aimed at.
    pub account: Option<&'a str>,
    /// Whether the line says that the account exists.
    pub account_exists: Option<bool>,
    /// What it was done to.
    pub object: Option<Object<'a>>,
    /// How many times, for "message repeated N times"; 1 otherwise. 0 where the line only goes with an attempt
    /// that another line usually reports, so that a counter takes it once per connection at most.
    pub times: u32,
}

impl Extraction<'_> {
    /// A line of `family` of which nothing more is known.
    pub fn unknown(family: AppFamily) -> Self {
        Self {
            family,
            action: Action::Other,
            outcome: Outcome::None,
            actor: None,
            account: None,
            account_exists: None,
            object: None,
            times: 1,
        }
    }
}
