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
    let figures = evaluate(&mut scorer, &training.ordinary, &evaluation_set(networks)).map_err(|cause| cause.to_string())?;
    println!("bundle {} {}\n{figures}", bundle.manifest.name, bundle.version());
    Ok(())
}
