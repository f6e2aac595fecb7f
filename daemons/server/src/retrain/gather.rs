//! Log lines into windows, as analysis cuts them.

use std::collections::BTreeMap;

use nms_detect::{Correlator, Settings, extract};
use nms_model::{
    bundle::Bundle,
    key::Scope,
    window::{KeyedEvent, Window, Windows},
    words::{Words, key_of},
};
use nms_proto::{finding::Finding, id::EndpointId, scan::Scanner};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    analyse::{actor_scope, actors::Actors, source_id},
    replay::{Lines, Reading},
};

/// Windows that are kept at most; later ones are counted and left out.
const WINDOWS_MAX: usize = 1 << 20;
/// Of the windows, in parts of ten: to learn from, and to calibrate on.
const LEARN: usize = 8;
const CALIBRATE: usize = 1;

/// Cuts lines of one file after the other into windows.
#[derive(Debug, Default)]
pub struct Gatherer {
    gathered: Gathered,
    files: u64,
    words: Option<Words>,
}

/// What became of the lines.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Windows, oldest first.
    pub windows: Vec<Window>,
    /// Whether each holds events of a finding.
    pub suspect: Vec<bool>,
    /// Lines read.
    pub lines: u64,
    /// Lines that are no message.
    pub refused: u64,
    /// Windows that were too many.
    pub omitted: u64,
}

/// Windows by what they are for.
#[derive(Debug)]
pub struct Parts<'a> {
    /// To learn from.
    pub learn: Vec<&'a Window>,
    /// To calibrate on.
    pub calibrate: Vec<&'a Window>,
    /// To judge by: the ordinary ones.
    pub judge: Vec<&'a Window>,
    /// To judge by: those with events of a finding.
    pub attacked: Vec<&'a Window>,
    /// Left out of the first two because events of a finding are in them.
    pub suspect: usize,
}

impl Gathered {
    /// The windows in three, by time.
    pub fn parts(&self) -> Parts<'_> {
        let learn = self.windows.len() * LEARN / 10;
        let calibrate = self.windows.len() * (LEARN + CALIBRATE) / 10;
        let ordinary = |from: usize, to: usize| {
            let marked = self.windows.iter().zip(&self.suspect).take(to).skip(from);
            marked.filter(|(_, suspect)| !**suspect).map(|(window, _)| window).collect()
        };
        Parts {
            learn: ordinary(0, learn),
            calibrate: ordinary(learn, calibrate),
            judge: ordinary(calibrate, self.windows.len()),
            attacked: (self.windows.iter().zip(&self.suspect).skip(calibrate))
                .filter_map(|(window, suspect)| suspect.then_some(window))
                .collect(),
            suspect: self.suspect.iter().take(calibrate).filter(|suspect| **suspect).count(),
        }
    }
}

/// One file on its way.
struct File {
    lines: Lines,
    correlator: Correlator,
    windows: Windows,
    actors: Actors,
    seed: u64,
    now_ms: u64,
    /// Source of each event that a finding names.
    evidence: BTreeMap<u64, u64>,
    ready: Vec<Window>,
    words: Option<Words>,
    scanner: Scanner,
}

impl Gatherer {
    /// Keys are those of `bundle`.
    pub fn new(bundle: &Bundle) -> Self {
        Self { words: bundle.words.clone(), ..Self::default() }
    }

    /// Takes a file: `each` hands over its lines, without their ends. Files are networks of their own, or the same one
    /// later: their windows do not mix.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn file<E>(
        &mut self,
        reading: &Reading,
        each: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<(), E> {
        self.files += 1;
        let lines = Lines::new(reading);
        let correlator = Correlator::new(Settings { instance: Lines::INSTANCE, admins: reading.admins.clone() });
        let mut file = File {
            lines,
            correlator,
            windows: Windows::default(),
            actors: Actors::default(),
            seed: xxh3_64(&self.files.to_be_bytes()),
            now_ms: 0,
            evidence: BTreeMap::new(),
            ready: Vec::new(),
            words: self.words.clone(),
            scanner: Scanner::new(),
        };
        each(&mut |line| {
            self.gathered.lines += 1;
            self.gathered.refused += u64::from(!file.line(line));
        })?;
        file.tick(u64::MAX);
        for window in &file.ready {
            if self.gathered.windows.len() >= WINDOWS_MAX {
                self.gathered.omitted += 1;
                continue;
            }
            self.gathered.suspect.push(file.is_suspect(window));
            self.gathered.windows.push(window.clone());
        }
        Ok(())
    }

    /// Every file was taken: the windows of all of them, in the order of time.
    pub fn finish(mut self) -> Gathered {
        let ended = |window: &Window| window.positions.last().map_or(0, |last| last.last_at_ms);
        let mut marked: Vec<(Window, bool)> =
            self.gathered.windows.drain(..).zip(self.gathered.suspect.drain(..)).collect();
        marked.sort_by_key(|(window, _suspect)| ended(window));
        (self.gathered.windows, self.gathered.suspect) = marked.into_iter().unzip();
        self.gathered
    }
}

impl File {
    /// Whether the line is a message.
    fn line(&mut self, bytes: &[u8]) -> bool {
        let Some(event) = self.lines.event(bytes) else { return false };
        let now = self.lines.now();
        self.tick(now.unix_ms.max(0) as u64);
        let mut found = Vec::new();
        self.correlator.observe(now, &event, &mut found);
        for finding in &found {
            self.note(finding);
        }
        let extraction = extract(&event);
        let source = source_id(self.seed, &event.source);
        let actor = extraction.actor.map(|actor| actor_scope(source, &actor));
        if let Some(actor) = actor {
            self.actors.note(actor, source);
        }
        let key = key_of(self.words.as_ref(), &event, &extraction, &mut self.scanner);
        let keyed = KeyedEvent::of(&event, &extraction, key, event.id.seq.0);
        let ready = self.windows.push(self.now_ms, source, actor, keyed);
        self.keep(ready);
        true
    }

    /// The windows that are due, each at its own time.
    fn tick(&mut self, now_ms: u64) {
        while let Some(due) = self.windows.deadline().filter(|due| *due <= now_ms) {
            self.now_ms = self.now_ms.max(due);
            let ready = self.windows.tick(self.now_ms);
            self.keep(ready);
        }
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// As the server does, windows of an actor count only where it was at several sources.
    fn keep(&mut self, ready: Vec<Window>) {
        let actors = &self.actors;
        let counts = |window: &Window| !matches!(window.scope, Scope::Actor(actor) if !actors.is_across(actor));
        self.ready.extend(ready.into_iter().filter(counts));
    }

    fn note(&mut self, finding: &Finding) {
        let source = |name: &EndpointId| source_id(self.seed, name);
        let named: Vec<(u64, u64)> =
            finding.evidence.iter().map(|line| (line.id.seq.0, source(&line.source))).collect();
        self.evidence.extend(named);
    }

    /// Whether a run of the window holds an event that a finding names.
    fn is_suspect(&self, window: &Window) -> bool {
        window.positions.iter().any(|position| {
            let mut here = self.evidence.range(position.first..=position.last.max(position.first));
            here.any(|(_, source)| !matches!(window.scope, Scope::Source(here, _) if here != *source))
        })
    }
}
