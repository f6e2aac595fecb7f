//! `nms-lab`: trains and measures what ships. `xtask` builds and calls it.
//!
//! A shell: reads arguments and files, asks the clock, prints; everything it decides is in the library.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod verbs;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nms_kit::clock;
use nms_lab::bench::{self, Figure};
use nms_lab::corpus::VENDORS;
use nms_lab::eval::{self, HdfsFiles, HdfsOptions, ScenarioOptions, Split};
use nms_lab::torture::{self, Report};
use nms_lab::train::{BaseOptions, evaluate, evaluation_set, train_base, training_set};
use nms_model::bundle::Bundle;
use nms_model::train::Recipe;

use crate::verbs::{Security, list, public_data, scenarios, security};

/// Steps between two checkpoints.
const CHECKPOINT_STEPS: usize = 200;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "nms-lab", about = "Trains and measures what ships")]
enum Arguments {
    /// Train something.
    #[command(subcommand)]
    Train(Train),
    /// Measure something.
    #[command(subcommand)]
    Eval(Eval),
    /// Measure the daemons from outside.
    #[command(subcommand)]
    Bench(Bench),
    /// Kill the daemons again and again, and account for every line.
    Torture {
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// The order of troubles.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where binaries with fault points are.
        #[arg(long, default_value = "target/debug")]
        binaries: PathBuf,
        /// Let hubs lose a batch unseen, to see that the account shows it.
        #[arg(long)]
        lose: bool,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// What every bench may be told.
#[derive(Args)]
struct Common {
    /// The corpus.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the release binaries are.
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    /// One JSON object a figure.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Bench {
    /// Generator, hub and server on this machine: TCP syslog in, alerts out, everything durable.
    Pipeline {
        /// Lines a second; as fast as they are taken without it.
        #[arg(long)]
        rate: Option<u64>,
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Three times the ordinary rate for a while, then the ordinary one until nothing is owed.
    Overload {
        /// The ordinary rate, in lines a second.
        #[arg(long, default_value_t = 100_000)]
        rate: u64,
        /// How long the overload lasts.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Extraction and correlators, beside `fail2ban-regex` on an sshd's log.
    Detect {
        /// The corpus.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// One JSON object a figure.
        #[arg(long)]
        json: bool,
    },
    /// The model's pass beside ONNX Runtime's, and what the caches save.
    Model {
        /// Widths of the nets.
        #[arg(long, value_delimiter = ',', default_values_t = [64, 128, 256])]
        widths: Vec<usize>,
        /// Their layers.
        #[arg(long, default_value_t = 2)]
        layers: usize,
        /// Weights, windows and the corpus.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A log to replay; the public one of an exposed host, where `NMS_DATA` has it, by default.
        #[arg(long)]
        log: Option<PathBuf>,
        /// One JSON object a figure.
        #[arg(long)]
        json: bool,
    },
    /// Lines into a spool that survives a kill and a power cut, beside rsyslog's disk-assisted queue.
    Spool {
        /// Lines that each of them gets.
        #[arg(long, default_value_t = 2_000_000)]
        lines: usize,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Subcommand)]
enum Train {
    /// The shipped bundle, from generated networks.
    Base {
        /// Where the bundle goes.
        #[arg(long, default_value = "model/bundle")]
        out: PathBuf,
        /// Where everything random comes from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Optimiser steps.
        #[arg(long, default_value_t = BaseOptions::default().recipe.steps)]
        steps: usize,
        /// Networks to generate.
        #[arg(long, default_value_t = BaseOptions::default().networks)]
        networks: u64,
        /// Share of the hypersphere's negatives that are generated attacks; 0 trains without any.
        #[arg(long, default_value_t = Recipe::default().attack_share)]
        attack_share: f64,
        /// A file to keep where training stands, and to go on from where it exists.
        #[arg(long)]
        checkpoint: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Eval {
    /// A bundle against networks it was not trained on.
    Model {
        /// The bundle's folder; the built-in bundle without it.
        #[arg(long)]
        bundle: Option<PathBuf>,
        /// Networks to generate for the evaluation.
        #[arg(long, default_value_t = 12)]
        networks: u64,
    },
    /// Keys and model on applications of vendors that were left out of their training.
    Transfer {
        /// Where everything random comes from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Optimiser steps of the net.
        #[arg(long, default_value_t = Recipe::default().steps)]
        steps: usize,
        /// Networks to train on.
        #[arg(long, default_value_t = 24)]
        networks: u64,
        /// One JSON object a figure.
        #[arg(long)]
        json: bool,
    },
    /// How well the template miner groups lines, on every set that is found.
    Templates {
        /// The folder of sets; that in the folder which `NMS_DATA` names without it.
        #[arg(long)]
        data: Option<PathBuf>,
        /// One JSON object a set.
        #[arg(long)]
        json: bool,
    },
    /// What is made of public lines and cases whose truth is known, and how few alerts quiet logs raise.
    Security(Security),
    /// Scenarios, attacks and harmless ones, through the cores of hub and server; ends with 1 where one failed, with 2 where
    /// a file cannot be read.
    Scenarios {
        /// Files of scenarios, one JSON object a line.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Ordinary traffic, one JSON object a line; the generator's without it.
        #[arg(long)]
        warmup: Option<PathBuf>,
        /// The generator's network.
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// Only scenarios whose name begins so.
        #[arg(long)]
        only: Option<String>,
        /// One JSON object a scenario, mode and layer.
        #[arg(long)]
        json: bool,
    },
    /// For how many lines of public sets, by program, the extractors know what was done.
    Coverage {
        /// One JSON object a program.
        #[arg(long)]
        json: bool,
    },
    /// LogBERT and simple detectors on the public HDFS sessions, in the folder that `NMS_DATA` names.
    Hdfs {
        /// Which published training split.
        #[arg(long, value_enum, default_value_t = SplitName::Logbert)]
        split: SplitName,
        /// Seeds of training; mean and minimum are given over them.
        #[arg(long, alias = "seeds", value_delimiter = ',', default_value = "1,2,3")]
        seed: Vec<u64>,
        /// Normal sessions to pick thresholds on, `id,keys` a line.
        #[arg(long)]
        dev: Option<PathBuf>,
        /// Normal sessions that are judged; those of --dev without it.
        #[arg(long)]
        normal: Option<PathBuf>,
        /// Abnormal sessions that are judged.
        #[arg(long)]
        abnormal: Option<PathBuf>,
        /// A trained model with its thresholds, to score with; nothing is trained.
        #[arg(long, conflicts_with = "out")]
        bundle: Option<PathBuf>,
        /// Where trained models are kept, with their thresholds.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Optimiser steps.
        #[arg(long, default_value_t = Recipe::default().steps)]
        steps: usize,
        /// Width, layers and heads of the net.
        #[arg(long, value_delimiter = ',', num_args = 3, default_values_t = [64, 2, 4])]
        net: Vec<usize>,
        /// A folder to keep where each training stands, and to go on from where a run was stopped.
        #[arg(long)]
        checkpoints: Option<PathBuf>,
        /// Leave out the net as published.
        #[arg(long)]
        no_plain: bool,
        /// One JSON object a row.
        #[arg(long)]
        json: bool,
    },
}

/// A published training split of HDFS.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitName {
    Logbert,
    Deeplog,
}

fn main() -> ExitCode {
    if let Err(cause) = rayon::ThreadPoolBuilder::new().num_threads(1).build_global() {
        eprintln!("nms-lab: {cause}");
        return ExitCode::FAILURE;
    }
    let result = match Arguments::parse() {
        Arguments::Train(Train::Base { out, seed, steps, networks, attack_share, checkpoint }) => {
            let recipe = Recipe { seed, steps, attack_share, ..Recipe::default() };
            base(&out, checkpoint.as_deref(), &BaseOptions { networks, recipe, ..BaseOptions::default() })
        }
        Arguments::Eval(Eval::Model { bundle, networks }) => model(bundle.as_deref(), networks),
        Arguments::Eval(Eval::Transfer { seed, steps, networks, json }) => public_data().and_then(|data| {
            let recipe = Recipe { seed, steps, ..Recipe::default() };
            let options = BaseOptions { networks, recipe, ..BaseOptions::default() };
            let lines = data.map(|data| data.join("security/fail2ban/lines.jsonl"));
            list(&eval::transfer(&options, lines.as_deref(), |line| eprintln!("{line}"))?, json);
            Ok(())
        }),
        Arguments::Eval(Eval::Templates { data, json }) => {
            let usual = || Ok(public_data()?.map(|data| data.join("loghub_2k")));
            data.map_or_else(usual, |data| Ok(Some(data))).and_then(|folder| {
                let Some(folder) = folder else { return Ok(()) };
                list(&eval::templates(&folder)?, json);
                Ok(())
            })
        }
        Arguments::Eval(Eval::Security(options)) => security(options),
        Arguments::Eval(Eval::Scenarios { files, warmup, seed, only, json }) => {
            return scenarios(&ScenarioOptions { files, warmup, seed, only }, json);
        }
        Arguments::Eval(Eval::Coverage { json }) => public_data().and_then(|data| {
            let Some(data) = data else { return Ok(()) };
            list(&eval::coverage(&data)?, json);
            Ok(())
        }),
        Arguments::Eval(Eval::Hdfs {
            split,
            seed,
            dev,
            normal,
            abnormal,
            bundle,
            out,
            steps,
            net,
            checkpoints,
            no_plain,
            json,
        }) => public_data().and_then(|data| {
            let Some(data) = data else { return Ok(()) };
            let split = match split {
                SplitName::Logbert => Split::Logbert,
                SplitName::Deeplog => Split::Deeplog,
            };
            let (seeds, plain) = (seed, !no_plain);
            let net = <[usize; 3]>::try_from(net).map_err(|_other| "--net takes width,layers,heads")?.into();
            let files = HdfsFiles { data, dev, normal, abnormal, bundle, out, checkpoints };
            let options = HdfsOptions { files, split, seeds, steps, net, plain };
            let rows = eval::hdfs(&options, |line| eprintln!("{line}"))?;
            list(&rows, json);
            Ok(())
        }),
        Arguments::Bench(Bench::Pipeline { rate, seconds, common }) => {
            let Common { seed, binaries, json } = common;
            bench::pipeline(&bench::Options { binaries, rate, seconds, seed }).map(|figures| show(&figures, json))
        }
        Arguments::Bench(Bench::Overload { rate, seconds, common }) => {
            let Common { seed, binaries, json } = common;
            bench::overload(&bench::OverloadOptions { binaries, rate, seconds, seed })
                .map(|figures| show(&figures, json))
        }
        Arguments::Bench(Bench::Model { widths, layers, seed, log, json }) => {
            let usual = || Ok(public_data()?.map(|data| data.join("security/auth_real_host/auth.log")));
            log.map_or_else(usual, |log| Ok(Some(log))).and_then(|log| {
                let python = std::env::var_os("NMS_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
                let figures = bench::model(&bench::ModelOptions { widths, layers, seed, python, log })?;
                show(&figures, json);
                Ok(())
            })
        }
        Arguments::Bench(Bench::Detect { seed, json }) => {
            bench::detect(bench::DetectOptions { seed }).map(|figures| show(&figures, json))
        }
        Arguments::Bench(Bench::Spool { lines, common }) => {
            let Common { seed, binaries, json } = common;
            bench::spool(&bench::SpoolOptions { binaries, lines, seed }).map(|figures| show(&figures, json))
        }
        Arguments::Torture { seconds, seed, binaries, lose, json } => {
            let options = torture::Options { binaries, seconds, seed, lose };
            torture::torture(&options, |line| eprintln!("{line}")).map(|report| tell(&report, json))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("nms-lab: {cause}");
            ExitCode::FAILURE
        }
    }
}

fn base(out: &Path, checkpoint: Option<&Path>, options: &BaseOptions) -> Result<(), String> {
    let begun_ms = clock::monotonic_ms();
    let saved = checkpoint.filter(|path| path.exists()).map(|path| (path, std::fs::read(path)));
    let saved = saved.map(|(path, read)| read.map_err(|cause| format!("{}: {cause}", path.display()))).transpose()?;
    let mut first_step = None;
    let (bundle, kinds) = train_base(options, saved.as_deref(), |trainer| {
        let progress = trainer.progress();
        let first_step = *first_step.get_or_insert(progress.step - 1);
        if progress.step % 20 == 0 || progress.step == progress.steps {
            print!("\r{}   ", progress.line(clock::monotonic_ms() - begun_ms, first_step));
            std::io::stdout().flush().map_err(|cause| cause.to_string())?;
        }
        match checkpoint.filter(|_| progress.step % CHECKPOINT_STEPS == 0) {
            Some(path) => keep(path, &trainer.checkpoint().map_err(|cause| cause.to_string())?),
            None => Ok(()),
        }
    })?;
    println!("\ntrained in {} s", (clock::monotonic_ms() - begun_ms) / 1_000);
    let figures = evaluate(&bundle, &kinds.ordinary, &evaluation_set(12, 0..VENDORS, bundle.words.as_ref()))?;
    println!("{figures}");
    std::fs::create_dir_all(out).map_err(|cause| format!("{}: {cause}", out.display()))?;
    for (name, bytes) in bundle.to_files().map_err(|cause| cause.to_string())? {
        let path = out.join(name);
        keep(&path, &bytes)?;
        println!("{} {} bytes", path.display(), bytes.len());
    }
    Ok(())
}

fn keep(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|cause| format!("{}: {cause}", path.display()))
}

fn model(bundle: Option<&Path>, networks: u64) -> Result<(), String> {
    let bundle = bundle.map_or_else(Bundle::shipped, Bundle::open).map_err(|cause| cause.to_string())?;
    let options = BaseOptions::default();
    let words = bundle.words.as_ref();
    let training = training_set(options.networks, &options, words);
    let figures = evaluate(&bundle, &training.ordinary, &evaluation_set(networks, 0..VENDORS, words))?;
    println!("bundle {} {}\n{figures}", bundle.manifest.name, bundle.version());
    Ok(())
}

fn tell(report: &Report, json: bool) {
    let whole = if json { serde_json::to_string(report) } else { serde_json::to_string_pretty(report) };
    println!("{}", whole.unwrap_or_default());
}

fn show(figures: &[Figure], json: bool) {
    for figure in figures {
        if json {
            println!("{}", serde_json::to_string(figure).unwrap_or_default());
        } else {
            let beside = figure.peer.as_ref().zip(figure.ratio);
            let beside = beside.map_or_else(String::new, |(peer, ratio)| format!(", {ratio:.2} of {peer}"));
            println!("{:<10} {:<52} {:>14.2} {}{beside}", figure.leg, figure.what, figure.value, figure.unit);
        }
    }
}
