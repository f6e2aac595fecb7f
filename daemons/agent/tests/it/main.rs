//! The agent: its settings, and what it spools while the hub is away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
};

use nms_kit::{clock, task::Tasks};
use nmsd_agent::{Running, config::Config};

fn read(text: &str, journal_present: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    fs::write(&path, text).unwrap();
    match Config::load(&path, journal_present) {
        Ok(config) => format!("{} {}", config.hub.address, config.plan),
        Err(error) => error.to_string().replace(&path.display().to_string(), "FILE"),
    }
}

const HUB: &str = "[hub]\naddress = 'hub:1515'\nplain = true\n";

#[test]
fn settings_name_what_is_wrong() {
    let no_fim = "[fim]\nenabled = false\n";
    assert_eq!(
        read(&format!("files = ['/a.log']\n{HUB}{no_fim}"), true),
        "hub:1515 journal=no files=/a.log devlog=no fim=off processes=1000ms connections=5000ms"
    );
    assert_eq!(
        read(&format!("{HUB}{no_fim}"), true),
        "hub:1515 journal=all files=none devlog=no fim=off processes=1000ms connections=5000ms"
    );
    assert_eq!(
        read(&format!("journal = ['ssh.service']\n{HUB}[fim]\ninclude = ['/etc']\n"), true),
        "hub:1515 journal=ssh.service files=none devlog=no fim=/etc processes=1000ms connections=5000ms"
    );
    assert_eq!(
        read("[hub]\naddress = '/run/nmsd-hub/agent.sock'\n[fim]\nenabled = false\n", true),
        "/run/nmsd-hub/agent.sock journal=all files=none devlog=no fim=off processes=1000ms connections=5000ms"
    );
    for (text, expected) in [
        ("", "missing field `hub`"),
        ("[hub]\naddress = 'hub'\nplain = true\n", "hub.address = hub: expected host:port"),
        ("[hub]\naddress = ':1515'\nplain = true\n", "hub.address = :1515: expected host:port"),
        (&format!("journal = 5\n{HUB}"), "invalid type: integer `5`, expected true, false, or a list of units"),
        (
            "[hub]\naddress = 'hub:1515'\nca = '/ca'\nplain = true\n",
            "hub.plain = true: expected false where hub.ca is set",
        ),
        ("[hub]\naddress = 'hub:1515'\nplain = 1\n", "invalid type: integer `1`, expected a boolean"),
        (&format!("file = []\n{HUB}"), "unknown field `file`"),
        (&format!("{HUB}[spool]\nevents_max = 5\n"), "spool.events_max = 5: expected at least 10000"),
        (&format!("files = ['a']\n{HUB}"), "FILE: files: \"a\": an absolute path was expected"),
        (&format!("files = ['/var/log/auth.log']\njournal = true\n{HUB}"), "FILE: files: /var/log/auth.log holds the"),
        (
            &format!("{HUB}[processes]\ninterval_ms = 5\n"),
            "FILE: processes.interval_ms: 5: 100 to 3600000 milliseconds were expected",
        ),
        (&format!("{HUB}[connections]\ninterval_ms = -1\n"), "invalid value: integer `-1`, expected u64"),
        (&format!("{HUB}[connections]\ninterval = 5\n"), "unknown field `interval`"),
        (&format!("{HUB}[fim]\ninclude = ['/proc']\n"), "FILE: fim.include: /proc is made up by the kernel"),
    ] {
        let said = read(text, true);
        assert!(said.starts_with("settings FILE") && said.contains(expected), "{text}\n{said}");
    }
    assert!(read(&format!("journal = true\n{HUB}"), false).contains("journal: there is no journal on this host"));
}

#[test]
fn an_authority_that_is_not_there_is_found_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ca) = (folder.path().join("agent.toml"), folder.path().join("ca.pem"));
    fs::write(&path, format!("files = []\n[hub]\naddress = 'hub:1515'\nca = '{}'\n", ca.display())).unwrap();
    let check = || nmsd_agent::check(&Config::load(&path, false).unwrap()).unwrap_err().to_string();
    assert!(check().starts_with(&format!("cannot read {}", ca.display())));
    fs::write(&ca, "").unwrap();
    assert_eq!(check(), format!("no usable PEM in {}: no certificate in it", ca.display()));
}

#[test]
fn an_agent_that_is_not_enrolled_is_told_how_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    let settings = format!("state = '{}'\nfiles = []\n[hub]\naddress = 'hub:1515'\n", folder.path().display());
    fs::write(&path, settings).unwrap();
    let said = nmsd_agent::check(&Config::load(&path, false).unwrap()).unwrap_err().to_string();
    assert!(said.starts_with("the agent is not enrolled at its hub: run nmsd-agent enroll TOKEN"), "{said}");
    fs::write(folder.path().join("identity.pem"), "").unwrap();
    let said = nmsd_agent::check(&Config::load(&path, false).unwrap()).unwrap_err().to_string();
    assert!(said.contains("enrol again where that cannot be mended"), "{said}");
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn write(&self, text: &str) {
        let path = self.folder.path().join("app.log");
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Runs the agent until its spool was given `events` in its life; gives how many that were once it has ended.
    fn run(&self, events: u64) -> u64 {
        let root = self.folder.path();
        let settings = format!(
            "state = '{0}'\nruntime = '{0}'\nfiles = ['{0}/app.log']\nfrom_start = true\n\
             [hub]\naddress = '{0}/nobody.sock'\n[fim]\nenabled = false\n\
             [processes]\nenabled = false\n[connections]\nenabled = false\n",
            root.display()
        );
        fs::write(root.join("agent.toml"), settings).unwrap();
        let tasks = Tasks::start(1).unwrap();
        let config = Config::load(Path::new(&root.join("agent.toml")), false).unwrap();
        let Running { spool, .. } = nmsd_agent::start(config, &tasks).unwrap();
        // The spool's bell belongs to the uplink: look until it is so.
        while spool.stats().appended < events {
            clock::block(1);
        }
        assert_eq!(tasks.join(10_000), Vec::<String>::new());
        let appended = spool.stats().appended;
        spool.db().close();
        appended
    }
}

#[test]
fn lines_are_spooled_once_across_restarts_while_the_hub_is_away() {
    let bench = Bench { folder: tempfile::tempdir().unwrap() };
    bench.write("one\ntwo\n");
    assert_eq!(bench.run(2), 2);
    bench.write("three\n");
    assert_eq!(bench.run(3), 3);
    assert_eq!(bench.run(3), 3);
}

#[test]
fn a_full_spool_makes_the_file_wait_and_loses_nothing() {
    let bench = Bench { folder: tempfile::tempdir().unwrap() };
    bench.write(&"a line\n".repeat(12_000));
    let spooled = bench.run(8_000);
    assert!((8_000..=10_000).contains(&spooled), "{spooled}");
}
