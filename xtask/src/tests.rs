//! All tests, with the real binaries that the end-to-end tests start built first.

use clap::Args;

use crate::run::{cargo, step, target};

/// The binaries that end-to-end tests start.
const BINARIES: [&str; 4] = ["nmsd-server", "nmsd-hub", "nmsd-agent", "nms-tui"];

/// How the tests are run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Builds the binaries, then runs every test of the workspace.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut build = cargo();
    build.arg("build");
    for binary in BINARIES {
        build.args(["-p", binary]);
    }
    step(&mut build)?;
    let mut test = cargo();
    test.args(["test", "--workspace"]).env("NMS_BIN", target().join("debug"));
    test.args(&options.filter);
    step(&mut test)
}
