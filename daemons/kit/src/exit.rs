//! How a program ends: the chain of what went wrong, once, on stderr, and a code of sysexits(3).

use std::{error::Error, fmt, process::ExitCode};

/// Codes of sysexits(3) that our programs end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The command line was wrong.
    Usage = 64,
    /// Input data were wrong.
    Data = 65,
    /// A service is not there.
    Unavailable = 69,
    /// A fault of our own.
    Software = 70,
    /// A file cannot be made.
    CantCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// Not allowed.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// Why a program ends before its time.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    context: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure in words: what failed, where, what to do.
    pub fn new(code: Code, context: impl Into<String>) -> Self {
        Self { code, context: context.into(), source: None }
    }

    /// A failure because of `source`.
    pub fn because(code: Code, context: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self { code, context: context.into(), source: Some(Box::new(source)) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Prints the chain of a failure once and gives the code to end with.
pub fn report(program: &str, result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    let mut line = format!("{program}: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    say(&line);
    ExitCode::from(failure.code as u8)
}

#[expect(clippy::print_stderr, reason = "the one place where a program says why it ends")]
fn say(line: &str) {
    eprintln!("{line}");
}
