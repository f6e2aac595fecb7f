//! Keys from words: what was taught is named, what nobody taught is not guessed at, and files that are none are refused.

use nms_model::key::{GROUPS, TypedKey};
use nms_model::net::NetError;
use nms_model::train::{Meaning, train_words};
use nms_model::words::Words;
use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};
use nms_proto::scan::Scanner;

fn lines() -> Vec<(String, Meaning)> {
    let meaning = |action, outcome| Meaning { action, outcome, family: AppFamily::Generic };
    let failed = meaning(Action::Login, Outcome::Failed);
    let started = meaning(Action::Service, Outcome::Ok);
    let note = meaning(Action::Other, Outcome::None);
    let mut lines = Vec::new();
    for number in 0..20 {
        lines.push((format!("sign-in rejected, wrong credentials for anna from 192.0.2.{number}"), failed));
        lines.push((format!("authentication denied: bad credentials of bert, peer 192.0.2.{number}"), failed));
        lines.push((format!("worker {number} launched and module loaded"), started));
        lines.push((format!("module reload {number} launched"), started));
        lines.push((format!("cache size is {number} blocks, within limits"), note));
        lines.push((format!("fan speed {number}, sensor stable"), note));
    }
    lines
}

fn taught() -> Words {
    train_words(lines().iter().map(|(line, meaning)| (line.as_str(), *meaning)), [], 1)
}

fn key(words: &Words, line: &str) -> TypedKey {
    let mut scanner = Scanner::new();
    scanner.scan(line);
    words.key(&Extraction::unknown(AppFamily::Generic), &scanner)
}

#[test]
fn words_name_the_action_and_what_is_new_is_not_guessed_at() {
    let words = taught();
    let failed = TypedKey::new(AppFamily::Generic, Action::Login, Outcome::Failed);
    assert_eq!(key(&words, "credentials rejected: sign-in of carla denied"), failed);
    assert_eq!(key(&words, "module launched").action(), Action::Service);
    let note = key(&words, "sensor: fan speed stable");
    assert!(note.is_group(), "{note}");
    assert_eq!(key(&words, "sensor, fan speed 7000 is stable"), note, "words decide, numbers do not");
    assert_ne!(key(&words, "cache blocks within limits"), note);
    // One known word among many strange ones is no certainty.
    assert_eq!(key(&words, "the quick brown fox denied nobody a pleasant afternoon walk").action(), Action::Other);
    assert!(key(&words, "zzz yyy xxx").is_group(), "nothing known is nothing meant");
}

#[test]
fn what_an_extractor_says_stands() {
    let words = taught();
    let mut scanner = Scanner::new();
    scanner.scan("sign-in rejected, wrong credentials");
    let said = Extraction { action: Action::Logout, ..Extraction::unknown(AppFamily::Sshd) };
    assert_eq!(words.key(&said, &scanner), TypedKey::of(&said));
}

#[test]
fn groups_have_names_and_no_family() {
    for number in [0, 17, GROUPS - 1] {
        let key = TypedKey::group(u8::try_from(number).unwrap());
        assert_eq!(TypedKey::parse(&key.to_string()), Some(key));
        assert_eq!((key.family(), key.action(), key.outcome()), (AppFamily::Generic, Action::Other, Outcome::None));
        assert_eq!(TypedKey::from_index(key.index()), Some(key));
    }
    for name in ["words.", "words.256", "words.-1", "words.07", "words.1.2", "words.+1"] {
        assert_eq!(TypedKey::parse(name), None, "{name}");
    }
}

#[test]
fn tables_come_back_from_their_file_and_damaged_ones_are_refused() {
    let words = taught();
    assert_eq!(taught(), words, "the same lines and seed, the same tables");
    let file = words.to_safetensors().unwrap();
    assert_eq!(Words::from_safetensors(&file).unwrap(), words);
    for end in 0..file.len() {
        assert!(Words::from_safetensors(&file[..end]).is_err(), "cut at {end}");
    }
    let text = |file: &[u8], from: &str, to: &str| {
        let at = file.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut changed = file.to_vec();
        changed[at..at + from.len()].copy_from_slice(to.as_bytes());
        Words::from_safetensors(&changed)
    };
    assert!(matches!(text(&file, "\"words\"", "\"wards\""), Err(NetError::Missing(name)) if name == "words"));
    assert!(matches!(text(&file, "\"step\"", "\"stap\""), Err(NetError::Missing(name)) if name == "step"));
    // The numbers of words stand somewhere in the data; turning the whole file's data over puts them out of order.
    let mut mixed = file.clone();
    let header = 8 + usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    mixed[header..].reverse();
    assert!(Words::from_safetensors(&mixed).is_err());
}
