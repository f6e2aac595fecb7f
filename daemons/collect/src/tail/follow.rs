//! One path, followed through rotation, truncation and restart.
//!
//! [`Follower::next`] gives one [`Portion`] at a time: lines, what was lost, and the checkpoint that
//! holds once they are durable. Nothing is kept between portions but open files and the mark, so a
//! line whose end is not there yet is simply read again. The file before a rotation stays open for
//! [`ROTATED_MS`], because its writer may not have noticed yet.

use std::{fs::File, io, path::Path, path::PathBuf};

use nms_kit::intake::Checkpoint;
use nms_proto::{
    limits::{CHUNK_EVENTS_MAX, TAIL_READ_BYTES},
    time::{Stamp, Tick},
};

use super::look;
use crate::{
    checkpoint::{FileId, Fit, Gone, Kept, Mark, Place, Seen, Sibling, Sight, Step, decide},
    line,
    moment::Now,
    portion::Portion,
};

/// How long a rotated file is kept open for a writer that has not noticed, in milliseconds.
pub const ROTATED_MS: u64 = 600_000;
/// Steps from file to file in one call; a folder that changes under us cannot hold us longer.
const STEPS_MAX: usize = 256;

/// Lines lost because their file was truncated or removed before they were read; an estimate from their bytes.
pub const TRUNCATED_AWAY: &str = "truncated_away";
/// Times a file was truncated or replaced between two looks, holding nobody knows how much more.
pub const GONE_UNSEEN: &str = "gone_unseen";

/// Where a path that has no checkpoint begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At its first byte.
    Start,
    /// Behind its last complete line.
    End,
}

/// A file that is being read.
#[derive(Debug, Default)]
struct Reader {
    mark: Mark,
    file: Option<File>,
    dry_at: Option<u64>,
}

/// A file before its rotation.
#[derive(Debug)]
struct Rotated {
    reader: Reader,
    until: Tick,
}

/// One path.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    begin: Begin,
    reader: Option<Reader>,
    rotated: Option<Rotated>,
}

impl Follower {
    /// Follows `path` from its checkpoint, or from `begin` where there is none.
    pub fn new(path: &Path, checkpoint: Option<&[u8]>, begin: Begin, now: Tick) -> Self {
        let mut follower = Self { path: path.into(), begin, reader: None, rotated: None };
        if let Some(kept) = checkpoint.and_then(Kept::decode) {
            follower.reader = Some(Reader { mark: kept.mark, ..Reader::default() });
            follower.rotated = kept.rotated.and_then(|mark| {
                let mut reader = Reader { mark, ..Reader::default() };
                reader.file = reader.find_renamed(path);
                reader.file.is_some().then_some(Rotated { reader, until: now.plus(ROTATED_MS) })
            });
        }
        follower
    }

    /// The key of a path's checkpoint.
    pub fn key(path: &Path) -> Box<str> {
        format!("tail/{}", path.display()).into()
    }

    /// Whether it reads `file`.
    pub fn reads(&self, file: FileId) -> bool {
        let rotated = self.rotated.as_ref().map(|rotated| &rotated.reader);
        self.reader.iter().chain(rotated).any(|reader| reader.mark.file == file)
    }

    /// What can be read now; none when that is nothing.
    ///
    /// # Errors
    /// The file cannot be opened or read; what was read before stands.
    pub fn next(&mut self, now: Now) -> io::Result<Option<Portion>> {
        if let Some(portion) = self.read_rotated(now)? {
            return Ok(Some(self.with_checkpoint(portion)));
        }
        for _ in 0..STEPS_MAX {
            let Some(reader) = &self.reader else {
                return self.begin(now);
            };
            let sight = self.look(reader)?;
            let Some(reader) = &mut self.reader else { return Ok(None) };
            reader.saw(&sight);
            match decide(&reader.mark, &sight) {
                Step::Wait => return Ok(None),
                Step::Switch { to, keep, gone } => return self.switch(&to, keep, gone, &sight, now).map(Some),
                Step::Read(place) => {
                    if let Some(portion) = self.read(&place, &sight, now)? {
                        return Ok(Some(self.with_checkpoint(portion)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The first look at a path without a checkpoint.
    fn begin(&mut self, now: Now) -> io::Result<Option<Portion>> {
        let file = match look::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // What appears later is new from its first byte.
                self.begin = Begin::Start;
                return Ok(None);
            }
            opened => opened?,
        };
        let mut mark = Mark { seen_ms: now.stamp.unix_ms, ..Mark::start(look::id(&file.metadata()?), None) };
        if self.begin == Begin::End {
            mark.offset = last_line_end(&file)?;
            mark.size_seen = mark.offset;
            (mark.head, mark.tail) = look::prints(&file, mark.offset)?;
        }
        self.reader = Some(Reader { mark, file: Some(file), dry_at: None });
        Ok(Some(self.with_checkpoint(Portion::default())))
    }

    /// What there is, as far as the decision needs it.
    fn look(&self, reader: &Reader) -> io::Result<Sight> {
        let held = reader.file.as_ref().map(|file| look::seen(file, &reader.mark)).transpose()?;
        let path = match look::open(&self.path) {
            Ok(file) => Some(look::seen(&file, &reader.mark)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let at_home = path.is_some_and(|path| path.file == reader.mark.file && path.fit == Fit::Ours);
        let siblings = if at_home { Vec::new() } else { look::siblings(&self.path, &reader.mark) };
        Ok(Sight { path, held, siblings, dry_at: reader.dry_at })
    }

    /// Reads on in the file at `place`; none when it has no complete line more.
    fn read(&mut self, place: &Place, sight: &Sight, now: Now) -> io::Result<Option<Portion>> {
        let path = self.path_of(place);
        let Some(reader) = &mut self.reader else { return Ok(None) };
        if sight.held.map(|held| held.file) != sight.at(place).map(|seen| seen.file) {
            let file = look::open(&path)?;
            reader.mark.file = look::id(&file.metadata()?);
            reader.dry_at = None;
            reader.file = Some(file);
        }
        reader.read(now)
    }

    /// Goes to the beginning of another file.
    fn switch(&mut self, to: &Place, keep: bool, gone: Gone, sight: &Sight, now: Now) -> io::Result<Portion> {
        let file = look::open(&self.path_of(to))?;
        let mut portion = Portion::default();
        let Some(mut before) = self.reader.take() else { return Ok(portion) };
        portion.lose(TRUNCATED_AWAY, before.mark.lines_in(gone.bytes));
        portion.lose(GONE_UNSEEN, gone.unseen);
        let mut mark = Mark::start(look::id(&file.metadata()?), before.mark.before);
        mark.seen_ms = now.stamp.unix_ms;
        self.reader = Some(Reader { mark, file: Some(file), dry_at: None });
        if keep {
            if before.file.is_none() {
                before.file = before.open_among(&self.path, &sight.siblings);
            }
            if let Some(mut older) = self.rotated.take() {
                older.reader.finish(now, &mut portion)?;
            }
            self.rotated = Some(Rotated { reader: before, until: now.tick.plus(ROTATED_MS) });
        }
        Ok(self.with_checkpoint(portion))
    }

    /// What a late writer put into the rotated file; its last words when its time is over.
    fn read_rotated(&mut self, now: Now) -> io::Result<Option<Portion>> {
        let Some(rotated) = &mut self.rotated else { return Ok(None) };
        let reader = &mut rotated.reader;
        let seen = reader.file.as_ref().map(|file| look::seen(file, &reader.mark)).transpose()?;
        let Some(seen) = seen.filter(|seen| seen.fit == Fit::Ours) else {
            self.rotated = None;
            return Ok(None);
        };
        if seen.size > reader.mark.offset
            && reader.dry_at != Some(seen.size)
            && let Some(portion) = reader.read(now)?
        {
            return Ok(Some(portion));
        }
        if now.tick < rotated.until {
            return Ok(None);
        }
        let mut portion = Portion::default();
        reader.finish(now, &mut portion)?;
        self.rotated = None;
        Ok(Some(portion))
    }

    fn path_of(&self, place: &Place) -> PathBuf {
        match place {
            Place::Path | Place::Held => self.path.clone(),
            Place::Sibling(name) => self.path.with_file_name(name),
        }
    }

    fn with_checkpoint(&self, mut portion: Portion) -> Portion {
        let mark = self.reader.as_ref().map(|reader| reader.mark.clone()).unwrap_or_default();
        let rotated = self.rotated.as_ref().map(|rotated| rotated.reader.mark.clone());
        let value = Kept { mark, rotated }.encode();
        portion.checkpoint = Some(Checkpoint { key: Self::key(&self.path), value });
        portion
    }
}

impl Reader {
    /// The file of the mark among the rotations of `path`.
    fn find_renamed(&self, path: &Path) -> Option<File> {
        self.open_among(path, &look::siblings(path, &self.mark))
    }

    fn open_among(&self, path: &Path, siblings: &[Sibling]) -> Option<File> {
        let ours = |sibling: &&Sibling| sibling.seen.fit == Fit::Ours && sibling.seen.file == self.mark.file;
        let found = siblings.iter().find(ours)?;
        look::open(&path.with_file_name(&found.name)).ok()
    }

    /// What there is of its file counts as seen, whether it is read before it is cut or not.
    fn saw(&mut self, sight: &Sight) {
        let ours = |seen: &&Seen| seen.file == self.mark.file && seen.fit == Fit::Ours;
        let longest = [&sight.held, &sight.path].into_iter().flatten().filter(ours).map(|seen| seen.size).max();
        self.mark.size_seen = self.mark.size_seen.max(longest.unwrap_or(0));
    }

    /// The next lines; none when there is no complete one.
    fn read(&mut self, now: Now) -> io::Result<Option<Portion>> {
        let Some(file) = &self.file else { return Ok(None) };
        let size = file.metadata()?.len();
        self.mark.size_seen = self.mark.size_seen.max(size);
        let buffer = look::bytes_at(file, self.mark.offset, TAIL_READ_BYTES as u64)?;
        let mut portion = Portion::default();
        let taken = take_lines(&buffer, &mut self.mark, now.stamp, &mut portion);
        if taken == 0 {
            self.dry_at = Some(size);
            return Ok(None);
        }
        self.dry_at = None;
        self.mark.offset += taken;
        self.mark.size_seen = self.mark.size_seen.max(self.mark.offset);
        self.mark.seen_ms = now.stamp.unix_ms;
        (self.mark.head, self.mark.tail) = look::prints(file, self.mark.offset)?;
        Ok(Some(portion))
    }

    /// Takes the last line without its end: nobody will write it any more.
    fn finish(&mut self, now: Now, portion: &mut Portion) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let rest = look::bytes_at(file, self.mark.offset, TAIL_READ_BYTES as u64)?;
        if !rest.is_empty() && !self.mark.skipping {
            take_line(&rest, &mut self.mark, now.stamp, portion);
        }
        Ok(())
    }
}

/// Makes drafts of the complete lines of `buffer`; gives how many bytes they were.
fn take_lines(buffer: &[u8], mark: &mut Mark, now: Stamp, portion: &mut Portion) -> u64 {
    let mut rest = buffer;
    while !rest.is_empty() && portion.messages() < CHUNK_EVENTS_MAX {
        if mark.skipping {
            let (bytes, ended) = line::skip(rest);
            mark.skipping = !ended;
            rest = rest.get(bytes..).unwrap_or_default();
            continue;
        }
        let Some(cut) = line::cut(rest) else { break };
        if cut.truncated {
            portion.cut += 1;
        }
        mark.skipping = cut.skipping;
        mark.count_line(cut.taken as u64);
        take_line(cut.text, mark, now, portion);
        rest = rest.get(cut.taken..).unwrap_or_default();
    }
    (buffer.len() - rest.len()) as u64
}

fn take_line(text: &[u8], mark: &mut Mark, now: Stamp, portion: &mut Portion) {
    let seen = line::Seen { now, before: mark.before };
    let message = line::read(text, seen);
    // A time that we gave ourselves says nothing of the lines that follow: they may be hours older.
    if let Some(believed) = message.as_ref().ok().and_then(|draft| seen.believed(draft.device_at)) {
        mark.before = Some(believed);
    }
    portion.push(message);
}

/// Where the last complete line of a file ends.
fn last_line_end(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let from = size.saturating_sub(TAIL_READ_BYTES as u64);
    let bytes = look::bytes_at(file, from, size - from)?;
    let end = memchr::memrchr(b'\n', &bytes).map(|at| from + at as u64 + 1);
    // A file without any line end is one line that goes on; a longer one is skipped to its end.
    Ok(end.unwrap_or(from))
}
