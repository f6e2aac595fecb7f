//! `eval transfer`: what typed keys and the model are worth on applications that nobody taught them.
//!
//! The vendors of the generator are parted; words and net are trained without one part, and judged on it. Each figure
//! stands beside what is simpler: template ids, a list of twenty words, a back-off n-gram, the share of word pairs that
//! training never had.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;

use nms_detect::extract;
use nms_model::eval::{Ngram, auroc};
use nms_model::key::TypedKey;
use nms_model::score::Scorer;
use nms_model::template::Miner;
use nms_model::window::Window;
use nms_model::words::{Words, key_of};
use nms_proto::event::{Body, Draft, Event, Syslog};
use nms_proto::extraction::{Action, Outcome};
use nms_proto::id::{EndpointId, EventId, EventSeq, Instance};
use nms_proto::scan::Scanner;
use nms_proto::time::Stamp;
use serde::Serialize;

use super::lines::objects;
use super::probability::{calibration_error, logistic};
use super::rewordings::REWORDINGS;
use super::security::Line;
use crate::corpus::{Emission, Label, VENDORS, lessons, vendor_lines};
use crate::train::{BaseOptions, Kinds, evaluation_network, evaluation_set, train_base, training_network, windows_of};

/// Parts that the vendors are cut into; each is left out once.
const FOLDS: usize = 4;
/// Networks that the windows of left-out vendors come from.
const NETWORKS: u64 = 8;
/// The log odds of 0.1.
const LIKELY: f64 = -2.197_224_577;
/// What a simple rule takes for a failed login: one of these words, and one of [`LOGIN_WORDS`].
const FAILURE_WORDS: [&str; 12] = [
    "failed",
    "failure",
    "invalid",
    "denied",
    "incorrect",
    "bad",
    "wrong",
    "refused",
    "rejected",
    "unsuccessful",
    "error",
    "unknown",
];
/// The other half of the twenty words.
const LOGIN_WORDS: [&str; 8] = ["login", "logon", "password", "auth", "authentication", "user", "sign", "credentials"];

/// One figure, with what is simpler beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub measure: &'static str,
    /// Who.
    pub detector: &'static str,
    /// Its value.
    pub value: f64,
    /// Of how many.
    pub of: usize,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, detector, value, of } = self;
        write!(f, "{measure:<44} {detector:<28} {value:.3}  of {of}")
    }
}

/// Trains without a part of the vendors, and judges on it. `lines` are public lines with truth, where there are any.
///
/// # Errors
/// In words, where training fails or a file cannot be read.
pub fn transfer(options: &BaseOptions, lines: Option<&Path>, mut say: impl FnMut(&str)) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    lines_of_left_out_vendors(options.recipe.seed, &mut figures);
    let all = lessons(&(0..VENDORS), options.recipe.seed).learned(options.recipe.seed);
    rewordings(&all, &mut figures);
    if let Some(path) = lines {
        public_lines(&all, path, &mut figures)?;
    }
    let (own, left_out) = (0..VENDORS / 2, VENDORS / 2..VENDORS);
    let options = BaseOptions { vendors: own.clone(), ..options.clone() };
    windows_of_left_out_vendors(&options, own, left_out, &mut say, &mut figures)?;
    Ok(figures)
}

/// A line as an event of a program without an extractor.
fn event(line: &str) -> Event {
    let body =
        Body::Syslog(Syslog { severity: 6, app: Some("appd".into()), message: line.into(), ..Syslog::default() });
    let id = EventId { instance: Instance::UNNAMED, seq: EventSeq::default() };
    Draft::new(body).named(id, EndpointId::new("host"), Stamp { unix_ms: 0, offset_min: 0 })
}

/// The key of a line, from its words alone: the extractors are left aside.
fn by_words(words: &Words, line: &str, scanner: &mut Scanner) -> TypedKey {
    let event = event(line);
    let mut extraction = extract(&event);
    (extraction.action, extraction.outcome) = (Action::Other, Outcome::None);
    key_of(Some(words), &event, &extraction, scanner)
}

fn has_words(line: &str, scanner: &mut Scanner) -> bool {
    scanner.scan(line);
    let (mut failure, mut login) = (false, false);
    scanner.for_each_word(|word| {
        let word = std::str::from_utf8(word).unwrap_or_default();
        failure |= FAILURE_WORDS.contains(&word);
        login |= LOGIN_WORDS.contains(&word);
    });
    failure && login
}

fn word_pairs(line: &str, scanner: &mut Scanner) -> Vec<(u64, u64)> {
    scanner.scan(line);
    let mut words = Vec::new();
    scanner.for_each_word(|word| words.push(xxhash_rust::xxh3::xxh3_64(word)));
    words.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect()
}

/// What was named, and what was meant.
#[derive(Default)]
struct Confusion(BTreeMap<(Action, Action), usize>);

impl Confusion {
    fn accuracy(&self) -> (f64, usize) {
        let all: usize = self.0.values().sum();
        let right: usize = self.0.iter().filter(|((named, meant), _)| named == meant).map(|(_, count)| count).sum();
        (right as f64 / all.max(1) as f64, all)
    }

    fn macro_f1(&self) -> f64 {
        let classes: BTreeSet<Action> = self.0.keys().map(|(_, meant)| *meant).collect();
        let sum = |of: &dyn Fn(&(Action, Action)) -> bool| {
            self.0.iter().filter(|(pair, _)| of(pair)).map(|(_, count)| *count).sum::<usize>() as f64
        };
        let f1 = |class: Action| {
            let right = sum(&|pair| *pair == (class, class));
            2.0 * right / (sum(&|pair| pair.0 == class) + sum(&|pair| pair.1 == class)).max(1.0)
        };
        classes.iter().map(|class| f1(*class)).sum::<f64>() / classes.len().max(1) as f64
    }
}

/// Hits of a binary question.
#[derive(Default)]
struct Hits {
    right: usize,
    named: usize,
    meant: usize,
}

impl Hits {
    fn count(&mut self, named: bool, meant: bool) {
        self.right += usize::from(named && meant);
        self.named += usize::from(named);
        self.meant += usize::from(meant);
    }

    fn show(&self, recall: &'static str, precision: &'static str, detector: &'static str, figures: &mut Vec<Figure>) {
        let share = |of: usize| self.right as f64 / of.max(1) as f64;
        figures.push(Figure { measure: recall, detector, value: share(self.meant), of: self.meant });
        figures.push(Figure { measure: precision, detector, value: share(self.named), of: self.named });
    }
}

/// Every vendor's lines, named by words that were learned from the vendors of the other parts.
fn lines_of_left_out_vendors(seed: u64, figures: &mut Vec<Figure>) {
    let mut scanner = Scanner::new();
    let (mut confusion, mut ours, mut listed) = (Confusion::default(), Hits::default(), Hits::default());
    let (mut new_templates, mut new_pairs, mut pairs, mut lines) = (0, 0, 0, 0);
    for fold in 0..FOLDS {
        let part = fold * VENDORS / FOLDS..(fold + 1) * VENDORS / FOLDS;
        let (before, mut others) = (lessons(&(0..part.start), seed), lessons(&(part.end..VENDORS), seed));
        others.lines.extend(before.lines);
        others.nonsense.extend(before.nonsense);
        let words = others.learned(seed);
        let mut templates = HashSet::new();
        let mut seen = HashSet::new();
        for (line, _) in &others.lines {
            seen.extend(word_pairs(line, &mut scanner));
            templates.insert(scanner.masked().to_owned());
        }
        for (line, meaning) in vendor_lines(&part, seed) {
            let key = by_words(&words, &line, &mut scanner);
            *confusion.0.entry((key.action(), meaning.action)).or_default() += 1;
            let meant = (meaning.action, meaning.outcome) == (Action::Login, Outcome::Failed);
            ours.count((key.action(), key.outcome()) == (Action::Login, Outcome::Failed), meant);
            listed.count(has_words(&line, &mut scanner), meant);
            let here = word_pairs(&line, &mut scanner);
            new_templates += usize::from(!templates.contains(scanner.masked()));
            pairs += here.len();
            new_pairs += here.iter().filter(|pair| !seen.contains(pair)).count();
            lines += 1;
        }
    }
    let (accuracy, of) = confusion.accuracy();
    let unknown = confusion.0.iter().filter(|((named, meant), _)| *named == Action::Other && *meant != Action::Other);
    let unknown: usize = unknown.map(|(_, count)| count).sum();
    let mut show = |measure, detector, value, of| figures.push(Figure { measure, detector, value, of });
    show("unknown on left-out vendors", "template ids", new_templates as f64 / lines.max(1) as f64, lines);
    show("unknown on left-out vendors", "word pairs", new_pairs as f64 / pairs.max(1) as f64, pairs);
    show("unknown on left-out vendors", "typed keys by words", unknown as f64 / lines.max(1) as f64, lines);
    show("action named right on left-out vendors", "typed keys by words", accuracy, of);
    show("macro-F1 of actions on left-out vendors", "typed keys by words", confusion.macro_f1(), of);
    ours.show("recall of failed logins", "precision of failed logins", "typed keys by words", figures);
    listed.show("recall of failed logins", "precision of failed logins", "twenty words", figures);
}

/// Real messages and what later versions of the same programs made of them: a key should not change with them. Pairs
/// that are `other` on both sides count as lost: nothing is known of either.
fn rewordings(words: &Words, figures: &mut Vec<Figure>) {
    let mut scanner = Scanner::new();
    let mut miner = Miner::default();
    let (mut extractors, mut whole, mut alone, mut templates) = (0, 0, 0, 0);
    let named = |app: &str, line: &str| {
        let mut event = event(line);
        if let Body::Syslog(syslog) = &mut event.body {
            syslog.app = Some(app.into());
        }
        event
    };
    let same = |old: TypedKey, new: TypedKey| usize::from(old == new && old.action() != Action::Other);
    for (app, old, new) in REWORDINGS {
        let events = [named(app, old), named(app, new)];
        let [old_key, new_key] = events.each_ref().map(|event| TypedKey::of(&extract(event)));
        extractors += same(old_key, new_key);
        let [old_key, new_key] =
            events.each_ref().map(|event| key_of(Some(words), event, &extract(event), &mut scanner));
        whole += same(old_key, new_key);
        alone += same(by_words(words, old, &mut scanner), by_words(words, new, &mut scanner));
        let [old_template, new_template] = [old, new].map(|line| {
            scanner.scan(line);
            miner.learn(scanner.masked()).id
        });
        templates += usize::from(old_template == new_template);
    }
    let of = REWORDINGS.len();
    let mut show = |detector, count: usize| {
        figures.push(Figure {
            measure: "keys kept over real rewordings",
            detector,
            value: count as f64 / of as f64,
            of,
        });
    };
    show("extractors alone", extractors);
    show("extractors, then words", whole);
    show("words alone", alone);
    show("template ids of the miner", templates);
}

/// Lines of many programs that people wrote filters for.
fn public_lines(words: &Words, path: &Path, figures: &mut Vec<Figure>) -> Result<(), String> {
    let mut scanner = Scanner::new();
    let [mut ours, mut whole, mut listed, mut always] = <[Hits; 4]>::default();
    for line in objects::<Line>(path)? {
        let key = by_words(words, &line.text, &mut scanner);
        ours.count(key.outcome() == Outcome::Failed, line.must_match);
        always.count(true, line.must_match);
        let event = event(&line.text);
        let key = key_of(Some(words), &event, &extract(&event), &mut scanner);
        whole.count(key.outcome() == Outcome::Failed, line.must_match);
        listed.count(has_words(&line.text, &mut scanner), line.must_match);
    }
    always.show("recall on public filters' lines", "precision on public filters' lines", "always yes", figures);
    whole.show(
        "recall on public filters' lines",
        "precision on public filters' lines",
        "failed, by extractors and words",
        figures,
    );
    ours.show("recall on public filters' lines", "precision on public filters' lines", "words alone", figures);
    listed.show("recall on public filters' lines", "precision on public filters' lines", "twenty words", figures);
    Ok(())
}

/// Attack windows on networks whose applications are all of left-out vendors.
fn windows_of_left_out_vendors(
    options: &BaseOptions,
    own: Range<usize>,
    left_out: Range<usize>,
    say: &mut impl FnMut(&str),
    figures: &mut Vec<Figure>,
) -> Result<(), String> {
    let (bundle, training) = train_base(options, None, |trainer| {
        let progress = trainer.progress();
        if progress.step % 100 == 0 {
            say(&format!("step {} of {}", progress.step, progress.steps));
        }
        Ok(())
    })?;
    let words = bundle.words.as_ref();
    let set = evaluation_set(NETWORKS, left_out.clone(), words);
    let known: HashSet<TypedKey> = bundle.vocabulary.keys().iter().copied().collect();
    let positions = || set.ordinary.iter().flat_map(|window| &window.positions);
    let unknown = positions().filter(|position| !known.contains(&position.key)).count();
    let of = positions().count();
    let value = unknown as f64 / of.max(1) as f64;
    figures.push(Figure { measure: "unknown in left-out networks' windows", detector: "typed keys", value, of });

    let mut scorer = Scorer::new(&bundle).map_err(|cause| cause.to_string())?;
    let ngram = Ngram::learn(&training.ordinary);
    let mut measures: BTreeMap<&'static str, [Vec<f32>; 3]> = BTreeMap::new();
    let (mut fitted, mut unscored, mut all) = (Vec::new(), 0, 0);
    for (at, group) in groups(&set).iter().enumerate() {
        for window in group {
            all += 1;
            // Of a window of unknown keys the model says nothing.
            let Ok(score) = scorer.score(window) else {
                unscored += 1;
                continue;
            };
            let pairs = [
                ("logbert surprise", score.surprise),
                ("logbert distance", score.distance),
                ("n-gram", ngram.score(window, 0.25)),
            ];
            for (detector, value) in pairs {
                if let Some(list) = measures.entry(detector).or_default().get_mut(at) {
                    list.push(value);
                }
            }
            fitted.push((score.distance, at == 1));
        }
    }
    let value = f64::from(unscored) / f64::from(all.max(1));
    figures.push(Figure { measure: "windows without a verdict", detector: "logbert", value, of: all as usize });
    measures.insert("unseen word pairs", unseen_pairs(options, &left_out, words));
    for (detector, [ordinary, attacks, novel]) in &measures {
        let mut show = |measure, benign: &Vec<f32>| {
            figures.push(Figure { measure, detector, value: auroc(benign, attacks), of: benign.len() + attacks.len() });
        };
        show("attack against ordinary, AUROC", ordinary);
        show("attack against benign-but-new, AUROC", novel);
    }
    // A probability fitted on networks of known vendors, judged on those of left-out ones.
    let mut fit = Vec::new();
    for (at, group) in groups(&evaluation_set(NETWORKS, own, words)).iter().enumerate() {
        for window in group {
            fit.extend(scorer.score(window).ok().map(|score| (score.distance, at == 1)));
        }
    }
    let (slope, offset) = logistic(&fit);
    let rate = fit.iter().filter(|(_, is_attack)| *is_attack).count() as f64 / fit.len().max(1) as f64;
    let value = calibration_error(&fitted, 0.0, (rate / (1.0 - rate)).ln());
    figures.push(Figure {
        measure: "calibration error on left-out networks",
        detector: "the share of attacks",
        value,
        of: fitted.len(),
    });
    let likely: Vec<(f32, bool)> =
        fitted.iter().copied().filter(|(score, _)| slope * f64::from(*score) + offset >= LIKELY).collect();
    let value = calibration_error(&likely, slope, offset);
    figures.push(Figure {
        measure: "the same where it says 0.1 or more",
        detector: "distance, logistic",
        value,
        of: likely.len(),
    });
    let value = calibration_error(&fitted, slope, offset);
    figures.push(Figure {
        measure: "calibration error on left-out networks",
        detector: "distance, logistic",
        value,
        of: fitted.len(),
    });
    Ok(())
}

/// The windows of a set: ordinary, attacks, novelties.
fn groups(set: &Kinds) -> [Vec<&Window>; 3] {
    [
        set.ordinary.iter().collect(),
        set.attacks.iter().map(|(window, _)| window).collect(),
        set.novelties.iter().collect(),
    ]
}

/// The share of word pairs of a window's lines that ordinary training never had: ordinary, attacks, novelties.
fn unseen_pairs(options: &BaseOptions, left_out: &Range<usize>, words: Option<&Words>) -> [Vec<f32>; 3] {
    let mut scanner = Scanner::new();
    let mut seen = HashSet::new();
    for network in 0..options.networks {
        let (_, emissions) = training_network(network, options);
        for emission in emissions.iter().filter(|emission| !matches!(emission.label, Label::Attack(_))) {
            seen.extend(word_pairs(&emission.text, &mut scanner));
        }
    }
    let mut shares: [Vec<f32>; 3] = Default::default();
    for network in 0..NETWORKS {
        let (network, emissions) = evaluation_network(network, left_out.clone());
        let new: Vec<f32> = emissions.iter().map(|emission| share_new(emission, &seen, &mut scanner)).collect();
        for labelled in windows_of(&network, &emissions, words) {
            let at = match labelled.label {
                Some(Label::Ordinary) => 0,
                Some(Label::Attack(_)) => 1,
                Some(Label::Novel(_)) => 2,
                _ => continue,
            };
            let positions = &labelled.window.positions;
            let sum: f32 = positions.iter().filter_map(|position| new.get(position.last as usize)).sum();
            if let Some(list) = shares.get_mut(at) {
                list.push(sum / positions.len().max(1) as f32);
            }
        }
    }
    shares
}

fn share_new(emission: &Emission, seen: &HashSet<(u64, u64)>, scanner: &mut Scanner) -> f32 {
    let pairs = word_pairs(&emission.text, scanner);
    pairs.iter().filter(|pair| !seen.contains(pair)).count() as f32 / pairs.len().max(1) as f32
}
