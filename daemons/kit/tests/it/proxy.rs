//! PROXY headers: every split, every cut, and bytes that mean harm.

use nms_kit::net::proxy::{Header, ProxyError, parse};
use nms_proto::limits::PROXY_HEADER_BYTES_MAX;
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn header(command: u8, family: u8, said: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &(said.len() as u16).to_be_bytes(), said].concat()
}

fn ipv4() -> Vec<u8> {
    header(0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x05, 0xea])
}

fn ipv6(extras: usize) -> Vec<u8> {
    let mut said = vec![0x20, 1, 0xd, 0xb8];
    said.resize(15, 0);
    said.extend([7; 1]);
    said.extend([0; 16]);
    said.extend([0x9c, 0x40, 0x05, 0xea]);
    said.resize(36 + extras, 4);
    header(0x21, 0x21, &said)
}

fn check(bytes: &[u8], expected: Header) {
    let whole = bytes.len();
    assert_eq!(parse(bytes), Ok(Some((expected, whole))));
    assert_eq!(parse(&[bytes, b"\x16\x03\x01"].concat()), Ok(Some((expected, whole))), "what follows is TLS's");
    for cut in 0..whole {
        assert_eq!(parse(bytes.get(..cut).unwrap()), Ok(None), "{cut} of {whole} bytes");
    }
}

#[test]
fn a_header_is_read_however_it_comes() {
    check(&ipv4(), Header::From("192.0.2.7:40000".parse().unwrap()));
    check(&ipv6(0), Header::From("[2001:db8::7]:40000".parse().unwrap()));
    check(&ipv6(100), Header::From("[2001:db8::7]:40000".parse().unwrap()));
    check(&header(0x20, 0, &[]), Header::Local);
    check(&header(0x20, 0x11, &[1; 30]), Header::Local);
}

#[test]
fn what_is_no_header_is_refused_at_the_first_byte_that_shows_it() {
    let refused = |bytes: &[u8], problem: ProxyError| assert_eq!(parse(bytes), Err(problem), "{bytes:?}");
    refused(b"\x16\x03\x01", ProxyError::Signature);
    refused(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 1514\r\n", ProxyError::Signature);
    refused(b"\r\n\r\n\0\r\nQUIT ", ProxyError::Signature);
    for command in [0x11, 0x22, 0x31, 0x2f, 0xff, 0x01] {
        refused(&header(command, 0x11, &[0; 12]), ProxyError::Version(command));
    }
    for family in [0x00, 0x10, 0x12, 0x22, 0x31, 0xff] {
        refused(&header(0x21, family, &[0; 36]), ProxyError::Family(family));
    }
    refused(&header(0x21, 0x11, &[0; 11]), ProxyError::Short(11));
    refused(&header(0x21, 0x21, &[0; 35]), ProxyError::Short(35));
    refused(&header(0x21, 0x21, &[0; 12]), ProxyError::Short(12));
    // A length that would have a lot read is refused before any of it is.
    let long = header(0x21, 0x11, &[0; 2_000]);
    refused(long.get(..16).unwrap(), ProxyError::TooLong(2_016));
    refused(header(0x20, 0, &vec![0; 65_535]).get(..16).unwrap(), ProxyError::TooLong(65_551));
    assert!(parse(&header(0x20, 0, &vec![0; PROXY_HEADER_BYTES_MAX - 16])).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..28) {
        parse(&bytes).ok();
        let mut near = ipv4();
        near.truncate(at);
        near.extend(&bytes);
        if let Ok(Some((_, length))) = parse(&near) {
            prop_assert!(length <= near.len());
        }
    }
}
