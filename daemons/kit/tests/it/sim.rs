//! A disk in memory that can lose power, fill up, and lie.
//!
//! Writes go to the live image; a sync copies them to the durable one. A power cut keeps each
//! 512-byte sector that was not synced with probability one half, and ends all open handles. Blocks
//! of 4 KiB count against the capacity when they are first written, as on a file system with sparse
//! files. A lying disk answers a sync without doing it.

use nms_kit::store::{BackendError, Backing, DatabaseBuilder, DatabaseError, RawDatabase, StorageBackend};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

const SECTOR: usize = 512;
const BLOCK: u64 = 4096;
const RESERVE: u64 = 64 << 10;

/// A small generator of numbers (xorshift), so that a run is its seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound.max(1)
    }
}

#[derive(Debug)]
struct Disk {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    blocks: BTreeSet<u64>,
    reserve: bool,
    capacity: u64,
    lies: bool,
    cut_in: Option<u64>,
    epoch: u64,
    in_use: bool,
    dice: Dice,
}

/// A handle of the disk, and the backing of a store on it.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Handle {
    disk: SimDisk,
    epoch: u64,
}

impl SimDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            live: Vec::new(),
            durable: Vec::new(),
            dirty: BTreeSet::new(),
            blocks: BTreeSet::new(),
            reserve: false,
            capacity: u64::MAX,
            lies: false,
            cut_in: None,
            epoch: 0,
            in_use: false,
            dice: Dice::new(seed),
        })))
    }

    pub(crate) fn lying(seed: u64) -> Self {
        let disk = Self::new(seed);
        disk.0.lock().unwrap().lies = true;
        disk
    }

    /// The power goes at the `steps`-th write, sync or change of length from now.
    pub(crate) fn cut_in(&self, steps: u64) {
        self.0.lock().unwrap().cut_in = Some(steps);
    }

    /// The power goes now, if it did not yet, and comes back at once. True if it goes now.
    pub(crate) fn cut(&self) -> bool {
        let mut disk = self.0.lock().unwrap();
        let now = disk.cut_in.is_some();
        if now {
            disk.cut();
        }
        now
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.0.lock().unwrap().used()
    }

    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.0.lock().unwrap().capacity = bytes;
    }

    /// Flips one bit of the first place that holds `pattern`, as a tired disk does.
    pub(crate) fn flip(&self, pattern: &[u8]) -> bool {
        let mut disk = self.0.lock().unwrap();
        let Some(at) = disk.live.windows(pattern.len()).position(|window| window == pattern) else { return false };
        disk.live[at] ^= 1;
        let (len, byte) = (disk.live.len(), disk.live[at]);
        disk.durable.resize(len, 0);
        disk.durable[at] = byte;
        true
    }
}

impl Disk {
    fn used(&self) -> u64 {
        self.blocks.len() as u64 * BLOCK + if self.reserve { RESERVE } else { 0 }
    }

    fn cut(&mut self) {
        let len = if self.dice.below(2) == 0 { self.durable.len() } else { self.live.len() };
        let mut kept = std::mem::take(&mut self.durable);
        kept.resize(len, 0);
        for sector in std::mem::take(&mut self.dirty) {
            let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(len).min(self.live.len()));
            if from < to && self.dice.below(2) == 0 {
                kept[from..to].copy_from_slice(&self.live[from..to]);
            }
        }
        self.live.clone_from(&kept);
        self.durable = kept;
        self.epoch += 1;
        self.in_use = false;
        self.cut_in = None;
    }

    /// One step of the disk; it fails when the power goes.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.cut_in {
            Some(0) => {
                self.cut();
                Err(io::Error::other("the power is gone"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Handle {
    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> Result<T, BackendError> {
        let mut disk = self.disk.0.lock().unwrap();
        if disk.epoch != self.epoch {
            return Err(io::Error::other("the power was gone").into());
        }
        Ok(act(&mut disk)?)
    }
}

impl StorageBackend for Handle {
    fn close(&self) -> Result<(), io::Error> {
        let mut disk = self.disk.0.lock().unwrap();
        disk.in_use &= disk.epoch != self.epoch;
        Ok(())
    }

    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.with(|disk| Ok(disk.live.len() as u64))?)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        Ok(self.with(|disk| {
            let from = offset as usize;
            let bytes = disk.live.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })?)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        Ok(self.with(|disk| {
            disk.step()?;
            disk.live.resize(len as usize, 0);
            Ok(())
        })?)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(self.with(|disk| {
            disk.step()?;
            if !disk.lies {
                let len = disk.live.len();
                disk.durable.resize(len, 0);
                for sector in std::mem::take(&mut disk.dirty) {
                    let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(len));
                    if from < to {
                        let Disk { durable, live, .. } = &mut *disk;
                        durable[from..to].copy_from_slice(&live[from..to]);
                    }
                }
            }
            Ok(())
        })?)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        Ok(self.with(|disk| {
            disk.step()?;
            let (from, end) = (offset as usize, offset as usize + data.len());
            for block in offset / BLOCK..(end as u64).div_ceil(BLOCK) {
                if !disk.blocks.contains(&block) && disk.used() + BLOCK > disk.capacity {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                disk.blocks.insert(block);
            }
            if disk.live.len() < end {
                disk.live.resize(end, 0);
            }
            disk.live[from..end].copy_from_slice(data);
            disk.dirty.extend(from / SECTOR..end.div_ceil(SECTOR));
            Ok(())
        })?)
    }
}

impl Backing for SimDisk {
    fn name(&self) -> String {
        "sim".to_owned()
    }

    fn open(&self, builder: &DatabaseBuilder) -> Result<RawDatabase, DatabaseError> {
        let (epoch, new) = {
            let disk = self.0.lock().unwrap();
            (disk.epoch, disk.live.is_empty())
        };
        if new {
            // A file is made beside its place and moved there: it is there whole, or not at all.
            let beside = Self::new(0);
            builder.create_with_backend(Handle { disk: beside.clone(), epoch: 0 })?.close()?;
            let made = std::mem::take(&mut beside.0.lock().unwrap().live);
            let mut disk = self.0.lock().unwrap();
            disk.blocks = (0..(made.len() as u64).div_ceil(BLOCK)).collect();
            disk.durable.clone_from(&made);
            disk.live = made;
        }
        if std::mem::replace(&mut self.0.lock().unwrap().in_use, true) {
            return Err(DatabaseError::DatabaseAlreadyOpen);
        }
        builder.create_with_backend(Handle { disk: self.clone(), epoch })
    }

    fn hold_reserve(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if !disk.reserve && disk.used() + RESERVE > disk.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.reserve = true;
        Ok(())
    }

    fn release_reserve(&self) -> io::Result<()> {
        self.0.lock().unwrap().reserve = false;
        Ok(())
    }
}
