//! Writes those seeds that nobody can type: `cargo test -p nms-fuzz -- --ignored seeds`.

use std::{fs, path::Path};

use nms_detect::extract;
use nms_kit::{
    clock,
    pki::{Authority, Files, Holder, Request},
    store::log::{self, Entry},
    tls::first_certificate,
};
use nms_model::{
    bundle::{Bundle, MANIFEST, Manifest, Scoring, WEIGHTS},
    key::TypedKey,
    key::Vocabulary,
    net::{Shape, Weights},
    random::Random,
    template::Miner,
    window::{KeyedEvent, Windows, actor_id},
};
use nms_proto::{
    event::{Body, Event, Syslog},
    extraction::{Action, AppFamily, Outcome},
    id::{EndpointId, EventId, EventSeq, Instance},
    time::Stamp,
};
use nmsd_server::analyse::Analysis;

fn put(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

#[test]
#[ignore = "writes files of the source tree"]
fn seeds() {
    bundles();
    snapshots();
    certificates();
    let value = br#""origins":[],"events":[{"syslog":{"facility":1,"severity":5,"message":"x"}}]"#.to_vec();
    let header = [&[1][..], &[7; 16], &9u64.to_be_bytes(), &1_767_623_400_000i64.to_be_bytes()].concat();
    put("log_entry", "packed", &log::encode(&Entry { tenant: 1, header, value }));
}

fn bundles() {
    for factors in [false, true] {
        let vocabulary = Vocabulary::learn([TypedKey::new(AppFamily::Sshd, Action::Login, Outcome::Failed)]);
        let (width, layers, heads, feed_forward, categories) = (1, 1, 1, 1, 2);
        let shape = Shape { width, layers, heads, feed_forward, vocabulary: vocabulary.size(), factors, categories };
        let scoring = Scoring { top_share: 0.25, factor_weight: 0.5 };
        let manifest = Manifest::new("tiny", shape.clone(), &vocabulary, &["ordinary", "guessing"], scoring);
        let weights = Weights::random(&shape, &mut Random::new(1));
        let files = Bundle { manifest, vocabulary, weights, words: None }.to_files().unwrap();
        let (manifest, weights) = (&files[MANIFEST], &files[WEIGHTS]);
        // Without the blanks of its pretty form.
        let value: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        let manifest = serde_json::to_vec(&value).unwrap();
        let length = u16::try_from(manifest.len()).unwrap().to_be_bytes();
        put("bundle", if factors { "factors" } else { "plain" }, &[&length[..], &manifest, weights].concat());
    }
    put("bundle", "no-manifest", &[0, 2, b'{', b'}', 1]);
}

fn snapshots() {
    let mut windows = Windows::new(8);
    let mut miner = Miner::default();
    for number in 0..6u64 {
        let line = Syslog {
            app: Some("sshd".into()),
            message: format!("Failed password for root from 203.0.113.{number} port 40022 ssh2").into(),
            ..Syslog::default()
        };
        let event = Event {
            id: EventId { instance: Instance([7; 16]), seq: EventSeq(number) },
            source: EndpointId::new("pi"),
            at: Stamp::utc(1_767_623_400_000),
            device_at: None,
            host: None,
            raw: None,
            body: Body::Syslog(line),
        };
        let found = extract(&event);
        let actor = found.actor.map(|actor| actor_id(&actor));
        windows.push(number, 1, actor, KeyedEvent::of(&event, &found, TypedKey::of(&found), number));
        miner.learn("Failed password for <user> from <ip> port <port>");
        miner.learn(&format!("{} password", ["a", "b", "c"][number as usize % 3]));
    }
    put("snapshots", "windows", &[&[0][..], &windows.snapshot()].concat());
    put("snapshots", "miner", &[&[1][..], &miner.snapshot()].concat());
    put("snapshots", "analysis", &[&[2][..], &Analysis::default().snapshot()].concat());
}

fn certificates() {
    let folder = tempfile::tempdir().unwrap();
    let now_ms = clock::unix_ms();
    let authority = Authority::open_or_make(&Files::within(folder.path()), now_ms).unwrap();
    let request = Request::make().unwrap();
    let issued = authority.sign(&request.request, &Holder::Agent("pi".into()), now_ms, 1_000_000).unwrap();
    put("certificates", "signed", request.request.as_bytes());
    put("certificates", "authority", authority.pem().as_bytes());
    put("certificates", "agent", issued.pem.as_bytes());
    put("certificates", "der", &first_certificate(issued.pem.as_bytes()).unwrap());
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    put("certificates", "with-key", [&issued.pem, key].concat().as_bytes());
}
