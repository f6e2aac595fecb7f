//! A backup while events flow, and what a restore means for hubs.

use std::{collections::BTreeSet, fs, path::Path};

use nms_kit::{
    control::{self, Request},
    exit::Failure,
};
use nms_proto::{
    id::{BatchSeq, Instance},
    message::{AckStatus, Skipped},
};
use nmsd_server::{
    inspect::{self, Inspection},
    store::look::Look,
};
use serde_json::Value;

use crate::{
    stage::Stage,
    world::{HUB, failure, finding, tenant_id},
};

const OTHER: Instance = Instance([9; 16]);

/// What `what` says of the files of a server that does not run.
fn offline(state: &Path, what: &Inspection) -> (Vec<Value>, Result<(), String>) {
    let mut lines = Vec::new();
    let end = inspect::print(&Look::open(state).unwrap(), what, |line| {
        lines.push(serde_json::from_str(&line).unwrap());
        true
    });
    (lines, end)
}

fn backup(to: &Path, with_keys: bool) -> Inspection {
    Inspection::Backup { folder: to.into(), with_keys }
}

fn restore(from: &Path, state: &Path) -> Result<Vec<Value>, Failure> {
    let mut lines = Vec::new();
    inspect::restore(from, &state.join("run/control.sock"), state, |line| {
        lines.push(serde_json::from_str(&line).unwrap());
        true
    })?;
    Ok(lines)
}

fn dump(state: &Path) -> Vec<Value> {
    let (lines, end) = offline(state, &Inspection::LogDump { tenant: tenant_id("home") });
    end.unwrap();
    lines
}

fn wipe(state: &Path) {
    fs::remove_dir_all(state.join("log")).unwrap();
    for file in ["state.redb", "identity.redb"] {
        for name in [file.to_owned(), format!("{file}.reserve")] {
            fs::remove_file(state.join(name)).unwrap_or_default();
        }
    }
    fs::remove_dir_all(state.join("run")).unwrap();
}

/// The numbers of a hub's batches.
fn numbers(lines: &[Value], hub: Instance) -> Vec<u64> {
    let own = lines.iter().filter(|line| line["hub"] == hub.to_string());
    own.map(|line| line["batch"].as_u64().unwrap()).collect()
}

#[test]
fn a_backup_while_events_flow_is_restored_and_hubs_go_on() {
    const BATCHES: u64 = 400;
    let stage = Stage::set();
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().join("new");
    let asked = Request::new("backup").with("folder", to.to_str().unwrap());
    let before = smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        let lines: Vec<_> = (1..=5).map(|seq| failure(HUB, seq, 0)).collect();
        hub.send_batch(1, &lines).await;
        hub.send_batch(2, &[finding(HUB, 6, 1, "a-0000000000000001")]).await;
        let told = hub.results().await.alerts[0].id.clone();
        // Batches come one after another, and the backup is made in the middle of them.
        let mut other = stage.hub("home", OTHER, 0).await;
        let flow = async {
            for number in 1..=BATCHES {
                other.send_batch(number, &[failure(OTHER, number, number as i64)]).await;
                assert_eq!(other.ack().await.status, AckStatus::Ok);
            }
        };
        let made = async {
            let mut lines: Vec<Value> = Vec::new();
            let asked = control::ask(&stage.control, &asked, |line| lines.push(serde_json::from_str(line).unwrap()));
            asked.await.unwrap();
            lines
        };
        let ((), lines) = smol::future::zip(flow, made).await;
        assert_eq!(lines.last().unwrap()["files"], 3, "{lines:?}");
        let again = control::ask(&stage.control, &asked, |_| ()).await.unwrap_err().to_string();
        assert!(again.contains("is not empty, it holds identity.redb"), "{again}");
        hub.send_batch(3, &[finding(HUB, 7, 2, "a-0000000000000001"), finding(HUB, 8, 1, "a-0000000000000002")]).await;
        hub.results().await;
        told
    });

    let folder = stage.end();
    let state = folder.path();
    let all = dump(state);
    assert_eq!(all.len() as u64, BATCHES + 3);
    let refused = restore(&to, state).unwrap_err().to_string();
    assert!(refused.contains("is not empty, it holds identity.redb"), "{refused}");
    wipe(state);
    let said = restore(&to, state).unwrap();
    let (verified, end) = offline(state, &Inspection::Verify);
    assert_eq!((end, &said[said.len() - 2..]), (Ok(()), &verified[..]));
    let kept = dump(state);
    assert_eq!(kept, all[..kept.len()], "the log up to a moment, whole");
    assert_eq!(numbers(&kept, HUB), [1, 2]);
    let held = *numbers(&kept, OTHER).last().unwrap_or(&0);
    assert!(verified[0]["analysed"].as_u64().unwrap() <= kept.len() as u64, "{verified:?}");

    let stage = Stage::set_in(folder);
    smol::block_on(async {
        // The hub's spool holds what comes next; what the server had and lost is called missing.
        let mut hub = stage.hub("home", HUB, 2).await;
        assert_eq!(hub.results().await.alerts[0].id, before, "owed still, under the same id");
        let missing = Skipped { from: BatchSeq(3), to: BatchSeq(3), events: 0, cause: "missing".into() };
        hub.send_batch_after(4, &[missing], &[finding(HUB, 9, 3, "a-0000000000000001")]).await;
        let revised = hub.results().await;
        assert_eq!((&revised.alerts[0].id, revised.alerts[0].revision > 1), (&before, true));
        let mut other = stage.hub("home", OTHER, held).await;
        let lost = Skipped { from: BatchSeq(held + 1), to: BatchSeq(BATCHES), events: 0, cause: "missing".into() };
        let lost: Vec<Skipped> = if held < BATCHES { vec![lost] } else { Vec::new() };
        other.send_batch_after(BATCHES + 1, &lost, &[failure(OTHER, 9_999, 0)]).await;
        assert_eq!(other.ack().await.batch, Some(BatchSeq(BATCHES + 1)));
        let verified = control::ask(&stage.control, &Request::new("verify"), |_| ()).await;
        verified.unwrap();
    });
    let tenant = stage.running.tenants.known(&tenant_id("home")).unwrap();
    let ids: BTreeSet<String> =
        tenant.store().alerts().unwrap().iter().map(|known| known.alert.id.to_string()).collect();
    assert_eq!(ids, BTreeSet::from([before.to_string()]));
    drop(tenant);
    let folder = stage.end();
    let after = dump(folder.path());
    assert_eq!(after[..kept.len()], kept[..], "nothing of the backup is missing");
    assert_eq!((numbers(&after, HUB), after.len()), (vec![1, 2, 4], kept.len() + 2));
    assert_eq!(offline(folder.path(), &Inspection::Verify).1, Ok(()));
}

/// A folder with a batch in it, and its backup.
fn backed_up(with_keys: bool) -> (tempfile::TempDir, tempfile::TempDir) {
    let stage = Stage::set();
    smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        hub.send_batch(1, &[failure(HUB, 1, 0)]).await;
        hub.ack().await;
    });
    let (folder, to) = (stage.end(), tempfile::tempdir().unwrap());
    let (lines, end) = offline(folder.path(), &backup(to.path(), with_keys));
    assert_eq!(end, Ok(()), "{lines:?}");
    (folder, to)
}

#[test]
fn keys_are_backed_up_only_where_they_are_asked_for_and_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (_, without) = backed_up(false);
    assert!(!without.path().join("ca-key.pem").exists());
    let (folder, with) = backed_up(true);
    for name in ["ca.pem", "ca-key.pem", "server.pem", "server-key.pem", "state.redb", "manifest.json"] {
        assert_eq!(mode(&with.path().join(name)), 0o600, "{name}");
    }
    let new = folder.path().join("elsewhere");
    restore(with.path(), &new).unwrap();
    assert_eq!((mode(&new), mode(&new.join("server-key.pem"))), (0o700, 0o600));
    assert_eq!(fs::read(new.join("ca-key.pem")).unwrap(), fs::read(folder.path().join("ca-key.pem")).unwrap());
    let refused = restore(with.path(), &new).unwrap_err().to_string();
    assert!(refused.contains("elsewhere is not empty, it holds ca-key.pem"), "{refused}");
}

#[test]
fn half_a_backup_and_a_damaged_one_are_refused_before_anything_is_put_in_place() {
    let (_folder, to) = backed_up(false);
    let new = tempfile::tempdir().unwrap();
    let refused = || {
        let words = restore(to.path(), new.path()).unwrap_err().to_string();
        assert_eq!(fs::read_dir(new.path()).unwrap().count(), 0, "{words}");
        words
    };
    let manifest = to.path().join("manifest.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    for (from, to, words) in [
        ("\"format\": 1", "\"format\": 2", "format 2, this program reads 1"),
        ("\"state.redb\"", "\"../state.redb\"", "is no file of a backup"),
        ("\"log/log-", "\"log/../log-", "is no file of a backup"),
        ("\"sha256\": \"", "\"sha256\": \"00", "is not what was backed up"),
    ] {
        fs::write(&manifest, whole.replace(from, to)).unwrap();
        assert!(refused().contains(words), "{words}");
    }
    fs::write(&manifest, &whole).unwrap();
    let mut bytes = fs::read(to.path().join("state.redb")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(to.path().join("state.redb"), bytes).unwrap();
    assert!(refused().contains("state.redb is not what was backed up: its hash is another one; nothing was put"));
    fs::remove_file(&manifest).unwrap();
    assert!(refused().contains("or one that was not finished"));
}

#[test]
fn nothing_is_restored_under_a_server_that_runs_and_none_starts_on_half_a_restore() {
    let (folder, to) = backed_up(false);
    let stage = Stage::set_in(folder);
    let refused = restore(to.path(), stage.folder.path()).unwrap_err().to_string();
    assert!(refused.contains("a server runs and answers at"), "{refused}");
    let folder = stage.end();
    wipe(folder.path());
    fs::create_dir(folder.path().join("restoring")).unwrap();
    restore(to.path(), folder.path()).unwrap();
    assert_eq!(dump(folder.path()).len(), 1, "what an earlier restore gathered is no hindrance");
    fs::create_dir(folder.path().join("restoring")).unwrap();
    let words = Stage::refused(folder);
    assert!(words.contains("was not finished: empty the folder and restore again"), "{words}");
}
