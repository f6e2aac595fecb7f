//! House rules that no compiler checks: one home for each outside crate, modules in order, short files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::run::root;

/// Crates that may be named only below these paths (docs/ARCHITECTURE.md, "One home for each crate").
const HOMES: &[(&str, &[&str])] = &[
    ("nom::", &["proto/src/syslog"]),
    ("simd_json::", &["proto/src/json.rs"]),
    ("async_rustls::", &["daemons/kit/src/tls"]),
    ("redb::", &["daemons/kit/src/store", "daemons/kit/tests"]),
    ("candle_core::", &["model", "daemons/lab"]),
    ("candle_nn::", &["model"]),
    ("candle_onnx::", &["model/src/onnx", "model/tests"]),
    ("candle_transformers::", &["model/src/masked.rs"]),
    ("prost::", &["model/src/onnx", "model/tests"]),
    ("crossterm::", &["tui/src/term.rs", "tui/tests"]),
    ("sha2::", &["daemons/kit/src/digest.rs", "model/src/bundle.rs"]),
    ("rcgen::", &["daemons/kit/src/pki"]),
    ("x509_parser::", &["daemons/kit/src/pki"]),
    ("mimalloc::", &["daemons/hub/src/main.rs", "daemons/server/src/main.rs", "daemons/lab/src/main.rs"]),
];

/// Longest file, in lines; about 400 is the aim, a split must follow the sense.
const FILE_LINES_MAX: usize = 450;
/// Words that may not stand in the project: paths and tools of the machines it was built on.
const FORBIDDEN: &[&str] = &["/work/", "../shared/design", ".library"];

/// Folders whose async code runs on the few threads of an executor.
const ASYNC: &[&str] =
    &["daemons/kit/src", "daemons/collect/src", "daemons/agent/src", "daemons/hub/src", "daemons/server/src"];
/// What waits for a disk, a network, a clock or another thread, and so may stand in no async function there.
const BLOCKING: &[&str] = &[
    "fs::",
    "File::",
    "std::net::Tcp",
    "std::net::Udp",
    "to_socket_addrs",
    "thread::sleep",
    "clock::block(",
    "block_on(",
    "_blocking(",
    "Command::new",
    "Regex::new",
    "open_file(",
];
/// Async functions that may: they run before anybody is served, or their text is apart from a task.
const MAY_BLOCK: &[(&str, &str)] =
    &[("daemons/hub/src/lib.rs", "start"), ("daemons/server/src/server.rs", "start_with")];

/// Checks every rule and names all that is broken.
pub(crate) fn run() -> Result<(), String> {
    let root = root();
    let files = sources(&root);
    let mut broken = Vec::new();
    for (path, text) in &files {
        homes(path, text, &mut broken);
        length(path, text, &mut broken);
        words(path, text, &mut broken);
        if ASYNC.iter().any(|folder| path.starts_with(folder)) {
            blocking(path, text, &mut broken);
        }
    }
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with("src/lib.rs")) {
        order(path, text, &files, &mut broken);
    }
    for problem in &broken {
        eprintln!("tidy: {problem}");
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("{} house rules are broken", broken.len())) }
}

type Files = BTreeMap<PathBuf, String>;

/// All Rust files that git would take, by their path from the root.
fn sources(root: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && let (Ok(text), Ok(short)) = (fs::read_to_string(&path), path.strip_prefix(root))
            {
                files.insert(short.to_path_buf(), text);
            }
        }
    }
    files
}

fn homes(path: &Path, text: &str, broken: &mut Vec<String>) {
    if path.starts_with("xtask") {
        return;
    }
    for (krate, homes) in HOMES {
        if homes.iter().any(|home| path.starts_with(home)) {
            continue;
        }
        let used = code_lines(text).find(|(_, line)| names(line, krate));
        if let Some((number, _)) = used {
            broken.push(format!("{}:{number}: {krate} is used outside its home {homes:?}", path.display()));
        }
    }
}

/// Whether the line names the crate, and not something that ends like it.
fn names(line: &str, krate: &str) -> bool {
    line.match_indices(krate).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|character| character.is_alphanumeric() || character == '_' || character == ':')
    })
}

fn length(path: &Path, text: &str, broken: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX && !path.components().any(|part| part.as_os_str() == "tests") {
        broken.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", path.display()));
    }
}

fn words(path: &Path, text: &str, broken: &mut Vec<String>) {
    if path.ends_with("tidy.rs") {
        return;
    }
    for word in FORBIDDEN {
        if text.contains(word) {
            broken.push(format!("{}: names {word:?}", path.display()));
        }
    }
}

/// Nothing in an async function blocks, unless it is handed to a thread by `unblock`.
fn blocking(path: &Path, text: &str, broken: &mut Vec<String>) {
    for (number, function, word) in blocking_calls(text) {
        if !MAY_BLOCK.iter().any(|(file, name)| path == Path::new(file) && *name == function) {
            broken.push(format!(
                "{}:{number}: {word} in the async function {function} would hold up every task: hand it to smol::unblock",
                path.display()
            ));
        }
    }
}

/// What blocks in async functions and async blocks, with its line and the function; what is handed to `unblock` does not.
/// It goes by the form that rustfmt gives: what begins with a line ends at the first one that stands no further right.
fn blocking_calls(text: &str) -> Vec<(usize, &str, &'static str)> {
    let mut found = Vec::new();
    // The function or block that is open, and how far right it begins; the call of `unblock` likewise.
    let (mut function, mut apart): (Option<(usize, &str)>, Option<usize>) = (None, None);
    for (number, line) in code_lines(text).filter(|(_, line)| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        if function.is_some_and(|(begun, _)| indent <= begun) && !line.trim_start().starts_with([')', '{', '>']) {
            function = None;
        }
        if apart.is_some_and(|begun| indent <= begun) {
            apart = None;
        }
        let mut own = line;
        if function.is_none()
            && let Some(at) = ["async fn ", "async {", "async move {"].iter().find_map(|word| line.find(word))
        {
            // What stands before a block is of the function around it.
            own = line.get(at..).unwrap_or_default();
            let name = own.strip_prefix("async fn ").and_then(|rest| rest.split(['(', '<']).next());
            function = Some((indent, name.unwrap_or("block")));
        }
        let Some((_, name)) = function else { continue };
        if apart.is_none() && !line.contains("unblock(") {
            found.extend(BLOCKING.iter().find(|word| calls(own, word)).map(|word| (number, name, *word)));
        }
        if apart.is_none() && line.contains("unblock(") && !line.trim_end().ends_with(';') {
            apart = Some(indent);
        }
    }
    found
}

/// Whether the line calls it by its own name, whatever module it is of; smol's own do not block.
fn calls(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let is_longer = before.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !word.starts_with('_');
        let is_async = before.ends_with("smol::") && word != "block_on(";
        !(is_longer || is_async)
    })
}

/// In a `lib.rs` modules stand in dependency order: none uses one that stands below it.
fn order(path: &Path, text: &str, files: &Files, broken: &mut Vec<String>) {
    let modules: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix("mod "))
        .filter_map(|rest| rest.strip_suffix(';'))
        .collect();
    let Some(folder) = path.parent() else { return };
    for (index, module) in modules.iter().enumerate() {
        let later = modules.get(index + 1..).unwrap_or_default();
        let own = files
            .iter()
            .filter(|(file, _)| file.starts_with(folder.join(module)) || **file == folder.join(format!("{module}.rs")));
        for (file, text) in own {
            for (number, used) in used_modules(text) {
                if later.contains(&used) {
                    broken.push(format!("{}:{number}: uses {used}, which stands below {module}", file.display()));
                }
            }
        }
    }
}

/// The modules that follow `crate::`, alone or in a group over any number of lines, with the line of each.
fn used_modules(text: &str) -> Vec<(usize, &str)> {
    let word = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut found = Vec::new();
    // Levels of braces inside a group that began with `crate::{`; none outside of one.
    let mut depth: Option<usize> = None;
    for (number, line) in code_lines(text) {
        let mut rest = line;
        while !rest.is_empty() {
            let Some(level) = depth else {
                let Some(at) = rest.find("crate::") else { break };
                rest = rest.get(at + "crate::".len()..).unwrap_or_default();
                match rest.strip_prefix('{') {
                    Some(group) => (depth, rest) = (Some(1), group),
                    None => found.extend(rest.get(..word(rest)).map(|name| (number, name))),
                }
                continue;
            };
            let end = word(rest);
            if end > 0 {
                let (name, behind) = rest.split_at(end);
                // Only what stands directly in the group is a module of the crate; what follows `::` lies in it.
                let is_first = !line.get(..line.len() - rest.len()).unwrap_or_default().ends_with("::");
                if level == 1 && is_first {
                    found.push((number, name));
                }
                rest = behind;
                continue;
            }
            depth = match rest.chars().next() {
                Some('{') => Some(level + 1),
                Some('}') if level == 1 => None,
                Some('}') => Some(level - 1),
                _ => depth,
            };
            rest = rest.get(rest.chars().next().map_or(1, char::len_utf8)..).unwrap_or_default();
        }
    }
    found
}

/// Numbered lines that are no comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::{blocking_calls, used_modules};

    #[test]
    fn blocking_calls_in_async_tasks_are_found() {
        let text = "fn sync() {\n    fs::read(path);\n}\n\nasync fn one(\n    a: u8,\n) {\n    let x = smol::fs::read(path).await;\n    \
                    std::fs::read(path);\n    smol::unblock(move || fs::read(path)).await;\n    let y = smol::unblock(move || {\n        \
                    fs::read(path)\n    })\n    .await;\n    clock::block(5);\n}\n\nfn other() {\n    let task = async move {\n        \
                    smol::block_on(x);\n    };\n    smol::block_on(task);\n}\n";
        let found = blocking_calls(text);
        assert_eq!(found, [(9, "one", "fs::"), (15, "one", "clock::block("), (20, "block", "block_on(")]);
    }

    #[test]
    fn modules_are_found_alone_and_in_groups() {
        let text = "use crate::store;\n// crate::never\nuse crate::{\n    clock, net::{tcp, udp},\n    task::Tasks,\n};\n\
                    let x = crate::tls::acceptor(a, crate::pki::init());\nuse std::{fmt, io};\n";
        let found: Vec<_> = used_modules(text);
        assert_eq!(found, [(1, "store"), (4, "clock"), (4, "net"), (5, "task"), (7, "tls"), (7, "pki")]);
    }
}
