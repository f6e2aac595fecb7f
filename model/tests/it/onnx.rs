//! ONNX out and in: other runtimes and candle-onnx compute what our pass computes; what does not fit is refused by name.

use std::path::{Path, PathBuf};
use std::process::Command;

use candle_onnx::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TrainingInfoProto,
};
use nms_model::bundle::{Bundle, Manifest, Scoring};
use nms_model::fast::{Fast, Input};
use nms_model::key::Vocabulary;
use nms_model::net::{Shape, Weights};
use nms_model::onnx::{Answer, OnnxError, evaluate, export, import, open};
use nms_model::random::Random;
use nms_model::score::Scorer;
use nms_model::sequence::{Passes, Sequence};
use prost::Message as _;

use crate::net::random_sequence;
use crate::window::event;

/// How far two passes may be apart.
const TOLERANCE: f32 = 1e-4;

fn shipped() -> Vec<u8> {
    export(&Bundle::shipped().unwrap()).unwrap()
}

/// A net of another shape: three layers, an odd width, no factors, no categories.
fn bare() -> Bundle {
    let shape =
        Shape { width: 36, layers: 3, heads: 2, feed_forward: 50, vocabulary: 9, factors: false, categories: 0 };
    let names = ["sshd.login.ok", "sshd.login.failed", "sudo.command.ok", "cron.command.ok"];
    let vocabulary = Vocabulary::from_names(names).unwrap();
    let scoring = Scoring { top_share: 0.25, factor_weight: 0.0 };
    let weights = Weights::random(&shape, &mut Random::new(5));
    let manifest = Manifest::new("bare", shape, &vocabulary, &[], scoring);
    Bundle { manifest, vocabulary, weights, words: None }
}

/// Every pass of some windows: whole, and under each mask.
fn passes(shape: &Shape, seed: u64) -> Vec<Sequence> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for length in [1, 3, 9, 32] {
        let mut passes = Passes::default();
        passes.fill(&random_sequence(&mut random, shape, length));
        all.extend(passes.iter().map(|(sequence, _)| sequence.clone()));
    }
    all
}

fn ours(net: &mut Fast, sequence: &Sequence) -> Answer {
    let wanted: Vec<usize> = (0..sequence.len()).collect();
    net.run(&[Input { sequence, wanted: &wanted }]);
    let masked = net.masked(0, sequence.len()).to_vec();
    Answer { masked, distance: net.distance(0), categories: net.categories(0).to_vec() }
}

/// The greatest difference of two answers, of logits and of the surprise of each position under each target.
fn difference(left: &Answer, right: &Answer, shape: &Shape) -> f32 {
    let all = |answer: &Answer| {
        let mut numbers = answer.masked.clone();
        numbers.push(answer.distance);
        numbers.extend(&answer.categories);
        for row in answer.masked.chunks(shape.predicted()) {
            for (first, columns) in shape.groups() {
                let logits = &row[first..first + columns];
                let top = logits.iter().copied().fold(f32::MIN, f32::max);
                let total = logits.iter().map(|logit| (logit - top).exp()).sum::<f32>().ln() + top;
                numbers.extend(logits.iter().map(|logit| total - logit));
            }
        }
        numbers
    };
    let (left, right) = (all(left), all(right));
    assert_eq!(left.len(), right.len());
    assert!(left.iter().chain(&right).all(|number| number.is_finite()));
    left.iter().zip(&right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

#[test]
fn candle_onnx_computes_what_our_pass_computes() {
    for bundle in [Bundle::shipped().unwrap(), bare()] {
        let shape = &bundle.manifest.shape;
        let file = export(&bundle).unwrap();
        let mut net = Fast::new(shape, &bundle.weights).unwrap();
        let mut worst = 0f32;
        for sequence in passes(shape, 11) {
            let theirs = evaluate(&file, &sequence).unwrap();
            worst = worst.max(difference(&ours(&mut net, &sequence), &theirs, shape));
        }
        println!("{}: candle-onnx differs by {worst:e}", bundle.manifest.name);
        assert!(worst <= TOLERANCE, "{worst}");
    }
}

/// A python that has onnxruntime; none where there is none, which `NMS_REQUIRE=all` makes a failure.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("NMS_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let there = Command::new(&python).args(["-c", "import onnxruntime"]).output();
    if there.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert_ne!(std::env::var("NMS_REQUIRE").as_deref(), Ok("all"), "{} has no onnxruntime", python.display());
    println!("skipped: {} has no onnxruntime", python.display());
    None
}

/// What ONNX Runtime answers, sequence by sequence, each once alone and once in a batch with padding.
fn runtime(python: &Path, file: &[u8], sequences: &[Sequence]) -> Vec<[Answer; 2]> {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = (folder.path().join("model.onnx"), folder.path().join("input.json"));
    std::fs::write(&model, file).unwrap();
    let rows: Vec<_> = (sequences.iter())
        .map(|sequence| {
            let factors: Vec<_> = sequence.contexts.iter().map(|context| *context.values()).collect();
            serde_json::json!({ "tokens": sequence.tokens, "factors": factors })
        })
        .collect();
    std::fs::write(&input, serde_json::to_vec(&rows).unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx_runtime.py");
    let output = Command::new(python).arg(script).args([model, input]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn onnx_runtime_computes_what_our_pass_computes() {
    let Some(python) = python() else { return };
    for bundle in [Bundle::shipped().unwrap(), bare()] {
        let shape = &bundle.manifest.shape;
        let mut net = Fast::new(shape, &bundle.weights).unwrap();
        let sequences = passes(shape, 12);
        let answers = runtime(&python, &export(&bundle).unwrap(), &sequences);
        assert_eq!(answers.len(), sequences.len());
        let mut worst = 0f32;
        for (sequence, answers) in sequences.iter().zip(&answers) {
            for answer in answers {
                worst = worst.max(difference(&ours(&mut net, sequence), answer, shape));
            }
        }
        println!("{}: ONNX Runtime differs by {worst:e}", bundle.manifest.name);
        assert!(worst <= TOLERANCE, "{worst}");
    }
}

#[test]
fn what_went_out_comes_back_and_scores_the_same() {
    for bundle in [Bundle::shipped().unwrap(), bare()] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, export(&bundle).unwrap()).unwrap();
        let back = open(&file).unwrap();
        assert_eq!(back.weights, bundle.weights);
        assert_eq!(back.vocabulary, bundle.vocabulary);
        assert_eq!(back.manifest.calibration, bundle.manifest.calibration);
        assert_eq!(export(&back).unwrap().len(), export(&back).unwrap().len());
    }
    let (bundle, back) = (Bundle::shipped().unwrap(), import(&shipped()).unwrap());
    assert_eq!(back.version(), bundle.version(), "the weights are the same bit for bit, and so is their hash");
    let mut windows = nms_model::window::Windows::default();
    for (at, name) in ["sshd.login.ok", "pam.login.none", "sudo.command.ok"].iter().enumerate() {
        windows.push(0, 1, Some(5), event(name, at as i64 * 1_000));
    }
    for window in windows.tick(u64::MAX) {
        let (mut one, mut two) = (Scorer::new(&bundle).unwrap(), Scorer::new(&back).unwrap());
        assert_eq!(one.score(&window).unwrap(), two.score(&window).unwrap());
    }
}

#[test]
fn names_of_values_and_tensors_are_the_writers_own() {
    let mut model = ModelProto::decode(shipped().as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let kept = ["tokens", "factors", "masked", "distance", "categories"];
    let rename = |name: &mut String| {
        if !kept.contains(&name.as_str()) {
            name.insert_str(0, "/layer/");
        }
    };
    for node in &mut graph.node {
        node.name.clear();
        node.input.iter_mut().chain(&mut node.output).for_each(rename);
    }
    graph.initializer.iter_mut().for_each(|tensor| rename(&mut tensor.name));
    graph.initializer.reverse();
    assert_eq!(import(&model.encode_to_vec()).unwrap().version(), Bundle::shipped().unwrap().version());
}

/// The shipped file after a change, and what import says.
fn refused(change: impl FnOnce(&mut ModelProto)) -> String {
    let mut model = ModelProto::decode(shipped().as_slice()).unwrap();
    change(&mut model);
    match import(&model.encode_to_vec()) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn property(model: &mut ModelProto, key: &str, from: &str, to: &str) {
    let property = model.metadata_props.iter_mut().find(|property| property.key == key).unwrap();
    assert!(property.value.contains(from), "{from}");
    property.value = property.value.replacen(from, to, 1);
}

#[track_caller]
fn check(what: &str, expected: &[&str]) {
    for word in expected {
        assert!(what.contains(word), "{word:?} is not in {what:?}");
    }
}

#[test]
fn foreign_graphs_are_refused_by_operator_node_and_field() {
    let operator = |name: &'static str| refused(move |model| graph(model).node[7].op_type = name.to_owned());
    check(&operator("LayerNormalization"), &["LayerNormalization", "not taken", "opset 13"]);
    check(&operator("Gelu"), &["Gelu"]);
    check(&operator("Sub"), &["node 7", "is expected, it is Sub"]);
    check(&refused(|model| graph(model).node[3].domain = "com.example".to_owned()), &["not taken"]);
    check(&refused(|model| model.opset_import[0].version = 18), &["opset_import", "18", "13 to 16"]);
    check(&refused(|model| model.opset_import.clear()), &["opset_import"]);
    check(&refused(|model| model.graph = None), &["graph", "none"]);
    check(&refused(|model| graph(model).node.clear()), &["node 0", "ends where Gather"]);
    check(
        &refused(|model| {
            let node = graph(model).node[0].clone();
            graph(model).node.push(node);
        }),
        &["behind the end"],
    );
    // A circle: a node that reads what is written later.
    check(
        &refused(|model| graph(model).node[1].input[0] = "masked".to_owned()),
        &["node 1", "nothing before it writes"],
    );
    check(&refused(|model| graph(model).node[1].output[0] = "tokens".to_owned()), &["tokens", "there already"]);
    check(&refused(|model| graph(model).node[1].input.clear()), &["node 1", "number of inputs"]);
    check(&refused(|model| graph(model).node[0].attribute[0].i = 1), &["node 0", "attributes"]);
    check(&refused(|model| graph(model).input[0].name = "ids".to_owned()), &["graph.input", "tokens"]);
    check(&refused(|model| graph(model).output.truncate(1)), &["graph.output", "distance"]);
    check(&refused(|model| graph(model).input[0].r#type = None), &["graph.input", "tokens"]);
    let inner = AttributeProto { name: "body".to_owned(), g: Some(GraphProto::default()), ..AttributeProto::default() };
    check(&refused(|model| graph(model).node[0].attribute.push(inner)), &["subgraph"]);
    let swap = |model: &mut ModelProto| {
        let nodes = &mut graph(model).node;
        let at = nodes.iter().position(|node| node.op_type == "MatMul").unwrap();
        nodes[at].input.swap(0, 1);
    };
    check(&refused(swap), &["MatMul"]);
}

#[test]
fn foreign_tensors_are_refused_by_name() {
    let tensor = |name: &'static str, change: fn(&mut candle_onnx::onnx::TensorProto)| {
        refused(move |model| change(graph(model).initializer.iter_mut().find(|tensor| tensor.name == name).unwrap()))
    };
    check(&tensor("0.q.w", |tensor| tensor.dims = vec![i64::MAX, i64::MAX]), &["0.q.w", "must be f32 [64, 64]"]);
    check(&tensor("0.q.w", |tensor| tensor.dims = vec![-64, 64]), &["0.q.w", "-64"]);
    check(&tensor("0.q.w", |tensor| tensor.data_type = 11), &["0.q.w", "type 11"]);
    check(&tensor("1.f1.b", |tensor| tensor.raw_data.truncate(7)), &["1.f1.b", "number of values"]);
    check(&tensor("ctx", |tensor| tensor.raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes())), &["ctx", "NaN"]);
    check(&tensor("emb", |tensor| tensor.raw_data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes())), &["emb"]);
    check(&tensor("epsilon", |tensor| tensor.raw_data = 1f32.to_le_bytes().to_vec()), &["epsilon", "other numbers"]);
    check(&tensor("positions", |tensor| tensor.raw_data[43] ^= 0x40), &["positions", "other numbers"]);
    check(&tensor("shape.heads", |tensor| tensor.raw_data[24] = 9), &["shape.heads", "must be [0, 0, 4, 16]"]);
    check(&tensor("emb", |tensor| tensor.data_location = 1), &["emb", "another file"]);
    check(&tensor("emb", |tensor| tensor.name = "0.q.w".to_owned()), &["0.q.w", "stands twice"]);
    // Finite, of the right form, and not the weights that the golden vector was made with.
    check(&tensor("dist.b", |tensor| tensor.raw_data[3] = 0x41), &["nms.golden", "our pass", "distance"]);
    check(&refused(|model| graph(model).initializer.clear()), &["emb", "nothing before it writes"]);
}

#[test]
fn foreign_properties_are_refused_by_field() {
    let manifest = |from: &str, to: &str| refused(|model| property(model, "nms.manifest", from, to));
    check(&manifest("sshd.login.failed", "sshd.login.maybe"), &["nms.manifest", "sshd.login.maybe"]);
    check(&manifest("\"sshd.login.failed\",", ""), &["nms.manifest", "vocabulary"]);
    check(&manifest("\"width\":64", "\"width\":128"), &["128"]);
    check(&manifest("\"layers\":2", "\"layers\":4000000000"), &["layers", "4000000000"]);
    check(&manifest("\"layers\":2", "\"layers\":1"), &["must be f32"]);
    check(&manifest("\"heads\":4", "\"heads\":5"), &["heads"]);
    check(&manifest("\"format\":1", "\"format\":9"), &["format is 9"]);
    check(&manifest("{", ""), &["nms.manifest", "line 1"]);
    let golden = |from: &str, to: &str| refused(|model| property(model, "nms.golden", from, to));
    check(&golden("\"tokens\":[3", "\"tokens\":[4000000000"), &["nms.golden", "tokens"]);
    check(&golden("\"distance\":", "\"distance\":1"), &["nms.golden", "distance"]);
    check(&golden("\"distance\":", "\"distance\":1e99"), &["nms.golden"]);
    check(&golden("\"tokens\":[3", "\"tokens\":[3,3"), &["nms.golden"]);
    check(&golden("\"factors\":[[", "\"factors\":[[255,"), &["nms.golden"]);
    check(&refused(|model| model.metadata_props.clear()), &["metadata_props", "nms.format is missing"]);
    let twice = |model: &mut ModelProto| {
        let one = model.metadata_props[1].clone();
        model.metadata_props.push(one);
    };
    check(&refused(twice), &["nms.manifest stands twice"]);
    let words = |from: &str, to: &str| refused(|model| property(model, "nms.words", from, to));
    check(&words("000000", "zz0000"), &["nms.words", "not hexadecimal"]);
    check(&words("000000", "00000"), &["nms.words"]);
    check(&words("000000", "ffffff"), &["nms.words"]);
}

#[test]
fn words_go_out_and_come_in() {
    assert_eq!(import(&shipped()).unwrap().words, Bundle::shipped().unwrap().words);
    assert_eq!(import(&export(&bare()).unwrap()).unwrap().words, None);
}

#[test]
fn cut_and_random_bytes_are_refused_without_a_panic() {
    let file = shipped();
    let mut random = Random::new(3);
    for _ in 0..200 {
        let cut = random.below(file.len());
        assert!(import(&file[..cut]).is_err(), "cut at {cut}");
    }
    for _ in 0..200 {
        let mut damaged = file.clone();
        for _ in 0..=random.below(8) {
            let at = random.below(damaged.len());
            damaged[at] = random.below(256) as u8;
        }
        // A change of a weight's last bits is another net of the same form: the golden vector may not see it.
        if let Err(error) = import(&damaged) {
            assert!(error.to_string().starts_with("onnx: "), "{error}");
        }
    }
    for length in [0, 1, 7, 100, 5_000] {
        let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        assert!(import(&bytes).is_err());
    }
    assert!(matches!(import(&vec![0; (64 << 20) + 1]), Err(OnnxError::Wire(cause)) if cause.contains("larger")));
    let missing = open(Path::new("/nonexistent/model.onnx")).unwrap_err().to_string();
    check(&missing, &["/nonexistent/model.onnx"]);
}

#[test]
fn what_would_grow_in_memory_is_refused_before_it_is_decoded() {
    let many = GraphProto { node: vec![NodeProto::default(); 200_000], ..GraphProto::default() };
    let model = ModelProto { graph: Some(many), ..ModelProto::default() };
    check(&import(&model.encode_to_vec()).unwrap_err().to_string(), &["more than 100000 fields"]);
    check(
        &refused(|model| graph(model).initializer[0].int64_data = vec![0; 1 << 20]),
        &["a tensor's integers", "longer than 4096"],
    );
    check(&refused(|model| model.functions.push(FunctionProto::default())), &["functions"]);
    check(&refused(|model| model.training_info.push(TrainingInfoProto::default())), &["training_info"]);
    check(
        &refused(|model| graph(model).sparse_initializer.push(SparseTensorProto::default())),
        &["sparse_initializer"],
    );
    let mut deep = GraphProto::default();
    for _ in 0..500 {
        let g = Some(deep);
        let attribute = vec![AttributeProto { g, ..AttributeProto::default() }];
        deep = GraphProto { node: vec![NodeProto { attribute, ..NodeProto::default() }], ..GraphProto::default() };
    }
    let model = ModelProto { graph: Some(deep), ..ModelProto::default() };
    check(&import(&model.encode_to_vec()).unwrap_err().to_string(), &["subgraph"]);
}
