//! What the kernel writes below /proc about processes and TCP sockets (proc(5)), read without touching a file.
//!
//! ```text
//! stat     PID (NAME) STATE PARENT GROUP SESSION TTY TTYGROUP FLAGS ... STARTED ...    NAME is the program's own choice
//! status   Uid: REAL EFFECTIVE SAVED FILES
//! cmdline  ARGUMENT 0 ARGUMENT 0 ...                                                  as the program left it
//! net/tcp  SL: LOCAL REMOTE STATE TX:RX TR:WHEN RETRANSMITS USER TIMEOUT INODE ...     address and port in hex
//! ```
//! A program may call itself `a) R 1 (b`, with line feeds in it: what follows the last bracket is the kernel's. What is cut
//! short or malformed is nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a command line that are kept.
pub const CMDLINE_BYTES_MAX: usize = 8 << 10;

/// The kernel's mark of its own threads (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What is taken of a process's `stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The short name that the kernel keeps, which the program may choose.
    pub name: Box<str>,
    /// Whether it has ended and only waits for its parent.
    pub has_ended: bool,
    /// Its parent; 0 where it has none.
    pub parent: u32,
    /// Whether it is a thread of the kernel.
    pub is_kernel: bool,
    /// When it started, in the kernel's ticks since the host did.
    pub started: u64,
}

/// Reads a process's `stat`.
pub fn stat(text: &str) -> Option<Stat> {
    let (before, after) = text.rsplit_once(')')?;
    let (_pid, name) = before.split_once('(')?;
    let mut fields = after.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X" | "x");
    let parent = fields.next()?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let started = fields.nth(12)?.parse().ok()?;
    Some(Stat { name: name.into(), has_ended, parent, is_kernel: flags & KERNEL_THREAD != 0, started })
}

/// The user that a process acts as, by its `status`; the kernel writes no line feed of a name into it.
pub fn user(text: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// A command line with spaces between its arguments, at most [`CMDLINE_BYTES_MAX`] long, and whether more belonged to it.
/// Bytes that are not UTF-8 are replaced.
pub fn cmdline(bytes: &[u8]) -> (Box<str>, bool) {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let spaced: Vec<u8> = bytes.iter().take(end).map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
    let text = String::from_utf8_lossy(&spaced);
    let kept = text.get(..text.floor_char_boundary(CMDLINE_BYTES_MAX)).unwrap_or_default();
    // One more for the end of the last argument.
    let is_cut = kept.len() < text.len() || bytes.len() > CMDLINE_BYTES_MAX + 1;
    (kept.into(), is_cut)
}

/// How a socket stands, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Both ends speak.
    Established,
    /// It waits for others.
    Listening,
    /// Anything else.
    Other,
}

/// A TCP socket of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its own address and port; an IPv4 address within IPv6 as the IPv4 address.
    pub local: SocketAddr,
    /// The other end's.
    pub remote: SocketAddr,
    /// How it stands.
    pub state: State,
    /// The user it belongs to.
    pub user: u32,
    /// Its number among the files of the processes that hold it; 0 while no process does.
    pub inode: u64,
}

/// The sockets of a table such as `net/tcp`.
pub fn sockets(text: &str) -> impl Iterator<Item = Socket> {
    text.lines().filter_map(socket)
}

/// One line of a table of sockets; nothing for its heading.
pub fn socket(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    fields.next()?.strip_suffix(':')?;
    let local = endpoint(fields.next()?)?;
    let remote = endpoint(fields.next()?)?;
    let state = match fields.next()? {
        "01" => State::Established,
        "0A" => State::Listening,
        _ => State::Other,
    };
    let user = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Socket { local, remote, state, user, inode })
}

/// The inode of an open file that is a socket.
pub fn socket_link(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex(address) || !is_hex(port) || port.len() != 4 {
        return None;
    }
    // Each 32 bits are printed as a number of this host, whatever its byte order.
    let mut bytes = address.as_bytes().chunks(8).filter_map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)
    });
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(bytes.next()?)),
        32 => {
            let mut all = [0; 16];
            for (place, byte) in all.iter_mut().zip(bytes.flatten()) {
                *place = byte;
            }
            IpAddr::V6(Ipv6Addr::from(all)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}
