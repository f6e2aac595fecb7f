//! Typed log keys: what a line means, in a vocabulary that is the same on every network.
//!
//! A key is (application family) x (action) x (outcome), nothing else: template ids are new on every
//! network, and wording is new with every vendor, but a failed login is a failed login. Parameters
//! never enter the key; their classes, the time and the situation go beside it as a [`Context`] of
//! small factors. Where no extractor knows, the action is `other`.

mod context;
mod vocabulary;

use std::fmt;

use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};

pub use context::{Context, FACTORS, Factor, Scope, Situation, SourceRole, UtcOffset};
pub(crate) use context::{gap_value, repeat_value, scope_value};
pub use vocabulary::{DIST, EOS, MASK, PAD, SPECIALS, Token, UNKNOWN, Vocabulary, VocabularyError};

/// Every family with its name in keys, in the order of their declaration.
const FAMILIES: [(AppFamily, &str); 35] = [
    (AppFamily::Generic, "generic"),
    (AppFamily::Sshd, "sshd"),
    (AppFamily::Dropbear, "dropbear"),
    (AppFamily::Sudo, "sudo"),
    (AppFamily::Su, "su"),
    (AppFamily::Pam, "pam"),
    (AppFamily::Useradd, "useradd"),
    (AppFamily::Cron, "cron"),
    (AppFamily::Systemd, "systemd"),
    (AppFamily::Kernel, "kernel"),
    (AppFamily::Netfilter, "netfilter"),
    (AppFamily::Pf, "pf"),
    (AppFamily::Asa, "asa"),
    (AppFamily::Ios, "ios"),
    (AppFamily::Fortigate, "fortigate"),
    (AppFamily::Mikrotik, "mikrotik"),
    (AppFamily::Openwrt, "openwrt"),
    (AppFamily::Dnsmasq, "dnsmasq"),
    (AppFamily::Dhcpd, "dhcpd"),
    (AppFamily::Openvpn, "openvpn"),
    (AppFamily::Ipsec, "ipsec"),
    (AppFamily::Nginx, "nginx"),
    (AppFamily::Apache, "apache"),
    (AppFamily::Postfix, "postfix"),
    (AppFamily::Dovecot, "dovecot"),
    (AppFamily::Suricata, "suricata"),
    (AppFamily::Winlogon, "winlogon"),
    (AppFamily::Wireless, "wireless"),
    (AppFamily::Package, "package"),
    (AppFamily::Container, "container"),
    (AppFamily::Database, "database"),
    (AppFamily::Ntp, "ntp"),
    (AppFamily::FileIntegrity, "file_integrity"),
    (AppFamily::Process, "process"),
    (AppFamily::Connection, "connection"),
];

/// Every action with its name in keys, in the order of their declaration.
const ACTIONS: [(Action, &str); 13] = [
    (Action::Other, "other"),
    (Action::Login, "login"),
    (Action::Logout, "logout"),
    (Action::Command, "command"),
    (Action::Account, "account"),
    (Action::Service, "service"),
    (Action::File, "file"),
    (Action::Process, "process"),
    (Action::Connection, "connection"),
    (Action::Block, "block"),
    (Action::Lease, "lease"),
    (Action::Request, "request"),
    (Action::Ids, "ids"),
];

/// Every outcome with its name in keys, in the order of their declaration.
const OUTCOMES: [(Outcome, &str); 3] = [(Outcome::None, "none"), (Outcome::Ok, "ok"), (Outcome::Failed, "failed")];

/// Families, for whoever sizes a table by them.
pub(crate) const FAMILY_COUNT: usize = FAMILIES.len();

/// A typed log key. Its number is dense but belongs to this build; on disk a key goes by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypedKey(u16);

impl TypedKey {
    /// Keys that there can be.
    pub const COUNT: usize = FAMILIES.len() * ACTIONS.len() * OUTCOMES.len();

    /// The key of what a line means.
    pub fn of(extraction: &Extraction<'_>) -> Self {
        Self::new(extraction.family, extraction.action, extraction.outcome)
    }

    /// The key of a family, an action and an outcome.
    pub fn new(family: AppFamily, action: Action, outcome: Outcome) -> Self {
        let actions = family as usize * ACTIONS.len() + action as usize;
        Self((actions * OUTCOMES.len() + outcome as usize) as u16)
    }

    /// The dense number, below [`TypedKey::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The key of a dense number of this build.
    pub fn from_index(index: usize) -> Option<Self> {
        u16::try_from(index).ok().filter(|_| index < Self::COUNT).map(Self)
    }

    /// The application family.
    pub fn family(self) -> AppFamily {
        let at = self.index() / (ACTIONS.len() * OUTCOMES.len());
        FAMILIES.get(at).map_or(AppFamily::Generic, |(family, _)| *family)
    }

    /// What was done.
    pub fn action(self) -> Action {
        ACTIONS.get(self.index() / OUTCOMES.len() % ACTIONS.len()).map_or(Action::Other, |(action, _)| *action)
    }

    /// How it ended.
    pub fn outcome(self) -> Outcome {
        OUTCOMES.get(self.index() % OUTCOMES.len()).map_or(Outcome::None, |(outcome, _)| *outcome)
    }

    /// The key of a name as [`fmt::Display`] writes it.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let (family, action, outcome) = (parts.next()?, parts.next()?, parts.next()?);
        let family = FAMILIES.iter().find(|(_, name)| *name == family)?.0;
        let action = ACTIONS.iter().find(|(_, name)| *name == action)?.0;
        let outcome = OUTCOMES.iter().find(|(_, name)| *name == outcome)?.0;
        parts.next().is_none().then(|| Self::new(family, action, outcome))
    }
}

/// `sshd.login.failed`: the name that a bundle keeps.
impl fmt::Display for TypedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = FAMILIES.get(self.family() as usize).map_or("", |(_, name)| name);
        let action = ACTIONS.get(self.action() as usize).map_or("", |(_, name)| name);
        let outcome = OUTCOMES.get(self.outcome() as usize).map_or("", |(_, name)| name);
        write!(f, "{family}.{action}.{outcome}")
    }
}
