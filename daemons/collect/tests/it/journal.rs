//! The journal: entries as `journalctl` prints them, and a child that prints them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use nms_collect::{
    counters::{Counters, What},
    journal::{self, KEY, Settings},
};
use nms_kit::{
    intake::{self, Chunk, Events},
    task::Tasks,
};
use nms_proto::{event::Body, id::EndpointId, limits::LINE_BYTES_MAX};

fn show(json: &str) -> String {
    match journal::read(json.as_bytes(), 60) {
        Err(refused) => format!("refused {}", refused.reason),
        Ok(entry) => match entry.message {
            Err(refused) => format!("{} refused {}", entry.cursor, refused.reason),
            Ok(draft) => {
                let Body::Syslog(line) = draft.body else { panic!("a log line") };
                let raw = draft.raw.map(|raw| format!(" raw={raw:?}")).unwrap_or_default();
                let (app, pid) = (line.app.unwrap_or_default(), line.pid.unwrap_or_default());
                let priority = format!("{}.{}", line.facility, line.severity);
                format!("{} {priority} {app}[{pid}] {}{raw}", draft.at.unwrap(), line.message)
            }
        },
    }
}

fn entry(number: u32, message: &str) -> String {
    format!(
        r#"{{"__CURSOR":"c{number}","__REALTIME_TIMESTAMP":"{}","MESSAGE":{message}}}"#,
        1_767_623_404_812_345_u64 + u64::from(number)
    )
}

#[test]
fn entries_of_every_shape() {
    let head = r#""__CURSOR":"c1","__REALTIME_TIMESTAMP":"1767623404812345""#;
    for (fields, expected) in [
        (
            r#""MESSAGE":"hello","PRIORITY":"6","SYSLOG_FACILITY":"10","SYSLOG_IDENTIFIER":"sshd","SYSLOG_PID":"7","_PID":"8","_COMM":"x""#,
            "2026-01-05T15:30:04.812+01:00 10.6 sshd[7] hello",
        ),
        (r#""MESSAGE":"m","_PID":"8","_COMM":"cron""#, "2026-01-05T15:30:04.812+01:00 1.5 cron[8] m"),
        (r#""MESSAGE":[104,105,255]"#, "2026-01-05T15:30:04.812+01:00 1.5 [] hi\u{fffd} raw=[104, 105, 255]"),
        (r#""MESSAGE":["first","second"]"#, "2026-01-05T15:30:04.812+01:00 1.5 [] first"),
        (r#""MESSAGE":[[104,105],"second"]"#, "2026-01-05T15:30:04.812+01:00 1.5 [] hi"),
        (r#""MESSAGE":"m","PRIORITY":"99","SYSLOG_FACILITY":"-1""#, "2026-01-05T15:30:04.812+01:00 1.5 [] m"),
        (r#""MESSAGE":null"#, "c1 refused empty"),
        (r#""PRIORITY":"6""#, "c1 refused empty"),
    ] {
        assert_eq!(show(&format!("{{{head},{fields}}}")), expected);
    }
    assert_eq!(show("{}"), "refused journal_entry");
    assert_eq!(show("not json"), "refused journal_entry");
    assert_eq!(show(r#"{"__CURSOR":"c","MESSAGE":"no stamp"}"#), "refused journal_entry");
    assert_eq!(show(&"[".repeat(100_000)), "refused journal_entry");
}

#[test]
fn a_long_message_is_cut() {
    let json = entry(1, &format!("\"{}\"", "x".repeat(LINE_BYTES_MAX + 1)));
    let read = journal::read(json.as_bytes(), 0).unwrap();
    assert!(read.cut);
    let Body::Syslog(line) = read.message.unwrap().body else { panic!("a log line") };
    assert_eq!(line.message.len(), LINE_BYTES_MAX);
}

/// A program that notes its arguments, prints `output`, and stays.
fn program(folder: &Path, output: &str) -> Settings {
    let path = folder.join("journalctl");
    fs::write(folder.join("output"), output).unwrap();
    let text = format!(
        "#!/bin/sh\necho \"$@\" > {0}/arguments.new\nmv {0}/arguments.new {0}/arguments\ncat {0}/output\nexec sleep 100\n",
        folder.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Settings { program: path.into(), units: vec!["ssh.service".into()], from_start: true }
}

/// The messages of chunks until `last` came, each made durable; and the last checkpoint.
fn receive(receiver: &intake::Receiver, last: &str) -> (String, Vec<u8>) {
    let (mut lines, mut checkpoint) = (Vec::new(), Vec::new());
    while lines.last().is_none_or(|line| line != last) {
        let Chunk { events, checkpoints, done, tally } = receiver.recv_blocking().unwrap();
        let Events::Drafts(drafts) = events else { panic!("drafts") };
        for (source, draft) in drafts {
            assert_eq!(source.as_str(), "self");
            let Body::Syslog(line) = draft.body else { panic!("a log line") };
            lines.push(line.message.to_string());
        }
        lines.extend(tally.rejected.iter().map(|rejected| format!("!{}", rejected.reason)));
        for kept in checkpoints {
            assert_eq!(&*kept.key, KEY);
            checkpoint = kept.value.into();
        }
        done.unwrap().send_blocking(()).unwrap();
    }
    (lines.join(" "), checkpoint)
}

#[test]
fn a_child_is_read_and_a_restart_goes_on_behind_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let lines =
        [entry(1, "\"a\""), "garbage".into(), entry(2, "null"), entry(3, "\"b\"")].join("\n") + "\n{\"unfinished";
    let settings = program(folder.path(), &lines);
    let counters = Arc::<Counters>::default();
    let self_ = EndpointId::new(EndpointId::SELF);
    let run = |checkpoint: Option<&[u8]>, last: &str| {
        let tasks = Tasks::start(1).unwrap();
        let (sender, receiver) = intake::channel();
        journal::start(settings.clone(), checkpoint, Arc::clone(&counters), &tasks, (sender, self_.clone()));
        let read = receive(&receiver, last);
        assert_eq!(tasks.join(5_000), Vec::<String>::new());
        (read, fs::read_to_string(folder.path().join("arguments")).unwrap())
    };
    let ((read, checkpoint), arguments) = run(None, "!empty");
    // A chunk is drafts first, then what was refused.
    assert_eq!(read, "a b !journal_entry !empty");
    assert!(arguments.contains("--output=json --follow --all"), "{arguments}");
    assert!(arguments.contains("--no-tail --unit=ssh.service"), "{arguments}");

    fs::write(folder.path().join("output"), entry(4, "\"c\"") + "\n").unwrap();
    let ((read, _), arguments) = run(Some(&checkpoint), "c");
    assert_eq!(read, "c");
    assert!(arguments.contains("--after-cursor=c3"), "{arguments}");
    assert_eq!(counters.count(What::JournalEntries), 3);
}

#[test]
fn from_now_gives_a_cursor_and_no_old_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = program(folder.path(), &(entry(1, "\"old\"") + "\n" + &entry(2, "\"new\"") + "\n"));
    settings.from_start = false;
    let tasks = Tasks::start(1).unwrap();
    let (sender, receiver) = intake::channel();
    let source = EndpointId::new(EndpointId::SELF);
    journal::start(settings, None, Arc::default(), &tasks, (sender, source));
    assert_eq!(receive(&receiver, "new").0, "new");
    assert!(fs::read_to_string(folder.path().join("arguments")).unwrap().contains("--lines=1"));
    assert_eq!(tasks.join(5_000), Vec::<String>::new());
}
