//! Classes of parameters: what kind of address, port, path or user a value is.
//!
//! Coarse on purpose. A class must mean the same on every network (an address is "private" here
//! and there), so that what the model learnt on one holds on the next. Extractors classify the
//! values they took out of a line with the same functions that the scanner uses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address lies, seen from any network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AddressClass {
    /// The host itself, or the unspecified address.
    Loopback,
    /// RFC 1918, RFC 6598 and RFC 4193 addresses.
    Private,
    /// RFC 3927 and `fe80::/10`.
    LinkLocal,
    /// Multicast and broadcast.
    Multicast,
    /// Everything else.
    Public,
}

impl AddressClass {
    /// The class of `address`.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| Self::of_v6(v6), Self::of_v4),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, ..] = address.octets();
        match (a, b) {
            (127 | 0, _) => Self::Loopback,
            (10, _) | (192, 168) | (172, 16..=31) | (100, 64..=127) => Self::Private,
            (169, 254) => Self::LinkLocal,
            (224..=239, _) => Self::Multicast,
            _ if address.is_broadcast() => Self::Multicast,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::Loopback,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xfc00..=0xfdff, ..] => Self::Private,
            [0xff00..=0xffff, ..] => Self::Multicast,
            _ => Self::Public,
        }
    }
}

/// What a port is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PortClass {
    /// Remote administration: SSH, telnet, RDP, VNC, `WinRM`.
    Admin,
    /// Web: 80, 443, 8080, 8443.
    Web,
    /// Mail transfer and boxes.
    Mail,
    /// Names, time and address assignment: DNS, NTP, DHCP.
    Infrastructure,
    /// File and directory sharing: SMB, NFS, LDAP, FTP.
    Sharing,
    /// Databases and caches.
    Database,
    /// Another port below 1024.
    System,
    /// A registered port, 1024 to 32767.
    Registered,
    /// A port that clients are given, 32768 and above.
    Ephemeral,
}

impl PortClass {
    /// The class of `port`.
    pub fn of(port: u16) -> Self {
        match port {
            22 | 23 | 2222 | 3389 | 5900..=5909 | 5985 | 5986 => Self::Admin,
            80 | 443 | 8000 | 8080 | 8443 => Self::Web,
            25 | 110 | 143 | 465 | 587 | 993 | 995 => Self::Mail,
            53 | 67 | 68 | 123 | 853 => Self::Infrastructure,
            20 | 21 | 137..=139 | 389 | 445 | 636 | 2049 => Self::Sharing,
            1433 | 1521 | 3306 | 5432 | 6379 | 9200 | 27017 => Self::Database,
            0..=1023 => Self::System,
            1024..=32767 => Self::Registered,
            _ => Self::Ephemeral,
        }
    }
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PathClass {
    /// Accounts, keys and rights: passwd, shadow, sudoers, `authorized_keys`.
    Credential,
    /// What starts by itself: cron, systemd units, init, profile files.
    Persistence,
    /// Folders that anybody may write.
    Tmp,
    /// What a web server serves.
    WebRoot,
    /// Logs.
    Log,
    /// Other files below /etc.
    Config,
    /// Programs and libraries.
    Binary,
    /// Home folders.
    Home,
    /// Everything else.
    System,
}

/// Marks of a path class, the first that fits wins: as a part anywhere, then as a prefix.
const PATH_PARTS: [(&str, PathClass); 13] = [
    ("/passwd", PathClass::Credential),
    ("/shadow", PathClass::Credential),
    ("/gshadow", PathClass::Credential),
    ("sudoers", PathClass::Credential),
    ("/.ssh", PathClass::Credential),
    ("authorized_keys", PathClass::Credential),
    ("/pam.d", PathClass::Credential),
    ("/cron", PathClass::Persistence),
    ("/systemd/system", PathClass::Persistence),
    ("/init.d", PathClass::Persistence),
    ("/rc.local", PathClass::Persistence),
    ("profile", PathClass::Persistence),
    (".bashrc", PathClass::Persistence),
];
const PATH_PREFIXES: [(&str, PathClass); 18] = [
    ("/tmp", PathClass::Tmp),
    ("/var/tmp", PathClass::Tmp),
    ("/dev/shm", PathClass::Tmp),
    ("/var/www", PathClass::WebRoot),
    ("/srv", PathClass::WebRoot),
    ("/usr/share/nginx", PathClass::WebRoot),
    ("/var/log", PathClass::Log),
    ("/run/log", PathClass::Log),
    ("/etc", PathClass::Config),
    ("/usr/local/etc", PathClass::Config),
    ("/bin", PathClass::Binary),
    ("/sbin", PathClass::Binary),
    ("/usr", PathClass::Binary),
    ("/lib", PathClass::Binary),
    ("/opt", PathClass::Binary),
    ("/home", PathClass::Home),
    ("/root", PathClass::Home),
    ("~", PathClass::Home),
];

impl PathClass {
    /// The class of `path`, which need not exist.
    pub fn of(path: &str) -> Self {
        let marked = ["/etc", "/var"].iter().any(|top| path.starts_with(top))
            || path.contains("/.")
            || path.contains("/lib/systemd");
        let part = PATH_PARTS.iter().filter(|_| marked).find(|(part, _)| path.contains(part));
        if let Some((_, class)) = part {
            return *class;
        }
        PATH_PREFIXES.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or(Self::System, |(_, class)| *class)
    }
}

/// Whose account a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum UserClass {
    /// The superuser, also of Windows and of routers.
    Root,
    /// An account that a package or an appliance brings along.
    Service,
    /// Everybody else.
    Other,
}

const ROOT_NAMES: [&str; 4] = ["root", "Administrator", "administrator", "toor"];
const SERVICE_NAMES: [&str; 26] = [
    "admin", "backup", "bin", "daemon", "deploy", "ftp", "games", "git", "guest", "jenkins", "mail", "mysql", "nagios",
    "nginx", "nobody", "oracle", "pi", "postfix", "postgres", "sshd", "support", "test", "tomcat", "ubuntu", "user",
    "www-data",
];

impl UserClass {
    /// The class of the account `name`.
    pub fn of(name: &str) -> Self {
        if ROOT_NAMES.contains(&name) {
            Self::Root
        } else if SERVICE_NAMES.binary_search(&name).is_ok() || name.starts_with("systemd-") {
            Self::Service
        } else {
            Self::Other
        }
    }
}
