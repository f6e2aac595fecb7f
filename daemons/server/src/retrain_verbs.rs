//! `model train` and `model eval`: a model for one's own logs, and what a model makes of them.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, BufReader, IsTerminal as _, Read, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::UNIX_EPOCH,
};

use clap::Args;
use nms_kit::{
    clock, digest,
    exit::{Code, Failure},
};
use nms_model::bundle::Bundle;
use nmsd_server::{
    replay::Reading,
    retrain::{Gathered, Gatherer, Plan, RetrainError, Training, figures},
};

use crate::{
    model_verbs::{keep, open, refuse_full},
    verbs::{each_line, first_year, say, year},
};

/// Steps between two looks at the progress, and between two checkpoints.
const SHOW_STEPS: usize = 20;
const CHECKPOINT_STEPS: usize = 100;
/// What decides how many threads candle computes with.
const THREADS: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

/// Which logs, and how they are read.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Log files, the oldest first; lines as syslog writes them.
    #[arg(long = "logs", value_name = "FILE", num_args = 1.., required = true)]
    files: Vec<PathBuf>,
    /// Offset from UTC of stamps that name none, in seconds.
    #[arg(long, value_name = "S", default_value_t = 0, allow_hyphen_values = true)]
    utc_offset: i32,
    /// Year of each file's first stamp that names none; by default such that its last line lies in the 12 months before
    /// the file was written last.
    #[arg(long, value_name = "Y", value_parser = year)]
    year: Option<i16>,
}

/// How a model is trained.
#[derive(Debug, Args)]
pub(crate) struct Train {
    #[command(flatten)]
    logs: Logs,
    /// The bundle's folder: new, or empty. Beside it stands a checkpoint, from which a run that was stopped goes on.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Optimiser steps.
    #[arg(long, value_name = "N", default_value_t = 600)]
    steps: usize,
    /// Where everything random comes from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The bundle to go on from; the model of the settings by default.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

/// What is judged.
#[derive(Debug, Args)]
pub(crate) struct Eval {
    #[command(flatten)]
    logs: Logs,
    /// A bundle's folder or an ONNX file; the model of the settings by default.
    #[arg(long, value_name = "DIR|FILE.onnx")]
    bundle: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl From<RetrainError> for Stop {
    fn from(error: RetrainError) -> Self {
        Self(Failure::because(Code::Data, "cannot train a model", error))
    }
}

/// Why a training ended.
struct Stop(Failure);

/// Trains a model and writes its bundle.
pub(crate) fn train(train: &Train, settings: &Path) -> Result<(), Failure> {
    on_one_thread()?;
    refuse_full(&train.out)?;
    let from = open(settings, train.from.as_deref())?;
    let (gathered, files) = gather(&train.logs, &from)?;
    let name = train.out.file_name().map_or_else(|| "own".into(), |name| name.to_string_lossy().into_owned());
    let plan = Plan { steps: train.steps, seed: train.seed, name, files };
    let training = Training::new(plan, &from, &gathered).map_err(|error| Stop::from(error).0)?;
    let (distinct, new_keys) = (training.distinct(), training.new_keys(&from));
    say(&format!(
        "{} lines, {} windows, {distinct} different ones to learn from, {new_keys} keys that {} did not know",
        gathered.lines,
        gathered.windows.len(),
        from.manifest.name
    ))?;
    let checkpoint = beside(&train.out);
    let saved = checkpoint.exists().then(|| fs::read(&checkpoint)).transpose();
    let saved = saved.map_err(|error| io_failure("read", &checkpoint, error))?;
    if saved.is_some() {
        say(&format!("going on from {}", checkpoint.display()))?;
    }
    let (begun_ms, mut first_step) = (clock::monotonic_ms(), None);
    let bundle = training.run(&gathered, saved.as_deref(), |trainer, save| {
        let progress = trainer.progress();
        let first = *first_step.get_or_insert(progress.step - 1);
        if progress.step % SHOW_STEPS == 0 || progress.step == progress.steps {
            show(&progress.line(clock::monotonic_ms() - begun_ms, first)).map_err(Stop)?;
        }
        if progress.step % CHECKPOINT_STEPS == 0 {
            let bytes = save()?;
            fs::write(&checkpoint, bytes).map_err(|error| Stop(io_failure("write", &checkpoint, error)))?;
        }
        Ok(())
    });
    let bundle = bundle.map_err(|Stop(failure): Stop| failure)?;
    if io::stdout().is_terminal() {
        say("")?;
    }
    keep(&bundle, &train.out)?;
    if checkpoint.exists() {
        fs::remove_file(&checkpoint).map_err(|error| io_failure("remove", &checkpoint, error))?;
    }
    let parts = gathered.parts();
    for bundle in [&from, &bundle] {
        let figures = figures(bundle, &parts)
            .map_err(|error| Failure::because(Code::Software, "cannot judge the model", error))?;
        say(&figures.to_string())?;
    }
    Ok(())
}

/// Judges a model on the last windows of some logs.
pub(crate) fn eval(eval: &Eval, settings: &Path) -> Result<(), Failure> {
    let bundle: Bundle = open(settings, eval.bundle.as_deref())?;
    let (gathered, _files) = gather(&eval.logs, &bundle)?;
    let parts = gathered.parts();
    if parts.judge.is_empty() {
        let lines = gathered.lines;
        return Err(Failure::new(Code::Data, format!("the {lines} lines of the logs make no window to judge by")));
    }
    let figures =
        figures(&bundle, &parts).map_err(|error| Failure::because(Code::Software, "cannot judge the model", error))?;
    if !eval.json {
        return say(figures.to_string().trim_end());
    }
    let text = serde_json::to_string(&figures)
        .map_err(|error| Failure::because(Code::Software, "cannot print the figures", error))?;
    say(&text)
}

/// The windows of the logs, and each file with its hash.
fn gather(logs: &Logs, bundle: &Bundle) -> Result<(Gathered, Vec<(String, String)>), Failure> {
    let mut gatherer = Gatherer::new(bundle);
    let mut files = Vec::new();
    for path in &logs.files {
        let failed = |error| io_failure("read", path, error);
        let file = File::open(path).map_err(failed)?;
        let modified = file.metadata().and_then(|meta| meta.modified()).map_err(failed)?;
        let modified_ms = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        let first = match logs.year {
            Some(year) => year,
            None => first_year(path, modified_ms, logs.utc_offset).map_err(failed)?,
        };
        let reading =
            Reading { source: None, utc_offset_s: logs.utc_offset, year: Some(first), modified_ms, admins: Vec::new() };
        let mut hashed = Hashed { file, digest: digest::Running::default() };
        let input = BufReader::with_capacity(1 << 16, &mut hashed);
        gatherer.file(&reading, |line| each_line(input, line)).map_err(failed)?;
        files.push((path.display().to_string(), digest::hex(&hashed.digest.finish())));
    }
    Ok((gatherer.finish(), files))
}

/// A file that is hashed as it is read.
struct Hashed {
    file: File,
    digest: digest::Running,
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(into)?;
        self.digest.update(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// candle's pools are slower than one thread for tensors as small as these, and ask the environment, which a program may
/// not change of itself: so it begins anew with it.
fn on_one_thread() -> Result<(), Failure> {
    if THREADS.iter().any(|name| env::var_os(name).is_some()) {
        return Ok(());
    }
    let program =
        env::current_exe().map_err(|error| Failure::because(Code::Software, "cannot find this program", error))?;
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let error = Command::new(program).args(arguments).envs(THREADS.map(|name| (name, "1"))).exec();
    Err(Failure::because(Code::Software, "cannot begin anew on one thread", error))
}

/// Where training stands, in one line on a terminal.
fn show(line: &str) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return say(line);
    }
    let mut out = io::stdout().lock();
    write!(out, "\r{line}   ")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::because(Code::Io, "cannot write", error))
}

/// The checkpoint's file, beside the bundle's folder.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".checkpoint");
    PathBuf::from(name)
}

fn io_failure(what: &str, path: &Path, error: io::Error) -> Failure {
    Failure::because(Code::Io, format!("cannot {what} {}", path.display()), error)
}
