//! An agent that needs nothing of the host it is copied to: linked statically, and looked at whether it is.
//!
//! Built with `--target` although that is this machine: only so are build scripts and macros spared the flag, which they
//! cannot be built with. That is a second build of every dependency, hence the profile of `--quick`: nothing optimised,
//! but linked as a release is.

use std::{
    path::Path,
    process::{Command, Output},
};

use clap::Args;

use crate::run::{cargo, step, target};

const FLAG: &str = "-C target-feature=+crt-static";

/// How the agent is built.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only prove that it links: nothing is optimised.
    #[arg(long)]
    quick: bool,
}

impl Options {
    /// As a check runs it.
    pub(crate) fn quick() -> Self {
        Self { quick: true }
    }
}

/// Builds the agent, checks that it is static, and says where it lies.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let (triple, profile) = (host()?, if options.quick { "static-check" } else { "release" });
    let flags = std::env::var("RUSTFLAGS").map_or_else(|_none| FLAG.into(), |flags| format!("{flags} {FLAG}"));
    let mut build = cargo();
    build.args(["build", "--profile", profile, "--target", &triple, "-p", "nmsd-agent"]).env("RUSTFLAGS", flags);
    step(&mut build)?;
    let path = target().join(&triple).join(profile).join("nmsd-agent");
    let needs = needs(&path)?;
    if !needs.is_empty() {
        return Err(format!("{} is linked dynamically: {}", path.display(), needs.join(", ")));
    }
    let bytes = std::fs::metadata(&path).map_err(|error| format!("cannot look at {}: {error}", path.display()))?.len();
    println!("static: {} {:.1} MiB", path.display(), bytes as f64 / f64::from(1 << 20));
    Ok(())
}

/// This machine's target triple, as rustc names it.
fn host() -> Result<String, String> {
    let said = output(Command::new("rustc").arg("-vV"))?;
    let found = said.lines().find_map(|line| line.strip_prefix("host: "));
    found.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".into())
}

/// What a program needs of the host before its first instruction: an interpreter, and libraries.
fn needs(path: &Path) -> Result<Vec<String>, String> {
    // Of binutils, whose linker has just linked it; its words are English only in the C locale.
    let said =
        output(Command::new("readelf").env("LC_ALL", "C").args(["--wide", "--segments", "--dynamic"]).arg(path))?;
    if !said.contains("LOAD") {
        return Err(format!("readelf names no segments of {}", path.display()));
    }
    let lines = said.lines().map(str::trim);
    Ok(lines
        .filter(|line| line.contains("program interpreter") || line.contains("(NEEDED)"))
        .map(str::to_owned)
        .collect())
}

fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output { status, stdout, stderr } = command.output().map_err(|error| format!("cannot run {name}: {error}"))?;
    if !status.success() {
        return Err(format!("{name} failed with {status}: {}", String::from_utf8_lossy(&stderr)));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}
