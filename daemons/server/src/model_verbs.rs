//! The verbs about models: what one is, one as an ONNX file, out and in, one for one's own logs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use nms_kit::exit::{Code, Failure};
use nms_model::{bundle::Bundle, hf, onnx};
use nmsd_server::{StartError, config::Config};
use serde_json::json;

use crate::{
    retrain_verbs::{self, Eval, Train},
    verbs::{configured, say},
};

/// What is done with models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelVerb {
    /// Print what a model is, JSON: shape, vocabulary, categories, calibration, where it comes from.
    Info {
        /// A bundle's folder or an ONNX file; the model of the settings by default.
        #[arg(long, value_name = "DIR|FILE.onnx")]
        bundle: Option<PathBuf>,
    },
    /// Write a model as an ONNX file (opset 13) that ONNX Runtime runs.
    ExportOnnx {
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// A bundle's folder; the model of the settings by default.
        #[arg(long, value_name = "DIR")]
        bundle: Option<PathBuf>,
    },
    /// Read an ONNX file, check it and write it as a bundle that `model` in the settings may name.
    ImportOnnx {
        /// The file.
        file: PathBuf,
        /// The bundle's folder: new, or empty.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Train a model on log files of one's own, from the shipped one on, and write it as a bundle.
    Train(Train),
    /// Print how well a model foresees the last tenth of some log files, beside an n-gram that learnt from the rest.
    Eval(Eval),
    /// Read a Hugging Face folder of a `BertForMaskedLM` whose words are log keys, and write it as a bundle.
    ImportHf {
        /// The folder: config.json, vocab.txt, model.safetensors, and nms.json with a calibration where there is one.
        folder: PathBuf,
        /// The bundle's folder: new, or empty.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Carries out a verb.
pub(crate) fn run(verb: ModelVerb, settings: &Path) -> Result<(), Failure> {
    match verb {
        ModelVerb::Info { bundle } => info(&open(settings, bundle.as_deref())?),
        ModelVerb::ExportOnnx { out, bundle } => {
            let bundle = open(settings, bundle.as_deref())?;
            let bytes = onnx::export(&bundle)
                .map_err(|error| Failure::because(Code::Software, "cannot export the model", error))?;
            write(&out, &bytes)?;
            say(&format!("wrote {} of model {} {}", out.display(), bundle.manifest.name, bundle.version()))
        }
        ModelVerb::Train(train) => retrain_verbs::train(&train, settings),
        ModelVerb::Eval(eval) => retrain_verbs::eval(&eval, settings),
        ModelVerb::ImportOnnx { file, out } => keep(&import(&file)?, &out),
        ModelVerb::ImportHf { folder, out } => {
            let bundle = hf::import(&folder)
                .map_err(|error| Failure::because(Code::Data, format!("cannot import {}", folder.display()), error))?;
            keep(&bundle, &out)
        }
    }
}

/// Writes a bundle into a folder that is new or empty.
pub(crate) fn keep(bundle: &Bundle, out: &Path) -> Result<(), Failure> {
    let files = bundle
        .to_files()
        .map_err(|error| Failure::because(Code::Software, "cannot make a bundle of the model", error))?;
    refuse_full(out)?;
    for (name, bytes) in &files {
        write(&out.join(name), bytes)?;
    }
    let (name, version, out) = (&bundle.manifest.name, bundle.version(), out.display().to_string());
    say(&format!("wrote {out} of model {name} {version}; it is served with model = {out:?} in the settings"))
}

/// Makes a folder, and refuses one that holds something.
pub(crate) fn refuse_full(out: &Path) -> Result<(), Failure> {
    let cannot = |error| Failure::because(Code::CantCreate, format!("cannot make {}", out.display()), error);
    fs::create_dir_all(out).map_err(cannot)?;
    if fs::read_dir(out).map_err(cannot)?.next().is_some() {
        return Err(Failure::new(Code::CantCreate, format!("{} is not empty", out.display())));
    }
    Ok(())
}

/// The model of a folder or an ONNX file; that of the settings by default, the shipped one where there are none.
pub(crate) fn open(settings: &Path, bundle: Option<&Path>) -> Result<Bundle, Failure> {
    if let Some(file) = bundle.filter(|path| path.is_file()) {
        return import(file);
    }
    let of_settings = match bundle {
        None if settings.exists() => Config::load(settings).map_err(configured)?.model,
        _ => None,
    };
    nmsd_server::bundle(bundle.or(of_settings.as_deref()))
        .map_err(|error| Failure::because(Code::Data, "cannot load the model", StartError::Model(error)))
}

fn import(file: &Path) -> Result<Bundle, Failure> {
    onnx::open(file).map_err(|error| Failure::because(Code::Data, format!("cannot import {}", file.display()), error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes)
        .map_err(|error| Failure::because(Code::CantCreate, format!("cannot write {}", path.display()), error))
}

fn info(bundle: &Bundle) -> Result<(), Failure> {
    let manifest = &bundle.manifest;
    let told = json!({
        "name": manifest.name,
        "version": bundle.version(),
        "kind": if manifest.masked_lm.is_some() { "BertForMaskedLM" } else { "LogBERT" },
        "shape": manifest.shape,
        "weights": bundle.weights.count(),
        "vocabulary": manifest.vocabulary,
        "categories": manifest.categories,
        "scoring": manifest.scoring,
        "calibrated_on": manifest.calibration.surprise.len(),
        "training": manifest.training,
    });
    let text = serde_json::to_string_pretty(&told)
        .map_err(|error| Failure::because(Code::Software, "cannot print the model", error))?;
    say(&text)
}
