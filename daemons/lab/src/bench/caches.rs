//! What the caches in front of the model save: logs through the server's own code, with the caches and without.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nms_detect::extract;
use nms_kit::clock;
use nms_model::{
    bundle::Bundle,
    score::Scorer,
    template::Miner,
    window::{KeyedEvent, Windows},
    words::{Words, key_of},
};
use nms_proto::{
    event::{Body, Event},
    id::{EndpointId, EventId, EventSeq, Instance},
    scan::Scanner,
    syslog::{self, Received},
    time::Stamp,
};
use nmsd_server::{
    analyse::model::Model,
    replay::{Counts, Reading, Replay, Style},
    retrain::Gatherer,
};

use super::{Figure, corpus::Corpus};

/// Lines of the bench corpus that are looked at.
const CORPUS_LINES: usize = 200_000;
/// When the corpus was written, as its stamps say: 2025-11-23.
const CORPUS_MS: i64 = 1_763_942_400_000;

/// Figures for the corpus of `seed`, and for a log where there is one.
pub(super) fn figures(seed: u64, log: Option<&Path>) -> Result<Vec<Figure>, String> {
    let corpus = Corpus::new(seed, CORPUS_LINES).lines;
    let shipped = Bundle::shipped().map_err(|cause| cause.to_string())?;
    let mut figures = stages(&corpus, shipped.words.as_ref());
    figures.extend(replayed("bench corpus", &corpus, CORPUS_MS, None)?);
    if let Some(path) = log {
        let text = fs::read(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
        let lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let name = PathBuf::from(path.file_name().unwrap_or_default());
        figures.extend(replayed(&name.display().to_string(), &lines, CORPUS_MS, Some(2024))?);
    }
    Ok(figures)
}

/// A log through the server's analysis twice: with the window cache and without.
fn replayed(name: &str, lines: &[Vec<u8>], modified_ms: i64, year: Option<i16>) -> Result<Vec<Figure>, String> {
    let bundle = Bundle::shipped().map_err(|cause| cause.to_string())?;
    let reading = Reading { source: None, utc_offset_s: 0, year, modified_ms, admins: Vec::new() };
    let look = |has_cache: bool| {
        let model = Model::new(&bundle).map_err(|cause| cause.to_string())?;
        let model = if has_cache { model } else { model.without_cache() };
        let mut replay = Replay::new(reading.clone(), model, Style { json: true, lines: false });
        let begun_us = clock::cpu_us();
        let mut printed = 0usize;
        for line in lines {
            replay.line(line, &mut |text| printed += text.len());
        }
        let counts = replay.finish(&mut |text| printed += text.len());
        std::hint::black_box(printed);
        Ok::<(Counts, f64), String>((counts, (clock::cpu_us() - begun_us) as f64 / 1e6))
    };
    let (with, with_s) = look(true)?;
    let (without, without_s) = look(false)?;
    if (with.windows, with.alerts, with.revisions) != (without.windows, without.alerts, without.revisions) {
        return Err(format!("{name}: with and without caches the analysis says different things"));
    }
    let scored = (with.cache_hits + with.cache_misses).max(1) as f64;
    let [on_us, off_us] = scoring(&bundle, lines, &reading)?;
    let figure = |what: &str, value: f64, unit| Figure::new("caches", format!("{name}: {what}"), value, unit);
    Ok(vec![
        figure("lines", with.lines as f64, "lines"),
        figure("windows scored", scored, "windows"),
        figure("window cache hits", 100.0 * with.cache_hits as f64 / scored, "%"),
        figure("event cache hits", 100.0 * with.event_hits as f64 / with.lines.max(1) as f64, "%"),
        figure("scoring, window cache on", on_us, "CPU us a window"),
        Figure {
            peer: Some("scoring with it".to_owned()),
            ratio: Some(off_us / on_us.max(1e-3)),
            ..figure("scoring, window cache off", off_us, "CPU us a window")
        },
        figure("the whole analysis, window cache on", with_s * 1e6 / with.lines.max(1) as f64, "CPU us a line"),
        figure("the whole analysis, window cache off", without_s * 1e6 / with.lines.max(1) as f64, "CPU us a line"),
    ])
}

/// CPU time of scoring a window with the cache and without, in microseconds; the scores have to be the same.
fn scoring(bundle: &Bundle, lines: &[Vec<u8>], reading: &Reading) -> Result<[f64; 2], String> {
    let mut gatherer = Gatherer::new(bundle);
    let each = |line: &mut dyn FnMut(&[u8])| {
        for bytes in lines {
            line(bytes);
        }
        Ok::<(), String>(())
    };
    gatherer.file(reading, each)?;
    let windows = gatherer.finish().windows;
    let score = |mut scorer: Scorer| {
        let begun_us = clock::cpu_us();
        let scores: Vec<_> = windows.iter().map(|window| scorer.score(window)).collect();
        (scores, (clock::cpu_us() - begun_us) as f64 / windows.len().max(1) as f64)
    };
    let scorer = || Scorer::new(bundle).map_err(|cause| cause.to_string());
    let ((with, on_us), (without, off_us)) = (score(scorer()?), score(scorer()?.without_cache()));
    if with != without {
        return Err("with and without the window cache the scores differ".to_owned());
    }
    Ok([on_us, off_us])
}

/// What the steps in front of the windows cost.
fn stages(lines: &[Vec<u8>], words: Option<&Words>) -> Vec<Figure> {
    let received = Received { unix_ms: CORPUS_MS, utc_offset_s: 0 };
    let event = |(number, line): (usize, &Vec<u8>)| {
        let (draft, _cut) = syslog::draft(line, &received).ok()?;
        let id = EventId { instance: Instance(*b"nms-lab bench..."), seq: EventSeq(number as u64 + 1) };
        let source = EndpointId::new(draft.host.as_deref().unwrap_or("file"));
        Some(draft.named(id, source, Stamp::utc(CORPUS_MS + number as i64)))
    };
    let events: Vec<Event> = lines.iter().enumerate().filter_map(event).collect();
    let mut figures = Vec::new();
    let mut stage = |what: &str, run: &mut dyn FnMut(&Event)| {
        let begun_us = clock::cpu_us();
        events.iter().for_each(&mut *run);
        let each_us = (clock::cpu_us() - begun_us) as f64 / events.len().max(1) as f64;
        figures.push(Figure::new("events", what, each_us, "CPU us an event"));
    };
    stage("extraction", &mut |event| {
        std::hint::black_box(extract(event));
    });
    let (mut windows, mut key_scanner) = (Windows::default(), Scanner::new());
    stage("extraction, scan, key, context and windows", &mut |event| {
        let extraction = extract(event);
        let key = key_of(words, event, &extraction, &mut key_scanner);
        let keyed = KeyedEvent::of(event, &extraction, key, event.id.seq.0);
        let source = event.source.as_str().bytes().fold(0, |sum: u64, byte| sum * 31 + u64::from(byte));
        std::hint::black_box(windows.push(0, source, None, keyed));
    });
    let mut scanner = Scanner::new();
    let mut scan = |event: &Event| {
        if let Body::Syslog(line) = &event.body {
            scanner.scan(&line.message);
            std::hint::black_box(scanner.masked());
        }
    };
    stage("scan", &mut scan);
    let miners = [Miner::default(), Miner::default().without_cache()];
    for (what, mut miner) in ["scan and template", "scan and template, event cache off"].into_iter().zip(miners) {
        let mut scanner = Scanner::new();
        stage(what, &mut |event| {
            if let Body::Syslog(line) = &event.body {
                scanner.scan(&line.message);
                std::hint::black_box(miner.learn(scanner.masked()));
            }
        });
    }
    figures
}
