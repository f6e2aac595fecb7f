//! The dependency gate: licences, sources, crates that are kept out, and names that are there in several versions.
//!
//! It reads what cargo resolved and asks nobody outside. Known vulnerabilities are looked up where a copy of their database
//! is at hand ([`advisories`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{advisories, run::cargo};

/// Licences that may be in the tree; of a choice one is enough.
const LICENCES: [&str; 12] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "BSL-1.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "WTFPL",
    // LLVM's older licence, as free as MIT; only of libFuzzer, which is in no package.
    "NCSA",
];

/// Crates that are kept out, and why.
const KEPT_OUT: [(&str, &str); 5] = [
    ("tokio", "one runtime is enough, and the static agent stays small: smol"),
    ("async-std", "no longer kept up"),
    ("openssl-sys", "TLS is rustls, so that programs need no library of the host"),
    ("native-tls", "TLS is rustls, so that programs need no library of the host"),
    ("rustls-pemfile", "archived; PEM is read with rustls-pki-types"),
];

/// Names that others bring in several versions. One that is not listed fails, and so does one that need not be any more.
const SEVERAL_VERSIONS: [&str; 33] = [
    "base64",
    "bit-set",
    "bit-vec",
    "bitflags",
    "block-buffer",
    "cpufeatures",
    "crypto-common",
    "darling",
    "darling_core",
    "darling_macro",
    "digest",
    "embedded-io",
    "fancy-regex",
    "fixedbitset",
    "foldhash",
    "getrandom",
    "hashbrown",
    "logos",
    "logos-codegen",
    "logos-derive",
    "nix",
    "nom",
    "r-efi",
    "rand",
    "rand_core",
    "sha2",
    "signal-hook",
    "syn",
    "synstructure",
    "thiserror",
    "thiserror-impl",
    "unicode-width",
    "windows-sys",
];

/// Checks everything that cargo resolved.
pub(crate) fn run() -> Result<(), String> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let resolved: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let mut broken = check(&resolved);
    broken.extend(vulnerable(&resolved)?);
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("dependencies: {}", broken.join("; ")))
}

/// What is vulnerable; nothing where no copy of the database is at hand, which is said.
fn vulnerable(resolved: &Value) -> Result<Vec<String>, String> {
    let Some(folder) = advisories::folder() else {
        println!("advisories: skipped, NMS_ADVISORIES names no copy of the RustSec database");
        return Ok(Vec::new());
    };
    let packages = resolved.get("packages").and_then(Value::as_array).into_iter().flatten();
    let named =
        packages.filter_map(|package| Some((package.get("name")?.as_str()?, package.get("version")?.as_str()?)));
    let (notices, broken): (Vec<_>, Vec<_>) =
        advisories::check(&folder, named)?.into_iter().partition(|known| known.is_notice);
    for notice in notices {
        println!("advisories: {}", notice.what);
    }
    Ok(broken.into_iter().map(|known| known.what).collect())
}

fn check(resolved: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in resolved.get("packages").and_then(Value::as_array).into_iter().flatten() {
        let text = |member: &str| package.get(member).and_then(Value::as_str).unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        versions.entry(name).or_default().insert(version);
        if !is_allowed(text("license")) {
            broken.push(format!("{name} {version} has the licence {:?}", text("license")));
        }
        if let Some((_, why)) = KEPT_OUT.iter().find(|(kept_out, _)| *kept_out == name) {
            broken.push(format!("{name} is kept out: {why}"));
        }
        let source = text("source");
        if !source.is_empty() && !source.starts_with("registry+") {
            broken.push(format!("{name} {version} comes from {source}, which no mirror keeps"));
        }
    }
    let several: BTreeSet<&str> =
        versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| *name).collect();
    let listed: BTreeSet<&str> = SEVERAL_VERSIONS.into_iter().collect();
    broken.extend(several.difference(&listed).map(|name| format!("{name} is there in several versions")));
    broken.extend(listed.difference(&several).map(|name| format!("{name} is listed and there in one version")));
    broken
}

/// Whether an SPDX expression (annex D of its specification, and the old `/`) can be met.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let allowed = either(&mut rest);
    allowed && rest.is_empty()
}

fn either(words: &mut &[&str]) -> bool {
    let mut allowed = both(words);
    while let Some(rest) = words.strip_prefix(&["OR"]) {
        *words = rest;
        // Both sides are read, whatever the first one said.
        allowed |= both(words);
    }
    allowed
}

fn both(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while let Some(rest) = words.strip_prefix(&["AND"]) {
        *words = rest;
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut &[&str]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    *words = rest;
    if *first == "(" {
        let allowed = either(words);
        let Some(rest) = words.strip_prefix(&[")"]) else { return false };
        *words = rest;
        return allowed;
    }
    match *words {
        ["WITH", exception, rest @ ..] => {
            *words = rest;
            LICENCES.contains(&format!("{first} WITH {exception}").as_str())
        }
        _ => LICENCES.contains(first),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_licence_is_allowed_where_one_of_its_choices_is() {
        for expression in [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 / MIT",
            "MIT OR LGPL-2.1-or-later",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(is_allowed(expression), "{expression}");
        }
        for expression in
            ["", "GPL-3.0", "MIT AND GPL-2.0", "(MIT", "MIT Apache-2.0", "GPL-2.0 WITH Classpath-exception"]
        {
            assert!(!is_allowed(expression), "{expression}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let package = |name: &str, version: &str, license: &str, source: &str| json!({ "name": name, "version": version, "license": license, "source": source });
        let packages = vec![
            package("tokio", "1.0.0", "MIT", "registry+x"),
            package("mine", "1.0.0", "GPL-3.0", "registry+x"),
            package("mine", "2.0.0", "MIT", "git+https://example.org"),
        ];
        let broken = check(&json!({ "packages": packages })).join("\n");
        for expected in [
            "tokio is kept out",
            "mine 1.0.0 has the licence \"GPL-3.0\"",
            "mine 2.0.0 comes from git+",
            "mine is there in several versions",
        ] {
            assert!(broken.contains(expected), "{expected} in {broken}");
        }
    }
}
