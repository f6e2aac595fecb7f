//! Findings and the model's verdict as one alert, and what each side takes over as revisions come.

use nms_detect::{Standing, Unusual, fuse, model_only, newer, provisional};
use nms_proto::{
    alert::{Alert, ModelVerdict, Status, Verdict},
    event::{Body, FileChange},
    finding::Finding,
    severity::Severity,
};

use crate::host::{Hub, INSTANCE, refused};

fn model(p_value: f32) -> ModelVerdict {
    let (id, hash) = ("base".into(), "0123456789abcdef".into());
    ModelVerdict { id, hash, score: 3.0, distance: 0.5, p_value, threshold: 2.0 }
}

fn guessing() -> Vec<Finding> {
    let mut hub = Hub::new();
    for attempt in 0..8 {
        hub.feed(f64::from(attempt), "h", refused("root", "10.0.0.50", attempt));
    }
    hub.wait(4_000.0);
    hub.said
}

fn night_change() -> Finding {
    let mut hub = Hub::new();
    let change: FileChange = serde_json::from_str(r#"{"path":"/etc/nginx/nginx.conf","change":"modified"}"#).unwrap();
    hub.feed(17.0 * 3_600.0, "web", Body::File(Box::new(change)));
    hub.said.remove(0)
}

#[test]
fn a_hard_fact_is_never_lowered() {
    let finding = &guessing()[1];
    for (p_value, learning) in [(1.0, false), (0.5, true), (0.0001, false), (f32::NAN, false)] {
        let alert = fuse(finding, Some(&model(p_value)), Vec::new(), learning);
        assert_eq!(alert.severity, Severity::High);
        assert!(alert.confidence >= finding.confidence, "{p_value}: {}", alert.confidence);
        assert!(alert.model.is_some() && alert.status == Status::Open && alert.learning == learning);
    }
    let ordinary = fuse(finding, None, Vec::new(), false);
    let surprising = fuse(finding, Some(&model(0.0001)), Vec::new(), false);
    assert!(surprising.confidence > ordinary.confidence && ordinary.confidence == finding.confidence);
}

#[test]
fn context_lowers_only_what_has_a_benign_reading() {
    let finding = night_change();
    assert_eq!(finding.floor, Severity::Medium);
    let ordinary = fuse(&finding, Some(&model(1.0)), Vec::new(), false);
    assert!(ordinary.confidence < finding.confidence);
    assert!(ordinary.severity >= Severity::Low);
    let learning = fuse(&finding, Some(&model(1.0)), Vec::new(), true);
    assert_eq!((learning.severity, learning.confidence), (finding.floor, finding.confidence));
}

#[test]
fn the_servers_answer_replaces_the_hubs_word_and_the_next_word_keeps_it() {
    let findings = guessing();
    let first = provisional(&findings[0]);
    assert_eq!((first.revision, &first.status), (2, &Status::Provisional));
    let answer = fuse(&findings[0], Some(&model(0.01)), Vec::new(), false);
    assert_eq!(answer.revision, 3);
    let shown = newer(Some(&first), answer.clone()).unwrap();
    assert_eq!(shown.status, Status::Open);
    assert_eq!(newer(Some(&shown), first.clone()), None, "an older word changes nothing");
    let second = newer(Some(&shown), provisional(&findings[1])).unwrap();
    assert_eq!((second.revision, second.severity, &second.status), (4, Severity::High, &Status::Open));
    assert!(second.model.is_some());
    let last = newer(Some(&second), provisional(findings.last().unwrap())).unwrap();
    assert_eq!(last.status, Status::Resolved);
    // With the server away the hub says alone that it is over; what the server said of it stays.
    assert_eq!((&last.model, &last.history), (&second.model, &second.history));
    let closed = Alert { status: Status::Closed, ..second };
    assert_eq!(newer(Some(&closed), provisional(findings.last().unwrap())).unwrap().status, Status::Closed);
}

#[test]
fn a_finding_sent_again_changes_nothing() {
    let findings = guessing();
    let answer = |finding: &Finding| fuse(finding, Some(&model(0.01)), Vec::new(), false);
    let one = Standing::settle(None, 1, answer(&findings[0])).unwrap();
    let two = Standing::settle(Some(&one), 2, answer(&findings[1])).unwrap();
    assert_eq!(two.alert.history.iter().map(|step| &*step.what).collect::<Vec<_>>(), ["raised", "worse"]);
    assert_eq!(Standing::settle(Some(&two), 1, answer(&findings[0])), None);
    assert_eq!(Standing::settle(Some(&two), 2, answer(&findings[1])), None);
    let text = serde_json::to_string(&two).unwrap();
    assert_eq!(serde_json::from_str::<Standing>(&text).unwrap(), two);
}

#[test]
fn what_people_settled_stays_until_it_becomes_worse() {
    let findings = guessing();
    let answer = |finding: &Finding| fuse(finding, None, Vec::new(), false);
    let mut closed = Standing::settle(None, 2, answer(&findings[1])).unwrap();
    closed.alert.status = Status::Closed;
    closed.alert.verdict = Some(Verdict::Expected);
    closed.alert.revision = 40;
    let grown = Standing::settle(Some(&closed), 3, answer(&findings[1])).unwrap();
    assert_eq!((&grown.alert.status, grown.alert.revision), (&Status::Closed, 41));
    assert_eq!(grown.alert.verdict, Some(Verdict::Expected));
    let mut worse = answer(&findings[1]);
    worse.severity = Severity::Critical;
    assert_eq!(Standing::settle(Some(&closed), 3, worse).unwrap().alert.status, Status::Open);
}

#[test]
fn what_only_the_model_noticed_stays_low() {
    let evidence = guessing()[1].evidence.clone();
    let unusual = |p_value, learning| Unusual {
        instance: INSTANCE,
        source: evidence[0].source.clone(),
        family: "sshd".into(),
        model: model(p_value),
        unexpected: Vec::new(),
        evidence: evidence.clone(),
        learning,
        part_of: None,
    };
    let rare = model_only(unusual(0.0001, false)).unwrap();
    assert_eq!((rare.severity, rare.category.as_str(), rare.count), (Severity::Low, "anomaly", 8));
    assert!(rare.confidence.value() <= 0.5);
    assert_eq!(model_only(unusual(0.01, false)).unwrap().severity, Severity::Info);
    assert_eq!(model_only(unusual(0.0001, true)).unwrap().severity, Severity::Info);
    assert_eq!(rare.id, model_only(unusual(0.0001, false)).unwrap().id);
    assert_eq!(
        &*rare.reasons[0],
        "surprise 3.00 (threshold 2.00) and distance 0.50: 0.01 % of ordinary windows are as unusual"
    );
}
