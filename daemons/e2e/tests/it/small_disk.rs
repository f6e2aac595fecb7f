//! A disk of a few MiB under the state of one daemon, that a test fills and frees; it needs root.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::scenarios::is_all_required;

/// The file that takes the rest of the disk.
const FILLER: &str = "filler";

/// A file system in memory, mounted on a folder; it is gone with the value.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// A disk of `mebibytes` in place of `folder`, with what lay there; none where nobody may mount one.
    pub(crate) fn mount(folder: &Path, mebibytes: u32) -> Option<Self> {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
        if !is_root {
            assert!(!is_all_required(), "only root may mount a small disk");
            eprintln!("skipped: only root may mount a small disk");
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let beside = folder.with_extension("before");
        fs::rename(folder, &beside).unwrap();
        fs::create_dir(folder).unwrap();
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0700"), "small"])
            .arg(folder));
        let disk = Self { folder: folder.into() };
        run(Command::new("cp").arg("-a").arg(beside.join(".")).arg(folder));
        Some(disk)
    }

    /// Takes all room that is left.
    pub(crate) fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.folder.join(FILLER)).unwrap();
        for piece in [vec![7_u8; 1 << 16], vec![7; 512]] {
            loop {
                match filler.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the filler: {error}"),
                }
            }
        }
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.folder.join(FILLER)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its daemon may still run: the disk goes with the last open file.
        Command::new("umount").arg("--lazy").arg(&self.folder).status().ok();
    }
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
