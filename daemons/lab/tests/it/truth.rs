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
        && (truth.account_exists.is_none()
            || found.account_exists.is_none()
            || found.account_exists == truth.account_exists);
    (!same).then(|| format!("{:?}\n  read as {found:?}\n  meant as {truth:?}", emission.text))
}

#[test]
fn extractors_read_what_was_meant() {
    let extras = Extras { attacks: Attack::ALL.to_vec(), twins: Twin::ALL.to_vec(), ..Extras::default() };
    let mut kinds: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    for seed in 0..4 {
        let (network, emissions) = generate(seed, 4, &extras);
        // What an application says nobody wrote an extractor for.
        for emission in emissions.iter().filter(|emission| emission.vendor.is_none()) {
            let row = kinds.entry(format!("{:?}", emission.kind)).or_default();
            row.0 += 1;
            row.1.extend(wrong(&network, emission));
        }
    }
    assert!(kinds.len() > 40 && kinds.contains_key(&format!("{:?}", Kind::SudoFailed)));
    let wrong: Vec<String> = kinds
        .iter()
        .filter_map(|(kind, (all, wrongs))| {
            Some(format!("{kind}: {} of {all} are read wrongly, such as {}", wrongs.len(), wrongs.first()?))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
