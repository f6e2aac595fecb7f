//! Unix sockets, of streams and of datagrams: made with their mode, over a stale one but never over a live one; the
//! peer's uid.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use smol::net::unix::{UnixDatagram, UnixListener, UnixStream};

/// A listening Unix socket; its file goes away with it.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path` with permission bits `mode`. A socket file nobody listens on is replaced; anything else that
    /// stands there is left alone.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        make_room(path, || std::os::unix::net::UnixStream::connect(path).is_err())?;
        let socket = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(Self { socket, path: path.into() })
    }

    /// The next connection, with the user id of its process.
    pub async fn accept(&self) -> io::Result<(UnixStream, u32)> {
        let (stream, _) = self.socket.accept().await?;
        let peer = rustix::net::sockopt::socket_peercred(&stream)?;
        Ok((stream, peer.uid.as_raw()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// A socket that takes datagrams; its file goes away with it, unless another process has put one of its own there.
#[derive(Debug)]
pub struct Datagrams {
    socket: UnixDatagram,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

impl Datagrams {
    /// Binds `path` with permission bits `mode`. A socket file that nobody holds is replaced; anything else that stands
    /// there is left alone.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        // Only a refusal says that nobody is there: a stream socket says something else.
        let is_stale = || {
            let probe = std::os::unix::net::UnixDatagram::unbound().and_then(|probe| probe.connect(path));
            probe.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        };
        make_room(path, is_stale)?;
        let socket = UnixDatagram::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(Self { socket, path: path.into(), file: identity(path)? })
    }

    /// The next datagram; of one that is longer than `buffer` the rest is lost.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer).await
    }

    /// Takes the file away, so that nobody finds the socket any more; what was sent to it can still be received.
    pub fn remove(&self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            fs::remove_file(&self.path).ok();
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.remove();
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Removes a socket file that is stale.
fn make_room(path: &Path, is_stale: impl FnOnce() -> bool) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket stands there"));
    }
    if !is_stale() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
    }
    fs::remove_file(path)
}
