//! A Hugging Face folder in: served by candle-transformers, held against a forward pass written here; refused by name.

use std::collections::BTreeMap;
use std::path::Path;

use nms_model::bundle::Bundle;
use nms_model::fast::Input;
use nms_model::hf::import;
use nms_model::key::{DIST, EOS, MASK};
use nms_model::onnx;
use nms_model::random::Random;
use nms_model::score::{ScoreError, Scorer};
use nms_model::sequence::Sequence;
use nms_model::serving::Net;
use nms_model::window::{Window, Windows};
use safetensors::tensor::{Dtype, TensorView};

use crate::window::event;

const WORDS: [&str; 9] = [
    "[PAD]",
    "[unused0]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "sshd.login.failed",
    "sshd.login.ok",
    "sudo.command.ok",
];
const WIDTH: usize = 8;
const HEADS: usize = 2;
const INNER: usize = 12;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Random weights by Hugging Face's names; the decoder's matrix is tied, as it is saved.
fn tensors() -> Tensors {
    let mut random = Random::new(4);
    let mut all = Tensors::new();
    let mut add = |name: String, dims: &[usize]| {
        let values = (0..dims.iter().product()).map(|_| (random.normal() * 0.3) as f32).collect();
        all.insert(name, (dims.to_vec(), values));
    };
    add("bert.embeddings.word_embeddings.weight".into(), &[WORDS.len(), WIDTH]);
    add("bert.embeddings.position_embeddings.weight".into(), &[40, WIDTH]);
    add("bert.embeddings.token_type_embeddings.weight".into(), &[2, WIDTH]);
    let layer = "bert.encoder.layer.0";
    for name in [
        "bert.embeddings.LayerNorm".to_owned(),
        format!("{layer}.attention.output.LayerNorm"),
        format!("{layer}.output.LayerNorm"),
        "cls.predictions.transform.LayerNorm".to_owned(),
    ] {
        add(format!("{name}.weight"), &[WIDTH]);
        add(format!("{name}.bias"), &[WIDTH]);
    }
    for (name, from, to) in [
        (format!("{layer}.attention.self.query"), WIDTH, WIDTH),
        (format!("{layer}.attention.self.key"), WIDTH, WIDTH),
        (format!("{layer}.attention.self.value"), WIDTH, WIDTH),
        (format!("{layer}.attention.output.dense"), WIDTH, WIDTH),
        (format!("{layer}.intermediate.dense"), WIDTH, INNER),
        (format!("{layer}.output.dense"), INNER, WIDTH),
        ("cls.predictions.transform.dense".to_owned(), WIDTH, WIDTH),
    ] {
        add(format!("{name}.weight"), &[to, from]);
        add(format!("{name}.bias"), &[to]);
    }
    add("cls.predictions.bias".into(), &[WORDS.len()]);
    all
}

fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = (tensors.iter())
        .map(|(name, (dims, values))| (name, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, dims, bytes)| (name.as_str(), TensorView::new(Dtype::F32, (*dims).clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn config() -> String {
    format!(
        r#"{{"architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": {}, "hidden_size": {WIDTH},
        "num_hidden_layers": 1, "num_attention_heads": {HEADS}, "intermediate_size": {INNER}, "hidden_act": "gelu_new",
        "max_position_embeddings": 40, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0}}"#,
        WORDS.len()
    )
}

fn write(folder: &Path) {
    std::fs::write(folder.join("config.json"), config()).unwrap();
    std::fs::write(folder.join("vocab.txt"), WORDS.join("\n") + "\n").unwrap();
    std::fs::write(folder.join("model.safetensors"), safetensors(&tensors())).unwrap();
}

fn imported() -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    import(folder.path()).unwrap()
}

/// y = x W' + b of each row.
fn linear(x: &[Vec<f64>], tensors: &Tensors, name: &str) -> Vec<Vec<f64>> {
    let (dims, weight) = &tensors[&format!("{name}.weight")];
    let bias = &tensors[&format!("{name}.bias")].1;
    let one = |row: &Vec<f64>| -> Vec<f64> {
        weight
            .chunks(dims[1])
            .zip(bias)
            .map(|(w, b)| w.iter().zip(row).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(*b))
            .collect()
    };
    x.iter().map(one).collect()
}

fn norm(x: &[Vec<f64>], tensors: &Tensors, name: &str) -> Vec<Vec<f64>> {
    let (gain, bias) = (&tensors[&format!("{name}.weight")].1, &tensors[&format!("{name}.bias")].1);
    let one = |row: &Vec<f64>| {
        let mean = row.iter().sum::<f64>() / row.len() as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
        let scaled = row.iter().zip(gain).zip(bias);
        scaled.map(|((x, g), b)| (x - mean) / (variance + 1e-12).sqrt() * f64::from(*g) + f64::from(*b)).collect()
    };
    x.iter().map(one).collect()
}

fn gelu(x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let one = |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh());
    x.iter().map(|row| row.iter().map(|x| one(*x)).collect()).collect()
}

fn add(left: &[Vec<f64>], right: &[Vec<f64>]) -> Vec<Vec<f64>> {
    left.iter().zip(right).map(|(l, r)| l.iter().zip(r).map(|(l, r)| l + r).collect()).collect()
}

/// The logits of all words at each position, as BERT is published.
#[expect(clippy::many_single_char_names, reason = "as the formulas have them")]
fn reference(words: &[usize]) -> Vec<Vec<f64>> {
    let t = tensors();
    let row = |name: &str, at: usize| -> Vec<f64> {
        t[&format!("bert.embeddings.{name}_embeddings.weight")].1[at * WIDTH..(at + 1) * WIDTH]
            .iter()
            .map(|x| f64::from(*x))
            .collect()
    };
    let words_rows: Vec<_> = words.iter().map(|word| row("word", *word)).collect();
    let positions: Vec<_> = (0..words.len()).map(|at| row("position", at)).collect();
    let segments: Vec<_> = words.iter().map(|_| row("token_type", 0)).collect();
    let x = norm(&add(&add(&words_rows, &positions), &segments), &t, "bert.embeddings.LayerNorm");
    let layer = "bert.encoder.layer.0";
    let [q, k, v] = ["query", "key", "value"].map(|part| linear(&x, &t, &format!("{layer}.attention.self.{part}")));
    let head = WIDTH / HEADS;
    let mut mixed = vec![vec![0.0; WIDTH]; words.len()];
    for first in (0..WIDTH).step_by(head) {
        for (out, q) in mixed.iter_mut().zip(&q) {
            let score = |k: &Vec<f64>| (first..first + head).map(|i| q[i] * k[i]).sum::<f64>() / (head as f64).sqrt();
            let weights: Vec<f64> = k.iter().map(|k| score(k).exp()).collect();
            let total: f64 = weights.iter().sum();
            for i in first..first + head {
                out[i] = weights.iter().zip(&v).map(|(weight, v)| weight / total * v[i]).sum();
            }
        }
    }
    let x = add(&x, &linear(&mixed, &t, &format!("{layer}.attention.output.dense")));
    let x = norm(&x, &t, &format!("{layer}.attention.output.LayerNorm"));
    let inner = gelu(&linear(&x, &t, &format!("{layer}.intermediate.dense")));
    let x =
        norm(&add(&x, &linear(&inner, &t, &format!("{layer}.output.dense"))), &t, &format!("{layer}.output.LayerNorm"));
    let x = gelu(&linear(&x, &t, "cls.predictions.transform.dense"));
    let x = norm(&x, &t, "cls.predictions.transform.LayerNorm");
    let (_, decoder) = &t["bert.embeddings.word_embeddings.weight"];
    let bias = &t["cls.predictions.bias"].1;
    let logit = |x: &Vec<f64>, word: usize| {
        let row = &decoder[word * WIDTH..(word + 1) * WIDTH];
        row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(bias[word])
    };
    x.iter().map(|x| (0..WORDS.len()).map(|word| logit(x, word)).collect()).collect()
}

#[test]
fn what_is_served_is_bert_as_it_is_published() {
    let mut net = Net::of(&imported()).unwrap();
    // [CLS] sshd.login.failed [MASK] sudo.command.ok [SEP], in our tokens and in its words.
    let sequence = Sequence { tokens: vec![DIST, 5, MASK, 7, EOS], contexts: Vec::new() };
    let wanted = [1, 2, 4];
    net.run(&[Input { sequence: &sequence, wanted: &wanted }]);
    let logits = net.masked(0, wanted.len()).to_vec();
    let reference = reference(&[3, 6, 5, 8, 4]);
    let word_of = [0, 2, 4, 3, 5, 6, 7, 8];
    assert_eq!(logits.len(), wanted.len() * word_of.len());
    for (row, position) in logits.chunks(word_of.len()).zip(wanted) {
        for (logit, word) in row.iter().zip(word_of) {
            let expected = reference[position][word];
            assert!((f64::from(*logit) - expected).abs() < 1e-5, "{logit} is not {expected}");
        }
    }
}

fn window(names: &[&str]) -> Window {
    let mut windows = Windows::default();
    for (at, name) in names.iter().enumerate() {
        windows.push(0, 1, Some(5), event(name, at as i64 * 1_000));
    }
    windows.tick(u64::MAX).into_iter().max_by_key(|window| window.positions.len()).unwrap()
}

#[test]
fn it_scores_windows_explains_them_and_never_speaks_up_without_a_calibration() {
    let bundle = imported();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in bundle.to_files().unwrap() {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let again = Bundle::open(folder.path()).unwrap();
    assert_eq!(again.manifest, bundle.manifest);
    let window = window(&["sshd.login.failed", "sshd.login.ok", "sshd.login.failed"]);
    let mut scorer = Scorer::new(&bundle).unwrap();
    let score = scorer.score(&window).unwrap();
    assert_eq!(scorer.score(&window).unwrap(), Scorer::new(&again).unwrap().score(&window).unwrap());
    assert!(score.surprise > 0.0 && score.categories.is_empty());
    assert_eq!((score.distance.to_bits(), score.p_value.to_bits()), (0f32.to_bits(), 1f32.to_bits()));
    assert_eq!(score.events.len(), 3);
    assert!(score.events.iter().all(|event| event.candidates == 2 && event.expected.len() == 2));
    assert!(onnx::export(&bundle).unwrap_err().to_string().contains("only a LogBERT"));
    let calibrated = tempfile::tempdir().unwrap();
    write(calibrated.path());
    let ours = r#"{"scoring": {"top_share": 0.25, "factor_weight": 0}, "calibration": {"surprise": [0.001, 0.002], "distance": []}}"#;
    std::fs::write(calibrated.path().join("nms.json"), ours).unwrap();
    let mut scorer = Scorer::new(&import(calibrated.path()).unwrap()).unwrap();
    assert!(scorer.score(&window).unwrap().p_value < 0.7);
}

#[test]
fn numbers_that_overflow_are_an_error_that_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let mut tensors = tensors();
    tensors.get_mut("cls.predictions.transform.LayerNorm.weight").unwrap().1.fill(f32::MAX);
    std::fs::write(folder.path().join("model.safetensors"), safetensors(&tensors)).unwrap();
    let mut scorer = Scorer::new(&import(folder.path()).unwrap()).unwrap();
    assert_eq!(scorer.score(&window(&["sshd.login.failed", "sshd.login.ok"])), Err(ScoreError::NotFinite));
    assert_eq!(scorer.not_finite(), 1);
}

/// The folder with a file of other bytes, and what import says.
#[track_caller]
fn check(file: &str, bytes: impl AsRef<[u8]>, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    std::fs::write(folder.path().join(file), bytes).unwrap();
    let said = match import(folder.path()) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    };
    for word in expected {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
}

#[test]
fn foreign_folders_are_refused_by_file_and_field() {
    let config = |from: &str, to: &str| {
        assert!(config().contains(from), "{from}");
        config().replacen(from, to, 1)
    };
    check("config.json", config("\"bert\"", "\"roberta\""), &["config.json", "model_type"]);
    check("config.json", config("gelu_new", "swish"), &["config.json", "swish"]);
    check("config.json", config("\"hidden_size\": 8", "\"hidden_size\": 8000000000"), &["config.json", "width"]);
    check("config.json", config("\"hidden_size\": 8", "\"hidden_size\": -8"), &["config.json", "-8"]);
    check("config.json", config("\"num_attention_heads\": 2", "\"num_attention_heads\": 3"), &["heads"]);
    check("config.json", config("\"max_position_embeddings\": 40", "\"max_position_embeddings\": 20"), &["positions"]);
    check("config.json", config("1e-12", "0"), &["epsilon"]);
    check("config.json", config("\"vocab_size\": 9", "\"vocab_size\": 10"), &["vocab.txt", "9 words", "10"]);
    check("config.json", &config("{", "")[..40], &["config.json", "line 1"]);
    check("vocab.txt", WORDS.join("\n").replace("[CLS]", "[cls]"), &["vocab.txt", "[CLS]"]);
    check("vocab.txt", WORDS.join("\n").replace("sshd.login.ok", "sshd.login.failed"), &["vocab.txt", "twice"]);
    check("vocab.txt", WORDS.join("\n").replace('.', " "), &["vocab.txt", "log key"]);
    check("vocab.txt", [0xff, 0xfe], &["vocab.txt", "utf-8"]);
    check("nms.json", "{}", &["nms.json", "scoring"]);
    let file = safetensors(&tensors());
    for cut in [0, 7, 8, 100, file.len() / 2, file.len() - 1] {
        check("model.safetensors", &file[..cut], &["model.safetensors"]);
    }
    let changed = |change: fn(&mut Tensors)| {
        let mut tensors = tensors();
        change(&mut tensors);
        safetensors(&tensors)
    };
    let nan = changed(|tensors| tensors.get_mut("bert.encoder.layer.0.output.dense.bias").unwrap().1[3] = f32::NAN);
    check("model.safetensors", nan, &["model.safetensors", "layer.0.output.dense.bias", "NaN"]);
    let missing = changed(|tensors| drop(tensors.remove("cls.predictions.bias")));
    check("model.safetensors", missing, &["cls.predictions.decoder.bias"]);
    let other = changed(|tensors| {
        tensors.insert("bert.embeddings.word_embeddings.weight".into(), (vec![8, 9], vec![0.0; 72]));
    });
    check("model.safetensors", other, &["word_embeddings", "[9, 8]", "[8, 9]"]);
}
