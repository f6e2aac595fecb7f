//! Verbs with more than a call behind them: `eval security`, `eval scenarios`; and how rows are printed.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use nms_lab::eval::{self, Layer, ScenarioOptions};
use serde::Serialize;

/// What `eval security` looks at; each file is that in the folder which `NMS_DATA` names, unless it is given.
#[derive(Args)]
pub(crate) struct Security {
    /// fail2ban's test lines.
    #[arg(long)]
    pub(crate) fail2ban: Option<PathBuf>,
    /// `CrowdSec`'s test cases.
    #[arg(long)]
    pub(crate) crowdsec: Option<PathBuf>,
    /// The log of a host that the Internet reaches.
    #[arg(long)]
    pub(crate) auth: Option<PathBuf>,
    /// The log of a web server.
    #[arg(long)]
    pub(crate) web: Option<PathBuf>,
    /// The generator's network.
    #[arg(long, default_value_t = 14)]
    pub(crate) seed: u64,
    /// Ordinary days of it.
    #[arg(long, default_value_t = 14)]
    pub(crate) days: usize,
    /// Each miss, and each alert of a quiet log, too.
    #[arg(long)]
    pub(crate) misses: bool,
    /// One JSON object a set.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn security(options: Security) -> Result<(), String> {
    let Security { fail2ban, crowdsec, auth, web, seed, days, misses, json } = options;
    let usual = if fail2ban.is_none() || crowdsec.is_none() || auth.is_none() || web.is_none() {
        public_data()?.map(|data| data.join("security"))
    } else {
        None
    };
    let file = |given: Option<PathBuf>, name: &str| given.or_else(|| usual.as_ref().map(|data| data.join(name)));
    let told = |lines: Vec<String>| lines.iter().filter(|_line| misses).for_each(|line| eprintln!("{line}"));
    if let Some(path) = file(fail2ban, "fail2ban/lines.jsonl") {
        let (scores, missed) = eval::fail2ban(&path)?;
        list(&scores, json);
        told(missed.iter().map(|miss| serde_json::to_string(miss).unwrap_or_default()).collect());
    }
    if let Some(path) = file(crowdsec, "crowdsec/cases.jsonl") {
        let (scores, missed) = eval::crowdsec(&path)?;
        list(&scores, json);
        told(missed.iter().map(|miss| serde_json::to_string(miss).unwrap_or_default()).collect());
    }
    for (path, set) in [
        (file(auth, "auth_real_host/auth.log"), "auth_real_host"),
        (file(web, "apache_real_host/access.log"), "apache_real_host"),
    ] {
        let Some(path) = path else { continue };
        let (quiet, alerts) = eval::quiet_log(set, &path)?;
        list(&[quiet], json);
        told(alerts);
    }
    let (quiet, alerts) = eval::quiet_network(seed, days)?;
    list(&[quiet], json);
    told(alerts);
    Ok(())
}

/// Runs scenarios; 0 where a dashboard showed what it must, 1 where it did not, 2 where a file cannot be read.
pub(crate) fn scenarios(options: &ScenarioOptions, json: bool) -> ExitCode {
    let suite = match eval::scenarios(options) {
        Ok(suite) => suite,
        Err(cause) => {
            eprintln!("nms-lab: {cause}");
            return ExitCode::from(2);
        }
    };
    if json {
        list(&suite.outcomes, true);
        println!("{}", suite.summary());
    } else {
        let failed = suite.outcomes.iter().filter(|outcome| outcome.layer == Layer::Fused && !outcome.passed);
        failed.for_each(|outcome| println!("{outcome}"));
        print!("{suite}");
    }
    if suite.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints rows, as JSON or for people.
pub(crate) fn list<T: Serialize + std::fmt::Display>(rows: &[T], json: bool) {
    for row in rows {
        let line = if json { serde_json::to_string(row).unwrap_or_default() } else { row.to_string() };
        println!("{line}");
    }
}

/// The folder of public data; none where the machine has none, which `NMS_REQUIRE=all` makes a failure.
pub(crate) fn public_data() -> Result<Option<PathBuf>, String> {
    let folder = std::env::var_os("NMS_DATA").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        if std::env::var("NMS_REQUIRE").as_deref() == Ok("all") {
            return Err("NMS_DATA names no folder of public data".into());
        }
        println!("skipped: NMS_DATA names no folder of public data");
    }
    Ok(folder)
}
