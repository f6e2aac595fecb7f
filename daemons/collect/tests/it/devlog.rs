//! `/dev/log`, at a path of the test's: real sockets.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::Path,
    sync::Arc,
};

use nms_collect::{
    counters::{Counters, What},
    devlog::{self, Settings},
};
use nms_kit::{
    intake::{self, Chunk, Events, Receiver},
    task::Tasks,
};
use nms_proto::{event::Body, id::EndpointId, limits::LINE_BYTES_MAX};

struct Stage {
    folder: tempfile::TempDir,
    tasks: Tasks,
    counters: Arc<Counters>,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, tasks: Tasks::start(1).unwrap(), counters: Arc::default() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    fn start(&self, required: bool) -> std::io::Result<Receiver> {
        let (sender, receiver) = intake::channel();
        let settings = Settings { path: self.path(), required };
        devlog::start(&settings, Arc::clone(&self.counters), &self.tasks, (sender, EndpointId::new("pi")))?;
        Ok(receiver)
    }

    fn end(&self) {
        assert_eq!(self.tasks.join(10_000), Vec::<String>::new());
    }
}

fn log(path: &Path, messages: &[&[u8]]) {
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(path).unwrap();
    for message in messages {
        socket.send(message).unwrap();
    }
}

/// What came, a line each, until the way in closes or so many messages did.
fn receive(receiver: &Receiver, messages: usize) -> Vec<String> {
    let mut said = Vec::new();
    while said.len() < messages
        && let Ok(Chunk { events, tally, .. }) = receiver.recv_blocking()
    {
        let Events::Drafts(drafts) = events else { panic!("drafts") };
        for (source, draft) in drafts {
            let Body::Syslog(line) = draft.body else { panic!("a log line") };
            let (app, pid) = (line.app.unwrap_or_default(), line.pid.unwrap_or_default());
            let text = line.message.get(..20).unwrap_or(&line.message);
            said.push(format!("{source} {}.{} {app}[{pid}] {text}", line.facility, line.severity));
        }
        said.extend(tally.rejected.iter().map(|rejected| format!("{} {}", rejected.source, rejected.reason)));
        said.extend(tally.cut.iter().map(|source| format!("{source} cut")));
    }
    said
}

#[test]
fn what_programs_log_is_read_bounded_and_waits() {
    let stage = Stage::set();
    let receiver = stage.start(true).unwrap();
    let mode = fs::metadata(stage.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "everybody may log");
    log(&stage.path(), &[b"<86>Jan  5 14:30:00 sshd[811]: hello", b"<14>app: no stamp\n\0", b"<999>no"]);
    let mut said = receive(&receiver, 3);
    said.sort();
    assert_eq!(said, ["pi 1.6 app[] no stamp", "pi 10.6 sshd[811] hello", "pi pri_out_of_range"]);
    log(&stage.path(), &[&[b"<14>app: ".as_slice(), vec![b'x'; LINE_BYTES_MAX * 2].as_slice()].concat()]);
    assert_eq!(receive(&receiver, 2), [format!("pi 1.6 app[] {}", "x".repeat(20)), "pi cut".into()]);
    assert_eq!(stage.counters.count(What::DevlogMessages), 4);
    // More than the kernel holds and the channel takes, and nobody reads: whoever logs waits, and nothing is lost.
    let path = stage.path();
    let logging = std::thread::spawn(move || {
        for number in 0..5_000 {
            log(&path, &[format!("<14>app: {number}").as_bytes()]);
        }
    });
    let said = receive(&receiver, 5_000);
    logging.join().unwrap();
    assert!(said.iter().enumerate().all(|(number, line)| *line == format!("pi 1.6 app[] {number}")));
    stage.end();
    assert!(!stage.path().exists(), "nobody finds it any more");
}

#[test]
fn what_was_logged_before_the_end_is_taken_along() {
    let stage = Stage::set();
    let receiver = stage.start(true).unwrap();
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(stage.path()).unwrap();
    socket.send(b"<14>app: first").unwrap();
    socket.send(b"<14>app: last").unwrap();
    stage.end();
    assert_eq!(receive(&receiver, usize::MAX), ["pi 1.6 app[] first", "pi 1.6 app[] last"]);
}

#[test]
fn a_socket_that_is_held_is_left_alone_and_a_stale_one_is_replaced() {
    let stage = Stage::set();
    let daemon = UnixDatagram::bind(stage.path()).unwrap();
    assert!(stage.start(true).is_err(), "it must be ours and is not");
    let receiver = stage.start(false).unwrap();
    assert_eq!(receive(&receiver, usize::MAX), [""; 0], "nothing is collected");
    log(&stage.path(), &[b"still its own"]);
    assert_eq!(daemon.recv(&mut [0; 64]).unwrap(), 13);
    drop(daemon);
    let receiver = stage.start(true).unwrap();
    log(&stage.path(), &[b"<14>app: ours now"]);
    assert_eq!(receive(&receiver, 1), ["pi 1.6 app[] ours now"]);
    // A syslog daemon that is started later takes the path: at our end its socket stays.
    fs::remove_file(stage.path()).unwrap();
    let _daemon = UnixDatagram::bind(stage.path()).unwrap();
    stage.end();
    assert!(stage.path().exists());
}
