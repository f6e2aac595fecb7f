//! What hubs are owed.

use nms_proto::{
    limits::OUTBOX_WINDOW,
    message::{Command, CommandAction, Results, ResultsStats},
    time::Tick,
};
use nmsd_server::{outbox::Hubs, store::Owed};

use crate::world::{HUB, OTHER_HUB};

fn results(id: &str, revision: u64) -> Results {
    let json = format!(
        r#"{{"id":"{id}","severity":"HIGH","source":"s","category":"brute_force","message":"m","confidence":0.5,"revision":{revision}}}"#
    );
    let alert = serde_json::from_str(&json).unwrap();
    Results { alerts: vec![alert], stats: ResultsStats::default(), seq: None }
}

fn sent(hubs: &mut Hubs) -> Vec<(u64, u64)> {
    let next = std::iter::from_fn(|| hubs.poll(HUB, Tick(0)));
    next.map(|results| (results.seq.unwrap(), results.alerts[0].revision)).collect()
}

#[test]
fn results_go_to_their_hub_and_stay_until_it_has_them() {
    let mut hubs = Hubs::default();
    hubs.attach(HUB);
    hubs.attach(OTHER_HUB);
    assert!(hubs.push(HUB, results("a-1", 1)).is_empty());
    assert!(hubs.poll(OTHER_HUB, Tick(0)).is_none());
    assert_eq!(sent(&mut hubs), [(1, 1)]);
    assert_eq!(sent(&mut hubs), []);
    hubs.attach(HUB);
    assert_eq!(sent(&mut hubs), [(1, 1)], "sent again on a new connection");
    assert_eq!(hubs.acknowledged(HUB, Tick(0), 1), [1]);
    hubs.attach(HUB);
    assert_eq!(sent(&mut hubs), []);
}

#[test]
fn a_newer_revision_empties_an_older_one_and_its_row_goes() {
    let mut hubs = Hubs::default();
    hubs.push(HUB, results("a-1", 1));
    hubs.push(HUB, results("a-2", 1));
    assert_eq!(hubs.push(HUB, results("a-1", 2)), [1]);
    assert_eq!(sent(&mut hubs), [(2, 1), (3, 2)]);
}

#[test]
fn what_was_stored_is_owed_after_a_restart() {
    let waiting = vec![(4, Results { seq: Some(4), ..results("a-1", 1) })];
    let mut hubs = Hubs::restore(vec![Owed { hub: HUB, next: 7, waiting }]);
    hubs.attach(HUB);
    assert_eq!(sent(&mut hubs), [(4, 1)]);
    hubs.push(HUB, results("a-2", 1));
    assert_eq!(sent(&mut hubs), [(7, 1)]);
    assert_eq!(hubs.acknowledged(HUB, Tick(0), 7), [4, 7]);
}

#[test]
fn results_of_a_hub_that_was_forgotten_are_sent_under_the_number_with_which_they_are_stored() {
    let mut hubs = Hubs::default();
    hubs.push(HUB, Results { seq: Some(1), ..results("a-1", 1) });
    hubs.forget(HUB);
    hubs.push(HUB, Results { seq: Some(2), ..results("a-2", 1) });
    hubs.push(HUB, Results { seq: Some(3), ..results("a-3", 1) });
    hubs.attach(HUB);
    assert_eq!(sent(&mut hubs), [(2, 1), (3, 1)]);
    assert_eq!(hubs.acknowledged(HUB, Tick(0), 3), [2, 3], "so these rows go");
}

#[test]
fn a_second_connection_takes_the_place_of_the_first() {
    let mut hubs = Hubs::default();
    let first = hubs.attach(HUB);
    let second = hubs.attach(HUB);
    assert!(first.bell.try_recv().is_ok(), "it is told");
    assert!(!hubs.is_current(&first) && hubs.is_current(&second));
    assert_eq!(hubs.replaced(), 1);
    hubs.detach(&first);
    assert!(hubs.is_live(HUB), "the first one's end says nothing of the second");
    hubs.detach(&second);
    assert!(!hubs.is_live(HUB));
}

#[test]
fn commands_reach_only_a_live_hub() {
    let mut hubs = Hubs::default();
    let command = Command {
        command_id: "cmd-1".into(),
        action: CommandAction::RequestFimReport,
        target: "pi".into(),
        arguments: std::collections::BTreeMap::new(),
    };
    assert!(!hubs.command(HUB, command.clone()));
    let first = hubs.attach(HUB);
    assert!(hubs.command(HUB, command.clone()));
    assert_eq!(hubs.commands(&first), [command]);
    assert_eq!(hubs.commands(&first), []);
}

#[test]
fn only_a_window_of_results_is_under_way() {
    let mut hubs = Hubs::default();
    (0..OUTBOX_WINDOW + 3).for_each(|at| drop(hubs.push(HUB, results(&format!("a-{at}"), 1))));
    assert_eq!(sent(&mut hubs).len(), OUTBOX_WINDOW);
    hubs.acknowledged(HUB, Tick(0), OUTBOX_WINDOW as u64);
    assert_eq!(sent(&mut hubs).len(), 3);
}
