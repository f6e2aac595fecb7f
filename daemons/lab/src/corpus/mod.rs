//! A generated network's log, with the truth of every line.
//!
//! Hosts, roles and users follow daily schedules; each event is emitted as raw text and as what it
//! means, so that a model can be trained from the truth and extractors can be compared to it later.
//! Everything follows from the seed; addresses are drawn from private and documentation-like ranges,
//! names are invented. Attacks come with benign twins that use the same messages, and with families
//! of benign events that training never saw.

mod forms;
mod phrases;
mod products;
mod lexicon;
mod voices;
mod text;
mod network;
mod ordinary;
mod apps;
mod attack;

use std::net::IpAddr;
use std::ops::Range;

use nms_model::random::Random;
use nms_model::train::{Meaning, train_words};
use nms_model::words::Words;
use nms_proto::event::{Body, Change, Draft, Event, FileChange, Syslog};
use nms_proto::extraction::{Actor, Extraction, Object};
use nms_proto::id::{EndpointId, EventId, EventSeq, Instance};
use nms_proto::time::Stamp;

pub(crate) use attack::CATEGORIES;
pub use attack::{Attack, Novelty, Twin};
pub use forms::Kind;
use forms::{Form, What, Who, Whose};
pub use network::{App, Host, Network, Role, User};
use phrases::{FORMS, NOTHING};
pub use voices::{Phrasing, VENDORS, all_phrasings, phrasings};

/// Midnight, UTC, of the Monday on which every generated network's log begins.
pub const EPOCH_MS: i64 = 1_767_571_200_000;
/// A day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// Why an event was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// The ordinary life of the network.
    Ordinary,
    /// Harmless, with the messages of an attack.
    Twin(Twin),
    /// Harmless, and new to the network.
    Novel(Novelty),
    /// An attack.
    Attack(Attack),
}

/// What a message is filled with; empty where it needs nothing.
#[derive(Clone, Debug)]
pub struct Params {
    /// The account or person.
    pub user: String,
    /// The address that acts.
    pub ip: IpAddr,
    /// The address acted on.
    pub peer: IpAddr,
    /// The port acted on.
    pub port: u16,
    /// A file or URL path.
    pub path: String,
    /// A command line.
    pub command: String,
    /// A unit, package or service.
    pub unit: String,
    /// The hardware address of who acts.
    pub mac: String,
}

/// One event of a generated log.
#[derive(Clone, Debug)]
pub struct Emission {
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
    /// Index of the host in its network.
    pub host: usize,
    /// What kind of message it is.
    pub kind: Kind,
    /// What it is filled with.
    pub params: Params,
    /// The message as the program wrote it.
    pub text: String,
    /// The vendor of the application that said it; none for a program that is known.
    pub vendor: Option<usize>,
    form: &'static Form,
    /// Why it was generated.
    pub label: Label,
    /// Whether an administrative session is open on the host.
    pub admin_session: bool,
    /// Whether the package manager runs on the host.
    pub package_manager: bool,
}

impl Emission {
    /// The program that wrote it.
    pub fn program(&self) -> &'static str {
        self.vendor.map_or(self.form.program, voices::program)
    }

    /// Its syslog severity.
    pub fn severity(&self) -> u8 {
        self.form.severity
    }

    /// What an extractor should read out of the text.
    pub fn truth(&self) -> Extraction<'_> {
        let form = self.form;
        let (family, action, outcome) = form.meaning;
        let p = &self.params;
        Extraction {
            action,
            outcome,
            actor: match form.actor {
                Who::Nobody => None,
                Who::Address => Some(Actor::Address(p.ip)),
                Who::User => Some(Actor::Name(&p.user)),
                Who::Hardware => Some(Actor::Name(&p.mac)),
            },
            account: match form.account {
                Whose::Nobodys => None,
                Whose::Users(_) => Some(&p.user),
                Whose::Root => Some("root"),
            },
            account_exists: if let Whose::Users(exists) = form.account { exists } else { None },
            object: match form.object {
                What::Nothing => None,
                What::Path => Some(Object::Path(&p.path)),
                What::Program => Some(Object::Program(&p.command)),
                What::Service => Some(Object::Service(&p.unit)),
                What::Endpoint => Some(Object::Endpoint { address: p.peer, port: Some(p.port) }),
            },
            ..Extraction::unknown(family)
        }
    }

    /// The event as a hub sends it: a log line, or the file change itself. It has a name only to be one.
    pub fn event(&self, network: &Network) -> Event {
        let offset_min = (network.utc_offset_s / 60) as i16;
        let at = Stamp { unix_ms: self.at_ms, offset_min };
        let name = network.hosts.get(self.host).map_or("host", |host| host.name.as_str());
        let id = EventId { instance: Instance::UNNAMED, seq: EventSeq::default() };
        Draft::new(self.body()).named(id, EndpointId::new(name), at)
    }

    fn body(&self) -> Body {
        if self.kind != Kind::FileChanged {
            return Body::Syslog(Syslog {
                severity: self.severity(),
                app: Some(self.program()).filter(|program| !program.is_empty()).map(Into::into),
                message: self.text.as_str().into(),
                ..Syslog::default()
            });
        }
        let sessions = if self.admin_session { vec![self.params.user.as_str().into()] } else { Vec::new() };
        Body::File(Box::new(FileChange {
            path: self.params.path.as_str().into(),
            change: Change::Modified,
            old_sha256: None,
            new_sha256: None,
            owner: None,
            group: None,
            mode: None,
            size: None,
            inode: None,
            mtime: None,
            sessions,
            package_manager: self.package_manager,
            command_id: None,
        }))
    }

    /// The line as syslog carries it (RFC 3164).
    pub fn line(&self, network: &Network) -> String {
        let host = network.hosts.get(self.host).map_or("host", |host| host.name.as_str());
        let pri = 4 * 8 + u32::from(self.severity());
        let pid = 300 + (self.at_ms / 977) % 30_000;
        format!("<{pri}>{} {host} {}[{pid}]: {}", text::rfc3164(self.at_ms), self.program(), self.text)
    }
}

/// How often each phrasing is shown to whoever learns what words mean, its parameters drawn anew.
const LESSONS: usize = 3;
/// Lines of words from everywhere for each phrasing, which mean nothing.
const NONSENSE: f64 = 0.25;

/// What words are learned from.
#[derive(Clone, Debug, Default)]
pub struct Lessons {
    /// Lines with their meaning.
    pub lines: Vec<(String, Meaning)>,
    /// Lines of words from everywhere, which mean nothing.
    pub nonsense: Vec<String>,
}

impl Lessons {
    /// The words of these lessons.
    pub fn learned(&self, seed: u64) -> Words {
        let lines = self.lines.iter().map(|(line, meaning)| (line.as_str(), *meaning));
        train_words(lines, self.nonsense.iter().map(String::as_str), seed)
    }
}

/// Every phrasing of the known programs and of `vendors`, and nonsense beside them.
pub fn lessons(vendors: &Range<usize>, seed: u64) -> Lessons {
    let mut random = Random::new(seed).fork(9);
    let network = Network::new(&mut random, vendors);
    let known = FORMS.iter().flat_map(|form| {
        let (family, action, outcome) = form.meaning;
        form.phrases.iter().map(move |text| ((*text).to_owned(), Meaning { action, outcome, family }))
    });
    let phrasings: Vec<(String, Meaning)> = known.chain(said_by(vendors)).collect();
    let mut lessons = Vec::new();
    for _ in 0..LESSONS {
        lessons.extend(filled(&phrasings, &network, &mut random));
    }
    let mut nonsense = Vec::new();
    for _ in 0..(lessons.len() as f64 * NONSENSE) as usize {
        let word = |random: &mut Random| {
            let line = random.pick(&lessons).map_or("", |(line, _)| line.as_str());
            let words: Vec<&str> = line.split(' ').collect();
            random.pick(&words).map_or_else(String::new, |word| (*word).to_owned())
        };
        let words: Vec<String> = (0..random.between(4, 12)).map(|_| word(&mut random)).collect();
        nonsense.push(words.join(" "));
    }
    Lessons { lines: lessons, nonsense }
}

/// Every phrasing of `vendors` once, with its meaning.
pub fn vendor_lines(vendors: &Range<usize>, seed: u64) -> Vec<(String, Meaning)> {
    let mut random = Random::new(seed).fork(10);
    let network = Network::new(&mut random, vendors);
    filled(&said_by(vendors).collect::<Vec<_>>(), &network, &mut random)
}

fn said_by(vendors: &Range<usize>) -> impl Iterator<Item = (String, Meaning)> {
    vendors.clone().flat_map(all_phrasings).map(|phrasing| (phrasing.text, phrasing.meaning))
}

/// Phrasings with parameters of a network.
fn filled(phrasings: &[(String, Meaning)], network: &Network, random: &mut Random) -> Vec<(String, Meaning)> {
    let one = |(text, meaning): &(String, Meaning)| {
        let host = random.below(network.hosts.len());
        let name = random.pick(&network.users).map_or("root", |user| user.name.as_str());
        let params = Params::new(network, name, host, random);
        (text::fill(text, &params, EPOCH_MS, random), *meaning)
    };
    phrasings.iter().map(one).collect()
}

fn form_of(kind: Kind) -> &'static Form {
    FORMS.get(kind as usize).unwrap_or(FORMS.first().unwrap_or(&NOTHING))
}

/// Where emissions are gathered.
#[derive(Debug)]
pub(crate) struct Scribe {
    random: Random,
    label: Label,
    emissions: Vec<Emission>,
    /// The product of each host.
    products: Vec<&'static str>,
}

impl Scribe {
    fn new(random: Random, network: &Network) -> Self {
        let products = network.hosts.iter().map(|host| host.product).collect();
        Self { random, label: Label::Ordinary, emissions: Vec::new(), products }
    }

    /// Writes down that `kind` happened on `host`.
    fn emit(&mut self, at_ms: i64, host: usize, kind: Kind, params: &Params) {
        let product = self.products.get(host).copied().unwrap_or_default();
        let form = products::row(product, kind).unwrap_or_else(|| form_of(kind));
        let phrase = self.random.pick(form.phrases).copied().unwrap_or_default();
        self.write(at_ms, host, form, None, phrase, params);
    }

    /// Writes down that an application said so, in its vendor's words: an application always says it in the same ones.
    fn emit_app(&mut self, at_ms: i64, app: App, kind: Kind, params: &Params) {
        let form = form_of(kind);
        let (_, action, outcome) = form.meaning;
        let said = phrasings(app.vendor, action, outcome);
        let choice = if kind == Kind::AppNote { self.random.below(said.len()) } else { app.manner % said.len().max(1) };
        let text = said.get(choice).map(|phrasing| phrasing.text.clone()).unwrap_or_default();
        self.write(at_ms, app.host, form, Some(app.vendor), &text, params);
    }

    fn write(
        &mut self,
        at_ms: i64,
        host: usize,
        form: &'static Form,
        vendor: Option<usize>,
        phrase: &str,
        params: &Params,
    ) {
        let text = text::fill(phrase, params, at_ms, &mut self.random);
        let emission = Emission {
            at_ms,
            host,
            kind: form.kind,
            form,
            params: params.clone(),
            text,
            vendor,
            label: self.label,
            admin_session: false,
            package_manager: false,
        };
        self.emissions.push(emission);
    }
}

/// What is generated beside the ordinary life of a network.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Attacks, spread over the days.
    pub attacks: Vec<Attack>,
    /// Benign twins, spread over the days.
    pub twins: Vec<Twin>,
    /// Benign novelties, spread over the days.
    pub novelties: Vec<Novelty>,
    /// The vendors that its applications may be of; all of them where it is empty.
    pub vendors: Range<usize>,
}

/// The ordinary life of one network on those days after the first Monday, in the order of time; each call gives a day the
/// same life only where it begins with the same day.
pub fn ordinary_days(seed: u64, days: Range<usize>) -> (Network, Vec<Emission>) {
    generate_days(seed, days, &Extras::default())
}

/// The log of one network over some days, in the order of time.
pub fn generate(seed: u64, days: usize, extras: &Extras) -> (Network, Vec<Emission>) {
    generate_days(seed, 0..days, extras)
}

fn generate_days(seed: u64, days: Range<usize>, extras: &Extras) -> (Network, Vec<Emission>) {
    let last = days.end;
    let mut random = Random::new(seed);
    let network = Network::new(&mut random.fork(1), &extras.vendors);
    let mut scribe = Scribe::new(random.fork(2), &network);
    for day in days {
        ordinary::day(&network, day, &mut scribe);
    }
    let mut when = random.fork(3);
    for attack in &extras.attacks {
        attack::attack(&network, *attack, &mut when, last, &mut scribe);
    }
    for twin in &extras.twins {
        attack::twin(&network, *twin, &mut when, last, &mut scribe);
    }
    for novelty in &extras.novelties {
        attack::novelty(&network, *novelty, &mut when, last, &mut scribe);
    }
    let mut emissions = scribe.emissions;
    emissions.sort_by_key(|emission| emission.at_ms);
    mark_sessions(&network, &mut emissions);
    (network, emissions)
}

/// Notes for each event whether an administrator was logged in or packages were changed around it.
fn mark_sessions(network: &Network, emissions: &mut [Emission]) {
    let mut admin_until = vec![i64::MIN; network.hosts.len()];
    let mut packages_until = vec![i64::MIN; network.hosts.len()];
    for emission in emissions {
        let (Some(admin), Some(packages)) = (admin_until.get_mut(emission.host), packages_until.get_mut(emission.host))
        else {
            continue;
        };
        let is_admin = network.users.iter().any(|user| user.admin && user.name == emission.params.user);
        match emission.kind {
            Kind::SshLoginOk | Kind::SshKeyLoginOk if is_admin => *admin = emission.at_ms + 3_600_000,
            Kind::SudoCommand | Kind::SuOk if is_admin => *admin = (*admin).max(emission.at_ms + 900_000),
            Kind::SshLogout if is_admin => *admin = emission.at_ms,
            Kind::PackageChanged => *packages = emission.at_ms + 60_000,
            _ => {}
        }
        emission.admin_session = emission.at_ms <= *admin;
        emission.package_manager = emission.at_ms <= *packages;
    }
}
