//! docs/PROTOCOL.md against the code: every bound with its value, every word, every example.

use std::collections::{BTreeMap, BTreeSet};

use nms_proto::alert::{Status, Verdict};
use nms_proto::dash::{DashAction, EndpointKind, EndpointStatus, FromHub, Role, ServerState, ToHub};
use nms_proto::event::Change;
use nms_proto::finding::Category;
use nms_proto::json::{self, Decoder};
use nms_proto::message::{self, AckStatus, CommandAction};
use nms_proto::severity::Severity;
use nms_proto::syslog::Reject;
use nms_proto::time::Stamp;
use serde::Serialize;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");
const LIMITS: &str = include_str!("../../src/limits.rs");

/// The value of an expression as `limits.rs` has them: numbers and names, with `*`, `<<` or `..=` between them.
fn value(expression: &str, known: &BTreeMap<&str, String>) -> String {
    let number = |text: &str| value(text, known).parse::<u64>().unwrap();
    if let Some((from, to)) = expression.split_once("..=") {
        format!("{} to {}", value(from, known), value(to, known))
    } else if let Some((left, right)) = expression.split_once(" << ") {
        (number(left) << number(right)).to_string()
    } else if let Some((left, right)) = expression.split_once(" * ") {
        (number(left) * number(right)).to_string()
    } else {
        let plain =
            || expression.replace('_', "").parse::<u64>().unwrap_or_else(|_| panic!("{expression}")).to_string();
        known.get(expression).cloned().unwrap_or_else(plain)
    }
}

#[test]
fn every_bound_stands_in_the_table_with_its_value() {
    let mut known = BTreeMap::new();
    for line in LIMITS.lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let (name, rest) = line.split_once(": ").unwrap();
        let (_type, expression) = rest.split_once(" = ").unwrap();
        known.insert(name, value(expression.trim_end_matches(';'), &known));
    }
    assert!(known.len() > 60, "limits.rs was not read");
    for (name, value) in known {
        let start = format!("| `{name}` | ");
        let row = DOCUMENT.lines().find_map(|line| line.strip_prefix(start.as_str()));
        let row = row.unwrap_or_else(|| panic!("{name} is missing in docs/PROTOCOL.md"));
        let (said, _what) = row.split_once(" | ").unwrap();
        assert_eq!(said.replace(',', ""), value, "{name}");
    }
}

#[test]
fn every_word_of_a_closed_list_is_named() {
    let lists: [Vec<&str>; 12] = [
        Category::ALL.iter().map(Category::as_str).collect(),
        Status::ALL.iter().map(Status::as_str).collect(),
        Verdict::ALL.iter().map(Verdict::as_str).collect(),
        Severity::ALL.iter().map(|severity| severity.as_str()).collect(),
        Change::ALL.iter().map(Change::as_str).collect(),
        CommandAction::ALL.iter().map(CommandAction::as_str).collect(),
        AckStatus::ALL.iter().map(AckStatus::as_str).collect(),
        Role::ALL.iter().map(Role::as_str).collect(),
        EndpointKind::ALL.iter().map(EndpointKind::as_str).collect(),
        [
            EndpointStatus::ALL.iter().map(EndpointStatus::as_str).collect::<Vec<_>>(),
            ServerState::ALL.iter().map(ServerState::as_str).collect(),
        ]
        .concat(),
        DashAction::ALL.iter().map(DashAction::as_str).collect(),
        Reject::ALL.iter().map(|reason| reason.name()).collect(),
    ];
    for word in lists.concat() {
        assert!(DOCUMENT.contains(&format!("`{word}`")), "{word} is missing in docs/PROTOCOL.md");
    }
}

/// The examples of the document: the content of its `json` blocks.
fn examples() -> impl Iterator<Item = &'static str> {
    DOCUMENT.split("```json\n").skip(1).map(|rest| rest.split_once("\n```").unwrap().0)
}

/// `example` as our types understand it, written again.
fn understood(example: &str) -> Result<Value, String> {
    fn again(value: &impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }
    let first = match message::read(&mut Decoder::default(), example.as_bytes(), Stamp::default()) {
        Ok(message) => {
            let envelope: Value = serde_json::from_str(example).unwrap();
            let stamp = envelope["timestamp"].as_str().unwrap().parse().unwrap();
            return Ok(serde_json::from_slice(&message.to_frame(stamp).unwrap()[4..]).unwrap());
        }
        Err(problem) => problem,
    };
    let from_hub = json::decode::<FromHub>(example.as_bytes()).map(|message| again(&message));
    from_hub
        .or_else(|_| json::decode::<ToHub>(example.as_bytes()).map(|message| again(&message)))
        .map_err(|last| format!("{first}, or: {last}"))
}

/// Whether all that `said` says stands in `meant` too; a member that the types do not know is lost there.
fn holds(meant: &Value, said: &Value) -> bool {
    match (meant, said) {
        (Value::Object(meant), Value::Object(said)) => {
            said.iter().all(|(key, said)| meant.get(key).is_some_and(|meant| holds(meant, said)))
        }
        (Value::Array(meant), Value::Array(said)) => {
            meant.len() == said.len() && meant.iter().zip(said).all(|(meant, said)| holds(meant, said))
        }
        (Value::Number(meant), Value::Number(said)) => {
            meant.as_f64().map(|real| real as f32) == said.as_f64().map(|real| real as f32)
        }
        (meant, said) => meant == said,
    }
}

#[test]
fn every_example_is_understood_to_its_last_member() {
    let mut types = BTreeSet::new();
    for example in examples() {
        let meant = understood(example).unwrap_or_else(|problem| panic!("{problem}\n{example}"));
        let said: Value = serde_json::from_str(example).unwrap();
        assert!(holds(&meant, &said), "said:  {said}\nmeant: {meant}");
        types.insert(said["type"].as_str().unwrap().to_owned());
    }
    let expected = "ACK BATCH_EVENT COMMAND EVENT HEARTBEAT REGISTER RESULTS alert command endpoints gap hello lines link \
                    parse_errors result snapshot stats subscribe";
    assert_eq!(types.into_iter().collect::<Vec<_>>().join(" "), expected, "one example each");
}

const HOUSE: &str = include_str!("../../../docs/ARCHITECTURE.md");
const TIDY: &str = include_str!("../../../xtask/src/tidy.rs");

#[test]
fn every_file_that_the_house_names_is_there() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // The table of homes is another test's: it may name a home that is free.
    let (before, table) = HOUSE.split_once("| crate | home |").unwrap();
    let text = [before, table.split_once("\n\n").unwrap().1].concat();
    let quoted = text.split('`').skip(1).step_by(2);
    let folders = ["proto/", "model/", "daemons/", "tui/", "xtask/"];
    let paths: BTreeSet<&str> = quoted.filter(|word| folders.iter().any(|folder| word.starts_with(folder))).collect();
    assert!(paths.len() > 80, "the document was not read");
    let missing: Vec<_> = paths.iter().filter(|path| !root.join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_homes_are_those_that_are_checked() {
    let rows = |text: &'static str| text.lines().map(str::trim);
    let from = rows(TIDY).skip_while(|line| !line.starts_with("const HOMES")).skip(1).take_while(|line| *line != "];");
    let checked: Vec<String> = from
        .map(|line| {
            let mut words = line.split('"').skip(1).step_by(2);
            let krate = words.next().unwrap().trim_end_matches("::");
            let homes: Vec<String> = words.map(|home| format!("`{home}`")).collect();
            format!("| `{krate}` | {} |", homes.join(", "))
        })
        .collect();
    let said =
        rows(HOUSE).skip_while(|line| *line != "| crate | home |").skip(2).take_while(|line| line.starts_with('|'));
    assert_eq!(checked, said.collect::<Vec<_>>());
}

/// Whatever the threat model calls a test is one, and every file that it names is there.
#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = std::fs::read_to_string(root.join("docs/THREAT-MODEL.md")).unwrap();
    let mut sources = String::new();
    let mut folders =
        vec![root.join("proto"), root.join("model"), root.join("daemons"), root.join("tui"), root.join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let quoted: Vec<&str> = document.split('`').skip(1).step_by(2).collect();
    let is_test = |word: &&&str| {
        word.matches('_').count() >= 3 && word.chars().all(|c| c.is_lowercase() || c.is_numeric() || c == '_')
    };
    let tests: Vec<_> = quoted.iter().filter(is_test).collect();
    assert!(tests.len() > 20, "the threat model was not read");
    for test in tests {
        assert!(sources.contains(&format!("fn {test}(")), "{test} is no test");
    }
    let is_source = |word: &&&str| std::path::Path::new(word).extension().is_some_and(|extension| extension == "rs");
    for file in quoted.iter().filter(is_source) {
        assert!(root.join(file).exists(), "{file} is not there");
    }
}

/// Each class of bad input that peers fell to has a row, and each row a test.
#[test]
fn every_class_of_bad_input_has_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = std::fs::read_to_string(root.join("docs/THREAT-MODEL.md")).unwrap();
    let (_, section) = document.split_once("## What peers fell to\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| class |"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    for row in &rows {
        let [class, what, tests] = row[..] else { panic!("{row:?} has another number of columns") };
        assert!(!what.is_empty() && tests.matches('`').count() >= 2, "{class} has no test");
    }
    let classes = [
        "frame counts",
        "octet counts",
        "log lines",
        "RFC 3164",
        "open types",
        "file name or path",
        "line feeds",
        "terminal escapes",
        "--plain",
        "blocking calls",
        "per-address limits",
        "JSON depth",
        "duplicate keys",
        "huge numbers",
        "million empty events",
        "regular expressions",
        "u64 counters",
        "slow handshakes",
        "EMFILE",
        "FIFOs, sparse files, symlink races and /proc",
    ];
    for class in classes {
        assert_eq!(rows.iter().filter(|row| row[0].contains(class)).count(), 1, "{class}");
    }
    assert_eq!(rows.len(), classes.len());
}
