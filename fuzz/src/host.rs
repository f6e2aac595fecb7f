//! What comes from administrators, load balancers and the holders of certificates.

use std::{net::SocketAddr, path::Path, sync::OnceLock};

use nms_kit::{
    clock,
    control::Request,
    digest,
    identity_admin::span,
    net::{proxy, tcp},
    pki::{self, Authority, Files, Holder, Serial},
    roll::{CertificateRow, TokenRow},
    store::log,
    tls::{Own, first_certificate},
    token::{Secret, Token},
};
use nms_proto::limits::{CERTIFICATE_MS, PROXY_HEADER_BYTES_MAX, SPOOL_BYTES_MIN, SPOOL_EVENTS_MIN};

use crate::wire;

/// The header of a load balancer: more bytes never change what fewer said.
pub(crate) fn proxy(bytes: &[u8]) {
    let mut before = proxy::parse(&[]);
    for count in 1..=bytes.len() {
        let found = proxy::parse(&bytes[..count]);
        match (&before, &found) {
            (Ok(None), Ok(Some((header, length)))) => {
                assert_eq!(*length, count, "found as soon as it is whole");
                assert!(*length <= PROXY_HEADER_BYTES_MAX);
                if let proxy::Header::From(address) = header {
                    again(*address);
                }
            }
            (Ok(None), Ok(None)) => assert!(count < PROXY_HEADER_BYTES_MAX, "waits for more than it takes"),
            (Ok(None), Err(error)) => assert!(!error.to_string().is_empty()),
            _ => {
                assert_eq!(before, found);
                break;
            }
        }
        before = found;
    }
}

fn again(address: SocketAddr) {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    match address {
        SocketAddr::V4(from) => {
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(from.ip().octets());
            header.extend([0; 4]);
        }
        SocketAddr::V6(from) => {
            header.extend([0x21, 0x21, 0, 36]);
            header.extend(from.ip().octets());
            header.extend([0; 16]);
        }
    }
    header.extend(address.port().to_be_bytes());
    header.extend([0; 2]);
    assert_eq!(proxy::parse(&header), Ok(Some((proxy::Header::From(address), header.len()))));
}

/// Settings of all daemons: checked, or refused in words that name the file.
pub(crate) fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("/etc/nms/any.toml");
    let refusals = [
        nmsd_server::config::Config::parse(path, text).map(|config| {
            assert!((1..=256).contains(&config.analysis_threads) && config.retention.days > 0);
        }),
        nmsd_hub::config::Config::parse(path, text).map(|config| {
            assert!(config.spool.events_max >= SPOOL_EVENTS_MIN && config.spool.bytes_max >= SPOOL_BYTES_MIN);
            assert!(config.server.is_none_or(|server| tcp::is_dialable(&server.address)));
        }),
        nmsd_agent::config::Config::parse(path, text, text.len().is_multiple_of(2)).map(|config| {
            assert!(config.spool.events_max >= SPOOL_EVENTS_MIN && config.spool.bytes_max >= SPOOL_BYTES_MIN);
            assert!(config.hub.address.starts_with('/') || tcp::is_dialable(&config.hub.address));
        }),
    ];
    for refusal in refusals.into_iter().filter_map(Result::err) {
        assert!(refusal.to_string().contains("any.toml"), "{refusal}");
    }
}

fn authority() -> &'static Authority {
    static MADE: OnceLock<Authority> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("nms-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Authority::open_or_make(&Files::within(&folder), clock::unix_ms()).unwrap();
        std::fs::remove_dir_all(&folder).ok();
        made
    })
}

/// Certificates, keys and requests, DER and PEM.
pub(crate) fn certificates(bytes: &[u8]) {
    if let Some(seen) = pki::seen(bytes) {
        assert!(seen.holder.is_none_or(|holder| !holder.name().is_empty()));
    }
    match first_certificate(bytes) {
        Ok(der) => drop(pki::seen(&der)),
        Err(words) => assert!(!words.is_empty()),
    }
    let text = &*String::from_utf8_lossy(bytes);
    if let Ok(own) = Own::from_pem(text, text) {
        own.with_authority(text).ok();
    }
    let holder = Holder::Tenant("home".into());
    let now_ms = 1_767_623_400_000;
    match authority().sign(text, &holder, now_ms, CERTIFICATE_MS) {
        Ok(issued) => {
            let seen = pki::seen(&first_certificate(issued.pem.as_bytes()).unwrap()).unwrap();
            assert_eq!((seen.holder, seen.serial), (Some(holder), Some(issued.serial)));
            assert_eq!(seen.not_after_ms, issued.not_after_ms);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Tokens, secrets, serial numbers and spans of time, as people type them.
pub(crate) fn tokens(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    if let Some(token) = wire::spelled::<Token>(text) {
        assert!(token.address.is_none_or(|address| tcp::is_dialable(&address)));
    }
    wire::spelled::<Serial>(text);
    if let Some(secret) = Secret::of(text) {
        assert_eq!(Secret::of(&secret.text()).map(|again| again.0), Some(secret.0));
    }
    if let Ok(ms) = span(text) {
        assert!(ms > 0);
    }
    if let Some(bytes) = digest::unhex(text) {
        assert_eq!(digest::hex(&bytes), text.to_ascii_lowercase());
    }
    assert!(text.starts_with(tcp::host_of(text)) || text.contains(tcp::host_of(text)));
}

/// Requests on the admin sockets, and the rows of the account of certificates.
pub(crate) fn admin(bytes: &[u8]) {
    let name = &*String::from_utf8_lossy(bytes);
    assert!(!log::is_segment(name) || !name.contains(['/', '\0']) && !name.contains(".."), "{name:?} leads elsewhere");
    wire::round::<Request>(bytes);
    wire::round::<TokenRow>(bytes);
    wire::round::<CertificateRow>(bytes);
}
