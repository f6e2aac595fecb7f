//! All tests, with the real binaries that the end-to-end tests start built first.

use clap::Args;

use crate::run::{cargo, step, target};

/// How the tests are run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Builds the binaries, then runs every test of the workspace.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    // All of them at once: a build of some would resolve other features, and build their dependencies a second time.
    step(cargo().args(["build", "--workspace", "--bins"]))?;
    let mut test = cargo();
    test.args(["test", "--workspace"]).env("NMS_BIN", target().join("debug"));
    test.args(&options.filter);
    step(&mut test)
}

/// Records frames and stores of the version in Cargo.toml, which later versions are held against.
pub(crate) fn record() -> Result<(), String> {
    step(cargo().args(["build", "--workspace", "--bins"]))?;
    let mut test = cargo();
    test.args(["test", "-p", "nms-proto", "-p", "nms-e2e", "--test", "it", "recorded::record", "--", "--ignored"]);
    step(test.env("NMS_BIN", target().join("debug")))?;
    println!("recorded: read what is new below proto/tests/recorded and daemons/e2e/tests/recorded, and commit it");
    Ok(())
}
