//! The extractors against the generator's truth, kind by kind.
//!
//! The model learns what the extractors read, so a wrong extractor would not show in its figures;
//! it shows here.

use std::collections::BTreeMap;

use nms_detect::extract;
use nms_lab::corpus::{Attack, Emission, Extras, Kind, Network, Twin, generate};
use nms_model::key::TypedKey;

/// What is wrong with the reading of an emission; nothing where it is right.
fn wrong(network: &Network, emission: &Emission) -> Option<String> {
    let event = emission.event(network);
    let (found, truth) = (extract(&event), emission.truth());
    let same = TypedKey::of(&found) == TypedKey::of(&truth)
        && (truth.actor.is_none() || found.actor == truth.actor)
        && (truth.account.is_none() || found.account.is_none() || found.account == truth.account)
        && found.account_exists == truth.account_exists;
    (!same).then(|| format!("{:?}\n  read as {found:?}\n  meant as {truth:?}", emission.text))
}

#[test]
fn extractors_read_what_was_meant() {
    let extras = Extras { attacks: Attack::ALL.to_vec(), twins: Twin::ALL.to_vec(), novelties: Vec::new() };
    let mut kinds: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    for seed in 0..4 {
        let (network, emissions) = generate(seed, 4, &extras);
        for emission in &emissions {
            let row = kinds.entry(format!("{:?}", emission.kind)).or_default();
            row.0 += 1;
            row.1.extend(wrong(&network, emission));
        }
    }
    assert!(kinds.len() > 40 && kinds.contains_key(&format!("{:?}", Kind::SudoFailed)));
    for (kind, (all, wrongs)) in &kinds {
        let first = wrongs.first().map_or("", String::as_str);
        assert!(wrongs.is_empty(), "{kind}: {} of {all} are read wrongly, such as {first}", wrongs.len());
    }
}
