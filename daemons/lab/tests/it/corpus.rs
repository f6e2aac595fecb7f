//! The generator: the same from the same seed, and its truth fits its text.

use nms_lab::corpus::{Attack, Emission, Extras, Kind, Label, Network, Novelty, Twin, generate};
use nms_proto::extraction::{Actor, Object};

fn all() -> Extras {
    Extras {
        attacks: Attack::ALL.to_vec(),
        twins: Twin::ALL.to_vec(),
        novelties: Novelty::ALL.to_vec(),
        ..Extras::default()
    }
}

fn lines(log: &(Network, Vec<Emission>)) -> Vec<String> {
    log.1.iter().map(|emission| emission.line(&log.0)).collect()
}

#[test]
fn a_seed_gives_one_log_and_another_seed_another() {
    let one = lines(&generate(5, 1, &all()));
    assert_eq!(one, lines(&generate(5, 1, &all())));
    assert_ne!(one, lines(&generate(6, 1, &all())));
    assert!(one.iter().all(|line| line.starts_with('<') && !line.contains('{')), "every placeholder is filled");
}

#[test]
fn the_truth_stands_in_the_text() {
    let (_, emissions) = generate(7, 2, &all());
    let (mut addresses, mut ports) = (0, 0);
    for emission in &emissions {
        let truth = emission.truth();
        if let (Some(Actor::Name(name)), true) = (truth.actor, emission.kind != Kind::CronEdited) {
            assert!(emission.text.contains(name), "{emission:?}");
        }
        if let Some(Actor::Address(address)) = truth.actor {
            addresses += usize::from(emission.text.contains(&address.to_string()));
        }
        if let Some(Object::Endpoint { address, port: Some(port) }) = truth.object {
            assert!(emission.text.contains(&address.to_string()) && emission.text.contains(&port.to_string()));
            ports += 1;
        }
    }
    assert!(addresses > 1_000 && ports > 100);
}

#[test]
fn ordinary_life_has_every_kind_of_message_and_every_extra_its_own_label() {
    let (_, ordinary) = generate(8, 14, &Extras::default());
    assert!(ordinary.iter().all(|emission| emission.label == Label::Ordinary));
    for kind in
        [Kind::SshLoginFailed, Kind::SudoFailed, Kind::UserAdded, Kind::CronEdited, Kind::Blocked, Kind::FileChanged]
    {
        assert!(ordinary.iter().any(|emission| emission.kind == kind), "{kind:?} never happens in ordinary life");
    }
    let (_, extra) = generate(8, 2, &all());
    for attack in Attack::ALL {
        assert!(extra.iter().any(|emission| emission.label == Label::Attack(attack)), "{attack:?}");
    }
}

#[test]
fn time_never_goes_back() {
    let (_, emissions) = generate(9, 2, &all());
    assert!(emissions.is_sorted_by_key(|emission| emission.at_ms));
}
