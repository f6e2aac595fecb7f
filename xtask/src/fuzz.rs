//! Fuzzing: one program with all targets of `fuzz/`, built with coverage, run over each target for a while.
//!
//! The flags are those of `cargo fuzz build --sanitizer none`, all of them stable, so the pinned toolchain does and nothing
//! but a C++ compiler (for libFuzzer itself) must be there. Without a sanitizer because our code is safe Rust: what
//! could go wrong is a panic, a hang or memory without bounds, and those show all the same, at several times the speed.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use clap::Args;
use serde_json::json;

use crate::run::{cargo, root, step, target};

/// What makes the compiler count edges and show comparisons to libFuzzer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0";
/// Longest that one input may take, in seconds; the usual one takes microseconds.
const INPUT_S_MAX: u64 = 20;
/// Most memory of a target that is resident, in MiB.
const MEMORY_MIB_MAX: u64 = 1_024;
/// Longest input that is made up, in bytes: what is found fits into a corpus.
const INPUT_BYTES_MAX: u64 = 4_096;
/// What each target gets in `cargo xtask ci`, in seconds.
const SMOKE_S: u64 = 3;
/// Where `cargo xtask ci` begins: each time the same inputs, so that what fails there failed before it was pushed too.
const SMOKE_SEED: u32 = 1;
/// Inputs that `cargo xtask ci` makes up for each target, at most.
const SMOKE_RUNS: u64 = 20_000;
/// Lines of a target's log that are shown where it found something: the panic, its stack and the input.
const SHOWN_LINES: usize = 60;

/// What is fuzzed, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds for each target.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only this target; may be given more than once.
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Targets at a time; as many as there are processors, unless it is given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Where the fuzzer's random numbers begin; anywhere, unless it is given.
    #[arg(long)]
    seed: Option<u32>,
    /// Inputs for each target at most; as many as the time allows, unless it is given.
    #[arg(long)]
    runs: Option<u64>,
}

/// Fuzzes every target for a short while, where there is a C++ compiler.
pub(crate) fn smoke() -> Result<(), String> {
    if !has_compiler() && env::var("NMS_REQUIRE").as_deref() != Ok("all") {
        println!("fuzz: skipped: no C++ compiler, apt-get install g++");
        return Ok(());
    }
    let (seed, runs) = (Some(SMOKE_SEED), Some(SMOKE_RUNS));
    run(&Options { seconds: SMOKE_S, target: Vec::new(), jobs: None, seed, runs })
}

/// Builds the program and runs the targets; a line of JSON for each.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let targets = chosen(&options.target)?;
    if !has_compiler() {
        return Err("libFuzzer needs a C++ compiler: apt-get install g++".into());
    }
    let program = build()?;
    let jobs = options.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into)).max(1);
    let (waiting, problems) = (Mutex::new(targets.into_iter()), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let done = fuzz(&program, &name, options);
                    if let (Err(problem), Ok(mut problems)) = (done, problems.lock()) {
                        problems.push(problem);
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap_or_default();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn has_compiler() -> bool {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    Command::new(compiler).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The targets that were asked for. A test holds that each has a corpus of its name, and none is without one.
fn chosen(asked: &[String]) -> Result<Vec<String>, String> {
    let folder = root().join("fuzz/corpus");
    let entries = fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut all: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    all.sort();
    if let Some(unknown) = asked.iter().find(|asked| !all.contains(asked)) {
        return Err(format!("{unknown} is no target; there are: {}", all.join(", ")));
    }
    Ok(if asked.is_empty() { all } else { asked.to_vec() })
}

/// The program, and where it is.
fn build() -> Result<PathBuf, String> {
    let folder = target().join("fuzz");
    let host = host()?;
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", "fuzz", "-p", "nms-fuzz", "--features", "libfuzzer", "--bin", "any"]);
    // With a target named, the flags reach neither build scripts nor macros.
    build.args(["--target", &host]).env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", COVERAGE);
    build.env_remove("CARGO_ENCODED_RUSTFLAGS").env("CARGO_INCREMENTAL", "0");
    step(&mut build)?;
    Ok(folder.join(host).join("fuzz/any"))
}

fn host() -> Result<String, String> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .current_dir(root())
        .arg("-vV")
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(Into::into).ok_or_else(|| format!("rustc does not say what its host is: {said}"))
}

/// Fuzzes one target. What is found lies in `target/fuzz/findings`, what the fuzzer learnt in `target/fuzz/corpus`.
fn fuzz(program: &Path, name: &str, options: &Options) -> Result<(), String> {
    let place = |kind: &str| -> Result<PathBuf, String> {
        let folder = target().join("fuzz").join(kind).join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(folder)
    };
    let (learnt, findings, logs) = (place("corpus")?, place("findings")?, place("logs")?);
    let before = files(&findings);
    let log = logs.join("last.log");
    let written = File::create(&log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    let number = |flag: &str, value: Option<u64>| value.map(|value| format!("-{flag}={value}"));
    let status = Command::new(program)
        .current_dir(root())
        .env("NMS_FUZZ_TARGET", name)
        .env("RUST_BACKTRACE", "1")
        .arg(format!("-max_total_time={}", options.seconds))
        .args(number("seed", options.seed.map(u64::from)))
        .args(number("runs", options.runs))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-timeout={INPUT_S_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg("-print_final_stats=1")
        .arg(&learnt)
        .arg(root().join("fuzz/corpus").join(name))
        .stderr(written)
        .status()
        .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    // A panic may show bytes of the input.
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let found: Vec<String> = files(&findings).into_iter().filter(|file| !before.contains(file)).collect();
    let runs = runs(&said);
    println!(
        "{}",
        json!({ "target": name, "runs": runs, "seconds": lasted(&said), "coverage": coverage(&said),
                "corpus": files(&learnt).len(), "findings": found })
    );
    let again = || format!("NMS_FUZZ_TARGET={name} {} FILE", program.display());
    match runs {
        _ if !status.success() => {
            let lines: Vec<&str> = said.lines().collect();
            let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default().join("\n");
            Err(format!("{name}: a finding, see {}; again with: {}\n{shown}", log.display(), again()))
        }
        0 => Err(format!("{name}: it did not run, see {}", log.display())),
        _ => Ok(()),
    }
}

/// What libFuzzer says at its end, or, where a finding ended it, in its last line about its progress.
fn runs(said: &str) -> u64 {
    let number = |text: &str| text.trim().parse().ok();
    let at_end = said.lines().find_map(|line| number(line.strip_prefix("stat::number_of_executed_units:")?));
    let progress = || said.lines().filter_map(|line| number(line.strip_prefix('#')?.split_once('\t')?.0)).next_back();
    at_end.or_else(progress).unwrap_or(0)
}

/// Seconds that it took; none where a finding ended it.
fn lasted(said: &str) -> Option<u64> {
    let done = said.lines().find(|line| line.starts_with("Done "))?;
    done.split_once(" runs in ")?.1.split(' ').next()?.parse().ok()
}

/// Edges that were reached.
fn coverage(said: &str) -> u64 {
    let words =
        said.lines().filter_map(|line| line.split_once(" cov: ")).filter_map(|(_, rest)| rest.split(' ').next());
    words.filter_map(|word| word.parse().ok()).next_back().unwrap_or(0)
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::{coverage, lasted, runs};

    #[test]
    fn the_fuzzers_words_are_understood() {
        let said = "#2\tINITED cov: 7 ft: 7 corp: 1/1b exec/s: 0 rss: 27Mb\n#4096\tpulse  cov: 91 ft: 9\n\
                    Done 5000 runs in 2 second(s)\nstat::number_of_executed_units: 5000\n";
        assert_eq!((runs(said), coverage(said), lasted(said)), (5_000, 91, Some(2)));
        assert_eq!(runs("#2\tINITED cov: 7\n#77\tNEW    cov: 8\nthread 'x' panicked\n"), 77);
        assert_eq!((runs("NMS_FUZZ_TARGET=\"x\" is no target"), coverage("")), (0, 0));
    }
}
