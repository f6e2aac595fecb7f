//! Known vulnerabilities of the dependencies, from a copy of the `RustSec` advisory database on this machine.
//!
//! The database is a folder `crates/NAME/ID.md`, each file beginning with TOML between fences. It changes every day and is
//! fetched by whoever has a network: `NMS_ADVISORIES` names the folder.

use std::fs;
use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};
use serde::Deserialize;

#[derive(Deserialize)]
struct Entry {
    advisory: Advisory,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    withdrawn: Option<String>,
    informational: Option<String>,
}

#[derive(Default, Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

/// What is known of one of the packages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Package, version and advisory.
    pub(crate) what: String,
    /// Whether it is a word about upkeep, and no vulnerability.
    pub(crate) is_notice: bool,
}

/// The folder that `NMS_ADVISORIES` names.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os("NMS_ADVISORIES").map(PathBuf::from)
}

/// The advisories of `packages` (name and version) that stand in the copy at `folder`.
///
/// # Errors
/// The folder is no copy of the database, or an advisory cannot be read; by its path.
pub(crate) fn check<'a>(
    folder: &Path,
    packages: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<Known>, String> {
    let crates = folder.join("crates");
    if !crates.is_dir() {
        return Err(format!(
            "NMS_ADVISORIES: {} has no folder crates: it is no copy of the database",
            folder.display()
        ));
    }
    let mut known = Vec::new();
    for (name, version) in packages {
        let Ok(files) = fs::read_dir(crates.join(name)) else { continue };
        for file in files {
            let path = file.map_err(|error| format!("{}: {error}", crates.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                known.extend(one(&path, name, version)?);
            }
        }
    }
    Ok(known)
}

fn one(path: &Path, name: &str, version: &str) -> Result<Option<Known>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let toml = text.split("```").nth(1).and_then(|fenced| fenced.strip_prefix("toml"));
    let toml = toml.ok_or_else(|| failed(&"does not begin with TOML between fences"))?;
    let entry: Entry = toml::from_str(toml).map_err(|error| failed(&error))?;
    let version = Version::parse(version).map_err(|error| failed(&error))?;
    let is_met = |requirements: &[String]| -> Result<bool, String> {
        let parsed: Result<Vec<VersionReq>, _> = requirements.iter().map(|text| VersionReq::parse(text)).collect();
        Ok(parsed.map_err(|error| failed(&error))?.iter().any(|requirement| requirement.matches(&version)))
    };
    let is_safe = is_met(&entry.versions.patched)? || is_met(&entry.versions.unaffected)?;
    let Advisory { id, withdrawn, informational } = entry.advisory;
    if is_safe || withdrawn.is_some() {
        return Ok(None);
    }
    // "Unsound" is a fault of the code; "unmaintained" and "notice" say how it is kept.
    let is_notice = informational.as_deref().is_some_and(|kind| kind != "unsound");
    let kind = informational.map_or_else(String::new, |kind| format!(" ({kind})"));
    Ok(Some(Known { what: format!("{name} {version} has {id}{kind}"), is_notice }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(entries: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (place, text) in entries {
            let path = folder.path().join("crates").join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("```toml\n{text}\n```\n\n# A title\n")).unwrap();
        }
        folder
    }

    #[test]
    fn an_affected_version_is_named_and_a_patched_one_is_not() {
        let hole = "[advisory]\nid = \"A-1\"\npackage = \"leaky\"\n[versions]\npatched = [\">= 1.4.2\"]\nunaffected = [\"< 1.0.0\"]";
        let old =
            "[advisory]\nid = \"A-2\"\npackage = \"old\"\ninformational = \"unmaintained\"\n[versions]\npatched = []";
        let gone = "[advisory]\nid = \"A-3\"\npackage = \"gone\"\nwithdrawn = \"2026-01-01\"\n[versions]\npatched = []";
        let folder = database(&[("leaky/A-1.md", hole), ("old/A-2.md", old), ("gone/A-3.md", gone)]);
        let found = |packages: &[(&'static str, &'static str)]| check(folder.path(), packages.iter().copied()).unwrap();
        let names =
            |known: &[Known]| known.iter().map(|known| (known.what.clone(), known.is_notice)).collect::<Vec<_>>();
        assert_eq!(names(&found(&[("leaky", "1.4.1")])), [("leaky 1.4.1 has A-1".to_owned(), false)]);
        assert_eq!(found(&[("leaky", "1.4.2"), ("leaky", "0.9.0"), ("other", "1.0.0"), ("gone", "1.0.0")]), []);
        assert_eq!(names(&found(&[("old", "2.0.0")])), [("old 2.0.0 has A-2 (unmaintained)".to_owned(), true)]);
    }

    #[test]
    fn a_folder_that_is_no_database_and_an_advisory_that_is_none_are_errors() {
        let empty = tempfile::tempdir().unwrap();
        assert!(check(empty.path(), [("leaky", "1.0.0")]).unwrap_err().contains("no folder crates"));
        let folder = database(&[("leaky/A-1.md", "[advisory]\nid = 7")]);
        assert!(check(folder.path(), [("leaky", "1.0.0")]).unwrap_err().contains("A-1.md"));
    }
}
