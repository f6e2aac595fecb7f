//! The context of an event: small factors that stand beside its key.
//!
//! Each factor is a class with few values, embedded apart and added to the key's embedding, so that
//! "a login at night, from outside, for root" needs no key of its own. Value 0 of a factor means
//! that nothing is known. The factors an event carries itself ([`Factor::is_own`]) are hidden and
//! predicted together with a masked key, because they would give it away; those of the situation
//! (scope, hour, gap, role, session) stay visible.

use nms_proto::extraction::{Actor, AppFamily, Extraction, Object};
use nms_proto::scan::{AddressClass, PathClass, PortClass, UserClass};

use super::FAMILY_COUNT;

/// The factors, in their order in a [`Context`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Factor {
    /// What the window gathers: one family of a source, or an actor.
    Scope,
    /// Hour of the day at the source, weekday and weekend apart.
    Hour,
    /// Time since the event before.
    Gap,
    /// What kind of host the source is.
    Role,
    /// Whether an administrative session or the package manager is active.
    Session,
    /// Syslog severity.
    Severity,
    /// How often the key came in a run.
    Repeat,
    /// Class of the actor.
    Actor,
    /// Class of the account aimed at.
    Account,
    /// Class of the object.
    Object,
}

/// Factors of a context.
pub const FACTORS: usize = 10;

const ADDRESSES: u8 = AddressClass::Public as u8 + 1;
const USERS: u8 = UserClass::Other as u8 + 1;
const PATHS: u8 = PathClass::System as u8 + 1;
const PORTS: u8 = PortClass::Ephemeral as u8 + 1;

impl Factor {
    /// Every factor in order.
    pub const ALL: [Self; FACTORS] = [
        Self::Scope,
        Self::Hour,
        Self::Gap,
        Self::Role,
        Self::Session,
        Self::Severity,
        Self::Repeat,
        Self::Actor,
        Self::Account,
        Self::Object,
    ];

    /// Values the factor takes, 0 (unknown) included.
    pub const fn size(self) -> usize {
        match self {
            Self::Scope => FAMILY_COUNT + 2,
            Self::Hour => 13,
            Self::Severity | Self::Gap | Self::Repeat => 9,
            Self::Role => 7,
            Self::Session => 5,
            Self::Actor => 1 + (ADDRESSES + USERS) as usize,
            Self::Account => 2 + USERS as usize,
            Self::Object => 3 + (PATHS + PORTS) as usize,
        }
    }

    /// Whether the factor belongs to the event itself, and is hidden with its key.
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Severity | Self::Repeat | Self::Actor | Self::Account | Self::Object)
    }
}

/// What kind of host a source is, as far as the caller knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SourceRole {
    /// Not known.
    #[default]
    Unknown,
    /// A person's machine.
    Workstation,
    /// A server.
    Server,
    /// A router or firewall.
    Router,
    /// A server that the internet reaches.
    Exposed,
    /// A switch, access point, printer or the like.
    Appliance,
}

/// How far local time at the source is ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UtcOffset {
    /// By so many seconds.
    Seconds(i32),
    /// Not known, or the event's time is not to be believed: the hour stays hidden.
    Unknown,
}

/// What is known about the moment and the place of an event, beside the line.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// When it happened, in milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// Local time at the source.
    pub offset: UtcOffset,
    /// Syslog severity, 0 to 7.
    pub severity: Option<u8>,
    /// The source's kind.
    pub role: SourceRole,
    /// Whether an administrative session is open at the source.
    pub admin_session: bool,
    /// Whether the package manager runs at the source.
    pub package_manager: bool,
}

/// What a window gathers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The events of one application family at one source (a stable number of the caller's).
    Source(u64, AppFamily),
    /// The events of one actor across sources (a stable number, see [`crate::window::actor_id`]).
    Actor(u64),
}

/// The factors of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Context([u8; FACTORS]);

impl Context {
    /// The factors of what a line means, in its situation. Scope, gap and repeat come from the window.
    pub fn of(extraction: &Extraction<'_>, situation: &Situation) -> Self {
        Self::default()
            .with(Factor::Hour, hour(situation))
            .with(Factor::Role, situation.role as u8)
            .with(Factor::Session, 1 + u8::from(situation.admin_session) + 2 * u8::from(situation.package_manager))
            .with(Factor::Severity, situation.severity.map_or(0, |severity| 1 + severity.min(7)))
            .with(Factor::Actor, actor(extraction))
            .with(Factor::Account, account(extraction))
            .with(Factor::Object, object(extraction))
    }

    /// The value of a factor.
    pub fn value(self, factor: Factor) -> u8 {
        self.0.get(factor as usize).copied().unwrap_or(0)
    }

    /// Whether the object is a path: of another class, it is another event, not one more of a run.
    pub(crate) fn is_path(self) -> bool {
        let object = self.value(Factor::Object);
        (3..3 + PATHS).contains(&object)
    }

    /// All values in the order of [`Factor::ALL`].
    pub fn values(&self) -> &[u8; FACTORS] {
        &self.0
    }

    /// The same with one factor set; a value the factor does not have becomes unknown.
    #[must_use]
    pub fn with(mut self, factor: Factor, value: u8) -> Self {
        if let Some(place) = self.0.get_mut(factor as usize) {
            *place = if usize::from(value) < factor.size() { value } else { 0 };
        }
        self
    }

    /// The same with the event's own factors hidden.
    #[must_use]
    pub fn masked(self) -> Self {
        Factor::ALL.into_iter().filter(|factor| factor.is_own()).fold(self, |context, factor| context.with(factor, 0))
    }

    /// The context of a window's own positions (DIST, EOS): its scope and role, nothing else.
    #[must_use]
    pub fn frame(self) -> Self {
        Self::default().with(Factor::Scope, self.value(Factor::Scope)).with(Factor::Role, self.value(Factor::Role))
    }

    /// The context of values from outside, such as a snapshot; unknown where a value does not exist.
    pub fn from_values(values: [u8; FACTORS]) -> Self {
        Factor::ALL
            .into_iter()
            .zip(values)
            .fold(Self::default(), |context, (factor, value)| context.with(factor, value))
    }
}

/// The value of [`Factor::Scope`] for a scope.
pub(crate) fn scope_value(scope: Scope) -> u8 {
    match scope {
        Scope::Source(_, family) => 1 + family as u8,
        Scope::Actor(_) => 1 + FAMILY_COUNT as u8,
    }
}

/// The value of [`Factor::Gap`] for the time since the event before.
pub(crate) fn gap_value(gap_ms: Option<i64>) -> u8 {
    match gap_ms {
        None => 0,
        Some(..=99) => 1,
        Some(100..=999) => 2,
        Some(1_000..=9_999) => 3,
        Some(10_000..=59_999) => 4,
        Some(60_000..=599_999) => 5,
        Some(600_000..=3_599_999) => 6,
        Some(3_600_000..=86_399_999) => 7,
        Some(_) => 8,
    }
}

/// The value of [`Factor::Repeat`] for the length of a run.
pub(crate) fn repeat_value(count: u32) -> u8 {
    match count {
        0..=1 => 1,
        2 => 2,
        3..=4 => 3,
        5..=8 => 4,
        9..=16 => 5,
        17..=64 => 6,
        65..=512 => 7,
        _ => 8,
    }
}

/// Four-hour buckets of the source's day, those of the weekend apart.
fn hour(situation: &Situation) -> u8 {
    let UtcOffset::Seconds(offset) = situation.offset else { return 0 };
    let seconds = situation.at_ms.div_euclid(1000) + i64::from(offset);
    let weekday = (seconds.div_euclid(86_400) + 3).rem_euclid(7);
    let bucket = seconds.rem_euclid(86_400) / 14_400;
    1 + bucket as u8 + if weekday >= 5 { 6 } else { 0 }
}

fn actor(extraction: &Extraction<'_>) -> u8 {
    match extraction.actor {
        None => 0,
        Some(Actor::Address(address)) => 1 + AddressClass::of(address) as u8,
        Some(Actor::Name(name)) => 1 + ADDRESSES + UserClass::of(name) as u8,
    }
}

fn account(extraction: &Extraction<'_>) -> u8 {
    match (extraction.account, extraction.account_exists) {
        (_, Some(false)) => 1 + USERS,
        (Some(name), _) => 1 + UserClass::of(name) as u8,
        (None, _) => 0,
    }
}

fn object(extraction: &Extraction<'_>) -> u8 {
    match extraction.object {
        None | Some(Object::Endpoint { port: None, .. }) => 0,
        Some(Object::Program(_)) => 1,
        Some(Object::Service(_)) => 2,
        Some(Object::Path(path)) => 3 + PathClass::of(path) as u8,
        Some(Object::Endpoint { port: Some(port), .. }) => 3 + PATHS + PortClass::of(port) as u8,
    }
}
