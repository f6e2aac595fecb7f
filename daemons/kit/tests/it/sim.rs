//! A disk in memory that can lose power, fill up, and lie.
//!
//! Writes go to the live image; a sync copies them to the durable one. A power cut keeps each
//! 512-byte sector that was not synced with probability one half, and ends all open handles. Blocks
//! of 4 KiB count against the capacity when they are first written, as on a file system with sparse
//! files. A lying disk answers a sync without doing it.

use nms_kit::store::{BackendError, Backing, DatabaseBuilder, DatabaseError, Disks, RawDatabase, StorageBackend};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const SECTOR: usize = 512;
const BLOCK: u64 = 4096;
const RESERVE: u64 = 256 << 10;
/// The part of it that is given up last.
const LAST: u64 = 128 << 10;

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
    reserve: u64,
    capacity: u64,
    lies: bool,
    power: Arc<Mutex<Power>>,
    /// The outages that it went through.
    outages: u64,
    epoch: u64,
    in_use: bool,
    dice: Dice,
}

/// What several disks of one machine share.
#[derive(Debug, Default)]
struct Power {
    cut_in: Option<u64>,
    outages: u64,
    /// Whether a database could not be opened after one.
    is_broken: bool,
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
        Self::powered(seed, Arc::default())
    }

    fn powered(seed: u64, power: Arc<Mutex<Power>>) -> Self {
        let outages = power.lock().unwrap().outages;
        Self(Arc::new(Mutex::new(Disk {
            live: Vec::new(),
            durable: Vec::new(),
            dirty: BTreeSet::new(),
            blocks: BTreeSet::new(),
            reserve: 0,
            capacity: u64::MAX,
            lies: false,
            power,
            outages,
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
        self.0.lock().unwrap().power.lock().unwrap().cut_in = Some(steps);
    }

    /// The power goes now, if it did not yet, and comes back at once. True if it goes now.
    pub(crate) fn cut(&self) -> bool {
        let mut disk = self.0.lock().unwrap();
        let now = {
            let mut power = disk.power.lock().unwrap();
            let now = power.cut_in.take().is_some();
            power.outages += u64::from(now);
            now
        };
        disk.suffer();
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
        self.blocks.len() as u64 * BLOCK + self.reserve
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
    }

    /// Goes through the outages that came since it was last asked for anything.
    fn suffer(&mut self) {
        let outages = self.power.lock().unwrap().outages;
        if self.outages < outages {
            self.outages = outages;
            self.cut();
        }
    }

    /// One step of the disk; it fails when the power goes.
    fn step(&mut self) -> io::Result<()> {
        {
            let mut power = self.power.lock().unwrap();
            match &mut power.cut_in {
                Some(0) => power.cut_in = None,
                Some(left) => {
                    *left -= 1;
                    return Ok(());
                }
                None => return Ok(()),
            }
            power.outages += 1;
        }
        self.suffer();
        Err(io::Error::other("the power is gone"))
    }
}

impl Handle {
    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> Result<T, BackendError> {
        let mut disk = self.disk.0.lock().unwrap();
        disk.suffer();
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
            // What is cut off gives its room back.
            drop(disk.blocks.split_off(&len.div_ceil(BLOCK)));
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

impl SimDisk {
    /// Somebody else took the room of the reserve.
    pub(crate) fn lose_reserve(&self) {
        self.0.lock().unwrap().reserve = 0;
    }
}

impl Backing for SimDisk {
    fn name(&self) -> String {
        "sim".to_owned()
    }

    fn open(&self, builder: &DatabaseBuilder) -> Result<RawDatabase, DatabaseError> {
        let (epoch, new) = {
            let mut disk = self.0.lock().unwrap();
            disk.suffer();
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
        let opened = builder.create_with_backend(Handle { disk: self.clone(), epoch });
        let disk = self.0.lock().unwrap();
        // The power may go in the middle of it, and then it is opened again.
        if opened.is_err() && disk.epoch == epoch {
            disk.power.lock().unwrap().is_broken = true;
        }
        drop(disk);
        opened
    }

    fn hold_reserve(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.used() - disk.reserve + RESERVE > disk.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.reserve = RESERVE;
        Ok(())
    }

    fn length(&self) -> Option<u64> {
        Some(self.0.lock().unwrap().blocks.len() as u64 * BLOCK)
    }

    fn release_reserve(&self, all: bool) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.reserve = if all { 0 } else { disk.reserve.min(LAST) };
        Ok(())
    }
}

/// The disks of one machine, a disk a file; that a file is there stands in a real folder.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    power: Arc<Mutex<Power>>,
    lies: bool,
    seed: u64,
    disks: Arc<Mutex<BTreeMap<PathBuf, SimDisk>>>,
}

impl Rig {
    pub(crate) fn new(seed: u64, lies: bool) -> Self {
        Self { power: Arc::default(), lies, seed, disks: Arc::default() }
    }

    /// As [`SimDisk::cut_in`], for all of them.
    pub(crate) fn cut_in(&self, steps: u64) {
        self.power.lock().unwrap().cut_in = Some(steps);
    }

    /// As [`SimDisk::cut`], for all of them.
    pub(crate) fn cut(&self) -> bool {
        let now = {
            let mut power = self.power.lock().unwrap();
            let now = power.cut_in.take().is_some();
            power.outages += u64::from(now);
            now
        };
        for disk in self.disks.lock().unwrap().values() {
            disk.0.lock().unwrap().suffer();
        }
        now
    }

    /// Whether the power went already.
    pub(crate) fn is_cut(&self) -> bool {
        self.power.lock().unwrap().cut_in.is_none()
    }

    /// Whether a database could not be opened.
    pub(crate) fn is_broken(&self) -> bool {
        self.power.lock().unwrap().is_broken
    }
}

impl Disks for Rig {
    fn backing(&self, file: &Path, _reserve: Option<&Path>) -> Box<dyn Backing> {
        let mut disks = self.disks.lock().unwrap();
        let new = || {
            let disk = SimDisk::powered(self.seed + disks.len() as u64, Arc::clone(&self.power));
            disk.0.lock().unwrap().lies = self.lies;
            disk
        };
        if !file.exists() {
            let disk = new();
            std::fs::write(file, b"").unwrap();
            disks.insert(file.to_owned(), disk);
        }
        Box::new(disks[file].clone())
    }
}

/// Whether one of 20 machines with lying disks is found out: by what `run` says is broken, by a database that cannot be
/// opened, or by a panic of the database library, which debug builds have on bytes that contradict each other. Where a
/// database cannot be opened its writer tries for ever, so `run` is not waited for then.
pub(crate) fn watch_lies(run: impl Fn(&Path, &Rig, u64) -> Vec<String> + Copy + Send + 'static) -> bool {
    (1..=20).any(|seed| {
        let rig = Rig::new(seed, true);
        let (send, receive) = std::sync::mpsc::channel();
        let machine = rig.clone();
        std::thread::spawn(move || {
            let folder = tempfile::tempdir().unwrap();
            send.send(run(folder.path(), &machine, seed)).unwrap_or_default();
        });
        loop {
            match receive.recv_timeout(std::time::Duration::from_millis(5)) {
                Ok(broken) => return !broken.is_empty(),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return true,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) if rig.is_broken() => return true,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    })
}
