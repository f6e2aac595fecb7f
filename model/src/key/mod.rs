//! Typed log keys: what a line means, in a vocabulary that is the same on every network.
//!
//! A key is (application family) x (action) x (outcome), nothing else: template ids are new on every
//! network, and wording is new with every vendor, but a failed login is a failed login. Parameters
//! never enter the key; their classes, the time and the situation go beside it as a [`Context`] of
//! small factors. Where no extractor knows, the line's words decide ([`crate::words`]): an action, or one of some groups
//! of lines (`words.17`), which have no family.

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
pub(crate) const ACTIONS: [(Action, &str); 13] = [
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
pub(crate) const OUTCOMES: [(Outcome, &str); 3] =
    [(Outcome::None, "none"), (Outcome::Ok, "ok"), (Outcome::Failed, "failed")];

/// Families, for whoever sizes a table by them.
pub(crate) const FAMILY_COUNT: usize = FAMILIES.len();

/// Keys of a family, an action and an outcome.
const TYPED: usize = FAMILIES.len() * ACTIONS.len() * OUTCOMES.len();
/// Groups of lines that no action fits.
pub const GROUPS: usize = 256;
/// What the name of a group begins with.
const GROUP: &str = "words.";

/// A typed log key. Its number is dense but belongs to this build; on disk a key goes by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypedKey(u16);

impl TypedKey {
    /// Keys that there can be.
    pub const COUNT: usize = TYPED + GROUPS;

    /// The key of what a line means.
    pub fn of(extraction: &Extraction<'_>) -> Self {
        Self::new(extraction.family, extraction.action, extraction.outcome)
    }

    /// The key of a family, an action and an outcome.
    pub fn new(family: AppFamily, action: Action, outcome: Outcome) -> Self {
        let actions = family as usize * ACTIONS.len() + action as usize;
        Self((actions * OUTCOMES.len() + outcome as usize) as u16)
    }

    /// The key of a group of lines that no action fits.
    pub fn group(number: u8) -> Self {
        Self((TYPED + usize::from(number)) as u16)
    }

    /// Whether it is such a group.
    pub fn is_group(self) -> bool {
        self.group_number().is_some()
    }

    /// The number of such a group; none for a key of an action.
    fn group_number(self) -> Option<usize> {
        self.index().checked_sub(TYPED)
    }

    /// The dense number, below [`TypedKey::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The key of a dense number of this build.
    pub fn from_index(index: usize) -> Option<Self> {
        u16::try_from(index).ok().filter(|_| index < Self::COUNT).map(Self)
    }

    /// The application family; a group of lines has none of its own.
    pub fn family(self) -> AppFamily {
        let at = self.index() / (ACTIONS.len() * OUTCOMES.len());
        FAMILIES.get(at).map_or(AppFamily::Generic, |(family, _)| *family)
    }

    /// What was done.
    pub fn action(self) -> Action {
        let at = self.index() / OUTCOMES.len() % ACTIONS.len();
        ACTIONS.get(at).filter(|_| self.group_number().is_none()).map_or(Action::Other, |(action, _)| *action)
    }

    /// How it ended.
    pub fn outcome(self) -> Outcome {
        let outcome = OUTCOMES.get(self.index() % OUTCOMES.len()).filter(|_| self.group_number().is_none());
        outcome.map_or(Outcome::None, |(outcome, _)| *outcome)
    }

    /// The key of a name as [`fmt::Display`] writes it.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(number) = name.strip_prefix(GROUP) {
            return number
                .parse()
                .ok()
                .filter(|number: &u8| number.to_string() == *name.trim_start_matches(GROUP))
                .map(Self::group);
        }
        let mut parts = name.split('.');
        let (family, action, outcome) = (parts.next()?, parts.next()?, parts.next()?);
        let family = FAMILIES.iter().find(|(_, name)| *name == family)?.0;
        let action = ACTIONS.iter().find(|(_, name)| *name == action)?.0;
        let outcome = OUTCOMES.iter().find(|(_, name)| *name == outcome)?.0;
        parts.next().is_none().then(|| Self::new(family, action, outcome))
    }
}

/// `sshd.login.failed`, `words.17`: the name that a bundle keeps.
impl fmt::Display for TypedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.group_number() {
            return write!(f, "{GROUP}{number}");
        }
        let family = FAMILIES.get(self.family() as usize).map_or("", |(_, name)| name);
        let action = ACTIONS.get(self.action() as usize).map_or("", |(_, name)| name);
        let outcome = OUTCOMES.get(self.outcome() as usize).map_or("", |(_, name)| name);
        write!(f, "{family}.{action}.{outcome}")
    }
}
