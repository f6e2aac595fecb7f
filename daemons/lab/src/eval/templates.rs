//! `eval templates`: how well the miner groups lines, with one configuration for every set.
//!
//! Grouping accuracy (Zhu et al. 2019): a line is right where its group holds the very lines that belong to its true
//! template, no more and no less. The miner sees the message alone, masked as in the server.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use nms_model::template::Miner;
use nms_proto::scan::Scanner;
use serde::Serialize;

/// What Drain3 reaches with its generic settings, as published beside the sets.
const DRAIN3_GENERIC: [(&str, f64); 8] = [
    ("HDFS", 0.9975),
    ("BGL", 0.9685),
    ("Linux", 0.6865),
    ("OpenSSH", 0.718),
    ("Apache", 1.0),
    ("Hadoop", 0.963),
    ("Zookeeper", 0.9665),
    ("Spark", 0.9225),
];
/// How the file of true templates ends.
const TRUTH: &str = "_structured.csv";

/// The figure of one set, or the mean of all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grouping {
    /// Its name.
    pub set: String,
    /// Lines.
    pub lines: usize,
    /// True templates.
    pub templates: usize,
    /// Groups that the miner made.
    pub groups: usize,
    /// Share of lines in the right group.
    pub accuracy: f64,
    /// Drain3's, where it is known.
    pub drain3_generic: Option<f64>,
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, lines, templates, groups, accuracy, drain3_generic } = self;
        let beside = drain3_generic.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.4}"));
        write!(
            f,
            "{set:<12} {lines:>6} lines {templates:>5} templates {groups:>5} groups  accuracy {accuracy:.4}  Drain3, generic {beside}"
        )
    }
}

/// The figures of every set below `folder`, in the order of their names, and their mean last.
///
/// # Errors
/// A file that cannot be read, or lacks a column; no set at all.
pub fn templates(folder: &Path) -> Result<Vec<Grouping>, String> {
    let mut rows = Vec::new();
    for path in truths(folder)? {
        rows.push(set(&path)?);
    }
    if rows.is_empty() {
        return Err(format!("{} holds no set: a folder with a file that ends in {TRUTH}", folder.display()));
    }
    let mean = |of: &dyn Fn(&Grouping) -> Option<f64>| {
        let all: Option<Vec<f64>> = rows.iter().map(of).collect();
        all.map(|all| all.iter().sum::<f64>() / all.len() as f64)
    };
    let total = Grouping {
        set: "mean".into(),
        lines: rows.iter().map(|row| row.lines).sum(),
        templates: rows.iter().map(|row| row.templates).sum(),
        groups: rows.iter().map(|row| row.groups).sum(),
        accuracy: mean(&|row| Some(row.accuracy)).unwrap_or(0.0),
        drain3_generic: mean(&|row| row.drain3_generic),
    };
    rows.push(total);
    Ok(rows)
}

/// Files of true templates in the folder and its folders.
fn truths(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |cause: std::io::Error| format!("cannot read {}: {cause}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.extend(truths(&path)?);
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(TRUTH)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn set(path: &Path) -> Result<Grouping, String> {
    let failed = |cause: csv::Error| format!("{}: {cause}", path.display());
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let headers = reader.headers().map_err(failed)?.clone();
    let column = |name: &str| {
        headers.iter().position(|header| header == name).ok_or_else(|| format!("{}: no column {name}", path.display()))
    };
    let (content, event) = (column("Content")?, column("EventId")?);
    let (mut miner, mut scanner) = (Miner::default(), Scanner::new());
    let (mut truth, mut found) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(failed)?;
        scanner.scan(record.get(content).unwrap_or_default());
        found.push(miner.learn(scanner.masked()).id);
        truth.push(record.get(event).unwrap_or_default().to_owned());
    }
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let set = file.split(['_', '.']).next().unwrap_or_default().to_owned();
    Ok(Grouping {
        lines: truth.len(),
        templates: groups(&truth).len(),
        groups: groups(&found).len(),
        accuracy: accuracy(&truth, &found),
        drain3_generic: DRAIN3_GENERIC.iter().find(|(name, _)| *name == set).map(|(_, figure)| *figure),
        set,
    })
}

fn groups<T: Hash + Eq>(labels: &[T]) -> HashMap<&T, Vec<usize>> {
    let mut groups: HashMap<&T, Vec<usize>> = HashMap::new();
    for (line, label) in labels.iter().enumerate() {
        groups.entry(label).or_default().push(line);
    }
    groups
}

/// Share of lines whose group holds the very lines of their true template; 0 for no lines.
pub fn accuracy<T: Hash + Eq, G: Hash + Eq>(truth: &[T], found: &[G]) -> f64 {
    let (truth_groups, found_groups) = (groups(truth), groups(found));
    let is_right = |(label, group): &(&T, &G)| truth_groups.get(label) == found_groups.get(group);
    let right = truth.iter().zip(found).filter(is_right).count();
    right as f64 / truth.len().max(1) as f64
}
