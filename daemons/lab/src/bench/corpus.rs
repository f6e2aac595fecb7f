//! The bench corpus: seeded, at least 2,000 distinct masked lines, random addresses and users, 1 % of
//! lines in alert-making behaviour. Repetitive traffic would win any gate, so it is not repetitive.

/// Distinct ordinary forms of a line.
const FORMS: usize = 2_400;
/// One line in this many belongs to an attack.
const ATTACK_EVERY: usize = 100;
/// Failed logins of one attacker.
const RUN: usize = 12;

/// A small generator of pseudo-random numbers (`SplitMix64`), enough for a corpus.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words.get(self.below(words.len())).copied().unwrap_or_default()
    }
}

const APPS: &[&str] = &[
    "sshd",
    "sudo",
    "CRON",
    "systemd",
    "kernel",
    "dnsmasq",
    "dhcpd",
    "nginx",
    "postfix/smtpd",
    "dovecot",
    "named",
    "ntpd",
    "dockerd",
    "containerd",
    "postgres",
    "redis",
    "haproxy",
    "openvpn",
    "smartd",
    "NetworkManager",
    "hostapd",
    "rsyslogd",
    "snmpd",
    "bird",
    "keepalived",
    "mdadm",
    "zed",
    "cupsd",
    "avahi-daemon",
    "chronyd",
];
const VERBS: &[&str] = &[
    "started",
    "finished",
    "checked",
    "renewed",
    "opened",
    "closed",
    "queued",
    "flushed",
    "scheduled",
    "loaded",
    "rotated",
    "synchronised",
    "announced",
    "resolved",
    "cached",
    "expired",
    "mounted",
    "probed",
    "negotiated",
    "refreshed",
];
const NOUNS: &[&str] = &[
    "session",
    "lease",
    "zone",
    "pool",
    "worker",
    "volume",
    "route",
    "link",
    "table",
    "socket",
    "certificate",
    "index",
    "snapshot",
    "channel",
    "query",
    "message",
    "backup",
    "timer",
    "device",
    "tunnel",
    "peer",
    "buffer",
    "job",
    "cache",
];
const TAILS: &[&str] = &[
    "for user {user}",
    "from {ip} port {port}",
    "on interface eth{small}",
    "in {number} ms",
    "id={hex}",
    "to {ip}:{port}",
    "at /var/lib/{user}/data{small}",
    "with status {small}",
    "after {number} bytes",
    "by uid {number}",
    "via {ip}",
    "as {user}@example.net",
    "of {number} entries",
    "(pid {number})",
];
const USERS: &[&str] = &["anna", "ben", "carla", "deploy", "backup", "www-data", "postgres", "erik", "fatima", "git"];

/// Lines without their end, ready to be sent, and the seed they came from.
#[derive(Debug)]
pub(super) struct Corpus {
    pub(super) lines: Vec<Vec<u8>>,
}

/// The forms: app, text with slots.
fn forms(random: &mut Random) -> Vec<(String, String)> {
    let mut forms = std::collections::BTreeSet::new();
    while forms.len() < FORMS {
        let app = random.pick(APPS).to_owned();
        let text = format!(
            "{} {} {} {}",
            random.pick(NOUNS),
            random.pick(VERBS),
            random.pick(TAILS),
            if random.below(3) == 0 { random.pick(TAILS) } else { "" }
        );
        forms.insert((app, text.trim_end().to_owned()));
    }
    forms.into_iter().collect()
}

fn fill(random: &mut Random, form: &str) -> String {
    let mut text = form.to_owned();
    for (slot, width) in [("{user}", 0), ("{ip}", 1), ("{port}", 2), ("{small}", 3), ("{number}", 4), ("{hex}", 5)] {
        while let Some(at) = text.find(slot) {
            let value = match width {
                0 => random.pick(USERS).to_owned(),
                1 => address(random),
                2 => (1_024 + random.below(60_000)).to_string(),
                3 => random.below(8).to_string(),
                4 => random.below(1_000_000).to_string(),
                _ => format!("{:016x}", random.next()),
            };
            text.replace_range(at..at + slot.len(), &value);
        }
    }
    text
}

fn address(random: &mut Random) -> String {
    let [_, _, c, d, ..] = random.next().to_be_bytes();
    if random.below(2) == 0 { format!("10.1.{c}.{d}") } else { format!("203.0.{}.{d}", 113 + c % 8) }
}

impl Corpus {
    /// `count` lines from `seed`, as a relay would send them: PRI, stamp, host, tag, text.
    pub(super) fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let forms = forms(&mut random);
        let mut lines = Vec::with_capacity(count);
        let mut attack = Attack::new(&mut random);
        for number in 0..count {
            let line = if number % ATTACK_EVERY == 0 {
                attack.line(&mut random)
            } else {
                // Half of the traffic is a tenth of the forms, as it is in real networks.
                let bound = if random.below(2) == 0 { forms.len() / 10 } else { forms.len() };
                let at = random.below(bound);
                let (app, form) = forms.get(at).map_or(("kernel", ""), |(app, form)| (app, form));
                let text = fill(&mut random, form);
                let severity = 24 + 6 - u32::from(random.below(20) == 0) * 2;
                format!("<{severity}>Nov 23 10:00:00 host{} {app}[{}]: {text}", at % 200, 300 + random.below(30_000))
            };
            lines.push(line.into_bytes());
        }
        Self { lines }
    }
}

/// A guessing run: one attacker, [`RUN`] failures, then the next attacker.
struct Attack {
    actor: String,
    left: usize,
}

impl Attack {
    fn new(random: &mut Random) -> Self {
        Self { actor: address(random), left: RUN }
    }

    fn line(&mut self, random: &mut Random) -> String {
        if self.left == 0 {
            *self = Self::new(random);
        }
        self.left -= 1;
        failure(random.pick(USERS), &self.actor, 1_024 + random.below(60_000))
    }
}

/// One failed login.
pub(super) fn failure(user: &str, actor: &str, port: usize) -> String {
    format!("<38>Nov 23 10:00:00 gate sshd[811]: Failed password for {user} from {actor} port {port} ssh2")
}
