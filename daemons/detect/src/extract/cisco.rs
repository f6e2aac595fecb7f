//! Cisco ASA and IOS: `%ASA-4-106023: Deny tcp src inside:10.1.1.5/1234 dst outside:203.0.113.9/4444 by ...`.
//!
//! The code says which message it is, and so who reads it.

use nms_proto::extraction::{AppFamily, Extraction};

use super::{asa, ios};

/// Whether `code` has the form `%FACILITY-SEVERITY-MNEMONIC`.
fn is_code(code: &str) -> bool {
    let mut parts = code.trim_start_matches('%').rsplitn(3, '-');
    let (mnemonic, severity, facility) = (parts.next(), parts.next(), parts.next());
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    code.len() < 64
        && mnemonic.is_some_and(|text| !text.is_empty())
        && severity.is_some_and(|text| text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_digit()))
        && facility.is_some_and(|text| !text.is_empty() && text.bytes().all(fits))
}

/// The code in `... %FACILITY-SEVERITY-MNEMONIC: TEXT`, and the text.
pub(super) fn code(text: &str) -> Option<(&str, &str)> {
    let (code, rest) = text.get(text.find('%')?..)?.split_once(": ")?;
    is_code(code).then_some((code, rest))
}

/// The code and the text of a line that is known to have one, as its application or in front.
pub(crate) fn message<'a>(app: &'a str, text: &'a str) -> Option<(&'a str, &'a str)> {
    if app.starts_with('%') { Some((app.trim_end_matches(':'), text)) } else { code(text) }
}

/// A message of an ASA or of IOS.
pub(super) fn cisco<'a>(code: &str, text: &'a str) -> Extraction<'a> {
    let code = code.trim_start_matches('%');
    if code.starts_with("ASA-") || code.starts_with("FTD-") || code.starts_with("PIX-") {
        let number = code.rsplit('-').next().unwrap_or_default();
        return asa::asa(number, text).unwrap_or(Extraction::unknown(AppFamily::Asa));
    }
    ios::ios(code, text).unwrap_or(Extraction::unknown(AppFamily::Ios))
}
