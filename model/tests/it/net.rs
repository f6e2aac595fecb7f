//! The net: gradients reach every variable, serving equals training, both equal the parity fixture.

use nms_model::bert::{Batch, Bert, dist_logits, dist_loss, masked_loss};
use nms_model::fast::{Fast, Input};
use nms_model::key::{Context, FACTORS, Factor};
use nms_model::net::{NetError, Shape, Weights};
use nms_model::random::Random;
use nms_model::sequence::{MASKS, Passes, Sequence};

pub(crate) fn random_sequence(random: &mut Random, shape: &Shape, length: usize) -> Sequence {
    let tokens: Vec<u32> = (0..length).map(|_| 5 + random.below(shape.vocabulary - 5) as u32).collect();
    let mut sequence = Sequence::bare(&tokens);
    if shape.factors {
        let mut value = |factor: Factor| random.below(factor.size()) as u8;
        sequence.contexts = (0..length + 2).map(|_| Context::from_values(Factor::ALL.map(&mut value))).collect();
    }
    sequence
}

fn shapes() -> [Shape; 3] {
    let odd = Shape { width: 36, layers: 3, heads: 2, feed_forward: 50, vocabulary: 21, factors: true, categories: 3 };
    let bare = Shape { factors: false, categories: 0, ..Shape::small(20, 0) };
    [Shape::small(40, 4), odd, bare]
}

#[test]
fn every_variable_gets_a_gradient_and_moves() {
    let shape = Shape::small(30, 3);
    let mut random = Random::new(1);
    let net = Bert::new(shape.clone(), &Weights::random(&shape, &mut random)).unwrap();
    let mut sequences: Vec<_> = (0..4).map(|_| random_sequence(&mut random, &shape, 9)).collect();
    let targets: Vec<Vec<usize>> = sequences.iter().map(|s| s.targets(3).collect()).collect();
    for sequence in &mut sequences {
        sequence.hide(3);
    }
    let batch = Batch::of(&sequences, &shape, net.device()).unwrap();
    let hidden = net.hidden(&batch).unwrap();
    let cells: Vec<u32> = (0..4).map(|row| row * batch.length() as u32 + 3).collect();
    let logits = net.head(&net.cells(&hidden, &cells).unwrap(), "mlkp").unwrap();
    let groups: Vec<_> = shape.groups().into_iter().map(|(first, columns)| (first, columns, 1.0)).collect();
    let columns: Vec<Vec<u32>> =
        (0..groups.len()).map(|group| targets.iter().map(|row| row[group] as u32).collect()).collect();
    let first = Bert::first(&hidden).unwrap();
    let dist = dist_loss(&net.head(&first, "dist").unwrap(), &[0.0, 1.0, 0.0, 1.0]).unwrap();
    let category = nms_model::bert::category_loss(&net.head(&first, "cat").unwrap(), &[0, 1, 2, 0]).unwrap();
    let loss = ((masked_loss(&logits, &groups, &columns).unwrap() + dist.loss).unwrap() + category).unwrap();
    let gradients = loss.backward().unwrap();
    for (name, var) in net.vars() {
        let gradient = gradients.get(var).unwrap_or_else(|| panic!("{name} has no gradient"));
        let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        // The bias of the keys cancels in the softmax: its true gradient is zero.
        assert!(name.ends_with(".k.b") || norm > 1e-12, "{name} has a gradient of {norm}");
        let before = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        var.set(&(var.as_tensor() - (gradient * 0.1).unwrap()).unwrap()).unwrap();
        let after = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(name.ends_with(".k.b") || before != after, "{name} did not move");
    }
    assert_eq!(FACTORS, Factor::ALL.len());
}

/// The reference's outputs for one sequence: the masked head everywhere, the DIST logit, the categories.
fn reference(net: &Bert, sequence: &Sequence) -> (Vec<Vec<f32>>, f32, Vec<f32>) {
    let batch = Batch::of(std::slice::from_ref(sequence), net.shape(), net.device()).unwrap();
    let hidden = net.hidden(&batch).unwrap();
    let masked = net.head(&hidden, "mlkp").unwrap().squeeze(0).unwrap().to_vec2().unwrap();
    let first = Bert::first(&hidden).unwrap();
    let dist = dist_logits(&net.head(&first, "dist").unwrap()).unwrap().to_vec1::<f32>().unwrap()[0];
    let categories = if net.shape().categories == 0 {
        Vec::new()
    } else {
        net.head(&first, "cat").unwrap().squeeze(0).unwrap().to_vec1().unwrap()
    };
    (masked, dist, categories)
}

fn close(left: &[f32], right: &[f32], tolerance: f32, what: &str) {
    assert_eq!(left.len(), right.len(), "{what}");
    for (left, right) in left.iter().zip(right) {
        assert!((left - right).abs() <= tolerance * right.abs().max(1.0), "{what}: {left} is not {right}");
    }
}

#[test]
fn serving_equals_training() {
    for (seed, shape) in shapes().into_iter().enumerate() {
        let mut random = Random::new(seed as u64);
        let weights = Weights::random(&shape, &mut random);
        let net = Bert::new(shape.clone(), &weights).unwrap();
        let mut fast = Fast::new(&shape, &weights).unwrap();
        let sequences: Vec<_> =
            [1, 7, 32, 15, 16, 31].into_iter().map(|n| random_sequence(&mut random, &shape, n)).collect();
        let wanted: Vec<Vec<usize>> = sequences.iter().map(|s| (0..s.len()).collect()).collect();
        let inputs: Vec<_> =
            sequences.iter().zip(&wanted).map(|(sequence, wanted)| Input { sequence, wanted }).collect();
        fast.run(&inputs);
        let mut first = 0;
        for sequence in &sequences {
            let (masked, dist, categories) = reference(&net, sequence);
            let ours = fast.masked(first, sequence.len()).to_vec();
            close(&ours, &masked.concat(), 1e-5, "masked head");
            close(&[fast.distance(first)], &[dist], 1e-5, "distance");
            close(fast.categories(first), &categories, 1e-5, "categories");
            first += sequence.len();
        }
    }
}

#[test]
fn a_pass_does_not_depend_on_its_neighbours_or_on_what_else_is_wanted() {
    let shape = Shape::small(40, 4);
    let mut random = Random::new(9);
    let mut fast = Fast::new(&shape, &Weights::random(&shape, &mut random)).unwrap();
    let [one, two] = [12, 30].map(|n| random_sequence(&mut random, &shape, n));
    let all: Vec<usize> = (0..one.len()).collect();
    fast.run(&[Input { sequence: &one, wanted: &all }]);
    let alone = fast.masked(5, 1).to_vec();
    fast.run(&[Input { sequence: &two, wanted: &[0] }, Input { sequence: &one, wanted: &[5] }]);
    assert_eq!(fast.masked(1, 1), alone, "bit for bit");
}

#[test]
fn weights_round_trip_and_foreign_ones_are_refused_by_name() {
    let shape = Shape::small(12, 2);
    let weights = Weights::random(&shape, &mut Random::new(3));
    let bytes = weights.to_safetensors(&shape).unwrap();
    assert_eq!(Weights::from_safetensors(&bytes, &shape).unwrap(), weights);
    let other = Shape { width: 32, ..shape.clone() };
    assert!(matches!(Weights::from_safetensors(&bytes, &other), Err(NetError::Tensor { name, .. }) if name == "emb"));
    assert!(matches!(Weights::from_safetensors(&bytes[..bytes.len() / 2], &shape), Err(NetError::Format(_))));
    let huge = Shape { layers: usize::MAX, ..shape.clone() };
    assert!(matches!(huge.check(), Err(NetError::Shape { field: "layers", .. })));
    let mut bad = bytes;
    let last = bad.len() - 4;
    bad[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(Weights::from_safetensors(&bad, &shape), Err(NetError::NotFinite(_))));
}

/// The folder of public data; none where the machine has none, which `NMS_REQUIRE=all` makes a failure.
fn data() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("NMS_DATA").map(std::path::PathBuf::from);
    if folder.is_none() {
        assert_ne!(std::env::var("NMS_REQUIRE").as_deref(), Ok("all"), "NMS_DATA is not set");
        println!("skipped: NMS_DATA is not set");
    }
    folder
}

#[test]
fn both_passes_equal_the_parity_fixture() {
    let Some(data) = data() else { return };
    let shape = Shape { factors: false, categories: 0, ..Shape::small(20, 0) };
    let bytes = std::fs::read(data.join("parity/logbert_hdfs.safetensors")).unwrap();
    let weights = Weights::from_safetensors(&bytes, &shape).unwrap();
    let net = Bert::new(shape.clone(), &weights).unwrap();
    let mut fast = Fast::new(&shape, &weights).unwrap();
    let text = std::fs::read_to_string(data.join("parity/logbert_hdfs.json")).unwrap();
    let fixture: serde_json::Value = serde_json::from_str(&text).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32).collect()
    };
    for case in fixture["cases"].as_array().unwrap() {
        let tokens = case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let sequence = Sequence { tokens, contexts: Vec::new() };
        let wanted = case["dist_logit"].as_f64().unwrap() as f32;
        fast.run(&[Input { sequence: &sequence, wanted: &[0] }]);
        close(&[fast.distance(0)], &[wanted], 1e-4, "serving's distance");
        close(&[reference(&net, &sequence).1], &[wanted], 1e-4, "training's distance");
        let mut nll = vec![0f32; sequence.len() - 1];
        let mut ranks = vec![0f32; sequence.len() - 1];
        for mask in 0..MASKS {
            let mut hidden = sequence.clone();
            let positions: Vec<usize> = sequence.masked_by(mask).collect();
            for position in &positions {
                hidden.hide(*position);
            }
            fast.run(&[Input { sequence: &hidden, wanted: &positions }]);
            let logits = fast.masked(0, positions.len()).to_vec();
            for (position, row) in positions.iter().zip(logits.chunks(20)) {
                let top = row.iter().copied().fold(f32::MIN, f32::max);
                let sum: f32 = row.iter().map(|x| (x - top).exp()).sum();
                let chosen = row[sequence.tokens[*position] as usize];
                nll[position - 1] = sum.ln() + top - chosen;
                ranks[position - 1] = row.iter().filter(|x| **x > chosen).count() as f32;
            }
        }
        close(&nll, &numbers(&case["mlkp_nll_k4_keys_then_eos"]), 1e-4, "negative log-likelihood");
        close(&ranks, &numbers(&case["rank_k4"]), 0.0, "rank");
    }
}

/// The bits of everything a net says of some passes.
fn bits(net: &mut Fast, inputs: &[Input<'_>]) -> Vec<u32> {
    net.run(inputs);
    let wanted: usize = inputs.iter().map(|input| input.wanted.len()).sum();
    let mut all = net.masked(0, wanted).to_vec();
    all.extend((0..wanted).map(|at| net.distance(at)));
    all.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_pass_says_the_same_bit_for_bit_in_any_batch() {
    for shape in shapes() {
        let mut net = Fast::new(&shape, &Weights::random(&shape, &mut Random::new(9))).unwrap();
        let mut random = Random::new(10);
        let sequences: Vec<_> = [1, 7, 32, 5, 32, 18].map(|n| random_sequence(&mut random, &shape, n)).into();
        let wanted: Vec<Vec<usize>> = sequences.iter().map(|s| (0..s.len()).step_by(3).collect()).collect();
        let inputs: Vec<Input<'_>> =
            sequences.iter().zip(&wanted).map(|(sequence, wanted)| Input { sequence, wanted }).collect();
        let logits: Vec<Vec<u32>> = inputs.iter().map(|input| bits(&mut net, &[*input])).collect();
        for group in [2, 3, 6] {
            for (group, alone) in inputs.chunks(group).zip(logits.chunks(group)) {
                let together = bits(&mut net, group);
                let rows = |of: &[u32], count: usize| of[..count * shape.predicted()].to_vec();
                let count: usize = group.iter().map(|input| input.wanted.len()).sum();
                let each = group.iter().zip(alone).flat_map(|(input, alone)| rows(alone, input.wanted.len()));
                assert_eq!(rows(&together, count), each.collect::<Vec<_>>());
                let distances =
                    group.iter().zip(alone).flat_map(|(i, alone)| alone[alone.len() - i.wanted.len()..].to_vec());
                assert_eq!(together[count * shape.predicted()..], distances.collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_pass_allocates_nothing_once_its_buffers_have_grown() {
    let shape = Shape::small(120, 4);
    let mut net = Fast::new(&shape, &Weights::random(&shape, &mut Random::new(9))).unwrap();
    let mut random = Random::new(10);
    let windows: Vec<_> = [32, 32, 9, 20].map(|length| random_sequence(&mut random, &shape, length)).into();
    let mut passes = Passes::default();
    let mut once = |sequence: &Sequence| {
        passes.fill(sequence);
        net.run(&passes.inputs());
        net.masked(1, sequence.len() - 1).len() + net.categories(0).len() + usize::from(net.distance(0).is_finite())
    };
    // Twice, because buffers change places.
    once(&windows[0]);
    once(&windows[0]);
    let spent = allocation_counter::measure(|| {
        for sequence in &windows {
            once(sequence);
        }
    });
    assert_eq!(spent.count_total, 0, "{spent:?}");
}
