//! Which files are watched: include patterns as the folders they stand for, less what is excluded.
//!
//! Roots are real paths (`/bin` is `/usr/bin` on most systems), so that nothing below them needs a
//! symbolic link. A pattern covers what it stood for at the last full check too: a root that is
//! removed takes its files along, and each of them is reported.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::pattern::Pattern;

/// An include pattern and what it stands for.
#[derive(Clone, Debug)]
pub struct Include {
    /// The pattern.
    pub pattern: Pattern,
    /// What it stands for now.
    pub now: Vec<PathBuf>,
    /// What it stood for at the last full check; none before the first.
    pub before: Option<Vec<PathBuf>>,
}

/// All that is watched.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The include patterns.
    pub includes: Vec<Include>,
    exclude: Vec<Pattern>,
    /// Folders in which more roots would appear.
    pub ledges: BTreeSet<PathBuf>,
}

impl Roots {
    /// The roots of these patterns; `before` tells what each stood for at the last full check.
    pub fn new(
        include: Vec<Pattern>,
        exclude: Vec<Pattern>,
        before: impl Fn(&Pattern) -> Option<Vec<PathBuf>>,
    ) -> Self {
        let includes =
            include.into_iter().map(|pattern| Include { before: before(&pattern), pattern, now: Vec::new() });
        let mut roots = Self { includes: includes.collect(), exclude, ledges: BTreeSet::new() };
        roots.find();
        roots
    }

    /// Looks what the patterns stand for now; gives the roots that were not there at the last look.
    pub fn find(&mut self) -> Vec<PathBuf> {
        let mut fresh = Vec::new();
        self.ledges.clear();
        for include in &mut self.includes {
            let found = include.pattern.find();
            self.ledges.extend(found.ledges);
            let now: BTreeSet<PathBuf> = found.paths.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
            fresh.extend(now.iter().filter(|root| !include.now.contains(root)).cloned());
            include.now = now.into_iter().collect();
        }
        fresh
    }

    /// Whether `path` is watched.
    pub fn covers(&self, path: &Path) -> bool {
        let below = |include: &Include| {
            include.now.iter().chain(include.before.iter().flatten()).any(|root| path.starts_with(root))
        };
        !self.excludes(path) && self.includes.iter().any(below)
    }

    /// Whether `path` is left out, with all below.
    pub fn excludes(&self, path: &Path) -> bool {
        self.exclude.iter().any(|pattern| pattern.covers(path))
    }

    /// Whether `path` lies only below patterns that were never walked to their end.
    pub fn is_new(&self, path: &Path) -> bool {
        let old =
            |include: &&Include| include.before.is_some() && include.now.iter().any(|root| path.starts_with(root));
        !self.includes.iter().any(|include| old(&include))
    }

    /// The roots to walk: known patterns first, none that lies below another.
    pub fn walk(&self) -> Vec<PathBuf> {
        let mut all: Vec<(bool, &PathBuf)> = Vec::new();
        for include in &self.includes {
            all.extend(include.now.iter().map(|root| (include.before.is_none(), root)));
        }
        all.sort_unstable();
        let mut roots: Vec<PathBuf> = Vec::new();
        for (_, root) in all {
            if !roots.iter().any(|outer| root.starts_with(outer)) {
                roots.push(root.clone());
            }
        }
        roots
    }
}
