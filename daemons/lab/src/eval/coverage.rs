//! `eval coverage`: for how many lines of programs that the extractors were not written from they know what was done.
//!
//! Lines are those of `CrowdSec`'s cases, by what the case says its log is, and the sets of loghub. A line is covered where its
//! action is not `other`. Where a case names the sources of its alerts, it counts as named where the extractors give
//! each of them as an actor of some line, or as an account.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::{fmt, fs};

use nms_proto::extraction::{Action, Extraction};
use serde::{Deserialize, Serialize};

use super::lines::{meaning, objects};
use super::security::is;

/// The coverage of one program's lines.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Coverage {
    /// Where the lines are from.
    pub set: String,
    /// Whose they are.
    pub program: String,
    /// Lines.
    pub lines: usize,
    /// Lines whose action is known.
    pub known: usize,
    /// Their share.
    pub share: f64,
    /// Cases that name the sources of their alerts.
    pub cases: usize,
    /// Cases whose sources are all found.
    pub named: usize,
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, program, lines, known, share, cases, named } = self;
        write!(f, "{set:<10} {program:<24} {known:>6} of {lines:>6} lines {:6.1} %", share * 100.0)?;
        if *cases > 0 { write!(f, "  sources of {named:>3} of {cases:>3} cases") } else { Ok(()) }
    }
}

#[derive(Debug, Deserialize)]
struct Case {
    log_type: String,
    n_overflows: Option<u32>,
    #[serde(default)]
    overflows: Option<Vec<Overflow>>,
    lines: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Overflow {
    #[serde(default)]
    sources: Vec<String>,
}

/// The coverage of each program in the folder of public data, and of each set as a whole.
///
/// # Errors
/// A file that cannot be read or is not of that form.
pub fn coverage(data: &Path) -> Result<Vec<Coverage>, String> {
    let mut rows = crowdsec(&data.join("security/crowdsec/cases.jsonl"))?;
    rows.extend(loghub(&data.join("loghub_2k"))?);
    Ok(rows)
}

/// What was found in the lines of one case.
#[derive(Default)]
struct Found {
    lines: usize,
    known: usize,
    named: HashSet<String>,
}

impl Found {
    fn take(&mut self, found: &Extraction<'_>, wanted: &[&String]) {
        self.known += usize::from(found.action != Action::Other);
        let names =
            |source: &&&String| is(found.actor, source) || found.account.is_some_and(|name| name == source.as_str());
        self.named.extend(wanted.iter().filter(names).map(|source| (*source).clone()));
    }
}

fn crowdsec(path: &Path) -> Result<Vec<Coverage>, String> {
    let mut rows: BTreeMap<String, Coverage> = BTreeMap::new();
    for case in objects::<Case>(path)? {
        let overflows = case.overflows.unwrap_or_default();
        let wanted: Vec<&String> = overflows.iter().flat_map(|overflow| &overflow.sources).collect();
        let mut found = Found { lines: case.lines.len(), ..Found::default() };
        for line in &case.lines {
            meaning(line, |extraction| found.take(extraction, &wanted));
        }
        let row = rows.entry(case.log_type.to_lowercase()).or_default();
        row.lines += found.lines;
        row.known += found.known;
        if case.n_overflows.is_some_and(|count| count > 0) && !wanted.is_empty() {
            row.cases += 1;
            row.named += usize::from(wanted.iter().all(|source| found.named.contains(*source)));
        }
    }
    let rows = rows.into_iter().map(|(program, row)| Coverage { set: "crowdsec".into(), program, ..row });
    Ok(with_total(rows.collect()))
}

fn loghub(folder: &Path) -> Result<Vec<Coverage>, String> {
    let failed = |cause: &dyn fmt::Display| format!("cannot read {}: {cause}", folder.display());
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder).map_err(|cause| failed(&cause))? {
        let path = entry.map_err(|cause| failed(&cause))?.path();
        let Some(program) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        let Ok(bytes) = fs::read(path.join(format!("{program}_2k.log"))) else { continue };
        let mut found = Found::default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            found.lines += 1;
            meaning(line, |extraction| found.take(extraction, &[]));
        }
        rows.push(Coverage {
            set: "loghub".into(),
            program,
            lines: found.lines,
            known: found.known,
            ..Coverage::default()
        });
    }
    rows.sort_by(|left, right| left.program.cmp(&right.program));
    Ok(with_total(rows))
}

fn with_total(mut rows: Vec<Coverage>) -> Vec<Coverage> {
    let sum = |of: fn(&Coverage) -> usize| rows.iter().map(of).sum();
    let total = Coverage {
        set: rows.first().map(|row| row.set.clone()).unwrap_or_default(),
        program: "all".into(),
        lines: sum(|row| row.lines),
        known: sum(|row| row.known),
        cases: sum(|row| row.cases),
        named: sum(|row| row.named),
        share: 0.0,
    };
    rows.push(total);
    for row in &mut rows {
        row.share = row.known as f64 / row.lines.max(1) as f64;
    }
    rows
}
