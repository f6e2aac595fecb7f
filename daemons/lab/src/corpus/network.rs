//! A network: its hosts with their roles, its people with their habits.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use nms_model::random::Random;

use super::VENDORS;
use super::products::{DESKS, ROUTERS, WEB_SERVERS};
use super::text::mac;

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A person's machine.
    Workstation,
    /// A web server that the internet reaches, also by SSH.
    Exposed,
    /// A server with a database and containers.
    Database,
    /// A mail server.
    Mail,
    /// The router: packets, leases, names, wireless.
    Router,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address.
    pub mac: String,
    /// What it is for.
    pub role: Role,
    /// What is installed on it.
    pub product: &'static str,
}

/// An application of a vendor on a host.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// The host that it runs on.
    pub host: usize,
    /// Whose it is.
    pub vendor: usize,
    /// Which of its vendor's phrasings it uses: its version.
    pub manner: usize,
    /// Uses a day.
    pub uses: f64,
}

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    /// The account's name.
    pub name: String,
    /// Whether the person administers servers.
    pub admin: bool,
    /// When the person's day begins, in minutes after midnight.
    pub begins_min: i64,
    /// How long it lasts, in minutes.
    pub works_min: i64,
    /// How often a password is mistyped.
    pub clumsy: f64,
    /// The person's workstation.
    pub desk: usize,
}

/// A generated network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Every host.
    pub hosts: Vec<Host>,
    /// Every person.
    pub users: Vec<User>,
    /// Its applications.
    pub apps: Vec<App>,
    /// How far local time is ahead of UTC, in seconds.
    pub utc_offset_s: i32,
    /// How busy its services are, 1 being usual.
    pub traffic: f64,
    /// Whether the router gives leases as dhcpd does, instead of dnsmasq.
    pub dhcpd: bool,
    /// Whether the router logs name queries.
    pub logs_names: bool,
}

const NAMES: [&str; 24] = [
    "anna", "bert", "carla", "dario", "edda", "falk", "gina", "hugo", "ines", "jan", "kira", "lars", "mona", "nils",
    "olga", "paul", "rosa", "sven", "tina", "udo", "vera", "willi", "yara", "zeno",
];

impl Network {
    /// A network drawn from `random`, whose applications are of `vendors`.
    pub(super) fn new(random: &mut Random, vendors: &Range<usize>) -> Self {
        let subnet = random.below(250) as u8;
        let mut hosts = Vec::new();
        let mut add = |name: String, role: Role, random: &mut Random| {
            let address = IpAddr::V4(Ipv4Addr::new(10, 20, subnet, 10 + hosts.len() as u8));
            let products: &[&'static str] = match role {
                Role::Router => &ROUTERS,
                Role::Exposed => &WEB_SERVERS,
                _ => &[],
            };
            let product = random.pick(products).copied().unwrap_or_default();
            hosts.push(Host { name, address, mac: mac(random), role, product });
        };
        add("gw".to_owned(), Role::Router, random);
        add("web1".to_owned(), Role::Exposed, random);
        add("db1".to_owned(), Role::Database, random);
        if random.chance(0.6) {
            add("mail".to_owned(), Role::Mail, random);
        }
        if random.chance(0.4) {
            add("web2".to_owned(), Role::Exposed, random);
        }
        let servers = hosts.len();
        let desks = random.between(3, 6) as usize;
        let mut users = Vec::new();
        for desk in 0..desks {
            let address = IpAddr::V4(Ipv4Addr::new(10, 20, subnet, 100 + desk as u8));
            let product = random.pick(&DESKS).copied().unwrap_or_default();
            let name = format!("desk{desk}");
            hosts.push(Host { name, address, mac: mac(random), role: Role::Workstation, product });
            let name = format!("{}{}", random.pick(&NAMES).copied().unwrap_or("x"), desk);
            users.push(User {
                name,
                admin: desk == 0 || random.chance(0.2),
                begins_min: 7 * 60 + random.below(180) as i64,
                works_min: 7 * 60 + random.below(150) as i64,
                clumsy: 0.03 + 0.1 * random.uniform(),
                desk: servers + desk,
            });
        }
        let apps = (0..random.between(2, 4)).map(|_| app(servers, vendors, random)).collect();
        Self {
            hosts,
            users,
            apps,
            utc_offset_s: random.pick(&[0, 3600, 7200, -18_000, 19_800]).copied().unwrap_or(0),
            traffic: 0.5 + random.uniform(),
            dhcpd: random.chance(0.4),
            logs_names: random.chance(0.6),
        }
    }

    /// Hosts of a role, as indexes.
    pub fn with_role(&self, role: Role) -> Vec<usize> {
        (0..self.hosts.len()).filter(|at| self.hosts.get(*at).is_some_and(|host| host.role == role)).collect()
    }

    /// The address of a host.
    pub fn address(&self, host: usize) -> IpAddr {
        self.hosts.get(host).map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |host| host.address)
    }
}

/// An application on one of the first `servers` hosts.
pub(super) fn app(servers: usize, vendors: &Range<usize>, random: &mut Random) -> App {
    let vendors = if vendors.is_empty() { &(0..VENDORS) } else { vendors };
    App {
        host: random.below(servers),
        vendor: vendors.start + random.below(vendors.len()),
        manner: random.below(1 << 16),
        uses: 4.0 + 20.0 * random.uniform(),
    }
}

/// An address of the internet that belongs to nobody here.
pub(super) fn stranger(random: &mut Random) -> IpAddr {
    let first = random.pick(&[5, 23, 45, 61, 77, 91, 103, 141, 185, 193, 203, 218]).copied().unwrap_or(203);
    IpAddr::V4(Ipv4Addr::new(first, random.below(256) as u8, random.below(256) as u8, 1 + random.below(254) as u8))
}
