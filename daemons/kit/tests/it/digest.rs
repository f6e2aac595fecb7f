//! The digest against the published examples of FIPS 180-2, and pieces against the whole.

use nms_kit::digest::{Running, hex, sha256, short};

#[test]
fn published_examples() {
    assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(hex(&sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(short(b"abc"), 0xba78_16bf_8f01_cfea);
}

#[test]
fn pieces_make_the_whole() {
    let mut running = Running::default();
    running.update(b"a");
    running.update(b"bc");
    assert_eq!(running.finish(), sha256(b"abc"));
}
