//! The descriptor set of candle-onnx's `onnx.proto3`, which lies beside `tools/protoc`, so that nobody needs a protoc.
//!
//! It is made by protox, a compiler of protocol buffers in Rust, from the file in the sources that cargo has fetched.

use std::{fs, path::PathBuf};

use clap::Args;
use protox::{Compiler, prost::Message as _};
use serde_json::Value;

use crate::run::{cargo, root};

/// What is compiled.
const FILE: &str = "onnx.proto3";

/// What is done.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only compare, and fail where what is there is of another version.
    #[arg(long)]
    check: bool,
}

impl Options {
    /// As a check runs it.
    pub(crate) fn check() -> Self {
        Self { check: true }
    }
}

/// Makes the descriptor set, and writes it or compares it.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let made = compile()?;
    let path = root().join("tools/onnx.descriptors");
    if !options.check {
        return fs::write(&path, made).map_err(|error| format!("cannot write {}: {error}", path.display()));
    }
    match fs::read(&path) {
        Ok(there) if there == made => Ok(()),
        Ok(_) => Err(format!("{} is not of the candle-onnx that is used: run `cargo xtask protoc`", path.display())),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn compile() -> Result<Vec<u8>, String> {
    let folder = sources()?;
    let failed = |error: protox::Error| format!("cannot compile {FILE} in {}: {error}", folder.display());
    let mut compiler = Compiler::new([&folder]).map_err(failed)?;
    // Comments would make it ten times as large, and come to nothing but docs of another crate.
    compiler.include_source_info(false).include_imports(true).open_file(FILE).map_err(failed)?;
    Ok(compiler.file_descriptor_set().encode_to_vec())
}

/// Where the sources of the locked candle-onnx lie.
fn sources() -> Result<PathBuf, String> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    let resolved: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = resolved.get("packages").and_then(Value::as_array);
    let found = packages.into_iter().flatten().find(|package| package.get("name") == Some(&"candle-onnx".into()));
    let manifest = found.and_then(|package| package.get("manifest_path")).and_then(Value::as_str);
    let manifest = manifest.ok_or("cargo metadata names no candle-onnx")?;
    PathBuf::from(manifest).parent().map(|folder| folder.join("src")).ok_or_else(|| "its manifest lies nowhere".into())
}
