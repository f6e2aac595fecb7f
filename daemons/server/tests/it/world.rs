//! What the tests are made of: batches as they come from the wire, a model, a store in a folder of its own.

use std::{path::Path, sync::Arc};

use nms_model::{
    bundle::{Bundle, Calibration, Manifest, Scoring},
    key::{TypedKey, Vocabulary},
    net::{Shape, Weights},
    random::Random,
};
use nms_proto::{
    confidence::Confidence,
    event::{Body, Event, Syslog},
    finding::{Category, Evidence, Finding},
    id::{AlertId, BatchSeq, EndpointId, EventId, EventSeq, Instance, TenantId},
    json::Decoder,
    message::{self, Batch, BatchBuilder, Message, Results, batch_frame},
    session::server::Answer,
    severity::Severity,
    time::{Stamp, Tick},
};
use nmsd_server::{
    analyse::model::Model,
    config::Retention,
    live::{Tenant, Tenants},
    outbox::Attached,
    store::{Class, Store, disk::DiskStore},
    work::{Now, Work},
};

/// 2026-01-05T14:30:00Z.
pub(crate) const START_MS: i64 = 1_767_623_400_000;
pub(crate) const HUB: Instance = Instance([1; 16]);
pub(crate) const OTHER_HUB: Instance = Instance([2; 16]);

/// A bundle of random weights that knows every key and finds every window ordinary.
pub(crate) fn bundle() -> Bundle {
    let vocabulary = Vocabulary::learn((0..TypedKey::COUNT).filter_map(TypedKey::from_index));
    let shape = Shape::small(vocabulary.size(), 1);
    let scoring = Scoring { top_share: 0.5, factor_weight: 0.1 };
    let mut manifest = Manifest::new("test", shape, &vocabulary, &["ordinary"], scoring);
    manifest.calibration = Calibration { surprise: vec![1e6; 8], distance: vec![1e6; 8] };
    let weights = Weights::random(&manifest.shape, &mut Random::new(1));
    Bundle { manifest, vocabulary, weights, words: None }
}

/// The same, but finding every window unusual.
pub(crate) fn nervous() -> Bundle {
    let mut bundle = bundle();
    bundle.manifest.calibration =
        Calibration { surprise: (0..2_000).map(|at| at as f32 * -1e-3 - 1e6).rev().collect(), distance: vec![1e6; 8] };
    bundle
}

pub(crate) fn model() -> Model {
    Model::new(&bundle()).unwrap()
}

pub(crate) fn tenant_id(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// A line of sshd, `after_ms` after the start.
pub(crate) fn line(hub: Instance, seq: u64, after_ms: i64, text: &str) -> Event {
    let app = Some("sshd".into());
    Event {
        id: EventId { instance: hub, seq: EventSeq(seq) },
        source: EndpointId::new("192.0.2.7"),
        at: Stamp::utc(START_MS + after_ms),
        device_at: None,
        host: Some("web".into()),
        raw: None,
        body: Body::Syslog(Syslog { facility: 4, severity: 5, app, message: text.into(), ..Syslog::default() }),
    }
}

pub(crate) fn failure(hub: Instance, seq: u64, after_ms: i64) -> Event {
    line(hub, seq, after_ms, "Failed password for root from 203.0.113.9 port 4022 ssh2")
}

/// Revision `revision` of the finding that a hub makes of five failures.
pub(crate) fn finding(hub: Instance, seq: u64, revision: u64, alert: &str) -> Event {
    let at = Stamp::utc(START_MS + 4_000);
    let evidence = |seq| Evidence {
        id: EventId { instance: hub, seq: EventSeq(seq) },
        at,
        source: EndpointId::new("192.0.2.7"),
        line: "sshd: Failed password for root from 203.0.113.9 port 4022 ssh2".into(),
    };
    let body = Finding {
        alert: alert.parse::<AlertId>().unwrap(),
        revision,
        rule: "guessing".into(),
        key: "access/203.0.113.9".into(),
        category: Category::BruteForce,
        floor: Severity::High,
        confidence: Confidence::clamped(0.9),
        message: "password guessing for root from 203.0.113.9".into(),
        reasons: vec!["5 failures in 4 s".into()],
        techniques: vec!["T1110".into()],
        actor: Some("203.0.113.9".into()),
        victim: Some("root".into()),
        source: EndpointId::new("192.0.2.7"),
        count: 5 * revision,
        first_seen: Stamp::utc(START_MS),
        last_seen: at,
        evidence: (1..=5).map(evidence).collect(),
        resolved: false,
    };
    Event { body: Body::Finding(Box::new(body)), at, ..failure(hub, seq, 4_000) }
}

/// A guessing run as a hub sends it: the lines, then the finding.
pub(crate) fn run(hub: Instance) -> Vec<Event> {
    let mut events: Vec<Event> = (0..5).map(|at| failure(hub, at + 1, at as i64 * 1_000)).collect();
    events.push(finding(hub, 6, 1, "a-0000000000000001"));
    events
}

/// A batch as it comes from the wire.
pub(crate) fn batch(number: u64, events: &[Event]) -> Batch {
    let mut builder = BatchBuilder::default();
    for event in events {
        assert!(builder.push_group(std::slice::from_ref(event)).unwrap(), "a batch holds no more");
    }
    let now = Stamp::utc(START_MS);
    let frame = batch_frame(BatchSeq(number), now, &[], &builder.finish().1).unwrap();
    let Message::Batch(batch) = message::read(&mut Decoder::default(), &frame[4..], now).unwrap() else { panic!() };
    batch
}

pub(crate) fn now(after_ms: i64) -> Now {
    Now { tick: Tick(1_000_000 + after_ms as u64), unix_ms: START_MS + after_ms }
}

/// A server without sockets and threads: what it keeps lies in a folder.
pub(crate) struct Server {
    pub(crate) tenants: Tenants,
    pub(crate) store: Arc<DiskStore>,
}

impl Server {
    pub(crate) fn open(folder: &Path) -> Self {
        let retention = Retention { days: 30, bytes: 1 << 30, alerts: 1_000 };
        let store = Arc::new(DiskStore::open(folder, retention, START_MS).unwrap());
        Self { tenants: Tenants::new(Arc::clone(&store) as Arc<dyn Store>, 1), store }
    }

    pub(crate) fn tenant(&self, name: &str) -> Arc<Tenant> {
        self.tenants.tenant(&tenant_id(name)).unwrap()
    }
}

/// A hub's connection to a tenant.
pub(crate) struct Hub {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) attached: Attached,
    pub(crate) durable: BatchSeq,
}

impl Hub {
    pub(crate) fn connect(server: &Server, tenant: &str, hub: Instance) -> Self {
        let tenant = server.tenant(tenant);
        let (attached, durable) = tenant.register(START_MS, hub).unwrap();
        Self { tenant, attached, durable }
    }

    /// Sends a batch and waits for its ACK.
    pub(crate) fn send(&self, after_ms: i64, batch: Batch) {
        let number = batch.batch.unwrap();
        assert_eq!(self.tenant.take(START_MS + after_ms, self.attached.hub, batch), Answer::Taken);
        while self.tenant.gate().durable(self.attached.hub) < number {
            self.attached.bell.recv_blocking().unwrap();
        }
    }

    /// The RESULTS that are sent now.
    pub(crate) fn results(&self) -> Vec<Results> {
        let mut hubs = self.tenant.hubs();
        std::iter::from_fn(|| hubs.poll(self.attached.hub, Tick(0))).collect()
    }
}

/// Steps until there is nothing to do, and waits until what was found is stored.
pub(crate) fn settle(tenant: &Tenant, work: &mut Work, model: &mut Model, now: Now) {
    while work.step(model, now).unwrap() {}
    flush(tenant);
}

/// Waits until everything handed to the store before is durable.
pub(crate) fn flush(tenant: &Tenant) {
    let (done, durable) = std::sync::mpsc::channel();
    tenant.store().commit(Vec::new(), Class::Upkeep, Box::new(move |result| done.send(result).unwrap())).unwrap();
    durable.recv().unwrap().unwrap();
}

/// Analyses everything a tenant has, as a thread would from a start on.
pub(crate) fn analyse(tenant: &Arc<Tenant>, after_ms: i64) -> Work {
    let mut work = Work::open(Arc::clone(tenant), now(after_ms)).unwrap();
    settle(tenant, &mut work, &mut model(), now(after_ms));
    work
}
