//! Project tasks: `cargo xtask TASK`. One file a task; nothing of the product is imported, so that a
//! task builds in seconds and runs what users run: cargo, and the built binaries.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to the person who runs it")]

mod run;
mod demo;
mod tidy;
mod advisories;
mod deps;
mod tests;
mod static_agent;
mod fuzz;
mod protoc;
mod ci;
mod lab;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the NMS project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build everything, start server, hub and agent here, attack them, and show the alerts.
    Demo(demo::Options),
    /// Run all tests.
    Test(tests::Options),
    /// Everything that must pass before a change lands: format, lints, docs, house rules, tests, demo.
    Ci,
    /// Build an agent that needs no library of the host, and check that it is so.
    StaticAgent(static_agent::Options),
    /// Measure: `bench pipeline`, `bench model` and others; `--help` lists them.
    Bench(lab::Rest),
    /// Evaluate: `eval scenarios`, `eval model` and others; `--help` lists them.
    Eval(lab::Rest),
    /// Train: `train base`.
    Train(lab::Rest),
    /// Kill real daemons at named points and at random, and account for every line.
    Torture(lab::Rest),
    /// Feed made-up bytes to everything that reads bytes from outside; a line of JSON for each target.
    Fuzz(fuzz::Options),
    /// Make the descriptor set anew that stands in for a protoc.
    Protoc(protoc::Options),
    /// Write down what this version says and stores, once, before it is released.
    Record,
    /// Check licences, sources and versions of the dependencies.
    Deps,
    /// Check the house rules that no compiler checks.
    Tidy,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => tests::run(&options),
        Task::Ci => ci::run(),
        Task::StaticAgent(options) => static_agent::run(&options),
        Task::Bench(rest) => lab::run("bench", &rest),
        Task::Eval(rest) => match lab::eval(&rest) {
            Ok(code) => return code,
            Err(problem) => Err(problem),
        },
        Task::Train(rest) => lab::run("train", &rest),
        Task::Torture(rest) => lab::torture(&rest),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Protoc(options) => protoc::run(&options),
        Task::Record => tests::record(),
        Task::Deps => deps::run(),
        Task::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
