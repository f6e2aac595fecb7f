//! The front of the lab: benches, evaluation and training, built in release and run.

use std::process::{Command, ExitCode};

use clap::Args;

use crate::run::{cargo, step, target};

/// Passed on to the lab as it stands.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Rest {
    /// What, and its options; `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Evaluates where the caller is, so that files are named as they are seen from there; with the lab's own exit code.
pub(crate) fn eval(rest: &Rest) -> Result<ExitCode, String> {
    step(cargo().args(["build", "--release", "--quiet", "-p", "nms-lab"]))?;
    let lab = target().join("release/nms-lab");
    let status = Command::new(&lab).arg("eval").args(&rest.words).status();
    let status = status.map_err(|error| format!("cannot run {}: {error}", lab.display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Builds what the lab drives, then runs `verb` in it.
pub(crate) fn run(verb: &str, rest: &Rest) -> Result<(), String> {
    if verb == "bench" {
        step(cargo().args(["build", "--release"]).args(["-p", "nmsd-hub", "-p", "nmsd-server", "-p", "nms-tui"]))?;
    }
    step(cargo().args(["run", "--release", "--quiet", "-p", "nms-lab", "--", verb]).args(&rest.words))
}

/// Builds daemons with fault points, which unoptimised ones have, and tortures them.
pub(crate) fn torture(rest: &Rest) -> Result<(), String> {
    step(cargo().args(["build", "--workspace", "--bins"]))?;
    step(Command::new(target().join("debug/nms-lab")).arg("torture").args(&rest.words))
}

/// The torture is a check that can fail: where a hub loses a batch unseen it must.
pub(crate) fn torture_notices_a_loss() -> Result<(), String> {
    let mut command = Command::new(target().join("debug/nms-lab"));
    let output = command.args(["torture", "--seconds", "8", "--lose"]).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || !said.contains("lines are lost") {
        return Err(format!("a lost batch was not noticed: {said}"));
    }
    Ok(())
}

/// The bench is a check that can fail: where a hub loses a batch unseen it must, as it passes where none is lost.
pub(crate) fn bench_notices_a_loss() -> Result<(), String> {
    let bench = |lost: &str| {
        let mut command = Command::new(target().join("debug/nms-lab"));
        command
            .args(["bench", "pipeline", "--seconds", "3", "--rate", "2000", "--binaries"])
            .arg(target().join("debug"));
        command.env("NMS_LOSE", lost).output().map_err(|error| error.to_string())
    };
    let whole = bench("")?;
    if !whole.status.success() {
        return Err(format!("nothing was lost and the bench failed: {}", String::from_utf8_lossy(&whole.stderr)));
    }
    let output = bench("3,4,5,6")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || !said.contains("and was told of") && !said.contains("not all delivered") {
        return Err(format!("a lost batch was not noticed: {said}"));
    }
    Ok(())
}

/// A short torture, for every change.
pub(crate) fn short_torture() -> Result<(), String> {
    torture(&Rest { words: ["--seconds", "20", "--json"].map(String::from).to_vec() })
}
