//! The log as somebody sees it who only looks: no segment is begun or removed, and no reserve is made.

use super::{CLOSED_CACHE_BYTES, Inner, Log, LogSettings, closed, mend_next, places, segment::Segment};
use crate::store::db::Db;
use crate::store::error::{OpenCause, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

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

    /// The open segments, oldest first: the file of each, and its database.
    pub fn files(&self) -> Vec<(PathBuf, Db)> {
        let folder = &self.inner.folder;
        self.segments().values().map(|segment| (segment.place.file(folder), segment.db.clone())).collect()
    }
}
