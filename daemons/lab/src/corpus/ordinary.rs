//! An ordinary day: people come, work and go; servers serve, back up and update themselves.
//!
//! Each person and each service is a small state machine that runs through its day: a person is
//! away, at the desk, logged in on a server, or administering; what is said follows from the state.
//! Ordinary life has its mishaps too (mistyped passwords, strangers that knock once, a service that
//! fails), because an attack must not be known by its words.

use nms_model::random::Random;

use super::apps;
use super::network::stranger;
use super::text::one_of;
use super::{DAY_MS, EPOCH_MS, Kind, Network, Params, Role, Scribe, User};

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const SECOND_MS: i64 = 1_000;

const ADMIN_COMMANDS: [&str; 10] = [
    "/usr/bin/systemctl restart nginx",
    "/usr/bin/apt update",
    "/usr/bin/journalctl -u nginx",
    "/usr/bin/vim /etc/nginx/nginx.conf",
    "/usr/bin/tail -f /var/log/syslog",
    "/usr/bin/docker ps",
    "/usr/sbin/ufw status",
    "/usr/bin/ls /root",
    "/usr/bin/df -h",
    "/usr/bin/systemctl status",
];
const CRON_COMMANDS: [&str; 4] = [
    "cd / && run-parts --report /etc/cron.hourly",
    "/usr/local/bin/backup.sh",
    "/usr/lib/php/sessionclean",
    "test -x /usr/sbin/anacron",
];
const UNITS: [&str; 8] = ["nginx", "postgresql", "docker", "logrotate", "apt-daily", "fwupd", "man-db", "cups"];
const PAGES: [&str; 8] =
    ["/", "/index.html", "/news", "/img/logo.png", "/api/items?page=2", "/style.css", "/login", "/feed.xml"];
const MISSING: [&str; 4] = ["/favicon.ico", "/apple-touch-icon.png", "/old/page.html", "/robots.txt"];
const CONFIGS: [&str; 5] =
    ["/etc/nginx/nginx.conf", "/etc/hosts", "/etc/postfix/main.cf", "/etc/logrotate.d/nginx", "/etc/ufw/user.rules"];

impl Params {
    /// Parameters for `user` at `host`, the rest drawn.
    pub(super) fn new(network: &Network, user: &str, host: usize, random: &mut Random) -> Self {
        Self {
            user: user.to_owned(),
            ip: network.address(host),
            peer: network.address(0),
            port: random.between(32_768, 60_000) as u16,
            path: one_of(random, &PAGES).to_owned(),
            command: one_of(random, &ADMIN_COMMANDS).to_owned(),
            unit: one_of(random, &UNITS).to_owned(),
            mac: network.hosts.get(host).map(|host| host.mac.clone()).unwrap_or_default(),
        }
    }
}

/// A moment of local time.
pub(super) fn local(network: &Network, day: usize, minute: i64) -> i64 {
    EPOCH_MS + day as i64 * DAY_MS + minute * MINUTE_MS - i64::from(network.utc_offset_s) * 1000
}

/// Writes a whole day of the network.
pub(super) fn day(network: &Network, day: usize, scribe: &mut Scribe) {
    let weekend = day % 7 >= 5;
    for user in &network.users {
        if !weekend || scribe.random.chance(0.15) {
            person(network, user, day, scribe);
        }
    }
    for host in 0..network.hosts.len() {
        jobs(network, host, day, scribe);
    }
    for host in network.with_role(Role::Exposed) {
        web(network, host, day, weekend, scribe);
        knocks(network, host, day, scribe);
    }
    for host in network.with_role(Role::Mail) {
        mail(network, host, day, weekend, scribe);
    }
    for host in network.with_role(Role::Database) {
        database(network, host, day, scribe);
    }
    router(network, day, weekend, scribe);
    for app in &network.apps {
        apps::day(network, *app, day, weekend, scribe);
    }
}

/// Parameters for tests of phrasings.
#[cfg(test)]
pub(super) fn example() -> Params {
    let mut random = Random::new(1);
    Params::new(&Network::new(&mut random, &(0..0)), "anna", 1, &mut random)
}

/// Times drawn over the day at `per_day`, more of them when people are awake.
pub(super) fn moments(network: &Network, day: usize, per_day: f64, random: &mut Random) -> Vec<i64> {
    let mut minute = 0.0;
    let mut times = Vec::new();
    while minute < 1440.0 {
        minute += random.exponential(1440.0 / per_day.max(0.01));
        let awake = (420.0..1320.0).contains(&minute);
        if minute < 1440.0 && (awake || random.chance(0.3)) {
            times.push(local(network, day, 0) + (minute * MINUTE_MS as f64) as i64);
        }
    }
    times
}

fn person(network: &Network, user: &User, day: usize, scribe: &mut Scribe) {
    let mut now = local(network, day, user.begins_min + scribe.random.below(40) as i64);
    let end = now + user.works_min * MINUTE_MS;
    let mut p = Params::new(network, &user.name, user.desk, &mut scribe.random);
    arrive(network, user, now, &mut p, scribe);
    while now < end {
        now += (scribe.random.exponential(50.0) * MINUTE_MS as f64) as i64;
        let choice = scribe.random.weighted(&[4.0, 1.5, if user.admin { 2.5 } else { 0.0 }, 1.0, 0.8]);
        match choice {
            0 => visit_server(network, user, now, scribe),
            1 => desk_sudo(user, now, &mut p, scribe),
            2 => administer(network, user, now, scribe),
            3 => vpn(network, user, now, scribe),
            _ => scribe.emit(now, user.desk, Kind::KernelLink, &p),
        }
    }
    scribe.emit(end, user.desk, Kind::PamClosed, &p);
}

fn arrive(network: &Network, user: &User, now: i64, p: &mut Params, scribe: &mut Scribe) {
    scribe.emit(now - 20 * SECOND_MS, 0, Kind::WirelessJoined, p);
    lease(network, now - 18 * SECOND_MS, p, scribe);
    if scribe.random.chance(user.clumsy) {
        scribe.emit(now - 5 * SECOND_MS, user.desk, Kind::PamFailed, p);
    }
    scribe.emit(now, user.desk, Kind::PamOpened, p);
    for unit in ["dbus", "pipewire"] {
        unit.clone_into(&mut p.unit);
        scribe.emit(now + 400, user.desk, Kind::ServiceStarted, p);
    }
}

fn lease(network: &Network, now: i64, p: &Params, scribe: &mut Scribe) {
    let kinds = if network.dhcpd { [Kind::DhcpdAsked, Kind::DhcpdGiven] } else { [Kind::LeaseAsked, Kind::LeaseGiven] };
    if scribe.random.chance(0.03) {
        scribe.emit(now - 900, 0, Kind::LeaseRefused, p);
    }
    scribe.emit(now, 0, kinds[0], p);
    scribe.emit(now + 30, 0, kinds[1], p);
}

/// Logs in by SSH with the failures of a clumsy hand; returns when the session stands.
pub(super) fn ssh_login(clumsy: f64, host: usize, mut now: i64, p: &Params, scribe: &mut Scribe) -> i64 {
    while scribe.random.chance(clumsy) {
        if scribe.random.chance(0.5) {
            scribe.emit(now, host, Kind::PamSshFailed, p);
        }
        scribe.emit(now + 1_200, host, Kind::SshLoginFailed, p);
        now += scribe.random.between(3_000, 12_000) as i64;
    }
    let kind = if clumsy > 0.0 && scribe.random.chance(0.5) { Kind::SshLoginOk } else { Kind::SshKeyLoginOk };
    scribe.emit(now, host, kind, p);
    scribe.emit(now + 30, host, Kind::PamOpened, p);
    now + 1_000
}

fn logout(host: usize, now: i64, p: &Params, scribe: &mut Scribe) {
    scribe.emit(now, host, Kind::SshLogout, p);
    scribe.emit(now + 20, host, Kind::PamClosed, p);
}

fn servers(network: &Network) -> Vec<usize> {
    (0..network.hosts.len())
        .filter(|at| network.hosts.get(*at).is_some_and(|host| host.role != Role::Workstation))
        .collect()
}

fn visit_server(network: &Network, user: &User, now: i64, scribe: &mut Scribe) {
    let Some(host) = scribe.random.pick(&servers(network)).copied() else { return };
    let p = Params::new(network, &user.name, user.desk, &mut scribe.random);
    let stands = ssh_login(user.clumsy, host, now, &p, scribe);
    let stay = (scribe.random.exponential(20.0) * MINUTE_MS as f64) as i64;
    logout(host, stands + stay, &p, scribe);
}

fn desk_sudo(user: &User, now: i64, p: &mut Params, scribe: &mut Scribe) {
    if scribe.random.chance(user.clumsy) {
        let kind = sudo_refused(&mut scribe.random);
        scribe.emit(now, user.desk, kind, p);
    }
    for step in 0..scribe.random.between(1, 3) as i64 {
        one_of(&mut scribe.random, &ADMIN_COMMANDS).clone_into(&mut p.command);
        scribe.emit(now + (8 + step * 25) * SECOND_MS, user.desk, Kind::SudoCommand, p);
    }
}

/// How sudo refuses: mostly for a mistyped password.
pub(super) fn sudo_refused(random: &mut Random) -> Kind {
    if random.chance(0.7) { Kind::SudoPassword } else { Kind::SudoFailed }
}

/// An administrator's session on a server: commands, now and then a change of configuration, of
/// accounts, of schedules.
fn administer(network: &Network, user: &User, now: i64, scribe: &mut Scribe) {
    let Some(host) = scribe.random.pick(&servers(network)).copied() else { return };
    let mut p = Params::new(network, &user.name, user.desk, &mut scribe.random);
    let mut now = ssh_login(user.clumsy, host, now, &p, scribe);
    if scribe.random.chance(0.1) {
        let kind = if scribe.random.chance(0.2) { Kind::SuFailed } else { Kind::SuOk };
        scribe.emit(now + 500, host, kind, &p);
    }
    if scribe.random.chance(user.clumsy) {
        let kind = sudo_refused(&mut scribe.random);
        scribe.emit(now + 2_000, host, kind, &p);
    }
    for _ in 0..scribe.random.between(2, 6) {
        now += (scribe.random.exponential(90.0) * SECOND_MS as f64) as i64 + 4_000;
        one_of(&mut scribe.random, &ADMIN_COMMANDS).clone_into(&mut p.command);
        scribe.emit(now, host, Kind::SudoCommand, &p);
        match scribe.random.weighted(&[5.0, 1.5, 1.5, 0.25, 0.2, 0.15]) {
            1 => {
                one_of(&mut scribe.random, &CONFIGS).clone_into(&mut p.path);
                scribe.emit(now + 1_500, host, Kind::FileChanged, &p);
            }
            2 => restart(host, now + 900, &p, scribe),
            3 => new_account(host, now + 1_000, &p, scribe),
            4 => scribe.emit(now + 2_000, host, Kind::CronEdited, &p),
            5 => scribe.emit(now + 2_000, host, Kind::UserDeleted, &p),
            _ => {}
        }
    }
    logout(host, now + (scribe.random.exponential(6.0) * MINUTE_MS as f64) as i64, &p, scribe);
}

pub(super) fn restart(host: usize, now: i64, p: &Params, scribe: &mut Scribe) {
    scribe.emit(now, host, Kind::ServiceStopped, p);
    if scribe.random.chance(0.06) {
        scribe.emit(now + 400, host, Kind::ServiceFailed, p);
    }
    scribe.emit(now + 700, host, Kind::ServiceStarted, p);
}

/// What adding an account leaves behind: useradd, its files, its password.
pub(super) fn new_account(host: usize, now: i64, p: &Params, scribe: &mut Scribe) {
    let name = format!("{}{}", one_of(&mut scribe.random, &["new", "temp", "dev", "ops"]), scribe.random.below(90));
    let mut p = Params { user: name, ..p.clone() };
    scribe.emit(now, host, Kind::GroupAdded, &p);
    scribe.emit(now + 10, host, Kind::UserAdded, &p);
    for path in ["/etc/passwd", "/etc/shadow", "/etc/group"] {
        path.clone_into(&mut p.path);
        scribe.emit(now + 60, host, Kind::FileChanged, &p);
    }
    scribe.emit(now + 14_000, host, Kind::PasswordChanged, &p);
}

fn vpn(network: &Network, user: &User, now: i64, scribe: &mut Scribe) {
    let home = stranger(&mut scribe.random);
    let p = Params { ip: home, ..Params::new(network, &user.name, user.desk, &mut scribe.random) };
    if scribe.random.chance(user.clumsy) {
        scribe.emit(now - 8_000, 0, Kind::VpnFailed, &p);
    }
    scribe.emit(now, 0, Kind::VpnConnected, &p);
    let stay = (scribe.random.exponential(60.0) * MINUTE_MS as f64) as i64;
    scribe.emit(now + stay, 0, Kind::VpnClosed, &p);
}

/// What runs by itself on a host: cron, timers, updates, the clock, the kernel's remarks.
fn jobs(network: &Network, host: usize, day: usize, scribe: &mut Scribe) {
    let role = network.hosts.get(host).map_or(Role::Workstation, |host| host.role);
    let mut p = Params::new(network, "root", host, &mut scribe.random);
    let every = if role == Role::Workstation { 60 } else { 30 };
    for minute in (17..1440).step_by(every) {
        let at = local(network, day, minute) + scribe.random.below(2_000) as i64;
        one_of(&mut scribe.random, &CRON_COMMANDS).clone_into(&mut p.command);
        scribe.emit(at, host, Kind::CronCommand, &p);
        if scribe.random.chance(0.3) {
            "cron".clone_into(&mut p.unit);
            scribe.emit(at - 40, host, Kind::PamOpened, &p);
            scribe.emit(at + 900, host, Kind::PamClosed, &p);
        }
    }
    for at in moments(network, day, 8.0, &mut scribe.random) {
        let kind = match scribe.random.weighted(&[2.0, 2.0, 0.5]) {
            0 => Kind::TimeNote,
            1 => Kind::KernelNote,
            _ => Kind::KernelLink,
        };
        scribe.emit(at, host, kind, &p);
    }
    for at in moments(network, day, 6.0, &mut scribe.random) {
        one_of(&mut scribe.random, &UNITS).clone_into(&mut p.unit);
        scribe.emit(at, host, Kind::ServiceStarted, &p);
        scribe.emit(at + 3_000, host, Kind::ServiceStopped, &p);
    }
    if role != Role::Workstation {
        night(network, host, day, &p, scribe);
    }
}

/// The night of a server: a backup by SSH, log rotation, sometimes updates.
fn night(network: &Network, host: usize, day: usize, p: &Params, scribe: &mut Scribe) {
    let at = local(network, day, 120 + scribe.random.below(90) as i64);
    let mut p = Params { user: "backup".to_owned(), ip: network.address(2), ..p.clone() };
    let stands = ssh_login(0.0, host, at, &p, scribe);
    logout(host, stands + 90 * SECOND_MS, &p, scribe);
    if scribe.random.chance(0.25) {
        update(host, local(network, day, 360 + scribe.random.below(30) as i64), &mut p, scribe);
    }
}

/// Packages are changed, with the files and services that follow.
pub(super) fn update(host: usize, mut now: i64, p: &mut Params, scribe: &mut Scribe) {
    for _ in 0..scribe.random.between(1, 6) {
        one_of(&mut scribe.random, &["libssl3", "nginx", "openssh-server", "tzdata", "curl", "linux-image"])
            .clone_into(&mut p.unit);
        for _ in 0..3 {
            scribe.emit(now, host, Kind::PackageChanged, p);
            now += scribe.random.between(200, 3_000) as i64;
        }
        if scribe.random.chance(0.5) {
            one_of(
                &mut scribe.random,
                &["/usr/bin/curl", "/usr/sbin/sshd", "/etc/ssh/sshd_config", "/etc/passwd", "/usr/lib/libssl.so"],
            )
            .clone_into(&mut p.path);
            scribe.emit(now, host, Kind::FileChanged, p);
        }
        if scribe.random.chance(0.4) {
            restart(host, now + 300, p, scribe);
        }
    }
}

fn web(network: &Network, host: usize, day: usize, weekend: bool, scribe: &mut Scribe) {
    let per_day = 120.0 * network.traffic * if weekend { 0.6 } else { 1.0 };
    for mut at in moments(network, day, per_day, &mut scribe.random) {
        let visitor = stranger(&mut scribe.random);
        let mut p = Params { ip: visitor, ..Params::new(network, "-", host, &mut scribe.random) };
        for _ in 0..scribe.random.between(1, 7) {
            let missing = scribe.random.chance(0.07);
            one_of(&mut scribe.random, if missing { &MISSING } else { &PAGES }).clone_into(&mut p.path);
            scribe.emit(at, host, if missing { Kind::WebFailed } else { Kind::WebOk }, &p);
            at += (scribe.random.exponential(4.0) * SECOND_MS as f64) as i64;
        }
    }
}

/// Strangers who try a door once or twice and go: the base rate of an exposed host.
fn knocks(network: &Network, host: usize, day: usize, scribe: &mut Scribe) {
    let per_day = 5.0 * network.traffic;
    for at in moments(network, day, per_day, &mut scribe.random) {
        let name = one_of(&mut scribe.random, &["root", "admin", "test", "ubuntu", "pi", "oracle"]).to_owned();
        let p = Params { ip: stranger(&mut scribe.random), ..Params::new(network, &name, host, &mut scribe.random) };
        let kind = if name == "root" { Kind::SshLoginFailed } else { Kind::SshInvalidUser };
        if scribe.random.chance(0.6) {
            scribe.emit(at, host, kind, &p);
        }
        let kind = if scribe.random.chance(0.3) { Kind::SshGaveUp } else { Kind::SshClosed };
        scribe.emit(at + 800, host, kind, &p);
    }
}

fn mail(network: &Network, host: usize, day: usize, weekend: bool, scribe: &mut Scribe) {
    let per_day = 60.0 * network.traffic * if weekend { 0.4 } else { 1.0 };
    for at in moments(network, day, per_day, &mut scribe.random) {
        let p = Params { ip: stranger(&mut scribe.random), ..Params::new(network, "info", host, &mut scribe.random) };
        scribe.emit(at, host, Kind::MailConnection, &p);
        if scribe.random.chance(0.7) {
            scribe.emit(at + 300, host, Kind::MailSent, &p);
        }
        scribe.emit(at + 900, host, Kind::MailConnection, &p);
    }
    for at in moments(network, day, per_day, &mut scribe.random) {
        let Some(user) = scribe.random.pick(&network.users).cloned() else { return };
        let p = Params::new(network, &user.name, user.desk, &mut scribe.random);
        let failed = scribe.random.chance(0.04);
        scribe.emit(at, host, if failed { Kind::MailLoginFailed } else { Kind::MailLoginOk }, &p);
    }
}

fn database(network: &Network, host: usize, day: usize, scribe: &mut Scribe) {
    for at in moments(network, day, 90.0, &mut scribe.random) {
        let p = Params::new(network, "postgres", host, &mut scribe.random);
        let container = scribe.random.chance(0.15);
        scribe.emit(at, host, if container { Kind::ContainerNote } else { Kind::DatabaseNote }, &p);
    }
}

fn router(network: &Network, day: usize, weekend: bool, scribe: &mut Scribe) {
    for at in moments(network, day, 160.0 * network.traffic, &mut scribe.random) {
        let port = scribe.random.pick(&[22, 23, 80, 443, 445, 3389, 5060, 8080]).copied().unwrap_or(22);
        let p = Params { ip: stranger(&mut scribe.random), port, ..Params::new(network, "-", 0, &mut scribe.random) };
        for again in 0..scribe.random.between(1, 3) as i64 {
            scribe.emit(at + again * 1_000, 0, Kind::Blocked, &p);
        }
    }
    for at in moments(network, day, 6.0, &mut scribe.random) {
        // A television or a phone that tries what the rules do not allow, and gives up.
        let desk = scribe.random.below(network.hosts.len());
        let peer = stranger(&mut scribe.random);
        let p = Params { peer, port: 123, ..Params::new(network, "-", desk, &mut scribe.random) };
        scribe.emit(at, 0, Kind::Blocked, &p);
    }
    let busy = if weekend { 0.5 } else { 1.0 };
    for at in moments(network, day, 40.0 * busy, &mut scribe.random) {
        let desk = scribe.random.below(network.hosts.len());
        let p = Params::new(network, "-", desk, &mut scribe.random);
        lease(network, at, &p, scribe);
    }
    for at in moments(network, day, 60.0 * busy, &mut scribe.random) {
        let desk = scribe.random.below(network.hosts.len());
        let p = Params::new(network, "-", desk, &mut scribe.random);
        let queries = if network.logs_names { scribe.random.between(1, 8) as i64 } else { 0 };
        for query in 0..queries {
            scribe.emit(at + query * 40, 0, Kind::NameQuery, &p);
        }
        if scribe.random.chance(0.3) {
            let joined = scribe.random.chance(0.5);
            scribe.emit(at, 0, if joined { Kind::WirelessJoined } else { Kind::WirelessLeft }, &p);
        }
    }
}
