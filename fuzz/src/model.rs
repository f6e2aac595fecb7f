//! The model's side: templates, snapshots of what was learnt, and bundles from a folder.

use std::{num::NonZeroUsize, sync::LazyLock};

use nms_model::{
    bundle::{self, Bundle, BundleError, MANIFEST, Manifest, Scoring, WEIGHTS},
    key::{TypedKey, Vocabulary},
    net::{Shape, Weights},
    onnx,
    random::Random,
    score::Scorer,
    template::{Bounds, Miner},
    window::{KeyedEvent, Windows},
};
use nms_proto::{
    event::{Body, Draft, Syslog},
    extraction::{Action, AppFamily, Extraction, Outcome},
    limits::MODEL_WINDOW_EVENTS,
    scan::Scanner,
};
use nmsd_server::analyse::Analysis;

use crate::{
    input::Script,
    travel::{self, NOW},
};

/// Small enough that short inputs reach it.
fn bounds() -> Bounds {
    Bounds { templates_max: NonZeroUsize::new(6).unwrap(), bytes_max: 4 << 10, nodes_max: 40 }
}

/// Lines into templates: what was learnt is found, and neither number nor memory grows beyond the bounds.
pub(crate) fn miner(bytes: &[u8]) {
    let mut miner = Miner::new(bounds());
    let mut scanner = Scanner::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        scanner.scan(&String::from_utf8_lossy(line));
        let masked = scanner.masked();
        let learnt = miner.learn(masked);
        assert!(miner.len() <= bounds().templates_max.get());
        assert!(miner.bytes() <= bounds().bytes_max || miner.len() == 1, "{} bytes", miner.bytes());
        if let Some(text) = miner.text(learnt.id) {
            assert_eq!(miner.count(learnt.id), learnt.count);
            assert!(text.split(' ').count() <= masked.split_ascii_whitespace().count().max(1));
            assert!(miner.find(masked).is_some(), "{masked:?} was just learnt");
        }
    }
    restored(&miner);
}

/// A miner goes on from its bytes as it would have.
fn restored(miner: &Miner) {
    let kept = miner.snapshot();
    let again = Miner::restore(&kept, bounds()).unwrap();
    assert_eq!(again.snapshot(), kept);
    assert_eq!((again.len(), again.bytes()), (miner.len(), miner.bytes()));
}

/// Snapshots as a disk may give them back.
pub(crate) fn snapshots(bytes: &[u8]) {
    let mut script = Script(bytes);
    match script.byte() % 3 {
        0 => {
            let Ok(mut windows) = Windows::restore(script.0, 8, NOW.unix_ms as u64) else { return };
            let kept = windows.snapshot();
            let again = Windows::restore(&kept, 8, NOW.unix_ms as u64).unwrap();
            assert_eq!(again.snapshot(), kept);
            assert!(windows.len() <= 8);
            for window in windows.tick(u64::MAX) {
                assert!(window.positions.len() <= MODEL_WINDOW_EVENTS);
            }
            assert_eq!(windows.deadline(), None);
        }
        1 => {
            let Ok(mut miner) = Miner::restore(script.0, bounds()) else { return };
            assert!(miner.len() <= bounds().templates_max.get());
            restored(&miner);
            for line in ["session opened for user <user>", "a b c", ""] {
                miner.learn(line);
            }
            restored(&miner);
        }
        _ => {
            let Ok(analysis) = Analysis::restore(script.0) else { return };
            let kept = analysis.snapshot();
            assert_eq!(Analysis::restore(&kept).unwrap().snapshot(), kept);
        }
    }
}

/// A bundle: `length of the manifest u16 | manifest | weights`. The weights' hash is made to fit, as whoever makes a
/// hostile bundle would.
pub(crate) fn bundle(bytes: &[u8]) {
    let mut script = Script(bytes);
    let length = usize::from(u16::from_be_bytes([script.byte(), script.byte()]));
    let (manifest, weights) = (script.bytes(length), script.0);
    let hashed = with_hash(manifest, weights).unwrap_or_else(|| manifest.to_vec());
    let read = |name: &str| match name {
        MANIFEST => Ok(hashed.clone()),
        WEIGHTS => Ok(weights.to_vec()),
        other => Err(BundleError::Read { file: other.to_owned(), cause: "no such file".to_owned() }),
    };
    match Bundle::from_files(read) {
        Ok(found) => {
            let files = found.to_files().unwrap();
            let again = Bundle::from_files(|name| Ok(files[name].clone())).unwrap();
            assert_eq!(again.to_files().unwrap(), files);
            scored(&found);
        }
        Err(error) => assert!(error.to_string().starts_with("model bundle: "), "{error}"),
    }
}

/// The smallest net, as a file that is taken.
static ONNX: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let shape = Shape { width: 2, layers: 1, heads: 1, feed_forward: 2, vocabulary: 6, factors: false, categories: 0 };
    let vocabulary = Vocabulary::from_names(["sshd.login.failed"]).unwrap();
    let weights = Weights::random(&shape, &mut Random::new(1));
    let scoring = Scoring { top_share: 0.25, factor_weight: 0.0 };
    let manifest = Manifest::new("small", shape, &vocabulary, &[], scoring);
    onnx::export(&Bundle { manifest, vocabulary, weights, words: None }).unwrap()
});

/// An ONNX file: whole where the first byte is 0, else a good one, cut and with some bytes exchanged:
/// `cut u16 | (at u16, length u8, bytes)*`. What is taken goes out and is taken again.
pub(crate) fn onnx_file(bytes: &[u8]) {
    let mut script = Script(bytes);
    let file = if script.byte() == 0 { script.0.to_vec() } else { exchanged(script) };
    match onnx::import(&file) {
        Ok(found) => {
            let again = onnx::import(&onnx::export(&found).unwrap()).unwrap();
            assert_eq!(again.to_files().unwrap(), found.to_files().unwrap());
            scored(&found);
        }
        Err(error) => assert!(error.to_string().starts_with("onnx: "), "{error}"),
    }
}

fn exchanged(mut script: Script<'_>) -> Vec<u8> {
    let place = |script: &mut Script<'_>| usize::from(u16::from_be_bytes([script.byte(), script.byte()]));
    let mut file = ONNX.clone();
    let cut = place(&mut script);
    file.truncate(file.len() - cut.min(file.len()));
    while !script.0.is_empty() {
        let (at, length) = (place(&mut script), usize::from(script.byte()));
        let new = script.bytes(length);
        for (old, new) in file.iter_mut().skip(at).zip(new) {
            *old = *new;
        }
    }
    file
}

/// A model that is loaded judges in numbers, or says that it cannot.
fn scored(bundle: &Bundle) {
    let mut windows = Windows::new(1);
    for token in 0..3 {
        let extraction =
            Extraction { action: Action::Login, outcome: Outcome::Failed, ..Extraction::unknown(AppFamily::Sshd) };
        let event = travel::named(Draft::new(Body::Syslog(Syslog::default())));
        windows.push(token, 1, None, KeyedEvent::of(&event, &extraction, TypedKey::of(&extraction), token));
    }
    let mut scorer = Scorer::new(bundle).unwrap();
    for window in windows.tick(u64::MAX) {
        match scorer.score(&window) {
            Ok(score) => {
                assert!(score.surprise.is_finite() && score.distance.is_finite());
                assert!((0.0..=1.0).contains(&score.p_value), "{}", score.p_value);
                assert!(score.events.iter().all(|event| (0.0..=1.0).contains(&event.probability)));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn with_hash(manifest: &[u8], weights: &[u8]) -> Option<Vec<u8>> {
    let mut manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    *manifest.get_mut("files")?.get_mut(WEIGHTS)? = bundle::sha256(weights).into();
    serde_json::to_vec(&manifest).ok()
}
