//! From settings to a plan, and a plan that runs.

use std::{collections::HashMap, fs, sync::Arc};

use nms_collect::{
    fim::ReportError,
    plan::{self, Connections, Fim, Journal, Processes, Settings, Way, check},
};
use nms_kit::{
    intake::{self, Chunk, Events},
    task::Tasks,
};
use nms_proto::{event::Body, id::EndpointId};

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn show(files: Option<&[&str]>, journal: Option<Journal>, present: bool) -> String {
    let fim = Fim { enabled: false, ..Fim::default() };
    let settings = Settings { files: files.map(texts), journal, fim, ..Settings::default() };
    match check(&settings, present) {
        Ok(plan) => plan.to_string(),
        Err(error) => format!("{}: {error}", error.key()),
    }
}

fn units(list: &[&str]) -> Journal {
    Journal::Units(texts(list))
}

#[test]
fn one_source_where_two_overlap() {
    let usual = "files=/var/log/auth.log,/var/log/syslog,/var/log/secure,/var/log/messages,/var/log/cron";
    let all = Some(Journal::All(true));
    assert_eq!(show(None, None, true), "journal=all files=none devlog=no fim=off processes=1000ms connections=5000ms");
    assert_eq!(
        show(None, None, false),
        format!("journal=no {usual} devlog=if-free fim=off processes=1000ms connections=5000ms")
    );
    assert_eq!(
        show(None, Some(Journal::All(false)), true),
        format!("journal=no {usual} devlog=no fim=off processes=1000ms connections=5000ms")
    );
    assert_eq!(
        show(Some(&["/var/log/auth.log"]), None, true),
        "journal=no files=/var/log/auth.log devlog=no fim=off processes=1000ms connections=5000ms"
    );
    assert_eq!(
        show(Some(&["/srv/app.log"]), all.clone(), true),
        "journal=all files=/srv/app.log devlog=no fim=off processes=1000ms connections=5000ms"
    );
    assert!(
        show(Some(&["/var/log/auth.log"]), all.clone(), true)
            .starts_with("files: /var/log/auth.log holds the journal's lines")
    );
    assert!(show(Some(&["/var/log/*.log"]), all.clone(), true).starts_with("files: /var/log/auth.log holds"));
    assert!(show(None, all, false).starts_with("journal: there is no journal on this host"));
}

#[test]
fn units_and_files_are_both_read_where_they_share_no_lines() {
    assert_eq!(
        show(Some(&["/var/log/syslog"]), Some(units(&["ssh.service"])), true),
        "journal=ssh.service files=/var/log/syslog devlog=no fim=off processes=1000ms connections=5000ms"
    );
    for (file, unit) in [
        ("/var/log/auth.log", "ssh.service"),
        ("/var/log/auth.log", "sshd@12.service"),
        ("/var/log/secure", "sshd"),
        ("/var/log/syslog", "nginx.service"),
        ("/var/log/messages", "cron.service"),
        ("/var/log/cron", "crond.service"),
        ("/var/log/mail.*", "postfix@-.service"),
        ("/var/log/kern.log", "*"),
    ] {
        let said = show(Some(&[file]), Some(units(&[unit])), true);
        assert!(said.starts_with(&format!("files: lines of the unit {unit} stand in")), "{file} {unit}: {said}");
    }
    assert_eq!(show(None, Some(units(&[])), true), "journal: no units are named: write true for all, false for none");
    assert_eq!(show(None, Some(units(&["--since=x"])), true), "journal: \"--since=x\" is no unit's name");
}

#[test]
fn local_syslog_is_taken_where_nobody_else_may_hold_it() {
    let show = |devlog: Option<bool>, files: Option<&[&str]>, present: bool| {
        let settings = Settings { files: files.map(texts), devlog, ..Settings::default() };
        check(&settings, present).map(|plan| plan.devlog.map(|devlog| (devlog.path, devlog.required)))
    };
    let path = || "/dev/log".into();
    assert_eq!(show(None, None, false), Ok(Some((path(), false))));
    assert_eq!(show(None, None, true), Ok(None), "the journal holds it");
    assert_eq!(show(None, Some(&["/srv/app.log"]), false), Ok(None), "files are named");
    assert_eq!(show(Some(true), Some(&["/srv/app.log"]), false), Ok(Some((path(), true))));
    assert_eq!(show(Some(false), None, false), Ok(None));
    let error = show(Some(true), None, true).unwrap_err();
    let expected = "devlog: the journal of this host takes /dev/log: leave it out, or set false";
    assert_eq!(format!("{}: {error}", error.key()), expected);
}

#[test]
fn wrong_paths_name_their_key() {
    assert_eq!(show(Some(&["auth.log"]), None, false), "files: \"auth.log\": an absolute path was expected");
    let fim = |include: &[&str], exclude: &[&str]| {
        let fim = Fim { enabled: true, include: texts(include), exclude: texts(exclude) };
        let error = check(&Settings { fim, ..Settings::default() }, true).unwrap_err();
        format!("{}: {error}", error.key())
    };
    assert_eq!(fim(&["/proc/1"], &[]), "fim.include: /proc/1 is made up by the kernel and cannot be watched");
    assert_eq!(fim(&["/sys"], &[]), "fim.include: /sys is made up by the kernel and cannot be watched");
    assert_eq!(fim(&["/etc"], &["/etc/../x"]), "fim.exclude: \"/etc/../x\": a path without . and .. was expected");
}

#[test]
fn settings_are_read_and_unknown_keys_refused() {
    let read = |text: &str| serde_json::from_str::<Settings>(text).map_err(|error| error.to_string());
    let settings = read(r#"{"journal":["ssh.service"],"fim":{"include":["/etc"]}}"#).unwrap();
    assert_eq!(settings.journal, Some(units(&["ssh.service"])));
    assert!(settings.fim.enabled && !settings.fim.exclude.is_empty());
    assert!(read(r#"{"file":[]}"#).unwrap_err().contains("unknown field `file`"));
    assert_eq!((settings.processes.interval_ms, settings.connections.interval_ms), (1_000, 5_000));
    assert!(read(r#"{"processes":{"every":5}}"#).unwrap_err().contains("unknown field `every`"));
    assert!(read(r#"{"fim":{"includes":[]}}"#).unwrap_err().contains("unknown field `includes`"));
}

#[test]
fn looks_are_neither_all_the_time_nor_never() {
    let every = |text: &str| match check(&serde_json::from_str(text).unwrap(), true) {
        Ok(plan) => format!("{:?} {:?}", plan.processes_ms, plan.connections_ms),
        Err(error) => format!("{}: {error}", error.key()),
    };
    assert_eq!(every(r#"{"processes":{"interval_ms":100}}"#), "Some(100) Some(5000)");
    assert_eq!(every(r#"{"processes":{"enabled":false},"connections":{"interval_ms":3600000}}"#), "None Some(3600000)");
    let expected = "processes.interval_ms: 99: 100 to 3600000 milliseconds were expected";
    assert_eq!(every(r#"{"processes":{"interval_ms":99}}"#), expected);
    let expected = "connections.interval_ms: 3600001: 100 to 3600000 milliseconds were expected";
    assert_eq!(every(r#"{"connections":{"enabled":false,"interval_ms":3600001}}"#), expected);
}

#[test]
fn a_plan_runs_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), "root").unwrap();
    fs::write(root.join("app.log"), "first\n").unwrap();
    let settings = Settings {
        files: Some(vec![root.join("app.log").display().to_string()]),
        journal: None,
        devlog: None,
        from_start: true,
        fim: Fim { enabled: true, include: vec![root.join("etc").display().to_string()], exclude: Vec::new() },
        processes: Processes { enabled: false, ..Processes::default() },
        connections: Connections { enabled: false, ..Connections::default() },
    };
    let tasks = Tasks::start(1).unwrap();
    let (sender, receiver) = intake::channel();
    let kept: HashMap<String, Vec<u8>> = HashMap::new();
    let way = Way {
        sender,
        checkpoints: Arc::new(move |key| kept.get(key).cloned()),
        source: EndpointId::new("pi"),
        state: root.clone(),
    };
    let running = plan::start(check(&settings, false).unwrap(), &tasks, &way).unwrap();
    drop(way);
    running.report("cmd-1").unwrap();
    let (mut seen, mut rows, mut ended) = (false, 0, false);
    while !(seen && ended) {
        let Chunk { events, done, .. } = receiver.recv_blocking().unwrap();
        let Events::Drafts(drafts) = events else { panic!("drafts") };
        for (source, draft) in drafts {
            assert_eq!(source.as_str(), "pi");
            match draft.body {
                Body::Syslog(line) => seen |= &*line.message == "first",
                Body::File(_) => rows += 1,
                Body::Report(end) => ended = (end.files, end.unreadable) == (1, 0),
                other => panic!("{other:?}"),
            }
        }
        if let Some(done) = done {
            done.send_blocking(()).unwrap();
        }
    }
    assert_eq!(rows, 1);
    assert_eq!(tasks.join(10_000), Vec::<String>::new());
    assert_eq!(running.report("cmd-2"), Err(ReportError::Off));
}
