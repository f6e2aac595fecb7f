//! The corpora are small, each belongs to a target, and each target holds over its own.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use nms_fuzz::{TARGETS, Target, bound_memory};

/// Longest file of a corpus, in bytes.
const FILE_BYTES_MAX: usize = 4 << 10;
/// Most bytes of all corpora.
const CORPORA_BYTES_MAX: usize = 300 << 10;
/// Most files of one corpus: the fuzzer's own finds stay under `target/`.
const FILES_MAX: usize = 40;
/// Most truncations, changed bytes and splices that are tried of one file.
const MUTATIONS_MAX: usize = 200;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join(target.name);
    names(&folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

#[test]
fn every_target_has_a_small_corpus_and_every_corpus_a_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "a name is used twice");
    assert_eq!(names(&folder()), targets);
    let mut bytes = 0;
    for target in TARGETS {
        let corpus = corpus(target);
        assert!((2..=FILES_MAX).contains(&corpus.len()), "{}: {} files", target.name, corpus.len());
        for (name, content) in corpus {
            assert!(content.len() <= FILE_BYTES_MAX, "{}/{name}: {} bytes", target.name, content.len());
            bytes += content.len();
        }
    }
    assert!(bytes <= CORPORA_BYTES_MAX, "{bytes} bytes in all");
}

/// Says which input it was when a target fails.
#[derive(Debug)]
struct Named<'a>(&'a Target, &'a str, &'a [u8]);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("target {} failed over {}, with: {:?}", self.0.name, self.1, String::from_utf8_lossy(self.2));
            println!("as bytes: {:?}", self.2);
        }
    }
}

fn run(target: &Target, from: &str, bytes: &[u8]) {
    let _named = Named(target, from, bytes);
    (target.run)(bytes);
}

/// `SplitMix64`: the same mutations every time.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % end.max(1) as u64) as usize
    }
}

/// The target over its corpus, cut short, changed by a byte, and spliced.
fn mutated(target: &Target) {
    run(target, "nothing", &[]);
    let corpus = corpus(target);
    let mut rng = Rng(1);
    for (name, bytes) in &corpus {
        run(target, name, bytes);
        let step = bytes.len().div_ceil(MUTATIONS_MAX).max(1);
        for end in (0..bytes.len()).step_by(step) {
            run(target, &format!("{name} up to {end}"), &bytes[..end]);
        }
        for _ in 0..MUTATIONS_MAX.min(2 * bytes.len()) {
            let mut changed = bytes.clone();
            for _ in 0..=rng.below(3) {
                let at = rng.below(changed.len());
                changed[at] = if rng.below(2) == 0 { changed[at] ^ 1 << rng.below(8) } else { rng.below(256) as u8 };
            }
            run(target, &format!("{name} changed"), &changed);
        }
        for _ in 0..MUTATIONS_MAX / 4 {
            let (_, other) = &corpus[rng.below(corpus.len())];
            let spliced = [&bytes[..rng.below(bytes.len() + 1)], &other[rng.below(other.len() + 1)..]].concat();
            run(target, &format!("{name} spliced"), &spliced);
        }
    }
}

/// Runs those targets whose place is `part` of `parts`, since tests run beside one another; or the one that
/// `NMS_FUZZ_TARGET` names.
fn part(part: usize, parts: usize) {
    bound_memory();
    let only = std::env::var("NMS_FUZZ_TARGET").ok();
    let chosen = TARGETS.iter().skip(part).step_by(parts);
    let chosen = chosen.filter(|target| only.as_ref().is_none_or(|only| only == target.name));
    let failed: Vec<&str> = chosen
        .filter(|target| std::panic::catch_unwind(|| mutated(target)).is_err())
        .map(|target| target.name)
        .collect();
    assert!(failed.is_empty(), "targets that failed: {failed:?}");
}

#[test]
fn targets_hold_over_their_corpora_1_of_2() {
    part(0, 2);
}

#[test]
fn targets_hold_over_their_corpora_2_of_2() {
    part(1, 2);
}
