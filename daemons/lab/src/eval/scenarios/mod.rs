//! Scenarios: what happens on a network, written down line by line, through the cores of hub and server in
//! virtual time, and whether what a person would have seen is what must come of it.
//!
//! Each is run twice: `cold`, on a network that was never seen, and `mixed`, after two days of ordinary
//! traffic that goes on meanwhile. Each run is judged three times: by what the correlators say alone, by
//! what the model says alone, and by what a dashboard shows (`fused`). All revisions that were shown
//! count, so what was taken back later was shown all the same.

mod case;
mod judge;
mod run;

use std::{fmt, path::PathBuf};

use nms_model::bundle::Bundle;
use nms_proto::alert::Alert;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use self::{
    case::Case,
    run::{Traffic, run},
};

/// What is run, and with what.
#[derive(Clone, Debug)]
pub struct ScenarioOptions {
    /// Files of scenarios.
    pub files: Vec<PathBuf>,
    /// Ordinary traffic; the generator's without it.
    pub warmup: Option<PathBuf>,
    /// The generator's network.
    pub seed: u64,
    /// Only scenarios whose name begins so.
    pub only: Option<String>,
}

/// On what a scenario is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A network that was never seen.
    Cold,
    /// After two days of ordinary traffic, which goes on.
    Mixed,
}

/// Who is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// What counts and compares.
    Correlators,
    /// LogBERT alone.
    Model,
    /// What a dashboard shows.
    Fused,
}

const MODES: [Mode; 2] = [Mode::Cold, Mode::Mixed];
const LAYERS: [Layer; 3] = [Layer::Correlators, Layer::Model, Layer::Fused];

/// What came of a scenario in one mode, as one layer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The scenario.
    pub id: Box<str>,
    /// On what it was run.
    pub mode: Mode,
    /// Who is judged.
    pub layer: Layer,
    /// All is as it must be.
    pub passed: bool,
    /// What is not.
    pub why: Vec<String>,
    /// Datagrams that were no message.
    pub parse_errors: u64,
    /// Each alert that was shown, as its worst revision.
    pub alerts: Vec<Value>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.passed { "passed" } else { "FAILED" };
        write!(f, "{word} {} ({:?}, {:?})", self.id, self.mode, self.layer)?;
        self.why.iter().try_for_each(|why| write!(f, "\n    {why}"))
    }
}

/// What came of all.
#[derive(Clone, Debug)]
pub struct Suite {
    /// In the order of the files: by scenario, mode and layer.
    pub outcomes: Vec<Outcome>,
    /// Names of those that are attacks.
    attacks: Vec<Box<str>>,
}

impl Suite {
    /// Whether the dashboard showed what it must, in both modes.
    pub fn passed(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.passed || outcome.layer != Layer::Fused)
    }

    /// How many passed, by mode and layer.
    pub fn summary(&self) -> Value {
        let rows = MODES.iter().flat_map(|mode| LAYERS.iter().map(move |layer| (*mode, *layer)));
        let row = |(mode, layer)| {
            let (attacks, benign) = self.counts(mode, layer);
            json!({ "mode": mode, "layer": layer, "attacks": attacks.1, "attacks_passed": attacks.0,
                    "benign": benign.1, "benign_passed": benign.0 })
        };
        json!({ "summary": rows.map(row).collect::<Vec<_>>(), "passed": self.passed() })
    }

    /// Those passed and all, of attacks and of benign scenarios.
    fn counts(&self, mode: Mode, layer: Layer) -> ((usize, usize), (usize, usize)) {
        let count = |is_attack: bool| {
            let of_kind = |outcome: &&Outcome| {
                outcome.mode == mode && outcome.layer == layer && self.attacks.contains(&outcome.id) == is_attack
            };
            let all = || self.outcomes.iter().filter(of_kind);
            (all().filter(|outcome| outcome.passed).count(), all().count())
        };
        (count(true), count(false))
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mode in MODES {
            for layer in LAYERS {
                let ((attacks, of_attacks), (benign, of_benign)) = self.counts(mode, layer);
                let (mode, layer) = (format!("{mode:?}"), format!("{layer:?}"));
                writeln!(
                    f,
                    "{mode:<6} {layer:<12} attacks {attacks:>3} of {of_attacks:<4} benign {benign:>3} of {of_benign}"
                )?;
            }
        }
        Ok(())
    }
}

/// Runs the scenarios, as many at a time as there are processors.
///
/// # Errors
/// A file cannot be read or is none of scenarios: its name, the line and the field.
pub fn scenarios(options: &ScenarioOptions) -> Result<Suite, String> {
    let mut cases = Vec::new();
    for file in &options.files {
        cases.extend(case::cases(file)?);
    }
    if let Some(only) = &options.only {
        cases.retain(|case| case.id.starts_with(only.as_str()));
    }
    if cases.is_empty() {
        return Err("there is no scenario to run".into());
    }
    let traffic = match &options.warmup {
        Some(file) => Traffic::recorded(case::traffic(file)?),
        None => Traffic::generated(options.seed),
    };
    let bundle = Bundle::shipped().map_err(|error| error.to_string())?;
    let pool = rayon::ThreadPoolBuilder::new().build().map_err(|error| error.to_string())?;
    let outcomes: Result<Vec<Vec<Outcome>>, String> =
        pool.install(|| cases.par_iter().map(|case| both(case, &bundle, &traffic)).collect());
    let is_attack = |case: &&Case| matches!(case.expected, case::Expected::Attack(_));
    let attacks = cases.iter().filter(is_attack).map(|case| case.id.clone()).collect();
    Ok(Suite { outcomes: outcomes?.into_iter().flatten().collect(), attacks })
}

fn both(case: &Case, bundle: &Bundle, traffic: &Traffic) -> Result<Vec<Outcome>, String> {
    let mut outcomes = Vec::new();
    for mode in MODES {
        let ran = run(case, bundle, (mode == Mode::Mixed).then_some(traffic))?;
        for (layer, shown) in LAYERS.into_iter().zip(&ran.shown) {
            let why = judge::judge(&case.expected, shown, ran.parse_errors);
            outcomes.push(Outcome {
                id: case.id.clone(),
                mode,
                layer,
                passed: why.is_empty(),
                why,
                parse_errors: ran.parse_errors,
                alerts: shown.alerts().into_iter().map(|(first_s, alert)| told(first_s, alert)).collect(),
            });
        }
    }
    Ok(outcomes)
}

fn told(first_alert_s: f64, alert: &Alert) -> Value {
    let Alert { id, revision, severity, category, confidence, source, message, reasons, .. } = alert;
    json!({ "id": id, "revision": revision, "severity": severity, "category": category, "confidence": confidence,
            "source": source, "actor": alert.actor, "victim": alert.victim, "message": message, "reasons": reasons,
            "first_alert_s": first_alert_s })
}
