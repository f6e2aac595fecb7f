//! Training: it learns, the same seed gives the same weights, a stopped run goes on as if it had not.

use nms_model::corrupt::Corrupter;
use nms_model::key::{Context, Factor};
use nms_model::net::Shape;
use nms_model::random::Random;
use nms_model::sequence::Sequence;
use nms_model::train::{Examples, Progress, Recipe, TrainError, Trainer, Windows};

/// A small grammar: a b c repeated, with a context.
fn examples() -> Examples {
    let mut random = Random::new(4);
    let ordinary: Vec<Sequence> = (0..40)
        .map(|_| {
            let first = random.below(3) as u32;
            let tokens: Vec<u32> = (0..random.between(4, 9) as u32).map(|n| 5 + (first + n) % 3).collect();
            let mut sequence = Sequence::bare(&tokens);
            sequence.contexts = vec![Context::default().with(Factor::Scope, 2); sequence.len()];
            sequence
        })
        .collect();
    let attacks = ordinary.iter().take(3).map(|sequence| (sequence.clone(), 1)).collect();
    Examples { weights: vec![1.0; ordinary.len()], ordinary, attacks, events_max: 12 }
}

fn shape() -> Shape {
    Shape { width: 16, layers: 1, heads: 2, feed_forward: 16, ..Shape::small(10, 2) }
}

fn recipe(steps: usize) -> Recipe {
    Recipe { steps, rows: 8, rate: 5e-3, ..Recipe::default() }
}

fn run(trainer: &mut Trainer<'_>, until: usize) -> Progress {
    while !trainer.is_done() && trainer.progress().step < until {
        trainer.step().unwrap();
    }
    trainer.progress()
}

#[test]
fn the_masked_keys_of_a_small_grammar_are_learnt() {
    let examples = examples();
    let mut trainer = Trainer::new(recipe(150), &shape(), Windows::new(&examples, &recipe(150))).unwrap();
    let before = run(&mut trainer, 5).masked;
    let after = run(&mut trainer, 150).masked;
    assert!(after < before / 3.0, "the loss fell from {before} to {after} only");
}

#[test]
fn a_run_stopped_and_resumed_ends_with_the_same_weights() {
    let examples = examples();
    let mut whole = Trainer::new(recipe(12), &shape(), Windows::new(&examples, &recipe(12))).unwrap();
    run(&mut whole, 12);
    let mut first = Trainer::new(recipe(12), &shape(), Windows::new(&examples, &recipe(12))).unwrap();
    run(&mut first, 7);
    let checkpoint = first.checkpoint().unwrap();
    let mut second = Trainer::resume(&checkpoint, &recipe(12), &shape(), Windows::new(&examples, &recipe(12))).unwrap();
    assert_eq!(second.progress(), first.progress());
    run(&mut second, 12);
    assert!(second.is_done());
    assert_eq!(second.weights().unwrap(), whole.weights().unwrap(), "bit for bit");
    let other = Trainer::resume(&checkpoint, &recipe(13), &shape(), Windows::new(&examples, &recipe(13)));
    assert!(matches!(other, Err(TrainError::Checkpoint(_))));
    assert!(matches!(
        Trainer::resume(&checkpoint[..40], &recipe(12), &shape(), Windows::new(&examples, &recipe(12))),
        Err(TrainError::Checkpoint(_))
    ));
}

#[test]
fn nothing_to_learn_from_is_an_error() {
    let nothing = Examples::default();
    let trainer = Trainer::new(recipe(1), &shape(), Windows::new(&nothing, &recipe(1)));
    assert!(matches!(trainer, Err(TrainError::NoExamples)));
}

#[test]
fn corruptions_are_never_ordinary() {
    let examples = examples();
    let corrupter = Corrupter::new(&examples.ordinary, examples.events_max);
    let mut random = Random::new(2);
    let mut made = 0;
    for base in examples.ordinary.iter().cycle().take(400) {
        let Some(corrupted) = corrupter.corrupt(base, &mut random) else { continue };
        made += 1;
        assert!(!examples.ordinary.contains(&corrupted));
        assert!(corrupted.len() > 2 && corrupted.len() <= examples.events_max + 2);
        assert_eq!(corrupted.contexts.len(), corrupted.len());
    }
    assert!(made > 200, "{made} of 400");
}

#[test]
fn progress_says_what_is_left() {
    let progress = Progress { step: 100, steps: 400, masked: 1.5, dist: 0.25, category: 0.1 };
    assert_eq!(progress.line(10_000, 50), progress.line(20_000, 0), "a resumed run counts its own steps");
    assert_eq!(progress.line(30_000, 0), "step 100/400  masked 1.500  dist 0.250  category 0.100  1:30 left");
}
