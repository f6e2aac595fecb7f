//! What lies on a disk, behind a checksum that fits: rows of the spool, entries of the server's log.

use nms_kit::store::{
    Op, Table,
    header::Header,
    log::{self, Entry, Stored},
    spool,
};
use nms_proto::{
    id::{EventSeq, Instance},
    json::Decoder,
    limits::STORE_VALUE_BYTES_MAX,
};
use nmsd_server::store::{Entry as Batch, LogSeq, entry};

use crate::input::Script;

const TABLES: [Table; 4] =
    [Table("spool.batches.v1"), Table("spool.skipped.v1"), Table("spool.lost.v1"), Table("spool.meta.v1")];
const META_KEYS: [&[u8]; 3] = [b"instance", b"next", b"head"];

/// Rows of the spool: what is read is written as it would be read again.
pub(crate) fn spool_rows(bytes: &[u8]) {
    if let Some(header) = Header::decode(bytes) {
        let mut again = Vec::new();
        header.encode(&mut again);
        assert_eq!(again, bytes);
        assert_eq!(header.encoded_bytes(), bytes.len());
        assert!(header.events() >= header.counts.iter().map(|count| u64::from(count.events)).max().unwrap_or(0));
    }
    let mut script = Script(bytes);
    let table = TABLES[usize::from(script.byte()) % TABLES.len()];
    let key = match table.0 {
        "spool.meta.v1" => META_KEYS[usize::from(script.byte()) % META_KEYS.len()].to_vec(),
        "spool.lost.v1" => {
            let count = usize::from(script.byte());
            script.bytes(count).to_vec()
        }
        _ => script.bytes(8).to_vec(),
    };
    let Some(op) = spool::reread(table, &key, script.0) else { return };
    let Op::Put { table: into, key: under, value } = &op else { panic!("a row is put") };
    assert_eq!((*into, &**under), (table, &*key));
    assert!(script.0.starts_with(value), "the row is written as it was read");
    assert_eq!(spool::reread(table, &key, value), Some(op.clone()));
}

/// Entries of the server's log: unpacked within the bound, and read as the batch that they hold.
pub(crate) fn log_entry(bytes: &[u8]) {
    if let Some(stored) = log::decode(7, bytes) {
        assert!(stored.value.len() <= STORE_VALUE_BYTES_MAX);
        let entry = Entry { tenant: 1, header: stored.header.clone(), value: stored.value.clone() };
        assert_eq!(log::decode(7, &log::encode(&entry)), Some(stored.clone()));
        read(&stored);
    }
    let (header, value) = bytes.split_at(bytes.len().min(33));
    let stored = Stored { sequence: u64::MAX, header: header.to_vec(), value: value.to_vec() };
    let entry = Entry { tenant: 1, header: stored.header.clone(), value: stored.value.clone() };
    assert_eq!(log::decode(u64::MAX, &log::encode(&entry)).as_ref(), Some(&stored));
    read(&stored);
}

fn read(stored: &Stored) {
    let origin = Instance([3; 16]);
    match entry::decode(&mut Decoder::default(), origin, stored) {
        Batch::Batch(logged) => {
            assert_eq!((logged.seq, logged.bytes), (LogSeq(stored.sequence), stored.value.len()));
            assert!(logged.events.iter().all(|event| event.id.instance != Instance::UNNAMED));
            assert!(logged.events.iter().all(|event| event.id.seq <= EventSeq(u64::MAX)));
        }
        Batch::Damaged(seq) => assert_eq!(seq, LogSeq(stored.sequence)),
    }
}
