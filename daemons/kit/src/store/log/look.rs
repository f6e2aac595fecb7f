//! The log as somebody sees it who only looks: no segment is begun or removed, and no reserve is made.

use super::segment::{ENTRIES, Place, Segment, read_shares, sequence_of};
use super::{CLOSED_CACHE_BYTES, Inner, Log, LogSettings, closed, mend_next, places};
use crate::store::copy::{Copy, CopyError, GoOn, Rows, stretch};
use crate::store::db::Db;
use crate::store::error::{OpenCause, StoreError};
use crate::store::view::Row;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Whether a file of that name is a segment of a log.
pub fn is_segment(name: &str) -> bool {
    Place::of_file(name).is_some_and(|place| place.file(Path::new("")).as_os_str() == name)
}

impl Log {
    /// Opens the log in `folder` to read it, while nobody else has it open. Segments that are damaged, the newest as
    /// well, are set aside and named; one that was not begun completely holds nothing and is left out.
    pub fn look(folder: &Path) -> Result<Self, StoreError> {
        let settings = LogSettings::with_cache(CLOSED_CACHE_BYTES);
        let mut segments = BTreeMap::new();
        let mut set_aside = Vec::new();
        for place in places(folder)? {
            match Segment::open(folder, place, closed(&settings.store), false) {
                Ok(segment) => segments.extend(segment.map(|segment| (place, segment))),
                Err(error @ (StoreError::Open { cause: OpenCause::Damaged(_), .. } | StoreError::Damaged { .. })) => {
                    set_aside.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        mend_next(&mut segments);
        let folder = folder.to_owned();
        Ok(Self { inner: Arc::new(Inner { folder, settings, segments: Mutex::new(segments), set_aside }) })
    }

    /// The files of the open segments, oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        self.segments().keys().map(|place| place.file(&self.inner.folder)).collect()
    }

    /// Reads every row of a segment; none where it was let go meanwhile.
    pub fn check(&self, file: &Path) -> Result<Option<Rows>, StoreError> {
        self.once_more(file, Db::check)
    }

    /// Copies a segment, as it is at one moment, to the new file `to`; none where it was let go meanwhile. All but the
    /// entries comes from one snapshot. Entries never change: those that it counts follow in stretches, so that a
    /// segment that ends meanwhile waits for nobody.
    pub fn copy(&self, file: &Path, to: &Path, go_on: GoOn<'_>) -> Result<Option<Rows>, CopyError> {
        let mut copy = Copy::begin(to)?;
        let frame = self.once_more(file, |db| {
            db.read(|view| {
                let mut rows = Vec::new();
                for table in view.tables()?.into_iter().filter(|table| table != ENTRIES.0) {
                    let mut of_table = Vec::new();
                    view.stored(&table, Bound::Unbounded, |row| {
                        of_table.push((row.key.to_vec(), row.stored.to_vec()));
                        ControlFlow::Continue(())
                    })?;
                    rows.push((table, of_table));
                }
                Ok((read_shares(view)?, rows))
            })
        })?;
        let Some((shares, tables)) = frame else { return Ok(None) };
        for (table, rows) in tables {
            for (key, stored) in rows {
                copy.take(&table, &Row::new(&key, &stored))?;
            }
        }
        let counts = |key: &[u8]| {
            let tenant = key.first_chunk::<4>().map(|tenant| u32::from_be_bytes(*tenant));
            let next = tenant.and_then(|tenant| shares.get(&tenant)).map_or(0, |share| share.next);
            sequence_of(key).is_some_and(|sequence| sequence < next)
        };
        let mut from = Some(Vec::new());
        while let Some(first) = from {
            let read = self.once_more(file, |db| {
                let mut rows = Vec::new();
                let next = db.read(|view| {
                    stretch(view, ENTRIES.0, &first, |row| {
                        if counts(row.key) {
                            rows.push((row.key.to_vec(), row.stored.to_vec()));
                        }
                    })
                })?;
                Ok((rows, next))
            })?;
            let Some((rows, next)) = read else { return Ok(None) };
            for (key, stored) in rows {
                copy.take(ENTRIES.0, &Row::new(&key, &stored))?;
            }
            copy.go_on(go_on)?;
            from = next;
        }
        copy.finish().map(Some)
    }

    /// Looks at a segment, and once more where it just ended and was closed to be opened again; none where it was let go.
    fn once_more<T>(&self, file: &Path, look: impl Fn(&Db) -> Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        let Some(db) = self.database(file) else { return Ok(None) };
        match look(&db) {
            Err(StoreError::Stopped { .. }) => self.database(file).map(|db| look(&db)).transpose(),
            looked => looked.map(Some),
        }
    }

    fn database(&self, file: &Path) -> Option<Db> {
        let place = Place::of_file(file.file_name()?.to_str()?)?;
        self.segments().get(&place).map(|segment| segment.db.clone())
    }
}
