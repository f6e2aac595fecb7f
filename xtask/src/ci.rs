//! What must pass before a change lands.

use std::{env, time::Instant};

use crate::{
    demo, deps, fuzz, lab, protoc,
    run::{cargo, step},
    static_agent, tidy,
};

/// Runs every check, the quick ones first, and says how long each took.
pub(crate) fn run() -> Result<(), String> {
    let started = clock();
    timed("format", || step(cargo().args(["fmt", "--all", "--check"])))?;
    timed("house rules", tidy::run)?;
    timed("dependencies", deps::run)?;
    timed("descriptors", || protoc::run(&protoc::Options::check()))?;
    timed("lints", || step(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])))?;
    timed("documents", || {
        step(cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    // The command that the README gives for the tests.
    timed("tests", || step(cargo().args(["xtask", "test"])))?;
    timed("fuzz", fuzz::smoke)?;
    timed("torture", lab::short_torture)?;
    timed("torture notices a lost batch", lab::torture_notices_a_loss)?;
    timed("bench notices a lost batch", lab::bench_notices_a_loss)?;
    timed("static agent", || static_agent::run(&static_agent::Options::quick()))?;
    timed("demo", || demo::run(&demo::Options::headless()))?;
    timed("demo without a server fails", demo_without_server_fails)?;
    println!("ci: everything passed in {} s, NMS_DATA={:?}", started.elapsed().as_secs(), env::var_os("NMS_DATA"));
    Ok(())
}

/// The demo is a check that can fail: with no server it must.
fn demo_without_server_fails() -> Result<(), String> {
    match demo::run(&demo::Options::headless_without_server()) {
        Err(problem) if problem.contains(demo::NO_ALERTS) => Ok(()),
        Err(problem) => Err(format!("the demo failed for another reason: {problem}")),
        Ok(()) => Err("the demo passed although the server was stopped".into()),
    }
}

fn timed(what: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let started = clock();
    let done = work();
    println!("ci: {what}: {} in {} s", if done.is_ok() { "passed" } else { "FAILED" }, started.elapsed().as_secs());
    done
}

#[expect(clippy::disallowed_methods, reason = "a task may look at the clock; nothing is decided by it")]
fn clock() -> Instant {
    Instant::now()
}
