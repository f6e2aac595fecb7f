//! `nms-lab`: trains and measures what ships. `xtask` builds and calls it.
//!
//! A shell: reads arguments and files, asks the clock, prints; everything it decides is in the library.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use nms_lab::bench::{self, Figure};
use nms_lab::train::{BaseOptions, evaluate, evaluation_set, train_base, training_set};
use nms_model::bundle::Bundle;
use nms_model::score::Scorer;
use nms_model::train::Recipe;

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
        /// The corpus.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the release binaries are.
        #[arg(long, default_value = "target/release")]
        binaries: PathBuf,
        /// One JSON object a figure.
        #[arg(long)]
        json: bool,
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
        #[arg(long, default_value_t = Recipe::default().steps)]
        steps: usize,
        /// Networks to generate.
        #[arg(long, default_value_t = BaseOptions::default().networks)]
        networks: u64,
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
}

fn main() -> ExitCode {
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    let result = one_thread.map_err(|cause| cause.to_string()).and_then(|()| match Arguments::parse() {
        Arguments::Train(Train::Base { out, seed, steps, networks }) => {
            let recipe = Recipe { seed, steps, ..Recipe::default() };
            base(&out, &BaseOptions { networks, recipe, ..BaseOptions::default() })
        }
        Arguments::Eval(Eval::Model { bundle, networks }) => model(bundle.as_deref(), networks),
        Arguments::Bench(Bench::Pipeline { rate, seconds, seed, binaries, json }) => {
            bench::pipeline(&bench::Options { binaries, rate, seconds, seed }).map(|figures| show(&figures, json))
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("nms-lab: {cause}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the lab's shell; progress needs the time that has passed")]
fn base(out: &Path, options: &BaseOptions) -> Result<(), String> {
    let begun = Instant::now();
    let (bundle, kinds) = train_base(options, |progress| {
        if progress.step % 20 == 0 || progress.step == progress.steps {
            print!("\r{}   ", progress.line(begun.elapsed().as_millis() as u64));
            let _shown = std::io::stdout().flush();
        }
    })?;
    println!("\ntrained in {} s", begun.elapsed().as_secs());
    let mut scorer = Scorer::new(&bundle).map_err(|cause| cause.to_string())?;
    let figures = evaluate(&mut scorer, &kinds.ordinary, &evaluation_set(12)).map_err(|cause| cause.to_string())?;
    println!("{figures}");
    std::fs::create_dir_all(out).map_err(|cause| format!("{}: {cause}", out.display()))?;
    for (name, bytes) in bundle.to_files().map_err(|cause| cause.to_string())? {
        let path = out.join(name);
        std::fs::write(&path, &bytes).map_err(|cause| format!("{}: {cause}", path.display()))?;
        println!("{} {} bytes", path.display(), bytes.len());
    }
    Ok(())
}

fn model(bundle: Option<&Path>, networks: u64) -> Result<(), String> {
    let bundle = bundle.map_or_else(Bundle::shipped, Bundle::open).map_err(|cause| cause.to_string())?;
    let mut scorer = Scorer::new(&bundle).map_err(|cause| cause.to_string())?;
    let options = BaseOptions::default();
    let training = training_set(options.networks, options.days, options.recipe.seed);
    let figures =
        evaluate(&mut scorer, &training.ordinary, &evaluation_set(networks)).map_err(|cause| cause.to_string())?;
    println!("bundle {} {}\n{figures}", bundle.manifest.name, bundle.version());
    Ok(())
}

fn show(figures: &[Figure], json: bool) {
    for figure in figures {
        if json {
            println!("{}", serde_json::to_string(figure).unwrap_or_default());
        } else {
            println!("{:<10} {:<48} {:>14.2} {}", figure.leg, figure.what, figure.value, figure.unit);
        }
    }
}
