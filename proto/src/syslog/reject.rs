//! Why a message is turned away.
//!
//! The list is closed and its names are stable, because counters, the dashboard and the documents
//! speak of them. The bytes are the caller's: a rejected message is kept raw and not forwarded.

use std::fmt;

/// Why bytes are not taken as a syslog message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reject {
    /// Nothing, or only white space and line ends.
    Empty,
    /// A NUL byte before the end of the text.
    Nul,
    /// More than 1 byte in 10 is a control byte (tab, line feed and carriage return are none).
    ControlBytes,
    /// `<>`, or no digit after `<`.
    PriEmpty,
    /// More than three digits after `<`.
    PriTooLong,
    /// A value above 191, the last severity of the last facility.
    PriOutOfRange,
    /// No `>` after the digits.
    PriUnclosed,
    /// Declared RFC 5424, with a version other than 1.
    Version,
    /// Declared RFC 5424, with a TIMESTAMP that is neither `-` nor RFC 5424 section 6.2.3.
    Time,
    /// Declared RFC 5424, with a header field that is missing, empty, too long or not printable ASCII.
    Header,
    /// Declared RFC 5424, with structured data that is not as in section 6.3.
    StructuredData,
    /// No PRI, and not printable text.
    NotText,
}

impl Reject {
    /// Every reason, in the order of the checks.
    pub const ALL: [Self; 12] = [
        Self::Empty,
        Self::Nul,
        Self::ControlBytes,
        Self::PriEmpty,
        Self::PriTooLong,
        Self::PriOutOfRange,
        Self::PriUnclosed,
        Self::Version,
        Self::Time,
        Self::Header,
        Self::StructuredData,
        Self::NotText,
    ];

    /// The name in counters and on the wire; never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Nul => "nul",
            Self::ControlBytes => "control_bytes",
            Self::PriEmpty => "pri_empty",
            Self::PriTooLong => "pri_too_long",
            Self::PriOutOfRange => "pri_out_of_range",
            Self::PriUnclosed => "pri_unclosed",
            Self::Version => "rfc5424_version",
            Self::Time => "rfc5424_time",
            Self::Header => "rfc5424_header",
            Self::StructuredData => "rfc5424_structured_data",
            Self::NotText => "not_text",
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the message is empty",
            Self::Nul => "the message holds a NUL byte",
            Self::ControlBytes => "more than 1 byte in 10 is a control byte",
            Self::PriEmpty => "the PRI has no number between < and >",
            Self::PriTooLong => "the PRI has more than 3 digits",
            Self::PriOutOfRange => "the PRI is above 191",
            Self::PriUnclosed => "the PRI is not closed by >",
            Self::Version => "declared as RFC 5424, but the version is not 1",
            Self::Time => "declared as RFC 5424, but the time is not of the form 2026-03-01T12:00:00.000000Z",
            Self::Header => "declared as RFC 5424, but a header field is missing, too long or not printable",
            Self::StructuredData => "declared as RFC 5424, but the structured data is malformed",
            Self::NotText => "no PRI, and not printable text",
        })
    }
}

impl std::error::Error for Reject {}
