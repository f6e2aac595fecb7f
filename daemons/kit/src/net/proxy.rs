//! The PROXY protocol, version 2, binary: what a load balancer says of whom it speaks for.
//!
//! ```text
//! 12 bytes signature | version 2, command | family, transport | length: u16, big-endian | addresses | extras
//! ```
//! (haproxy.org, proxy-protocol.txt, section 2.2.) Only TCP over IPv4 and IPv6 and the balancer's own
//! connections (LOCAL) are taken. Refuses version 1, other families, and headers longer than
//! [`PROXY_HEADER_BYTES_MAX`]; extras are passed over. Who may send one is for the caller to say.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use nms_proto::{limits::PROXY_HEADER_BYTES_MAX, time::Tick};
use smol::{io::AsyncReadExt as _, net::TcpStream};

use crate::clock;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes before the addresses.
const FIXED: usize = 16;
/// First byte of a header; no TLS handshake begins so.
pub const FIRST_BYTE: u8 = b'\r';

/// The first byte of a connection, which is left where it is; none where it ended, or nothing came before `deadline`.
pub async fn first_byte(stream: &TcpStream, deadline: Tick) -> Option<u8> {
    let mut first = [0];
    let late = async {
        clock::until(deadline).await;
        Ok(0)
    };
    let seen = smol::future::or(stream.peek(&mut first), late).await;
    let [first] = first;
    matches!(seen, Ok(1)).then_some(first)
}

/// Whom a connection is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// From the balancer itself, such as a health check.
    Local,
    /// From this peer.
    From(SocketAddr),
}

/// Why bytes are no header that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// They do not begin with the signature.
    Signature,
    /// The version is another one than 2, or the command is unknown.
    Version(u8),
    /// Neither TCP over IPv4 nor over IPv6.
    Family(u8),
    /// The length is too small for the addresses.
    Short(usize),
    /// The whole header would be longer than [`PROXY_HEADER_BYTES_MAX`].
    TooLong(usize),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("no PROXY header of version 2 where the balancer must send one"),
            Self::Version(byte) => {
                write!(f, "PROXY header of version and command {byte:#04x}, 0x20 and 0x21 are taken")
            }
            Self::Family(byte) => write!(f, "PROXY header of family {byte:#04x}, TCP over IPv4 and IPv6 are taken"),
            Self::Short(length) => write!(f, "PROXY header whose {length} bytes do not hold its addresses"),
            Self::TooLong(length) => {
                write!(f, "PROXY header of {length} bytes, at most {PROXY_HEADER_BYTES_MAX} are taken")
            }
        }
    }
}

impl std::error::Error for ProxyError {}

/// Reads a header at the beginning of `bytes`: what it says and how long it is; none where more bytes are needed.
///
/// # Errors
/// No further bytes would make it a header.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProxyError> {
    let begun = bytes.get(..SIGNATURE.len()).unwrap_or(bytes);
    if !SIGNATURE.starts_with(begun) {
        return Err(ProxyError::Signature);
    }
    let Some((&[.., command, family, high, low], rest)) = bytes.split_first_chunk::<FIXED>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let whole = FIXED + length;
    if whole > PROXY_HEADER_BYTES_MAX {
        return Err(ProxyError::TooLong(whole));
    }
    let Some(said) = rest.get(..length) else {
        // What is wrong already is said without waiting for the rest.
        return check(command, family, length).map(|()| None);
    };
    check(command, family, length)?;
    let header = if command == LOCAL { Some(Header::Local) } else { source(family, said) };
    header.map(|header| Some((header, whole))).ok_or(ProxyError::Short(length))
}

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP_IPV4: u8 = 0x11;
const TCP_IPV6: u8 = 0x21;

fn check(command: u8, family: u8, length: usize) -> Result<(), ProxyError> {
    let least = match (command, family) {
        (LOCAL, _) => 0,
        (PROXY, TCP_IPV4) => 12,
        (PROXY, TCP_IPV6) => 36,
        (PROXY, _) => return Err(ProxyError::Family(family)),
        _ => return Err(ProxyError::Version(command)),
    };
    if length < least { Err(ProxyError::Short(length)) } else { Ok(()) }
}

/// The peer: its address, then the address that it connected to, then the two ports.
fn source(family: u8, said: &[u8]) -> Option<Header> {
    let (address, ports): (IpAddr, &[u8]) = if family == TCP_IPV4 {
        (Ipv4Addr::from(*said.first_chunk::<4>()?).into(), said.get(8..)?)
    } else {
        (Ipv6Addr::from(*said.first_chunk::<16>()?).into(), said.get(32..)?)
    };
    Some(Header::From(SocketAddr::new(address, u16::from_be_bytes(*ports.first_chunk()?))))
}

/// Reads the header of a connection and not a byte more, before `deadline`.
///
/// # Errors
/// It is none that is taken ([`io::ErrorKind::InvalidData`]), did not come in time, or the connection ended.
pub async fn read(stream: &mut TcpStream, deadline: Tick) -> io::Result<Header> {
    let late = async {
        clock::until(deadline).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    smol::future::or(read_whole(stream), late).await
}

async fn read_whole(stream: &mut TcpStream) -> io::Result<Header> {
    let wrong = |error: ProxyError| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut bytes = vec![0; FIXED];
    stream.read_exact(&mut bytes).await?;
    loop {
        if let Some((header, _)) = parse(&bytes).map_err(wrong)? {
            return Ok(header);
        }
        let said = bytes.get(FIXED - 2..FIXED).and_then(<[u8]>::first_chunk).copied().map_or(0, u16::from_be_bytes);
        let begun = bytes.len();
        bytes.resize(FIXED + usize::from(said), 0);
        stream.read_exact(bytes.get_mut(begun..).unwrap_or_default()).await?;
    }
}
