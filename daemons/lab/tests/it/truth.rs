//! The extractors against the generator's truth, kind by kind.
//!
//! The model learns what the extractors read, so a wrong extractor would not show in its figures;
//! it shows here. Kinds of families that have no extractor yet are `other`, never something wrong.

use std::collections::BTreeMap;

use nms_detect::extract;
use nms_lab::corpus::{Attack, Emission, Extras, Kind, Network, Twin, generate};
use nms_model::key::TypedKey;
use nms_proto::extraction::{Action, AppFamily};

/// Families that no extractor knows yet.
const WITHOUT: [AppFamily; 8] = [
    AppFamily::Postfix,
    AppFamily::Dovecot,
    AppFamily::Openvpn,
    AppFamily::Wireless,
    AppFamily::Package,
    AppFamily::Container,
    AppFamily::Database,
    AppFamily::Ntp,
];

/// What is wrong with the reading of an emission; nothing where it is right.
fn wrong(network: &Network, emission: &Emission) -> Option<String> {
    let event = emission.event(network);
    let (found, truth) = (extract(&event), emission.truth());
    if WITHOUT.contains(&truth.family) {
        let generic = found.family == AppFamily::Generic || found.family == truth.family;
        let harmless = generic && (found.action == Action::Other || found.action == truth.action);
        return (!harmless).then(|| format!("{} of {:?}", TypedKey::of(&found), emission.text));
    }
    let same = TypedKey::of(&found) == TypedKey::of(&truth)
        && (truth.actor.is_none() || found.actor == truth.actor)
        && (truth.account.is_none() || found.account.is_none() || found.account == truth.account)
        && found.account_exists == truth.account_exists;
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
    for (kind, (all, wrongs)) in &kinds {
        let first = wrongs.first().map_or("", String::as_str);
        assert!(wrongs.is_empty(), "{kind}: {} of {all} are read wrongly, such as {first}", wrongs.len());
    }
}
