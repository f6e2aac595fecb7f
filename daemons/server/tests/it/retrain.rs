//! A model for one's own logs: what is learnt from, what is refused, that a stopped training goes on, and that the bundle
//! is served.

use std::{convert::Infallible, fmt::Write as _};

use nms_model::bundle::Bundle;
use nms_proto::time::Stamp;
use nmsd_server::{
    analyse::model::Model,
    replay::Reading,
    retrain::{Gathered, Gatherer, Plan, RetrainError, Training, WINDOWS_MIN, figures},
};

fn reading() -> Reading {
    let modified_ms = Stamp::parse("2026-01-05T00:00:00Z").unwrap().unix_ms;
    Reading { source: None, utc_offset_s: 0, year: Some(2025), modified_ms, admins: Vec::new() }
}

fn gather(text: &str) -> Gathered {
    let mut gatherer = Gatherer::new(&Bundle::shipped().unwrap());
    let lines = |line: &mut dyn FnMut(&[u8])| {
        text.lines().for_each(|text| line(text.as_bytes()));
        Ok::<(), Infallible>(())
    };
    gatherer.file(&reading(), lines).unwrap();
    gatherer.finish()
}

/// Days of one host: logins that come and go, cron each hour, and what else there is.
fn days(days: u32) -> String {
    let mut text = String::new();
    for day in 0..days {
        for hour in 0..24 {
            let stamp = |minute: u32, second: u32| {
                format!(
                    "{} {:2} {hour:02}:{minute:02}:{second:02} web",
                    ["Mar", "Apr"][(day / 28) as usize % 2],
                    day % 28 + 1
                )
            };
            let port = 40_000 + day * 100 + hour;
            let lines = [
                (stamp(0, 1), "CRON[7]: (root) CMD (run-parts /etc/cron.hourly)".to_owned()),
                (stamp(5, 2), format!("sshd[8]: Accepted publickey for anna from 192.0.2.9 port {port} ssh2")),
                (stamp(5, 4), format!("sshd[8]: Received disconnect from 192.0.2.9 port {port}:11: bye")),
                (
                    stamp(9, hour % 3),
                    format!(
                        "%ASA-6-605005: Login permitted from 192.0.2.9/{port} to inside:192.0.2.1/ssh for user \"anna\""
                    ),
                ),
            ];
            for (stamp, line) in lines {
                writeln!(text, "{stamp} {line}").unwrap();
            }
        }
    }
    text
}

fn plan(steps: usize) -> Plan {
    Plan { steps, seed: 1, name: "own".into(), files: vec![("auth.log".into(), "00".repeat(32))] }
}

fn train(
    training: Training,
    gathered: &Gathered,
    from: Option<&[u8]>,
    stop: usize,
) -> Result<(Bundle, Vec<u8>), Vec<u8>> {
    let mut kept = Vec::new();
    let bundle = training.run(gathered, from, |trainer, save| {
        if trainer.progress().step == stop {
            kept = save().unwrap();
            return Err(Stopped);
        }
        Ok(())
    });
    match bundle {
        Ok(bundle) => Ok((bundle, kept)),
        Err(Stopped) => Err(kept),
    }
}

/// Somebody pressed a key, or training failed.
#[derive(Debug)]
struct Stopped;

impl From<RetrainError> for Stopped {
    fn from(error: RetrainError) -> Self {
        panic!("{error}")
    }
}

#[test]
fn too_few_windows_are_refused_with_what_would_help() {
    let error = Training::new(plan(1), &Bundle::shipped().unwrap(), &gather(&days(1))).unwrap_err().to_string();
    assert!(error.contains(&WINDOWS_MIN.to_string()) && error.contains("more days"), "{error}");
}

#[test]
fn windows_with_events_of_a_finding_are_not_learnt_from() {
    let calm = gather(&days(20));
    assert!(calm.suspect.iter().all(|suspect| !suspect));
    let mut run = String::new();
    for at in 0..12 {
        writeln!(run, "Mar  3 04:30:{at:02} web sshd[9]: Failed password for root from 203.0.113.9 port 4022 ssh2")
            .unwrap();
    }
    let text = days(20);
    let (before, after) = text.split_at(text.find("Mar  3 05").unwrap());
    let attacked = gather(&[before, &run, after].concat());
    assert!(attacked.suspect.iter().any(|suspect| *suspect));
    assert_eq!(attacked.parts().suspect, attacked.suspect.iter().filter(|suspect| **suspect).count());
    assert!(attacked.parts().learn.len() < attacked.windows.len() * 8 / 10);
}

#[test]
fn a_model_of_own_logs_knows_their_keys_foresees_them_better_and_is_served() {
    let (shipped, gathered) = (Bundle::shipped().unwrap(), gather(&days(40)));
    let training = Training::new(plan(60), &shipped, &gathered).unwrap();
    assert!(training.new_keys(&shipped) > 0, "what the shipped model never saw");
    let (own, _) = train(training, &gathered, None, usize::MAX).unwrap();
    let parts = gathered.parts();
    let (before, after) = (figures(&shipped, &parts).unwrap(), figures(&own, &parts).unwrap());
    assert!(after.unscored <= before.unscored && after.beyond[0] < before.beyond[0], "{before}\n{after}");
    assert!(after.unknown < before.unknown && after.logbert.surprise < before.logbert.surprise, "{before}\n{after}");
    assert!(after.logbert.top_6 >= after.logbert.top_1);
    let story = &own.manifest.training;
    assert!(story["file 1"].starts_with("auth.log sha256 ") && story["went on from"].starts_with("base "), "{story:?}");
    // Written, read and served.
    let files = own.to_files().unwrap();
    let read = Bundle::from_files(|name| Ok(files[name].clone())).unwrap();
    assert_eq!(read.weights, own.weights);
    let mut model = Model::new(&read).unwrap();
    let word = parts.judge.iter().find_map(|window| model.judge(window)).unwrap();
    assert_eq!((&*word.verdict.id, &*word.verdict.hash), ("own", own.version()));
}

#[test]
fn a_training_that_was_stopped_comes_to_the_same_model_and_takes_no_other_checkpoint() {
    let (shipped, gathered) = (Bundle::shipped().unwrap(), gather(&days(24)));
    let training = |steps| Training::new(plan(steps), &shipped, &gathered).unwrap();
    let (whole, _) = train(training(8), &gathered, None, usize::MAX).unwrap();
    let kept = train(training(8), &gathered, None, 5).unwrap_err();
    let (resumed, _) = train(training(8), &gathered, Some(&kept), usize::MAX).unwrap();
    assert_eq!(resumed.weights, whole.weights);
    let other = gather(&days(30));
    let error =
        Training::new(plan(8), &shipped, &other).unwrap().run(&other, Some(&kept), |_, _| Ok::<(), RetrainError>(()));
    assert!(matches!(error, Err(RetrainError::Checkpoint)));
}
